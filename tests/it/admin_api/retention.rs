//! Payloads go after a time; what else the ledger knows stays.

use std::time::Duration;

use serde_json::{Value, json};
use tollgate::clock::{Clock, SystemClock};
use tollgate::domain::event::EventError;
use tollgate::domain::mode::Mode;
use tollgate::domain::span::Span;
use tollgate::pipeline::process::{Disposition, note_pending, process};
use tollgate::pipeline::record::record;
use tollgate::pipeline::retention::{BATCH, remove_payloads};
use tollgate::queue::message::Replay;

use super::rig::{NOW, Rig, id_of};
use crate::process::message;
use crate::support::stores::{Engine, Place, TestStore, on_both_stores};
use crate::support::{
    SECRET_KEY, TestServer, environment, stripe_customer, stripe_event, stripe_subscription,
};

const DAY: u64 = 86_400;

fn kept_for() -> Span {
    Span::days(90)
}

fn customer_event(number: usize) -> Value {
    let customer = stripe_customer(&format!("cus_{number}"), &format!("{number}@example.com"));
    stripe_event(&format!("evt_{number}"), "customer.created", NOW, customer)
}

impl Rig {
    async fn removes_payloads(&self) -> u64 {
        remove_payloads(&self.store, kept_for(), self.now())
            .await
            .unwrap()
    }

    /// An event that fails for good.
    async fn fails(&self, id: &str) {
        let event = stripe_event(id, "customer.subscription.updated", NOW, json!({"id": "s"}));
        let mut failed = message(&event, id);
        failed.headers_mut().received_at = self.now();
        record(&self.store, &failed, self.now()).await.unwrap();
    }
}

async fn payloads_of_settled_events_go_after_the_retention(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.happens(&customer_event(1)).await;
    let ignored = stripe_event("evt_2", "coupon.created", NOW, json!({"id": "c"}));
    rig.happens(&ignored).await;
    rig.fails("evt_3").await;
    let passing = EventError {
        code: "away".to_owned(),
        detail: "away".to_owned(),
    };
    let pending = message(&customer_event(4), "4");
    note_pending(&rig.store, &pending, &passing, rig.now())
        .await
        .unwrap();
    let mut before = rig.get("/events/evt_1").await.expect(200);
    assert_eq!(before["payload"]["id"], "evt_1");
    assert_eq!(before["payload_removed_at"], json!(null));

    rig.pass(90 * DAY);
    assert_eq!(rig.removes_payloads().await, 0, "not a moment too early");
    rig.pass(1);
    assert_eq!(rig.removes_payloads().await, 2);
    assert_eq!(rig.removes_payloads().await, 0, "once");

    let after = rig.get("/events/evt_1").await.expect(200);
    assert_eq!(after["payload"], json!(null));
    assert_eq!(after["payload_removed_at"], rig.now().to_string());
    // All else is as it was.
    before["payload"] = json!(null);
    before["payload_removed_at"] = after["payload_removed_at"].clone();
    assert_eq!(after, before);
    for (id, kept) in [("evt_2", false), ("evt_3", true), ("evt_4", true)] {
        let event = rig.get(&format!("/events/{id}")).await.expect(200);
        assert_eq!(event["payload"].is_object(), kept, "{event}");
    }
    let listed = rig.get("/events").await.expect(200);
    assert_eq!(
        listed["data"][3]["payload_removed_at"],
        after["payload_removed_at"]
    );
    assert!(listed["data"][3].get("payload").is_none(), "{listed}");

    // A duplicate is told as before, and so is one that says something else.
    rig.happens(&customer_event(1)).await;
    let mut other = customer_event(1);
    other["data"]["object"]["name"] = json!("Somebody Else");
    rig.happens(&other).await;
    let event = rig.get("/events/evt_1").await.expect(200);
    assert_eq!(
        (&event["duplicates"], &event["payload"]),
        (&json!(2), &json!(null))
    );
    let flags = rig.get("/flags?kind=same_id_other_body").await.expect(200);
    assert_eq!(flags["meta"]["total"], 1, "{flags}");
}

