//! What an admin changes while deliveries wait for another try: the secret, what the hook wants, the customer.

use serde_json::json;
use tollgate::domain::span::Span;
use tollgate::pipeline::hooks::{Deliveries, Destinations, HookSender};
use tollgate::vault::Vault;

use super::hooks::{HOOKS, Receiver, signatures};
use super::rig::{NOW, ROOT, Rig, id_of, path_of};
use crate::support::stores::{Engine, on_both_stores};

/// The time between a try and the next that is surely due.
const NEXT: u64 = 3_600;

async fn a_try_is_signed_with_the_secrets_of_its_time(engine: Engine) {
    for (overlap, signs) in [
        (0, [false, true]),
        (2 * NEXT, [true, true]),
        (NEXT, [false, true]),
    ] {
        let rig = Rig::start(engine).await;
        let receiver = Receiver::start().await;
        receiver.says(500);
        let hook = rig.hook(&receiver.url, &["customer.*"]).await;
        rig.customer(json!({"name": "Ada"})).await;
        assert_eq!(rig.delivers().await.failed, 1);

        let rotate = format!("{HOOKS}/{}/rotate-secret", id_of(&hook));
        let given = json!({"overlap_seconds": overlap});
        let new = rig.post(&rotate, given).await.expect(200);
        rig.pass(NEXT);
        receiver.says(204);
        rig.delivers_all().await;
        let [(headers, body)] = receiver.taken().try_into().unwrap();
        let secrets = [&hook, &new].map(|it| it["secret"].as_str().unwrap());
        let signed = secrets.map(|it| signatures(it, &headers, &body));
        assert_eq!(signed, signs, "{overlap}");
        // Receivers refuse what was signed more than five minutes ago.
        let at = headers["webhook-timestamp"].to_str().unwrap();
        assert_eq!(at, (NOW + i64::try_from(NEXT).unwrap()).to_string());
    }
}

async fn what_waits_is_what_the_hook_wanted_when_it_happened(engine: Engine) {
    let rig = Rig::start(engine).await;
    let receiver = Receiver::start().await;
    receiver.says(500);
    let hook = rig.hook(&receiver.url, &["customer.created"]).await;
    let ada = rig.customer(json!({"name": "Ada"})).await;
    assert_eq!(rig.delivers().await.failed, 1);
    let path = format!("{HOOKS}/{}", id_of(&hook));
    let change = Some(json!({"kinds": ["customer.suspended"]}));
    rig.as_admin(ROOT, "PATCH", &path, change).await.expect(200);
    rig.customer(json!({"name": "Bob"})).await;
    let suspend = format!("{}/suspend", path_of(&ada));
    rig.post(&suspend, json!({})).await.expect(200);

    rig.pass(NEXT);
    receiver.says(204);
    rig.delivers_all().await;
    let taken = receiver.taken();
    let told: Vec<_> = taken
        .iter()
        .map(|(_, it)| (it["type"].as_str().unwrap(), it["customer_id"].clone()))
        .collect();
    // Nobody is told of Bob, who came when nobody asked for that.
    let of_ada = json!(id_of(&ada));
    assert_eq!(
        told,
        [
            ("customer.created", of_ada.clone()),
            ("customer.suspended", of_ada)
        ]
    );
}

/// A clock that was a year ahead gave leases, rests and next tries; then it was set right.
async fn a_clock_that_was_ahead_stops_no_hook(engine: Engine) {
    const YEAR: u64 = 365 * 86_400;
    for status in [204, 500] {
        let rig = Rig::start(engine).await;
        let receiver = Receiver::start().await;
        rig.hook(&receiver.url, &["customer.created"]).await;
        receiver.says(status);
        rig.pass(YEAR);
        rig.customer(json!({"name": "Ada"})).await;
        assert_eq!(rig.delivers().await.failed, usize::from(status == 500));
        rig.clock().set(NOW);
        receiver.says(204);
        receiver.taken();
        rig.customer(json!({"name": "Bob"})).await;
        assert_eq!(rig.delivers().await.delivered, 0, "what was put off");
        rig.heeds_clock().await;
        rig.delivers_all().await;
        let expected = if status == 500 { 2 } else { 1 };
        assert_eq!(receiver.taken().len(), expected, "{status}");
    }
}

async fn what_waits_of_an_erased_customer_tells_ids_alone(engine: Engine) {
    let rig = Rig::start(engine).await;
    let receiver = Receiver::start().await;
    receiver.says(500);
    let hook = rig.hook(&receiver.url, &["customer.*"]).await;
    let ada = rig
        .customer(json!({"name": "Ada", "external_id": "ada-lovelace", "email": "ada@example.com"}))
        .await;
    let suspend = format!("{}/suspend", path_of(&ada));
    let why = json!({"reason": "her secret"});
    rig.post(&suspend, why).await.expect(200);
    // What was tried already, and what never was.
    assert_eq!(rig.delivers().await.failed, 1);
    rig.delete(&path_of(&ada)).await.expect(204);

    rig.pass(NEXT);
    receiver.says(204);
    rig.delivers_all().await;
    let taken = receiver.taken();
    let secret = hook["secret"].as_str().unwrap();
    for (headers, body) in &taken {
        assert!(signatures(secret, headers, body), "{body}");
        for word in ["Ada", "ada-lovelace", "ada@example.com", "her secret"] {
            assert!(!body.to_string().contains(word), "{word} in {body}");
        }
        assert_eq!(body["customer_id"], id_of(&ada).as_str(), "{body}");
    }
    let (_, last) = taken.last().unwrap();
    assert_eq!(
        (&last["type"], &last["data"]["permanent"]),
        (&json!("customer.deleted"), &json!(true))
    );
}

/// As after a move, when the servers were given another key.
async fn what_cannot_be_signed_is_not_sent_and_waits_for_the_right_key(engine: Engine) {
    let rig = Rig::start(engine).await;
    let receiver = Receiver::start().await;
    let hook = rig.hook(&receiver.url, &["customer.*"]).await;
    rig.customer(json!({"name": "Ada"})).await;
    let sender = HookSender::new(Destinations::new(true)).unwrap();
    let deliveries = Deliveries::new(sender, Vault::new(&[8; 32]), Span::days(5));
    let tried = deliveries.deliver_due(&rig.store, rig.clock()).await;
    assert_eq!(tried.unwrap().failed, 1);
    assert_eq!(receiver.taken().len(), 0);
    let path = format!("{HOOKS}/{}/deliveries", id_of(&hook));
    let last = rig.get(&path).await.expect(200)["data"][0].clone();
    assert_eq!(last["error"], "secret_unreadable", "{last}");
    rig.pass(NEXT);
    assert_eq!(rig.delivers().await.delivered, 1);
}

on_both_stores! {
    a_clock_that_was_ahead_stops_no_hook,
    what_cannot_be_signed_is_not_sent_and_waits_for_the_right_key,
    a_try_is_signed_with_the_secrets_of_its_time,
    what_waits_is_what_the_hook_wanted_when_it_happened,
    what_waits_of_an_erased_customer_tells_ids_alone,
}
