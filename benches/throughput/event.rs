//! The events that are sent: each a new customer's new subscription.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use secrecy::SecretString;
use serde_json::Value;
use tollgate::clock::{Clock, SystemClock};
use tollgate::domain::id::AppSlug;
use tollgate::provider::{Mode, STRIPE};
use tollgate::queue::Message;
use tollgate::queue::message::{Headers, HeadersV1};

pub(crate) const SECRET: &str = "whsec_BENCH0123456789abcdef0123456789abcdef";
pub(crate) const TYPE: &str = "customer.subscription.created";
/// What the events' subscriptions are to.
pub(crate) const PRICES: &str = r#"{"price_1TgTeamMonthly0000000001": ["acme/tool"]}"#;

/// 2100-01-01T00:00:00Z.
const PAID_UNTIL: i64 = 4_102_444_800;

/// The built-in sample, made as long as the provider's own events are, about 3 KB, and paid for long
/// enough that no event of it is late.
static SAMPLE: LazyLock<String> = LazyLock::new(|| {
    let mut sample: Value = serde_json::from_str(STRIPE.sample(TYPE).unwrap()).unwrap();
    let subscription = &mut sample["data"]["object"];
    subscription["description"] = "x".repeat(450).into();
    for item in subscription["items"]["data"].as_array_mut().unwrap() {
        item["current_period_end"] = PAID_UNTIL.into();
    }
    sample.to_string()
});

/// An event that was not sent before: its id and its body.
pub(crate) fn fresh() -> (String, String) {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    of(number, number)
}

/// An event that creates a subscription of a customer: its id and its body.
fn of(number: u64, customer: u64) -> (String, String) {
    let id = id(number);
    let body = SAMPLE
        .replace("evt_1TgAda000000000000000002", &id)
        .replace(
            "sub_1TgAda000000000000000001",
            &format!("sub_bench{number:019}"),
        )
        .replace("cus_TgAda0000000001", &format!("cus_bench{customer:010}"));
    (id, body)
}

/// The id of the event with this number.
pub(crate) fn id(number: u64) -> String {
    format!("evt_bench{number:019}")
}

/// The request that posts an event that was not sent before.
pub(crate) fn posted() -> String {
    let (signature, body) = signed();
    format!(
        "POST /webhooks/stripe HTTP/1.1\r\nHost: localhost\r\n\
         Content-Type: application/json\r\nStripe-Signature: {signature}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// One as it comes over HTTP: the signature's header, and the body.
pub(crate) fn signed() -> (String, String) {
    static KEY: LazyLock<SecretString> = LazyLock::new(|| SECRET.into());
    let (_, body) = fresh();
    let signature = STRIPE.sign(&KEY, body.as_bytes(), SystemClock.now());
    (signature, body)
}

/// One as the receiver puts it into the queue: of a customer who has no other.
pub(crate) fn message() -> Message {
    let (id, body) = fresh();
    message_with(id, TYPE, body)
}

/// The same of one of so many customers, who take turns.
pub(crate) fn message_of(number: usize, customers: usize) -> Message {
    let (number, customers) = (number as u64, customers as u64);
    let (id, body) = of(number, number % customers);
    message_with(id, TYPE, body)
}

/// An event of a type, as the receiver puts it into the queue.
pub(crate) fn message_with(id: String, event_type: &str, body: String) -> Message {
    let headers = HeadersV1 {
        app: AppSlug::default_app(),
        provider: STRIPE.name,
        receipt: format!("receipt of {id}"),
        event_id: id,
        event_type: event_type.to_owned(),
        received_at: SystemClock.now(),
        mode: Mode::Any,
        attempt: 0,
        origin: tollgate::queue::Origin::default(),
        replay: None,
        error: None,
    };
    Message {
        headers: Headers::V1(headers),
        body: body.into(),
    }
}