async fn an_event_without_its_payload_is_not_replayed(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.happens(&customer_event(1)).await;
    let ignored = |id: &str| stripe_event(id, "coupon.created", NOW, json!({"id": "c"}));
    rig.happens(&ignored("evt_2")).await;
    rig.pass(91 * DAY);
    assert_eq!(rig.removes_payloads().await, 2);
    rig.happens(&ignored("evt_3")).await;
    rig.fails("evt_4").await;

    for event in ["evt_1", "evt_2"] {
        let path = format!("/events/{event}/replay");
        for body in [
            json!({}),
            json!({"force": true}),
            json!({"dry_run": true, "force": true}),
        ] {
            let refused = rig.post(&path, body).await.refused(409, "payload_removed");
            let told = refused["detail"].as_str().unwrap();
            assert!(told.contains(&rig.now().to_string()), "{told}");
        }
    }
    assert!(rig.published().is_empty());

    let all = json!({"filter": {}, "force": true, "dry_run": true});
    let shown = rig.post("/events/replay", all).await.expect(200);
    let expected = json!({
        "dry_run": true, "matched": 4, "skipped": 2, "first": ["evt_3", "evt_4"],
    });
    assert_eq!(shown, expected);
    let all = json!({"filter": {}, "force": true});
    let ordered = rig.post("/events/replay", all).await.expect(202);
    assert_eq!(
        (&ordered["matched"], &ordered["skipped"]),
        (&json!(4), &json!(0))
    );
    while rig.carry_on_replays().await.unwrap() {}
    let path = format!("/replays/{}", id_of(&ordered));
    let done = rig.get(&path).await.expect(200);
    assert_eq!(
        (&done["published"], &done["skipped"]),
        (&json!(2), &json!(2)),
        "{done}"
    );
    assert!(done["finished_at"].is_string());
    assert_eq!(rig.published().len(), 2);
}

async fn an_event_that_counts_late_has_a_payload_again(engine: Engine) {
    let rig = Rig::start(engine).await;
    // Live, and signed with the secret for test events.
    let event = customer_event(1);
    let mut wrong = message(&event, "1");
    wrong.headers_mut().mode = Mode::Test;
    process(&rig.store, &[&wrong], rig.now()).await.unwrap();
    rig.pass(91 * DAY);
    assert_eq!(rig.removes_payloads().await, 1);
    // The right secret brings it, and it fails: without a payload nobody could replay it.
    record(&rig.store, &message(&event, "2"), rig.now())
        .await
        .unwrap();
    let shown = rig.get("/events/evt_1").await.expect(200);
    assert_eq!(
        shown["outcome"], "ignored",
        "a failure settles nothing that is settled"
    );
    let right = message(&event, "3");
    process(&rig.store, &[&right], rig.now()).await.unwrap();
    let shown = rig.get("/events/evt_1").await.expect(200);
    assert_eq!(shown["outcome"], "applied", "{shown}");
    assert_eq!(shown["payload"]["id"], "evt_1");
    assert_eq!(shown["payload_removed_at"], json!(null));
}

async fn several_workers_remove_each_payload_once(engine: Engine) {
    let rig = Rig::start(engine).await;
    let batch = usize::try_from(BATCH).unwrap();
    let events: Vec<Value> = (0..2 * batch + 50).map(customer_event).collect();
    rig.happen(&events).await;
    rig.pass(91 * DAY);
    let now = rig.now();
    let workers = (0..4).map(|_| async {
        let store = rig.place.of_another_worker(&rig.store).await;
        let mut removed = 0;
        for _ in 0..20 {
            removed += remove_payloads(&store, kept_for(), now).await.unwrap();
        }
        removed
    });
    let removed: Vec<u64> = futures::future::join_all(workers).await;
    let all = u64::try_from(events.len()).unwrap();
    assert_eq!(removed.iter().sum::<u64>(), all, "{removed:?}");
}

async fn a_removal_goes_on_beside_duplicates_and_replays_of_the_same_events(engine: Engine) {
    let rig = Rig::start(engine).await;
    let events: Vec<Value> = (0..120).map(customer_event).collect();
    rig.happen(&events).await;
    rig.pass(91 * DAY);
    let now = rig.now();
    // In another order than the removal's, which would be a cycle of waits.
    let messages: Vec<_> = events
        .iter()
        .rev()
        .map(|it| {
            let mut forced = message(it, "again");
            forced.headers_mut().replay = Some(Replay {
                force: true,
                tries_before: 0,
            });
            forced
        })
        .collect();
    let messages: Vec<_> = messages.iter().collect();
    let worker = rig.place.of_another_worker(&rig.store).await;
    let (removed, done) = tokio::join!(
        remove_payloads(&worker, kept_for(), now),
        process(&rig.store, &messages, now),
    );
    let done = done.unwrap();
    assert!(
        done.iter().all(|it| matches!(it, Disposition::Done(_))),
        "{done:?}"
    );
    // Those that were applied again first count from then on.
    assert!(removed.unwrap() <= 120);
}

