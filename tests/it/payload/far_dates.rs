//! Dates that are too far to be kept, in every field of every fixture that holds a time.

use serde_json::{Value, json};
use tollgate::domain::billing::fact::PaymentStep;
use tollgate::domain::time::Timestamp;
use tollgate::provider::{Mode, STRIPE};

use super::support::{NEW, load, payment, subscription};
use crate::support::fixtures::{files, own, provider_of};
use crate::support::spec::read;

/// The times that order events; nothing can be made of an event without one.
const DECIDING: [&str; 2] = ["/created", "/occurred_at"];

#[test]
fn a_far_date_fails_no_event() {
    let mut tried = 0;
    for file in files(&own()) {
        let provider = provider_of(&file);
        if !file.starts_with("stripe/") && !file.starts_with("paddle/") {
            continue;
        }
        let payload = load(&file);
        let mut times = Vec::new();
        collect(&payload, String::new(), &mut times);
        times.retain(|(pointer, _)| !DECIDING.contains(&pointer.as_str()));
        for (pointer, far) in times {
            for far in far {
                let mut payload = payload.clone();
                *payload.pointer_mut(&pointer).unwrap() = far.clone();
                let got = read(provider, payload.to_string().as_bytes(), Mode::Any);
                assert!(got.is_ok(), "{file}: {pointer} {far}: {got:?}");
                tried += 1;
            }
        }
    }
    assert!(tried > 1000, "{tried}");
}

#[test]
fn a_far_date_is_the_limit_of_times() {
    let file = format!("stripe/customer.subscription.updated--cancel-scheduled{NEW}");
    let mut payload = load(&file);
    let object = &mut payload["data"]["object"];
    object["cancel_at"] = json!(253_402_300_799_i64);
    object["items"]["data"][0]["current_period_end"] = json!(-62_135_596_800_i64);
    let state = subscription(STRIPE.name, &payload).state;
    assert_eq!(state.cancel_at, Some(Timestamp::LIMIT));
    assert_eq!(state.period_end, Some(Timestamp::from_nanos(i64::MIN)));
}

#[test]
fn a_time_that_is_only_shown_is_read_or_left_out() {
    let mut payload = load(&format!("stripe/invoice.payment_failed--renewal{NEW}"));
    for (next, next_attempt) in [
        (json!(253_402_300_799_i64), Some(Timestamp::LIMIT)),
        (json!(1_790_000_000_000_i64), None),
        (json!(i64::MAX), None),
        (json!("soon"), None),
        (json!({}), None),
    ] {
        payload["data"]["object"]["next_payment_attempt"] = next.clone();
        let step = PaymentStep::Failed { next_attempt };
        assert_eq!(payment(STRIPE.name, &payload).step, step, "{next}");
    }
}

/// The pointers of all times below a value, each with far ones in its form.
fn collect(value: &Value, at: String, times: &mut Vec<(String, Vec<Value>)>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                collect(value, format!("{at}/{name}"), times);
            }
        }
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                collect(value, format!("{at}/{index}"), times);
            }
        }
        Value::Number(number) if number.as_i64().is_some_and(|it| it > 1_500_000_000) => {
            times.push((
                at,
                vec![json!(253_402_300_799_i64), json!(-62_135_596_800_i64)],
            ));
        }
        Value::String(text) if Timestamp::parse(text).is_some() => times.push((
            at,
            vec![json!("9999-12-31T23:59:59Z"), json!("0001-01-01T00:00:00Z")],
        )),
        _ => (),
    }
}
