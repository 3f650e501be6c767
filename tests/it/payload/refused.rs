//! What cannot be understood, and what is not meant to be.

use proptest::prelude::*;
use serde_json::{Value, json};
use tollgate::domain::billing::fact::Fact;
use tollgate::domain::id::Scope;
use tollgate::domain::time::Timestamp;
use tollgate::provider::{
    self, IgnoreReason, Meaning, Mode, PADDLE, PayloadError, ReadError, STRIPE,
};

use super::support::{NEW, load, newest, path_of, reading, remove, subscription};
use crate::convergence::rig::kind;
use crate::support::fixtures::{files, own, provider_of};
use crate::support::spec::{read, spec};

/// A payload, then a field of it and the path that is named when the field is not there.
const NEEDED: &str = "
    stripe/customer.created--new
        /created                                   created
        /data                                      data.object
        /data/object                               data.object
        /data/object/id                            data.object.id
    stripe/customer.deleted--by-seller
        /data/object/id                            data.object.id
    stripe/customer.subscription.updated--unpaid
        /data/object/id                            data.object.id
        /data/object/customer                      data.object.customer
        /data/object/status                        data.object.status
        /data/object/items                         data.object.items.data
        /data/object/items/data/0/price            data.object.items.data[0].price
    stripe/checkout.session.completed--subscription
        /data/object/mode                          data.object.mode
        /data/object/customer                      data.object.customer
    stripe/checkout.session.completed--payment
        /data/object/id                            data.object.id
        /data/object/mode                          data.object.mode
    stripe/invoice.paid--renewal
        /data/object/id                            data.object.id
    stripe/invoice_payment.paid--renewal
        /data/object/invoice                       data.object.invoice
    stripe/refund.created--part
        /data/object/id                            data.object.id
    stripe/charge.dispute.created--chargeback
        /data/object/status                        data.object.status
    stripe/radar.early_fraud_warning.created--unreported
        /data/object/id                            data.object.id
    stripe/charge.refunded--full
        /data/object/id                            data.object.id
    paddle/customer.created--new
        /occurred_at                               occurred_at
        /data                                      data
        /data/id                                   data.id
    paddle/subscription.updated--renewed
        /data/id                                   data.id
        /data/status                               data.status
        /data/customer_id                          data.customer_id
        /data/items                                data.items
        /data/items/0/price                        data.items[0].price
    paddle/transaction.completed--renewal
        /data/id                                   data.id
    paddle/adjustment.created--chargeback
        /data/transaction_id                       data.transaction_id
        /data/customer_id                          data.customer_id
        /data/action                               data.action
    paddle/adjustment.updated--refund-approved
        /data/id                                   data.id
        /data/transaction_id                       data.transaction_id
";

#[test]
fn a_missing_field_is_named_by_its_path() {
    let mut stem = "";
    for row in NEEDED.lines().filter(|row| !row.is_empty()) {
        let Some((pointer, path)) = row.trim().split_once(' ') else {
            stem = row.trim();
            continue;
        };
        let expected = format!("missing {}", path.trim());
        let (provider, mut payload) = newest(stem);
        *payload.pointer_mut(pointer).unwrap() = Value::Null;
        assert_eq!(
            path_of(provider, &payload),
            expected,
            "{stem}: {pointer} null"
        );
        remove(&mut payload, pointer);
        assert_eq!(
            path_of(provider, &payload),
            expected,
            "{stem}: {pointer} absent"
        );
    }
}

