//! Messages in AMQP's form: the body is the signed bytes, everything else is a header that an
//! operator can read in the broker's own tools.

use std::fmt::Display;
use std::str::FromStr;

use bytes::Bytes;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};

use crate::domain::event::EventError;
use crate::domain::time::Timestamp;
use crate::queue::message::{Headers, HeadersV1, Replay};
use crate::queue::names::short;
use crate::queue::{Message, Notice, Origin};

/// Delivery mode 2: on disk before it is confirmed. Quorum queues do so anyway; this is for any
/// other queue that an operator routes it to.
const PERSISTENT: u8 = 2;

/// The limit, in bytes, on the detail of an error in a header. All headers must fit into one frame
/// of 32 KiB; the ledger has the whole text.
const DETAIL: usize = 2_000;

/// The header in which a quorum queue counts what it holds against the delivery limit. Up to RabbitMQ
/// 4.2 that is each time that a message came back; from 4.3 on only crashes, lost connections and
/// `basic.reject`.
const DELIVERIES: &str = "x-delivery-count";

/// The header in which RabbitMQ 4.3 counts each time that a message was handed to a consumer. Not
/// read: how often a message brought a worker down is what counts.
const ACQUIRED: &str = "x-acquired-count";

/// A delivery that is not one of our messages.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotOurs {
    /// It is ours, but of a version that this program does not know.
    #[error("it has version `{0}`")]
    Version(String),
    /// It is not ours.
    #[error("its header `{0}` is missing or wrong")]
    Header(&'static str),
    /// Its body is not text.
    #[error("its body is not UTF-8")]
    Body,
}

/// Returns the AMQP properties and the body of a message.
pub(super) fn encode(message: Message) -> (BasicProperties, Bytes) {
    let Headers::V1(headers) = message.headers;
    let mut table = FieldTable::default();
    let mut put = |name: &str, value: AMQPValue| {
        table.insert(name.into(), value);
    };
    put("version", text("1"));
    put("app", text(headers.app.as_str()));
    put("provider", text(headers.provider.as_str()));
    put("event_id", text(&headers.event_id));
    put("type", text(&headers.event_type));
    put(
        "received_at",
        AMQPValue::LongLongInt(headers.received_at.nanos()),
    );
    put("mode", text(headers.mode.as_str()));
    put("receipt", text(&headers.receipt));
    put("attempt", AMQPValue::LongLongInt(headers.attempt.into()));
    if let Some(id) = headers.origin.request_id() {
        put("request_id", text(id));
    }
    if let Some(traceparent) = headers.origin.traceparent() {
        put("traceparent", text(traceparent));
    }
    if let Some(replay) = headers.replay {
        put("replay", text(if replay.force { "force" } else { "once" }));
        put(
            "tries_before",
            AMQPValue::LongLongInt(replay.tries_before.into()),
        );
    }
    if let Some(error) = &headers.error {
        put("error_code", text(&error.code));
        put("error_detail", text(cut(&error.detail)));
    }
    let seconds = u64::try_from(headers.received_at.seconds()).unwrap_or_default();
    let properties = BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_content_type("application/json".into())
        .with_message_id(short(&headers.event_id))
        .with_type(short(&headers.event_type))
        .with_timestamp(seconds)
        .with_headers(table);
    (properties, message.body.into_bytes())
}

/// Returns the AMQP properties and the body of what is told of a change.
pub(super) fn encode_notice(notice: Notice) -> (BasicProperties, Bytes) {
    let seconds = u64::try_from(notice.occurred_at.seconds()).unwrap_or_default();
    let properties = BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_content_type("application/json".into())
        // By which a receiver knows what it has seen.
        .with_message_id(short(&notice.id))
        .with_type(short(&notice.kind))
        .with_timestamp(seconds);
    (properties, notice.body.into_bytes().into())
}

/// Reads the headers of one of our messages.
pub(super) fn headers(properties: &BasicProperties) -> Result<Headers, NotOurs> {
    let none = FieldTable::default();
    let headers = Reader(properties.headers().as_ref().unwrap_or(&none));
    let version = headers.text("version")?;
    if version != "1" {
        return Err(NotOurs::Version(version));
    }
    // A replay of an earlier version does not say.
    let tries_before = headers.number("tries_before").unwrap_or_default();
    let tries_before = u32::try_from(tries_before).unwrap_or_default();
    let replayed = |force| {
        Some(Replay {
            force,
            tries_before,
        })
    };
    let replay = match headers.text("replay").ok().as_deref() {
        None => None,
        Some("once") => replayed(false),
        Some("force") => replayed(true),
        Some(_) => return Err(NotOurs::Header("replay")),
    };
    let error = match headers.text("error_code") {
        Err(_) => None,
        Ok(code) => Some(EventError {
            code,
            detail: headers.text("error_detail")?,
        }),
    };
    let traceparent = headers.text("traceparent").ok();
    let origin = Origin::new(headers.text("request_id").ok(), traceparent.as_deref());
    Ok(Headers::V1(HeadersV1 {
        app: headers.parsed("app")?,
        provider: headers.parsed("provider")?,
        event_id: headers.text("event_id")?,
        event_type: headers.text("type")?,
        received_at: Timestamp::from_nanos(headers.number("received_at")?),
        mode: headers.parsed("mode")?,
        receipt: headers.text("receipt")?,
        attempt: u32::try_from(headers.number("attempt")?)
            .map_err(|_| NotOurs::Header("attempt"))?,
        origin,
        replay,
        error,
    }))
}

