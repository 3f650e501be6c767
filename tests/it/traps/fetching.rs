//! What the providers say when they are asked.

use std::sync::Arc;

use serde_json::json;
use tollgate::domain::reconcile::{ReconcileStatus, Stage};

use crate::reconcile::rig::Rig;
use crate::support::fake_api::{Fault, List};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{stripe_customer, stripe_event};

async fn trap_18_a_backfill_has_the_canceled_subscriptions(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.sell(3);
    rig.there.change(List::Subscriptions, "sub_1", |it| {
        it["status"] = json!("canceled");
        it["ended_at"] = json!(1_790_000_000);
    });
    let ended = rig.reconcile().await;
    assert_eq!(ended.found.kinds[&Stage::Subscriptions].read, 3);
    let statuses = rig.statuses().await;
    assert!(statuses[1].1.contains("canceled"), "{statuses:?}");
    let asked = rig.api.asked();
    let lists = asked
        .iter()
        .filter(|it| it.starts_with("/v1/subscriptions"));
    assert!(lists.clone().count() > 0 && lists.into_iter().all(|it| it.contains("status=all")));
}

async fn trap_19_a_failed_sync_is_no_success(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.sell(2);
    // Customers are read, and then nothing more is to be had.
    rig.api.fail(1, Fault::Garbled);
    let failed = rig.reconcile().await;
    assert_eq!(failed.status(), ReconcileStatus::Failed);
    assert!(failed.error.is_some() && failed.finished_at.is_some());
    let ended = rig.reconcile().await;
    assert_eq!((ended.since, ended.events_since), (None, None), "all again");
    assert_eq!(ended.found.kinds[&Stage::Subscriptions].missing, 2);
    assert_eq!(ended.found.kinds[&Stage::Customers].missing, 0);
    let next = rig.reconcile().await;
    assert!(next.since.is_some() && next.events_since.is_some());
}

async fn trap_20_what_shares_the_second_of_the_cursor_is_read(engine: Engine) {
    let rig = Rig::start(engine).await;
    let there = Arc::clone(&rig.there);
    let at = rig.api.now();
    let event = move |id: &str| {
        let customer = stripe_customer(&id.replace("evt", "cus"), "a@example.com");
        stripe_event(id, "customer.created", at, customer)
    };
    rig.there.put(List::Events, event("evt_1"));
    let first = rig.reconcile().await;
    assert_eq!(first.found.kinds[&Stage::Events].missing, 1);
    // One of the very second of the last, and one that was listed late.
    there.put(List::Events, event("evt_2"));
    let mut late = event("evt_3");
    late["created"] = json!(at - 3_600);
    there.put(List::Events, late);
    there.sort(List::Events);
    let second = rig.reconcile().await;
    let events = second.found.kinds[&Stage::Events];
    assert_eq!((events.read, events.missing), (3, 2), "{events:?}");
    let known = "SELECT COUNT(*) FROM events WHERE duplicates > 0";
    assert_eq!(rig.kept.place.count(known, known).await, 0, "no delivery");
}

on_both_stores! {
    trap_18_a_backfill_has_the_canceled_subscriptions,
    trap_19_a_failed_sync_is_no_success,
    trap_20_what_shares_the_second_of_the_cursor_is_read,
}