/// A payload, then a field of it, a value that the field cannot have, and the path that is named
/// for it.
const WANTED: &str = r#"
    stripe/customer.created--new
        /created "soon" created
        /created 9223372036854775807 created
        /livemode "true" livemode
        /data/object [] data.object
        /data/object/id ["cus_1"] data.object.id
        /data/object/id {"object":"customer"} data.object.id
    stripe/customer.subscription.updated--unpaid
        /data/object/items/data {} data.object.items.data
        /data/object/items/data/0/price/id 1 data.object.items.data[0].price
        /data/object/items/data/0/quantity "1" data.object.items.data[0].quantity
        /data/object/items/data/0/current_period_end 1.5 data.object.items.data[0].current_period_end
        /data/object/cancel_at "soon" data.object.cancel_at
        /data/object/cancel_at_period_end 1 data.object.cancel_at_period_end
        /data/object/latest_invoice 7 data.object.latest_invoice
    stripe/invoice.paid--renewal
        /data/object/total "2900" data.object.total
        /data/object/lines/data {} data.object.lines.data
        /data/object/lines/data/0/amount 1.5 data.object.lines.data[0].amount
        /data/object/lines/data/0/period/end "soon" data.object.lines.data[0].period.end
    paddle/customer.created--new
        /occurred_at 1 occurred_at
        /data [] data
    paddle/subscription.updated--cancel-scheduled
        /data/scheduled_change/effective_at "soon" data.scheduled_change.effective_at
        /data/status 1 data.status
    paddle/transaction.completed--renewal
        /data/billing_period/ends_at "soon" data.billing_period.ends_at
        /data/details/line_items {} data.details.line_items
        /data/details/line_items/0/quantity "1" data.details.line_items[0].quantity
"#;

#[test]
fn a_malformed_field_is_named_by_its_path() {
    let mut stem = "";
    for row in WANTED.lines().filter(|row| !row.is_empty()) {
        let cells: Vec<&str> = row.split_whitespace().collect();
        let [pointer, value, path] = cells[..] else {
            stem = row.trim();
            continue;
        };
        let (provider, mut payload) = newest(stem);
        *payload.pointer_mut(pointer).unwrap() = serde_json::from_str(value).unwrap();
        let expected = format!("malformed {path}");
        assert_eq!(
            path_of(provider, &payload),
            expected,
            "{stem}: {pointer} {value}"
        );
    }
}

#[test]
fn an_id_that_cannot_be_a_key_is_refused() {
    let (provider, mut payload) = newest("stripe/customer.created--new");
    payload["data"]["object"]["id"] = json!("c".repeat(255));
    read(provider, payload.to_string().as_bytes(), Mode::Any).unwrap();
    for id in ["c".repeat(256), "cus_\u{0}".to_owned()] {
        payload["data"]["object"]["id"] = json!(id);
        assert_eq!(path_of(provider, &payload), "malformed data.object.id");
    }
}

#[test]
fn an_unreadable_state_before_makes_an_observation() {
    let mut payload = load(&format!(
        "stripe/customer.subscription.updated--unpaid{NEW}"
    ));
    payload["data"]["previous_attributes"]["status"] = json!(7);
    assert_eq!(subscription(STRIPE.name, &payload).before, None);
    payload["data"]["previous_attributes"] = json!("nonsense");
    assert_eq!(subscription(STRIPE.name, &payload).before, None);
}

#[test]
fn unknown_types_are_ignored_unread() {
    let bodies = [
        (
            STRIPE.name,
            json!({"id": "evt_1", "type": "price.created", "data": 5}),
        ),
        (
            STRIPE.name,
            json!({"id": "evt_1", "type": "charge.failed", "created": {}, "account": 7}),
        ),
        (
            PADDLE.name,
            json!({"event_id": "evt_1", "event_type": "report.created", "data": 5}),
        ),
    ];
    for (provider, body) in bodies {
        let reading = reading(provider, &body);
        assert_eq!(
            reading.meaning,
            Meaning::Ignored(IgnoreReason::Type),
            "{body}"
        );
        assert_eq!(reading.occurred_at, None);
    }
}

#[test]
fn a_thin_event_only_names_an_object() {
    let payload = load("stripe/v1.customer.subscription.updated--thin.json");
    let got = reading(STRIPE.name, &payload);
    assert_eq!(got.occurred_at, Timestamp::parse("2026-03-09T09:00:00Z"));
    assert_eq!(got.livemode, Some(false));
    let scope = Scope {
        provider: STRIPE.name,
        livemode: false,
        connected: None,
    };
    let cases = [
        (
            Some(payload["related_object"].clone()),
            "sub_1TgAda000000000000000001",
        ),
        (Some(Value::Null), "evt_test_Tg00000000000000000001"),
        (None, "evt_test_Tg00000000000000000001"),
    ];
    for (related, named) in cases {
        let mut payload = payload.clone();
        payload.as_object_mut().unwrap().remove("related_object");
        if let Some(related) = related {
            payload["related_object"] = related;
        }
        let Meaning::Facts(said) = reading(STRIPE.name, &payload).meaning else {
            panic!("{named}: says nothing")
        };
        let object = scope.key(kind(named), named);
        assert_eq!(said.facts, [Fact::Unfetched { object }], "{payload}");
    }
}

