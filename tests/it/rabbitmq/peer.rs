//! A broker that does what it is told: it speaks just enough AMQP 0-9-1 for one queue, and plays a
//! script to each connection that consumes.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use amq_protocol::frame::{AMQPContentHeader, AMQPFrame, WriteContext, gen_frame, parse_frame};
use amq_protocol::protocol::basic::{self, AMQPMethod as Basic};
use amq_protocol::protocol::channel::{self, AMQPMethod as Channel};
use amq_protocol::protocol::confirm::{self, AMQPMethod as Confirm};
use amq_protocol::protocol::connection::{self, AMQPMethod as Connection};
use amq_protocol::protocol::exchange::{self, AMQPMethod as Exchange};
use amq_protocol::protocol::queue::{self, AMQPMethod as Queue};
use amq_protocol::protocol::{AMQPClass, BasicProperties};
use amq_protocol::types::{AMQPValue, FieldTable};
use secrecy::SecretString;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tollgate::queue::rabbitmq::RabbitSettings;

/// What a consumer gets, all of it at once.
#[derive(Clone)]
pub(super) struct Script {
    pub(super) events: Vec<String>,
    pub(super) then: Then,
}

/// What the broker does behind the deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// Nothing, but it answers.
    Waits,
    /// Cancels the consumer.
    Cancels,
    /// At the first acknowledgement takes all else back, for the next consumer, and cancels this one.
    TimesOut,
    /// Closes the channel.
    ClosesChannel,
    /// Reads and says nothing more, not even heartbeats, and leaves the connection open.
    FallsSilent,
    /// Answers, has messages waiting, and sends none.
    StandsStill,
}

/// What consuming connections have said, in the order in which they began to consume.
#[derive(Default)]
struct Heard {
    /// The tags that each acknowledged.
    acknowledged: Vec<Vec<u64>>,
    /// Those on which everything unsettled was given back.
    given_back: Vec<usize>,
}

pub(super) struct Peer {
    port: u16,
    heard: Arc<Mutex<Heard>>,
    leaderless: Arc<AtomicBool>,
}

impl Peer {
    /// Starts a broker with a script for each connection that consumes the lane `work`; the last
    /// one is for all that follow.
    pub(super) async fn start(scripts: Vec<Script>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let scripts = Arc::new(Mutex::new(VecDeque::from(scripts)));
        let heard = Arc::<Mutex<Heard>>::default();
        let theirs = Arc::clone(&heard);
        let leaderless = Arc::new(AtomicBool::default());
        let their_leaderless = Arc::clone(&leaderless);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (scripts, heard) = (Arc::clone(&scripts), Arc::clone(&theirs));
                let leaderless = Arc::clone(&their_leaderless);
                tokio::spawn(async move {
                    let mut link = Link {
                        stream,
                        input: Vec::new(),
                        scripts,
                        then: Then::Waits,
                        heard,
                        number: None,
                        sent: Vec::new(),
                        published: 0,
                        leaderless,
                        refuses: false,
                    };
                    // It ends when the client hangs up.
                    let _ = link.serve().await;
                });
            }
        });
        Self {
            port,
            heard,
            leaderless,
        }
    }

    /// Whether the queue has no leader. A channel that is opened meanwhile refuses what is published on
    /// it, also when there is one again.
    pub(super) fn be_leaderless(&self, leaderless: bool) {
        self.leaderless.store(leaderless, Ordering::SeqCst);
    }

    pub(super) fn settings(&self) -> RabbitSettings {
        RabbitSettings {
            url: SecretString::from(format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.port)),
            ca_file: None,
            prefix: "p".to_owned(),
            installation: None,
        }
    }

    /// The tags that each consuming connection acknowledged.
    pub(super) fn acknowledged(&self) -> Vec<Vec<u64>> {
        self.heard.lock().unwrap().acknowledged.clone()
    }

    /// The consuming connections on which everything unsettled was given back.
    pub(super) fn given_back(&self) -> Vec<usize> {
        self.heard.lock().unwrap().given_back.clone()
    }
}

struct Link {
    stream: TcpStream,
    input: Vec<u8>,
    scripts: Arc<Mutex<VecDeque<Script>>>,
    then: Then,
    heard: Arc<Mutex<Heard>>,
    /// Among the connections that consume.
    number: Option<usize>,
    /// The events that it was sent.
    sent: Vec<String>,
    published: u64,
    leaderless: Arc<AtomicBool>,
    refuses: bool,
}