/// Returns how many times this message has come back to a quorum queue, as far as that counts
/// towards the delivery limit.
pub(super) fn delivery_count(properties: &BasicProperties) -> u32 {
    let headers = properties.headers().as_ref();
    let count = headers.and_then(|headers| number(headers, DELIVERIES));
    count.map_or(0, |count| u32::try_from(count).unwrap_or(u32::MAX))
}

/// Reports whether the broker itself took the message out of `queue`. Our own retries and dead
/// letters are new messages without such a mark, so a mark is about this very message.
pub(super) fn was_dead_lettered_from(properties: &BasicProperties, queue: &ShortString) -> bool {
    let deaths = properties.headers().as_ref().and_then(|headers| {
        let value = headers.inner().get("x-death")?;
        value.as_array()
    });
    deaths.is_some_and(|deaths| {
        deaths.as_slice().iter().any(|death| {
            let dead_in = death.as_field_table().and_then(|death| {
                let queue = death.inner().get("queue")?;
                string(queue)
            });
            dead_in.as_deref() == Some(queue.as_str())
        })
    })
}

/// Returns the properties of a message that is passed on unread, without the broker's marks.
pub(super) fn without_marks(properties: &BasicProperties) -> BasicProperties {
    let mut headers = FieldTable::default();
    for (name, value) in properties.headers().iter().flat_map(FieldTable::inner) {
        if !name.as_str().starts_with("x-") {
            headers.insert(name.clone(), value.clone());
        }
    }
    properties
        .clone()
        .with_delivery_mode(PERSISTENT)
        .with_headers(headers)
}

/// Returns the properties of a message that is moved to a queue of another version: with the marks
/// of why it was dead-lettered, without the counts of its deliveries, which begin anew.
pub(super) fn moved(properties: &BasicProperties) -> BasicProperties {
    let mut headers = FieldTable::default();
    for (name, value) in properties.headers().iter().flat_map(FieldTable::inner) {
        if ![DELIVERIES, ACQUIRED].contains(&name.as_str()) {
            headers.insert(name.clone(), value.clone());
        }
    }
    properties
        .clone()
        .with_delivery_mode(PERSISTENT)
        .with_headers(headers)
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

fn cut(detail: &str) -> &str {
    let mut end = detail.len().min(DETAIL);
    while !detail.is_char_boundary(end) {
        end -= 1;
    }
    &detail[..end]
}

fn string(value: &AMQPValue) -> Option<String> {
    match value {
        AMQPValue::LongString(text) => String::from_utf8(text.as_bytes().to_vec()).ok(),
        AMQPValue::ShortString(text) => Some(text.as_str().to_owned()),
        _ => None,
    }
}

/// A whole number of whatever width: brokers and shovels may change it on the way.
fn number(headers: &FieldTable, name: &str) -> Option<i64> {
    match headers.inner().get(name)? {
        AMQPValue::ShortShortInt(number) => Some((*number).into()),
        AMQPValue::ShortShortUInt(number) => Some((*number).into()),
        AMQPValue::ShortInt(number) => Some((*number).into()),
        AMQPValue::ShortUInt(number) => Some((*number).into()),
        AMQPValue::LongInt(number) => Some((*number).into()),
        AMQPValue::LongUInt(number) => Some((*number).into()),
        AMQPValue::LongLongInt(number) => Some(*number),
        _ => None,
    }
}

struct Reader<'a>(&'a FieldTable);

impl Reader<'_> {
    fn text(&self, name: &'static str) -> Result<String, NotOurs> {
        let value = self.0.inner().get(name);
        value.and_then(string).ok_or(NotOurs::Header(name))
    }

    fn parsed<T: FromStr<Err: Display>>(&self, name: &'static str) -> Result<T, NotOurs> {
        let text = self.text(name)?;
        text.parse().map_err(|_| NotOurs::Header(name))
    }

    fn number(&self, name: &'static str) -> Result<i64, NotOurs> {
        number(self.0, name).ok_or(NotOurs::Header(name))
    }
}