#[test]
fn a_thin_event_is_fetched_only_if_a_snapshot_would_say_something() {
    let mut payload = load("stripe/v1.customer.subscription.updated--thin.json");
    for (name, means) in [
        ("v1.customer.created", true),
        ("v1.customer.subscription.past_due", true),
        ("v1.customer.subscription.item_price_changed", true),
        ("v1.customer.subscription.trial_will_end", false),
        ("v1.customer.subscription.pending_update_expired", false),
        ("v1.customer.discount.created", false),
        ("v1.invoice.paid", true),
        ("v1.invoice.voided", true),
        ("v1.invoice.created", false),
        ("v1.invoice.payment_succeeded", false),
        ("v1.charge.dispute.closed", true),
        ("v1.charge.failed", false),
        ("v1.refund.failed", true),
        ("v1.billing.meter.error_report_triggered", false),
        ("v2.core.account.updated", false),
        ("invoice.paid", false),
    ] {
        payload["type"] = json!(name);
        match reading(STRIPE.name, &payload).meaning {
            Meaning::Facts(said) => {
                let only_names = matches!(said.facts[..], [Fact::Unfetched { .. }]);
                assert!(means && only_names, "{name}");
            }
            Meaning::Ignored(reason) => {
                assert_eq!((means, reason), (false, IgnoreReason::Type), "{name}");
            }
        }
    }
}

