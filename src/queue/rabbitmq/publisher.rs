//! Publishing with confirms: one channel, many messages in flight, one task that owns both.
//!
//! Senders hand a message to the [`PublishHandle`] and wait. The [`PublishTask`] publishes it and
//! answers when the broker has confirmed or returned it, or is gone. Only a confirmed message that
//! reached a queue is a success.
//!
//! # Returned messages
//!
//! The broker sends an unroutable message back just before it confirms it, and neither frame says
//! which publish it belongs to. The client library gives a returned message to whichever confirm it
//! reads next, which with many in flight may be another's: a message that reached its queue would
//! be called lost, and the lost one confirmed (seen once among two thousand lost messages mixed
//! with good ones). The order, however, is reliable: a return is given to some publish before the
//! returned publish itself is confirmed. So the task answers nobody before it has collected
//! every result that has arrived. If a returned message is among them, neither those results nor what is
//! still in flight counts, and the connection is made anew, which declares the missing queue again.
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use lapin::{Confirmation, ConnectionStatus, Event};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{debug, error, info, warn};

use super::connection::{Broker, Link, close, in_time, inspect};
use super::error::BrokerError;
use super::outgoing::Outgoing;
use super::pending_publish::{Completed, ConfirmResult, PendingPublish, PublishBox, lost, publish};
use crate::causes::chain;
use crate::outage::Outage;
use crate::queue::MAX_IN_FLIGHT;

/// The time after which a publish counts as failed. A quorum queue confirms in milliseconds, while
/// a broker short of memory stops reading without notice. The rest of the time that the sender
/// waits (Paddle: five seconds) is for the spool.
const CONFIRM_TIME: Duration = Duration::from_millis(1_500);

/// How long a link may refuse everything. A channel that was opened between the death of a quorum queue's
/// leader and the election of the next may never learn of the new one, while a new channel does: the
/// election takes less than this.
const REFUSED_TIME: Duration = Duration::from_secs(2);

/// The time between checks of a quiet link.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// The time between looks at the work queue: how much lies in it, and whether it is there at all.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);

/// The first and the longest delay between tries to connect.
const RECONNECT_DELAYS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// A link that lasted this long is reconnected at once when it is lost.
const STEADY: Duration = Duration::from_secs(10);

/// Takes messages to be published. Cheap to clone; the link is closed with the last clone.
#[derive(Clone)]
pub(super) struct PublishHandle {
    requests: mpsc::Sender<Request>,
    state: watch::Receiver<State>,
}

struct Request {
    /// Boxed: it is handed on several times.
    outgoing: Box<Outgoing>,
    done: oneshot::Sender<Result<(), BrokerError>>,
}

enum State {
    /// A link was lost a moment ago and is being replaced: senders wait.
    Connecting,
    Up(ConnectionStatus),
    /// The last try to connect failed: senders are refused at once.
    Away(BrokerError),
}

impl PublishHandle {
    /// Starts the task, with the first link or the error of connecting.
    pub(super) fn open(broker: Arc<Broker>, first: Result<Link, BrokerError>) -> Self {
        let (requests, inbox) = mpsc::channel(MAX_IN_FLIGHT);
        let (state, watched) = watch::channel(State::Connecting);
        let task = PublishTask {
            broker,
            inbox,
            state,
            delay: RECONNECT_DELAYS.0,
            outage: Outage::default(),
            is_disowned: false,
        };
        tokio::spawn(task.run(first));
        Self {
            requests,
            state: watched,
        }
    }

    /// Publishes a message. Success means that it is in a queue and on disk.
    pub(super) async fn send(&self, outgoing: Outgoing) -> Result<(), BrokerError> {
        if !matches!(*self.state.borrow(), State::Connecting) {
            self.ready()?;
        }
        let outgoing = Box::new(outgoing);
        let (done, answer) = oneshot::channel();
        let handed_over = async {
            let sent = self.requests.send(Request { outgoing, done }).await;
            sent.map_err(|_| BrokerError::Lost)?;
            answer.await.map_err(|_| BrokerError::Lost)?
        };
        tokio::time::timeout(CONFIRM_TIME, handed_over)
            .await
            .unwrap_or(Err(BrokerError::NoAnswer))
    }

    /// Checks that publishing works, as far as is known without trying.
    pub(super) fn ready(&self) -> Result<(), BrokerError> {
        match &*self.state.borrow() {
            State::Connecting => Err(BrokerError::Lost),
            State::Up(connection) if connection.blocked() => Err(BrokerError::Blocked),
            State::Up(_) => Ok(()),
            State::Away(error) => Err(error.clone()),
        }
    }
}

