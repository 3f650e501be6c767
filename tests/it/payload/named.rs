//! The ids that a payload names, whether or not it can be read.

use serde_json::{Value, json};
use tollgate::domain::id::{Kind, ObjectKey};
use tollgate::provider::{self, MAX_NAMED, Meaning, Mode, Named, PADDLE, STRIPE};

use crate::support::fixtures::{files, own, provider_of};
use crate::support::spec::{read, spec};
use crate::support::stripe_event;

fn named(event: &Value) -> Named {
    let event_type = event["type"].as_str().unwrap();
    STRIPE.named(event_type, &event.to_string(), Mode::Any)
}

#[test]
fn every_object_that_a_fixture_tells_of_is_named() {
    let mut checked = 0;
    for file in files(&own()) {
        let provider = provider_of(&file);
        let body = std::fs::read_to_string(own().join(&file)).unwrap();
        let reading = read(provider, body.as_bytes(), Mode::Any).unwrap();
        let head = spec(provider).head(body.as_bytes()).unwrap();
        let named = provider::named(provider, &head.event_type, &body, Mode::Any);
        assert!(!named.ids.is_empty(), "{file}");
        assert!(named.ids.len() <= 8, "{file}: {:?}", named.ids);
        let Meaning::Facts(occurrence) = reading.meaning else {
            continue;
        };
        let keys = occurrence.lookup_keys();
        let told = keys
            .accounts
            .iter()
            .chain(&keys.subscriptions)
            .chain(&keys.payment_links)
            .chain(&keys.disputes)
            .chain(&keys.refunds);
        for key in told.filter(|key| key.kind != Kind::ConnectedAccount) {
            assert!(named.ids.contains(&key.id), "{file}: {key} {:?}", named.ids);
            checked += 1;
        }
        let accounts: Vec<&ObjectKey> = keys.accounts.iter().collect();
        if let [account] = accounts[..] {
            assert_eq!(named.account.as_ref(), Some(account), "{file}");
        }
    }
    assert!(checked > 300, "only {checked}");
}

#[test]
fn an_account_is_found_in_what_cannot_be_read() {
    let by = |event_type, object| {
        let event = stripe_event("evt_1", event_type, 1, object);
        named(&event).account.map(|key| key.to_string())
    };
    let account = Some("account:stripe:live::cus_1".to_owned());
    let deep: Value = (0..300).fold(json!(1), |deep, _| json!({ "metadata": deep }));
    for (event_type, object) in [
        ("invoice.paid", json!({"customer": "cus_1"})),
        (
            "invoice.paid",
            json!({"id": 7, "customer": "cus_1", "lines": []}),
        ),
        (
            "invoice.paid",
            json!({"id": {}, "customer": {"object": "customer", "id": "cus_1"}}),
        ),
        (
            "a.type.not.known",
            json!({"id": "x_1", "customer": "cus_1"}),
        ),
        (
            "customer.updated",
            json!({"object": "customer", "id": "cus_1", "email": 1}),
        ),
        ("customer.updated", json!({"id": "cus_1"})),
        (
            "invoice.paid",
            json!({"customer": null, "customer_account": "cus_1"}),
        ),
    ] {
        assert_eq!(by(event_type, object.clone()), account, "{object}");
    }
    let body = format!(
        r#"{{"id":"e","type":"invoice.paid","livemode":true,"data":{{"object":{{"id":"in_1","metadata":{deep},"customer":"cus_1"}}}}}}"#
    );
    let found = STRIPE.named("invoice.paid", &body, Mode::Any);
    assert_eq!(found.ids, ["in_1", "cus_1"]);
    for object in [
        json!(null),
        json!([]),
        json!({"customer": 0.5}),
        json!({"customer": "a@x.com"}),
    ] {
        assert_eq!(by("invoice.paid", object.clone()), None, "{object}");
    }
    let body = r#"{"event_id":"evt_1","event_type":"subscription.updated","data":{"customer_id":"ctm_1","items":7}}"#;
    let found = PADDLE.named("subscription.updated", body, Mode::Test);
    let account = found.account.map(|key| key.to_string());
    assert_eq!(account.as_deref(), Some("account:paddle:test::ctm_1"));
}

#[test]
fn ids_are_few_and_those_near_the_top_come_first() {
    let charges: Vec<Value> = (0..1_000)
        .map(|n| json!({"id": format!("ch_{n}")}))
        .collect();
    let object = json!({"charges": {"data": charges}, "customer": "cus_1", "id": "pi_1"});
    let found = named(&stripe_event(
        "evt_1",
        "payment_intent.succeeded",
        1,
        object,
    ));
    assert_eq!(found.ids.len(), MAX_NAMED);
    assert_eq!(found.ids[..3], ["pi_1", "cus_1", "ch_0"]);

    let object = json!({
        "object": "charge", "id": "ch_1", "payment_intent": "pi_1", "invoice": "in_1",
        "customer": {"object": "customer", "id": "cus_1", "invoice": "in_1"},
        "metadata": {"id": "42", "invoice": "in_9"},
        "receipt_email": "a@x.com", "description": "in_8",
    });
    let mut found = named(&stripe_event("evt_1", "charge.succeeded", 1, object)).ids;
    found.sort();
    assert_eq!(found, ["ch_1", "cus_1", "in_1", "pi_1"]);
}

#[test]
fn what_is_no_event_names_nothing() {
    for body in [
        "",
        "[]",
        "{",
        "{}",
        r#"{"data":7}"#,
        r#"{"data":{"object":"in_1"}}"#,
        "\u{0}",
    ] {
        assert_eq!(
            STRIPE.named("invoice.paid", body, Mode::Any),
            Named::default(),
            "{body}"
        );
    }
}
