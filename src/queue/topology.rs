//! Exchanges, queues and bindings on the broker, with the reason for every flag.
//!
//! ```text
//! P.events ──work──▶ P.work.2 ──(delivery limit)──▶ P.failed ──failed──▶ P.failed.2
//!     ▲                                              (exchange)            (queue)
//!     └──work──(time to live over)── P.retry.{ms}.2
//! ```
//!
//! Everything is declared whenever a publisher connects, so that a broker that lost its definitions
//! gets them back. A queue's arguments cannot be changed once it exists: a difference is reported,
//! with what to do about it, and the queue is left alone.
//!
//! That is why the names of queues end in a version. A version of the program that needs other
//! arguments raises the version (`names.rs`): it declares queues of its own, and its workers move
//! what the queues of the version before still hold (`rabbitmq/drain.rs`). Exchanges have no version: what
//! is published by either version reaches the newest queues through them.
//!
//! Refused: policies instead of arguments, because durability would then rest on a setting that
//! nobody sees in the code; a time to live per message instead of one queue per delay, because a
//! queue only expires messages at its head, and a long delay would hold up the short ones behind
//! it.

use std::time::Duration;

use futures::future::join;
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, ErrorKind, ExchangeKind};

use super::names::{FAILED_KEY, Names, WORK_KEY, short};
use crate::domain::retry;

/// The number of times that a message may come back unsettled before the broker takes it out of the
/// lane `work`. A worker that dies gives back what it had in hand, so a message that kills workers
/// ends here. Up to RabbitMQ 4.2 whatever comes back counts, so that outages of the store do too, hence
/// no lower limit; from 4.3 on what a worker gives back with `basic.nack` does not count, nor what the
/// broker takes back because it was kept too long.
/// <https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling>
///
/// Set explicitly, although RabbitMQ 4 has the same default: 3.10 has none.
const DELIVERY_LIMIT: i32 = 20;

/// The same for the lane `failed`, which has nowhere to pass messages on to: practically no limit.
/// Set explicitly because RabbitMQ 4 has a limit of 20 of its own, and drops what exceeds it when
/// there is no exchange for dead letters. Not -1, its word for no limit, which 3.10 does not know.
const NO_DELIVERY_LIMIT: i32 = 1_000_000_000;

/// Most bytes of bodies in the lane `work`: a million typical events. When they are reached the
/// queue refuses new messages, and receivers spool them in the store. Without a limit a backlog
/// grows until the broker's disk alarm, which stops every publisher of that broker, the workers'
/// retries included, and which by default comes with 50 MB left.
///
/// An argument, so that there is a limit without anybody setting one. It can be lowered on a living
/// queue by a policy with `max-length-bytes`, of which the broker takes the lower; raising it takes
/// a new version of the queues. No setting, because processes that differ in it would refuse each
/// other's queue.
const WORK_BYTES: i64 = 4 * 1024 * 1024 * 1024;

/// An exchange or a queue exists on the broker but is not what this version needs.
#[derive(Debug, thiserror::Error)]
#[error(
    "{object} exists on the broker with another `{argument}`: found {found}, wanted {wanted}. \
     Either stop all receivers and workers, let it run empty and delete it (it is made anew at the \
     next start), or set TOLLGATE_AMQP_PREFIX to another name"
)]
pub struct Mismatch {
    /// The kind and the name of the exchange or the queue.
    pub object: String,
    /// The argument that differs.
    pub argument: String,
    /// Its value on the broker.
    pub found: String,
    /// The value that this version declares.
    pub wanted: String,
}

/// The topology could not be declared.
#[derive(Debug, thiserror::Error)]
pub(super) enum DeclareError {
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
    /// The work queue was expected and is not there.
    #[error("the work queue is missing on the broker")]
    WorkMissing,
    #[error("declaring {object} failed: {cause}")]
    Refused { object: String, cause: lapin::Error },
}

/// What to do if the work queue does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WorkQueue {
    /// It has never been there, or is known to be gone: it is made.
    Made,
    /// It has been there, so what it held is gone with it: declaring fails.
    Expected,
}