/// The task that owns the connection and publishes.
struct PublishTask {
    broker: Arc<Broker>,
    inbox: mpsc::Receiver<Request>,
    state: watch::Sender<State>,
    delay: Duration,
    outage: Outage,
    /// True if it was told that the queues belong to another installation.
    is_disowned: bool,
}

/// The only part of a publisher that can fail.
const CONNECT: &str = "connect";

/// The last [`PublishHandle`] was dropped.
struct Closed;

impl PublishTask {
    async fn run(mut self, mut next: Result<Link, BrokerError>) {
        loop {
            let began = Instant::now();
            let error = match next {
                Ok(link) => {
                    self.state
                        .send_replace(State::Up(link.connection.status().clone()));
                    let Ok(error) = PendingPublishes::new(&self.broker, &link)
                        .serve(&mut self.inbox)
                        .await
                    else {
                        close(&link.connection).await;
                        return;
                    };
                    self.outage.fail(CONNECT, 0);
                    warn!(
                        error = chain(&error),
                        "the connection to the broker was lost"
                    );
                    error
                }
                Err(error @ BrokerError::OtherInstallation { .. }) => {
                    self.outage.fail(CONNECT, 0);
                    // Once, also in the middle of an outage: it does not pass by itself.
                    if !std::mem::replace(&mut self.is_disowned, true) {
                        error!(
                            error = chain(&error),
                            "nothing is published until the queues are this installation's again"
                        );
                    }
                    error
                }
                Err(error) if self.outage.fail(CONNECT, 0) => {
                    warn!(error = chain(&error), "the broker is away; trying again");
                    error
                }
                Err(error) => {
                    debug!(error = chain(&error), "the broker is still away");
                    error
                }
            };
            if began.elapsed() > STEADY {
                self.delay = RECONNECT_DELAYS.0;
                self.state.send_replace(State::Connecting);
            } else if let Err(Closed) = self.refuse_for_a_while(error).await {
                return;
            }
            next = Link::open(&self.broker).await;
            self.is_disowned &= next.is_err();
            if next.is_ok()
                && let Some(ended) = self.outage.succeed(CONNECT)
            {
                info!(outage_ms = ended.millis, "connected to the broker again");
            }
        }
    }

    /// Waits before the next try, and meanwhile refuses new messages at once.
    async fn refuse_for_a_while(&mut self, error: BrokerError) -> Result<(), Closed> {
        let wake = tokio::time::Instant::now() + self.delay;
        self.delay = (self.delay * 2).min(RECONNECT_DELAYS.1);
        self.state.send_replace(State::Away(error.clone()));
        loop {
            match tokio::time::timeout_at(wake, self.inbox.recv()).await {
                Err(_elapsed) => return Ok(()),
                Ok(None) => return Err(Closed),
                // A sender that has gone away no longer waits for its answer.
                Ok(Some(request)) => drop(request.done.send(Err(error.clone()))),
            }
        }
    }
}

/// The publishes that one link has in flight.
struct PendingPublishes<'a> {
    broker: &'a Broker,
    link: &'a Link,
    pending: FuturesUnordered<PendingPublish<'a>>,
    /// The boxes of completed publishes, for the next ones. Each takes some two kilobytes.
    boxes: Vec<PublishBox<'a>>,
    /// Results that arrived together; empty between the turns.
    completed: Vec<Completed>,
    /// The last time when a result arrived or nothing was in flight.
    moved: Instant,
    /// The first refusal since something was confirmed.
    refused: Option<Instant>,
}

impl<'a> PendingPublishes<'a> {
    fn new(broker: &'a Broker, link: &'a Link) -> Self {
        Self {
            broker,
            link,
            pending: FuturesUnordered::new(),
            boxes: Vec::new(),
            completed: Vec::new(),
            moved: Instant::now(),
            refused: None,
        }
    }

    /// Publishes until the link is lost, and returns why. What was in flight is dropped, which its
    /// senders see as lost.
    async fn serve(mut self, inbox: &mut mpsc::Receiver<Request>) -> Result<BrokerError, Closed> {
        let mut events = Box::pin(self.link.connection.events_listener());
        let mut check = tokio::time::interval(CHECK_INTERVAL);
        let mut looking = Box::pin(self.watch_work_queue());
        let mut waiting = Vec::with_capacity(MAX_IN_FLIGHT);
        loop {
            let room = MAX_IN_FLIGHT - self.pending.len();
            let result = tokio::select! {
                Some(first) = self.pending.next() => self.complete(first),
                // All that wait at once: each turn of this loop looks at everything else, too.
                count = inbox.recv_many(&mut waiting, room), if room > 0 =>
                {
                    if count == 0 {
                        return Err(Closed);
                    }
                    waiting.drain(..).for_each(|request| self.start(request));
                    Ok(())
                }
                Some(Event::Error(cause)) = events.next() => Err(lost(cause)),
                _ = check.tick() => self.check(),
                error = &mut looking => Err(error),
            };
            if let Err(error) = result {
                return Ok(error);
            }
        }
    }