/// A body and why it is refused. `LONG` is 101 letters.
const REFUSED: &[(&str, PayloadError)] = &[
    ("", PayloadError::Empty),
    (" \r\n\t", PayloadError::Empty),
    ("hello", PayloadError::NotJson),
    (r#"{"id": "evt_1", "ty"#, PayloadError::NotJson),
    (r#"{"id":"e","type":"a"} x"#, PayloadError::NotJson),
    (r#"{"id":"e","type":"a"}{}"#, PayloadError::NotJson),
    (r#"["e", "a"]"#, PayloadError::NotJson),
    (r#""e""#, PayloadError::NotJson),
    ("null", PayloadError::NotJson),
    ("\u{feff}{}", PayloadError::NotJson),
    (r#"{"id":"e","type":"a","x":[1,}"#, PayloadError::NotJson),
    (r#"{"id":"e","id":"f","type":"a"}"#, PayloadError::NotJson),
    ("{}", PayloadError::NoId),
    (r#"{"id":null,"type":"a"}"#, PayloadError::NoId),
    (r#"{"id":"","type":"a"}"#, PayloadError::NoId),
    (r#"{"id":7,"type":"a"}"#, PayloadError::BadId),
    (r#"{"id":{},"type":"a"}"#, PayloadError::BadId),
    (r#"{"id":"LONG","type":"a"}"#, PayloadError::BadId),
    (r#"{"id":"e\u0000","type":"a"}"#, PayloadError::BadId),
    (r#"{"id":"e"}"#, PayloadError::NoType),
    (r#"{"id":"e","type":null}"#, PayloadError::NoType),
    (r#"{"id":"e","type":[]}"#, PayloadError::BadType),
    (r#"{"id":"e","type":"LONG"}"#, PayloadError::BadType),
    (r#"{"id":"e","type":"é"}"#, PayloadError::BadType),
];

#[test]
fn a_payload_without_a_usable_id_and_type_is_refused() {
    for (body, expected) in REFUSED {
        let sent = body.replace("LONG", &"e".repeat(101)).into_bytes();
        assert_eq!(spec(STRIPE.name).head(&sent), Err(*expected), "{body}");
        let read = read(STRIPE.name, &sent, Mode::Any);
        assert_eq!(read, Err(ReadError::Payload(*expected)), "{body}");
    }
    let no_text = b"{\"id\":\"e\",\"type\":\"a\",\"x\":\"\xff\"}";
    let refused = spec(STRIPE.name).head(no_text);
    assert_eq!(refused, Err(PayloadError::NotJson), "not UTF-8");
    let stripes = br#"{"id": "evt_1", "type": "a"}"#;
    let refused = spec(PADDLE.name).head(stripes);
    assert_eq!(refused, Err(PayloadError::NoId), "the other provider's");
}

#[test]
fn an_id_and_a_type_are_found_wherever_they_stand() {
    let id = "e".repeat(100);
    let body = format!(r#" {{"type":"a\u002eb","x":[{{"id":1}}],"id":"{id}"}} "#);
    let head = spec(STRIPE.name).head(body.as_bytes()).unwrap();
    assert_eq!((head.id, head.event_type.as_str()), (id, "a.b"));
}

#[test]
fn deep_nesting_is_an_error_and_no_crash() {
    let deep = "[".repeat(200_000) + &"]".repeat(200_000);
    let stripe = |kind: &str, place: &str| {
        format!(
            r#"{{"id":"e","type":"{kind}","created":1,"data":{{"object":{{"{place}":{deep}}}}}}}"#
        )
    };
    let body = stripe("price.created", "id");
    assert!(spec(STRIPE.name).head(body.as_bytes()).is_ok());
    let reading = read(STRIPE.name, body.as_bytes(), Mode::Any).unwrap();
    assert_eq!(reading.meaning, Meaning::Ignored(IgnoreReason::Type));
    let body = stripe("customer.created", "id");
    let error = read(STRIPE.name, body.as_bytes(), Mode::Any).unwrap_err();
    assert_eq!(error.code(), "payload_field_malformed");
    let body = stripe("customer.created", "nobody_reads_this");
    let error = read(STRIPE.name, body.as_bytes(), Mode::Any).unwrap_err();
    assert_eq!(
        error.code(),
        "payload_field_missing",
        "what is skipped may be as deep as it likes"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn a_mutated_payload_is_read_or_refused(
        file in any::<proptest::sample::Index>(),
        edits in proptest::collection::vec((any::<u16>(), 0..12_usize), 1..4),
        mode in proptest::sample::select(vec![Mode::Any, Mode::Live, Mode::Test]),
    ) {
        let files: Vec<String> = files(&own()).into_iter().collect();
        let file = file.get(&files);
        let mut payload = load(file);
        for (place, with) in edits {
            let mut pointers = Vec::new();
            collect(&payload, String::new(), &mut pointers);
            mutate(&mut payload, &pointers[usize::from(place) % pointers.len()], with);
        }
        let body = payload.to_string();
        let first = read(provider_of(file), body.as_bytes(), mode);
        if let Err(ReadError::FieldMissing { path } | ReadError::FieldMalformed { path, .. }) = &first {
            prop_assert!(!path.is_empty());
        }
        prop_assert_eq!(first, read(provider_of(file), body.as_bytes(), mode));
    }

    #[test]
    fn any_bytes_are_refused(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        for provider in provider::names() {
            prop_assert!(spec(provider).head(&body).is_err());
        }
    }
}

/// The pointers of all values below a value.
fn collect(value: &Value, at: String, pointers: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                collect(value, format!("{at}/{name}"), pointers);
            }
        }
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                collect(value, format!("{at}/{index}"), pointers);
            }
        }
        _ => (),
    }
    if !at.is_empty() {
        pointers.push(at);
    }
}

fn mutate(payload: &mut Value, pointer: &str, with: usize) {
    let replacements = [
        json!(null),
        json!(true),
        json!(-1),
        json!(1.5e300),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(""),
        json!("\u{0}\u{1f600}"),
        json!("x".repeat(5000)),
        json!([null, {}, [1]]),
        json!({"id": {"id": []}, "data": {}, "object": null}),
    ];
    match replacements.get(with) {
        Some(value) => *payload.pointer_mut(pointer).unwrap() = value.clone(),
        None => remove(payload, pointer),
    }
}