/// Declares everything, and returns what the work queue tells of itself. The broker closes the
/// channel when something does not fit.
pub(super) async fn declare(
    channel: &Channel,
    names: &Names,
    work: WorkQueue,
) -> Result<QueueCounts, DeclareError> {
    // Ours alone: a user's queue bound here would satisfy `mandatory`, and could refuse what we
    // publish. Direct, because there is only one route.
    exchange(channel, names.events(), ExchangeKind::Direct).await?;
    // The broker puts messages here that exceed the delivery limit, and workers put messages here
    // that they cannot process: one route for both.
    exchange(channel, names.dead_letters(), ExchangeKind::Direct).await?;
    // For users' own queues: topic, so that they choose by app and by kind of change.
    exchange(channel, names.changes(), ExchangeKind::Topic).await?;

    let declared = queue(channel, names.work(), work_arguments(names));
    let work = match work {
        WorkQueue::Made => declared.await?,
        WorkQueue::Expected => {
            // Both are sent at once, in this order. With the answer in between, the queue could be
            // deleted after the look and made by the declaration, and nobody would know.
            let (found, declared) = join(inspect(channel, names.work()), declared).await;
            found?.ok_or(DeclareError::WorkMissing)?;
            declared?
        }
    };
    bind(channel, names.work(), names.events(), WORK_KEY).await?;
    queue(channel, names.failed(), failed_arguments()).await?;
    bind(channel, names.failed(), names.dead_letters(), FAILED_KEY).await?;
    for delay in retry::delays() {
        // Not bound to any exchange of ours: a retry is published to the default exchange, which
        // reaches every queue by its name.
        queue(channel, names.retry(delay), retry_arguments(names, delay)).await?;
    }
    Ok(work)
}

fn work_arguments(names: &Names) -> FieldTable {
    let mut arguments = quorum();
    arguments.insert("x-delivery-limit".into(), DELIVERY_LIMIT.into());
    let most = AMQPValue::LongLongInt(WORK_BYTES);
    arguments.insert("x-max-length-bytes".into(), most);
    dead_letter_safely(&mut arguments, &names.dead_letters(), FAILED_KEY);
    arguments
}

fn failed_arguments() -> FieldTable {
    let mut arguments = quorum();
    arguments.insert("x-delivery-limit".into(), NO_DELIVERY_LIMIT.into());
    arguments
}

fn retry_arguments(names: &Names, delay: Duration) -> FieldTable {
    let mut arguments = quorum();
    // A time to live of the queue, not of each message: then all expire in the order in which
    // they came, and none waits behind a longer one.
    let millis = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
    arguments.insert("x-message-ttl".into(), AMQPValue::LongLongInt(millis));
    dead_letter_safely(&mut arguments, &names.events(), WORK_KEY);
    arguments
}

/// Quorum queues: a confirm means that a majority of the nodes has the message on disk. They are
/// also the only kind that counts deliveries, and on a single node faster than classic ones. Mirrored
/// classic queues are gone from RabbitMQ 4.0 on. The kind is always said: what a broker makes of a
/// queue without it is a setting of the virtual host.
fn quorum() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments
}

fn dead_letter_safely(arguments: &mut FieldTable, exchange: &ShortString, key: &str) {
    arguments.insert(
        "x-dead-letter-exchange".into(),
        AMQPValue::LongString(exchange.as_str().into()),
    );
    // Without it the message would keep its original key.
    arguments.insert("x-dead-letter-routing-key".into(), text(key));
    // The default strategy publishes without confirms and loses messages in transit when a node
    // dies; this one keeps a message until the target has confirmed it.
    arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
    // Required by that strategy, and right by itself: a full queue must refuse new messages, which
    // the receiver then spools, rather than drop acknowledged ones.
    arguments.insert("x-overflow".into(), text("reject-publish"));
}

pub(super) fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

async fn exchange(
    channel: &Channel,
    name: ShortString,
    kind: ExchangeKind,
) -> Result<(), DeclareError> {
    let options = ExchangeDeclareOptions {
        // Survives a restart of the broker, as the queues do.
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    exchange_with(channel, name, kind, options, FieldTable::default()).await
}

/// Declares an exchange of any form.
pub(super) async fn exchange_with(
    channel: &Channel,
    name: ShortString,
    kind: ExchangeKind,
    options: ExchangeDeclareOptions,
    arguments: FieldTable,
) -> Result<(), DeclareError> {
    let object = format!("exchange `{name}`");
    channel
        .exchange_declare(name, kind, options, arguments)
        .await
        .map_err(|error| explain(object, error))
}

async fn queue(
    channel: &Channel,
    name: ShortString,
    arguments: FieldTable,
) -> Result<QueueCounts, DeclareError> {
    let object = format!("queue `{name}`");
    let options = QueueDeclareOptions {
        // Quorum queues must be durable, and RabbitMQ 4.3 refuses every other queue that is not
        // exclusive. Neither exclusive nor deleted with its last consumer: messages must stay here
        // while no worker runs.
        durable: true,
        ..QueueDeclareOptions::default()
    };
    channel
        .queue_declare(name, options, arguments)
        .await
        .map(|it| QueueCounts::of(&it))
        .map_err(|error| explain(object, error))
}

/// The counts in the broker's answer to a queue declaration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct QueueCounts {
    /// Messages that wait for a consumer.
    pub(super) ready: u64,
    pub(super) consumers: u32,
}