    /// Looks at the work queue and its owner again and again. Ends when the queue is gone: then it has to be
    /// declared anew, and until somebody publishes nobody else may notice. Ends too when another
    /// installation has taken the queues over.
    fn watch_work_queue(&self) -> impl Future<Output = BrokerError> + use<'a> {
        let (broker, link) = (self.broker, self.link);
        async move {
            loop {
                tokio::time::sleep(LOOK_INTERVAL).await;
                if link.connection.status().blocked() {
                    // It would wait for the end of the alarm.
                    continue;
                }
                match in_time(inspect(&link.connection, broker.names.work())).await {
                    Ok(Some(counts)) => broker.watch.note_work_depth(counts.ready),
                    Ok(None) => return BrokerError::Missing,
                    // No answer may be the beginning of an alarm, which is not told to a
                    // connection that publishes nothing. Publishes and heartbeats have limits of
                    // their own.
                    Err(_) => {}
                }
                let owned = in_time(broker.declare_owner(&link.connection)).await;
                if let Err(error @ BrokerError::OtherInstallation { .. }) = owned {
                    return error;
                }
            }
        }
    }

    fn start(&mut self, request: Request) {
        if request.done.is_closed() {
            // The sender timed out before its turn came: it has spooled the message meanwhile.
            return;
        }
        if self.pending.is_empty() {
            self.moved = Instant::now();
        }
        let channel = &self.link.channel;
        let publishing = async move { (publish(channel, request.outgoing).await, request.done) };
        self.pending
            .push(PendingPublish::new(publishing, self.boxes.pop()));
    }

    /// Answers everybody whose result has arrived, by the rule in the module documentation.
    fn complete(
        &mut self,
        first: <PendingPublish<'a> as Future>::Output,
    ) -> Result<(), BrokerError> {
        self.moved = Instant::now();
        let mut next = Some(first);
        while let Some((completed, boxed)) = next {
            self.completed.push(completed);
            self.boxes.push(boxed);
            next = self.pending.next().now_or_never().flatten();
        }
        if self
            .completed
            .iter()
            .any(|(result, _)| matches!(result, Ok(Confirmation::Ack(_))))
        {
            self.refused = None;
        } else {
            self.refused.get_or_insert(self.moved);
        }
        let broken = (self.completed.iter()).find_map(|(result, _)| breaks(result));
        for (result, done) in self.completed.drain(..) {
            // A sender that has gone away no longer waits for its answer.
            drop(done.send(answer(&result, broken.as_ref())));
        }
        broken.map_or(Ok(()), Err)
    }

    /// Notices silent failures: a channel that the broker closed, one that only refuses, and a broker
    /// that stopped confirming. A broker that reports that it is blocked is left alone; it will report when it
    /// is not.
    fn check(&mut self) -> Result<(), BrokerError> {
        if !self.link.channel.status().connected() {
            return Err(BrokerError::Lost);
        }
        if self.pending.is_empty() || self.link.connection.status().blocked() {
            self.moved = Instant::now();
        }
        if self.moved.elapsed() > CONFIRM_TIME {
            return Err(BrokerError::NoAnswer);
        }
        if self
            .refused
            .is_some_and(|since| since.elapsed() > REFUSED_TIME)
        {
            return Err(BrokerError::Rejected);
        }
        Ok(())
    }
}

/// Returns an error if no result that arrived at the same time can be trusted.
fn breaks(result: &ConfirmResult) -> Option<BrokerError> {
    match result {
        Ok(Confirmation::Ack(None) | Confirmation::Nack(None)) => None,
        Ok(Confirmation::Ack(Some(_)) | Confirmation::Nack(Some(_))) => {
            Some(BrokerError::Unroutable)
        }
        // Cannot happen in confirm mode; if it does, nothing is known.
        Ok(Confirmation::NotRequested) => Some(BrokerError::Lost),
        Err(cause) => Some(lost(cause.clone())),
    }
}

/// Returns the answer to one sender, given its own result and what broke the link, if anything.
fn answer(result: &ConfirmResult, broken: Option<&BrokerError>) -> Result<(), BrokerError> {
    match (broken, result) {
        (Some(error), _) => Err(error.clone()),
        (None, Ok(Confirmation::Ack(_))) => Ok(()),
        (None, _) => Err(BrokerError::Rejected),
    }
}

#[cfg(test)]
#[path = "publisher_tests.rs"]
mod tests;