async fn a_customer_without_payloads_is_explained_as_before(engine: Engine) {
    let rig = Rig::selling(engine).await;
    rig.happens(&customer_event(1)).await;
    let subscription = stripe_subscription("sub_1", "cus_1", "active");
    let event = stripe_event("evt_2", "customer.subscription.created", NOW, subscription);
    rig.happens(&event).await;
    let customer = rig.get("/customers/by-external/cus_1").await.expect(200);
    let path = format!("/customers/{}", id_of(&customer));
    let timeline = rig.get(&format!("{path}/timeline")).await.expect(200);
    let explained = rig.get(&format!("{path}/explain")).await.expect(200);
    rig.pass(91 * DAY);
    assert_eq!(rig.removes_payloads().await, 2);
    let after = rig.get(&format!("{path}/timeline")).await.expect(200);
    assert_eq!(after, timeline);
    let after = rig.get(&format!("{path}/explain")).await.expect(200);
    assert_eq!(after["sentences"], explained["sentences"], "{after}");
}

async fn the_room_of_removed_payloads_is_used_again(engine: Engine) {
    const EVENTS: usize = 200;
    let rig = Rig::start(engine).await;
    let pages = "SELECT page_count FROM pragma_page_count()";
    // A server's vacuum, which is not under way here, gives room back in its own time.
    let rows = "SELECT COUNT(*) FROM payloads";
    let (mut before, mut grown) = (0, 0);
    for round in 0..4 {
        let events: Vec<Value> = (0..EVENTS)
            .map(|number| {
                let mut event = customer_event(round * EVENTS + number);
                // Nearly a page of four kilobytes.
                event["data"]["object"]["description"] = json!("x".repeat(3_500));
                event
            })
            .collect();
        rig.happen(&events).await;
        let now = rig.place.count(pages, rows).await;
        (before, grown) = (now, now - before);
        rig.pass(91 * DAY);
        while rig.removes_payloads().await > 0 {}
    }
    let taken = i64::try_from(EVENTS).unwrap();
    assert!(
        grown < taken,
        "{grown} pages for {taken} payloads of one each"
    );
}

async fn a_worker_removes_old_payloads_after_a_restart(engine: Engine) {
    let long_ago = SystemClock.now().minus(Duration::from_hours(2));
    for (setting, kept) in [("1h", false), ("forever", true), ("90d", true)] {
        let TestStore { store, place } = TestStore::over(Place::new(engine).await, long_ago).await;
        let event = message(&customer_event(1), "1");
        process(&store, &[&event], long_ago).await.unwrap();
        store.close().await;
        let dir = tempfile::tempdir().unwrap();
        let mut environment = environment(dir.path());
        environment.insert("DATABASE_URL".into(), place.url().into());
        environment.insert("TOLLGATE_SECRET_KEY".into(), SECRET_KEY.into());
        environment.insert("TOLLGATE_PAYLOAD_RETENTION".into(), setting.into());
        let server = TestServer::start_over(environment, place, dir).await;
        if kept {
            // The removal comes first in the loop; an event of now would not be there before it.
            server
                .deliver(tollgate::provider::STRIPE.name, &customer_event(2))
                .await;
            let (_, shown) = server.get("/api/v1/events/evt_1").await;
            assert!(shown["payload"].is_object(), "{setting}: {shown}");
        } else {
            let gone = |shown: &Value| shown["payload"].is_null();
            let shown = server.until("/api/v1/events/evt_1", gone).await;
            assert!(shown["payload_removed_at"].is_string(), "{shown}");
        }
        server.stop().await;
    }
}

on_both_stores!(
    a_customer_without_payloads_is_explained_as_before,
    a_removal_goes_on_beside_duplicates_and_replays_of_the_same_events,
    a_worker_removes_old_payloads_after_a_restart,
    an_event_that_counts_late_has_a_payload_again,
    an_event_without_its_payload_is_not_replayed,
    payloads_of_settled_events_go_after_the_retention,
    several_workers_remove_each_payload_once,
    the_room_of_removed_payloads_is_used_again,
);