impl Link {
    async fn serve(&mut self) -> std::io::Result<()> {
        let mut header = [0; 8];
        self.stream.read_exact(&mut header).await?;
        let start = connection::Start {
            version_major: 0,
            version_minor: 9,
            server_properties: FieldTable::default(),
            mechanisms: "PLAIN".into(),
            locales: "en_US".into(),
        };
        self.say(0, AMQPClass::Connection(Connection::Start(start)))
            .await?;
        let mut beat = tokio::time::interval(Duration::from_secs(1));
        loop {
            if self.then == Then::FallsSilent {
                let mut nothing = [0; 4096];
                while self.stream.read(&mut nothing).await? > 0 {}
                return Ok(());
            }
            let frame = tokio::select! {
                frame = read(&mut self.stream, &mut self.input) => frame?,
                _ = beat.tick() => {
                    self.send(&[AMQPFrame::Heartbeat]).await?;
                    continue;
                }
            };
            // The content of a publish follows its method.
            if let AMQPFrame::Method(channel, method) = frame {
                self.answer(channel, method).await?;
            }
        }
    }

    async fn answer(&mut self, channel: u16, method: AMQPClass) -> std::io::Result<()> {
        use AMQPClass as Class;
        let answer = match method {
            Class::Connection(Connection::StartOk(_)) => {
                Class::Connection(Connection::Tune(connection::Tune {
                    channel_max: 100,
                    frame_max: 131_072,
                    heartbeat: 60,
                }))
            }
            Class::Connection(Connection::Open(_)) => {
                Class::Connection(Connection::OpenOk(connection::OpenOk {}))
            }
            Class::Connection(Connection::Close(_)) => {
                Class::Connection(Connection::CloseOk(connection::CloseOk {}))
            }
            Class::Channel(Channel::Open(_)) => Class::Channel(Channel::OpenOk(channel::OpenOk {})),
            Class::Channel(Channel::Close(_)) => {
                Class::Channel(Channel::CloseOk(channel::CloseOk {}))
            }
            Class::Exchange(Exchange::Declare(_)) => {
                Class::Exchange(Exchange::DeclareOk(exchange::DeclareOk {}))
            }
            // There are no queues of the version before.
            Class::Queue(Queue::Declare(declare))
                if declare.passive && !declare.queue.as_str().ends_with(".2") =>
            {
                Class::Channel(Channel::Close(channel::Close {
                    reply_code: 404,
                    reply_text: "NOT_FOUND".into(),
                    class_id: 0,
                    method_id: 0,
                }))
            }
            Class::Queue(Queue::Declare(declare)) => {
                let waiting = self.then == Then::StandsStill;
                Class::Queue(Queue::DeclareOk(queue::DeclareOk {
                    queue: declare.queue,
                    message_count: if waiting { 7 } else { 0 },
                    consumer_count: 1,
                }))
            }
            Class::Queue(Queue::Bind(_)) => Class::Queue(Queue::BindOk(queue::BindOk {})),
            Class::Confirm(Confirm::Select(_)) => {
                self.refuses = self.leaderless.load(Ordering::SeqCst);
                Class::Confirm(Confirm::SelectOk(confirm::SelectOk {}))
            }
            Class::Basic(Basic::Qos(_)) => Class::Basic(Basic::QosOk(basic::QosOk {})),
            Class::Basic(Basic::Publish(_)) => {
                self.published += 1;
                let delivery_tag = self.published;
                Class::Basic(if self.refuses {
                    Basic::Nack(basic::Nack {
                        delivery_tag,
                        multiple: false,
                        requeue: false,
                    })
                } else {
                    Basic::Ack(basic::Ack {
                        delivery_tag,
                        multiple: false,
                    })
                })
            }
            Class::Basic(Basic::Consume(consume)) => {
                return self.play(channel, consume.queue.as_str()).await;
            }
            Class::Basic(Basic::Ack(ack)) => {
                if let Some(number) = self.number {
                    self.heard.lock().unwrap().acknowledged[number].push(ack.delivery_tag);
                }
                if self.then != Then::TimesOut {
                    return Ok(());
                }
                self.then = Then::Waits;
                self.take_back(&ack);
                Class::Basic(Basic::Cancel(basic::Cancel {
                    consumer_tag: "it".into(),
                    nowait: true,
                }))
            }
            Class::Basic(Basic::Nack(nack)) => {
                assert!(nack.multiple && nack.requeue, "{nack:?}");
                self.heard.lock().unwrap().given_back.extend(self.number);
                return Ok(());
            }
            Class::Basic(Basic::Cancel(cancel)) => Class::Basic(Basic::CancelOk(basic::CancelOk {
                consumer_tag: cancel.consumer_tag,
            })),
            _ => return Ok(()),
        };
        self.say(channel, answer).await
    }