impl QueueCounts {
    fn of(queue: &lapin::Queue) -> Self {
        Self {
            ready: queue.message_count().into(),
            consumers: queue.consumer_count(),
        }
    }

    /// True if nothing waits in it and nobody consumes it.
    pub(super) const fn is_idle(self) -> bool {
        self.ready == 0 && self.consumers == 0
    }
}

/// Looks at a queue; `None` if it does not exist, and then the broker closes the channel.
pub(super) async fn inspect(
    channel: &Channel,
    name: ShortString,
) -> Result<Option<QueueCounts>, DeclareError> {
    let options = QueueDeclareOptions {
        // Only looks: no argument has to be repeated, and none can differ.
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let object = format!("queue `{name}`");
    match channel
        .queue_declare(name, options, FieldTable::default())
        .await
    {
        Ok(found) => Ok(Some(QueueCounts::of(&found))),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(explain(object, error)),
    }
}

/// True if the broker says that there is no such thing.
pub(super) fn is_missing(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(error)
        if *error.kind() == AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND))
}

async fn bind(
    channel: &Channel,
    queue: ShortString,
    exchange: ShortString,
    key: &str,
) -> Result<(), DeclareError> {
    let object = format!("the binding of queue `{queue}` to exchange `{exchange}`");
    channel
        .queue_bind(
            queue,
            exchange,
            short(key),
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await
        .map_err(|error| explain(object, error))
}

/// Names an exchange or a queue that is not what was wanted.
pub(super) fn explain(object: String, cause: lapin::Error) -> DeclareError {
    let differs = match cause.kind() {
        ErrorKind::ProtocolError(error)
            if *error.kind() == AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED) =>
        {
            difference(error.get_message().as_str())
        }
        _ => None,
    };
    match differs {
        Some((argument, wanted, found)) => DeclareError::Mismatch(Mismatch {
            object,
            argument,
            found,
            wanted,
        }),
        None => DeclareError::Refused { object, cause },
    }
}

/// Extracts argument, wanted and found value from the broker's sentence: `PRECONDITION_FAILED -
/// inequivalent arg 'x-delivery-limit' for queue 'q' in vhost '/': received the value '20' of
/// type 'signedint' but current is none`, or the same with bare values in quotes. The broker cuts it
/// after 255 bytes, so with long names the values may be missing.
fn difference(sentence: &str) -> Option<(String, String, String)> {
    let (_, rest) = sentence.split_once("inequivalent arg '")?;
    let (argument, rest) = rest.split_once('\'')?;
    let (_, values) = rest.rsplit_once(": received ").unwrap_or_default();
    let (wanted, found) = values.split_once(" but current is ").unwrap_or_default();
    let said = |words: &str| match words {
        "" => "something else".to_owned(),
        words => value(words),
    };
    Some((argument.to_owned(), said(wanted), said(found)))
}

fn value(words: &str) -> String {
    let words = words.strip_prefix("the value ").unwrap_or(words);
    let words = words.split(" of type ").next().unwrap_or(words);
    words.trim_matches('\'').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_brokers_sentence_is_parsed() {
        let cases = [
            (
                "PRECONDITION_FAILED - inequivalent arg 'x-delivery-limit' for queue 'p.work' in \
                 vhost '/': received the value '20' of type 'signedint' but current is none",
                ("x-delivery-limit", "20", "none"),
            ),
            (
                "PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'p.events' in vhost \
                 '/': received 'direct' but current is 'topic'",
                ("type", "direct", "topic"),
            ),
        ];
        for (sentence, (argument, wanted, found)) in cases {
            assert_eq!(
                difference(sentence),
                Some((argument.to_owned(), wanted.to_owned(), found.to_owned())),
                "{sentence}"
            );
        }
        assert_eq!(difference("PRECONDITION_FAILED - something else"), None);
        let cut = "PRECONDITION_FAILED - inequivalent arg 'alternate-exchange' for exchange 'p...";
        let (argument, wanted, found) = difference(cut).unwrap();
        assert_eq!(argument, "alternate-exchange");
        assert_eq!(
            (wanted, found),
            ("something else".into(), "something else".into())
        );
    }
}