    /// Puts what was not acknowledged before what the next consumer gets.
    fn take_back(&mut self, ack: &basic::Ack) {
        let sent = (1..).zip(std::mem::take(&mut self.sent));
        let rest = sent.filter(|(tag, _)| {
            *tag != ack.delivery_tag && !(ack.multiple && *tag < ack.delivery_tag)
        });
        let rest = rest.map(|(_, event)| event);
        if let Some(next) = self.scripts.lock().unwrap().front_mut() {
            next.events.splice(0..0, rest);
        }
    }

    async fn play(&mut self, channel: u16, queue: &str) -> std::io::Result<()> {
        let nothing = Script {
            events: Vec::new(),
            then: Then::Waits,
        };
        let script = if queue.contains("work") {
            let number = {
                let all = &mut self.heard.lock().unwrap().acknowledged;
                all.push(Vec::new());
                all.len() - 1
            };
            self.number = Some(number);
            let mut scripts = self.scripts.lock().unwrap();
            match scripts.len() {
                0 => nothing,
                1 => scripts[0].clone(),
                _ => scripts.pop_front().unwrap(),
            }
        } else {
            nothing
        };
        let method = |method| AMQPFrame::Method(channel, AMQPClass::Basic(method));
        let tag = || "it".into();
        let mut frames = vec![method(Basic::ConsumeOk(basic::ConsumeOk {
            consumer_tag: tag(),
        }))];
        for (number, event) in (1..).zip(&script.events) {
            let body =
                format!(r#"{{"id":"{event}","type":"payout.paid","created":1}}"#).into_bytes();
            frames.push(method(Basic::Deliver(basic::Deliver {
                consumer_tag: tag(),
                delivery_tag: number,
                redelivered: false,
                exchange: "p.events".into(),
                routing_key: "work".into(),
            })));
            frames.push(AMQPFrame::Header(
                channel,
                AMQPContentHeader {
                    class_id: 60,
                    body_size: body.len() as u64,
                    properties: properties(event),
                },
            ));
            frames.push(AMQPFrame::Body(channel, body));
        }
        match script.then {
            Then::Cancels => frames.push(method(Basic::Cancel(basic::Cancel {
                consumer_tag: tag(),
                nowait: true,
            }))),
            Then::ClosesChannel => frames.push(AMQPFrame::Method(
                channel,
                AMQPClass::Channel(Channel::Close(channel::Close {
                    reply_code: 406,
                    reply_text: "PRECONDITION_FAILED - delivery acknowledgement timed out".into(),
                    class_id: 0,
                    method_id: 0,
                })),
            )),
            Then::Waits | Then::TimesOut | Then::FallsSilent | Then::StandsStill => {}
        }
        self.send(&frames).await?;
        self.sent = script.events;
        self.then = script.then;
        Ok(())
    }

    async fn say(&mut self, channel: u16, method: AMQPClass) -> std::io::Result<()> {
        self.send(&[AMQPFrame::Method(channel, method)]).await
    }

    async fn send(&mut self, frames: &[AMQPFrame]) -> std::io::Result<()> {
        let mut bytes = Vec::new();
        for frame in frames {
            let written = gen_frame::<Vec<u8>>(frame)(WriteContext::from(Vec::new())).unwrap();
            bytes.extend(written.into_inner().0);
        }
        self.stream.write_all(&bytes).await
    }
}

/// Reads a frame. What was read of the next one stays in `input`, also when this is given up.
async fn read(stream: &mut TcpStream, input: &mut Vec<u8>) -> std::io::Result<AMQPFrame> {
    loop {
        if let Ok((rest, frame)) = parse_frame(input.as_slice()) {
            let read = input.len() - rest.len();
            input.drain(..read);
            return Ok(frame);
        }
        if stream.read_buf(input).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}

fn properties(event: &str) -> BasicProperties {
    let text = |text: &str| AMQPValue::LongString(text.into());
    let mut headers = FieldTable::default();
    for (name, value) in [
        ("version", text("1")),
        ("app", text("default")),
        ("provider", text("stripe")),
        ("event_id", text(event)),
        // A type that changes nothing.
        ("type", text("payout.paid")),
        ("received_at", AMQPValue::LongLongInt(5)),
        ("mode", text("any")),
        ("receipt", text(event)),
        ("attempt", AMQPValue::LongLongInt(0)),
    ] {
        headers.insert(name.into(), value);
    }
    BasicProperties::default()
        .with_message_id(event.into())
        .with_headers(headers)
}
