//! What is read, what differs, and what stays as it is.

use std::time::Duration;

use serde_json::json;
use tollgate::domain::reconcile::{ReconcileStatus, Stage};
use tollgate::provider::PADDLE;

use super::rig::{Rig, run};
use crate::support::fake_api::List;
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{stripe_event, stripe_subscription};
use tollgate::domain::id::AppSlug;
use tollgate::pipeline::reconcile::Wanted;

async fn all_is_read_and_the_second_time_nothing_differs(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.sell(7);
    rig.api.set_page(3);
    let ended = rig.reconcile().await;
    assert_eq!(
        ended.status(),
        ReconcileStatus::Finished,
        "{:?}",
        ended.error
    );
    let kinds = &ended.found.kinds;
    for stage in [Stage::Customers, Stage::Subscriptions] {
        assert_eq!(
            (kinds[&stage].read, kinds[&stage].missing),
            (7, 7),
            "{stage}"
        );
    }
    assert_eq!(ended.found.repaired, 14);
    assert!(ended.found.is_settled());
    let events = "SELECT COUNT(*) FROM events";
    let rows = rig.kept.place.count(events, events).await;
    assert_eq!(rows, 14, "what was missing has a row in the ledger");

    let again = rig.reconcile().await;
    assert_eq!(again.found.drift(), 0, "{:?}", again.found);
    assert_eq!(rig.kept.place.count(events, events).await, rows);
    let seen = "SELECT COUNT(*) FROM reconcile_seen";
    assert_eq!(rig.kept.place.count(seen, seen).await, 0);
}

async fn only_what_differs_is_counted_and_repaired(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.sell(5);
    rig.reconcile().await;
    let status =
        |status: &'static str| move |it: &mut serde_json::Value| it["status"] = json!(status);
    rig.there
        .change(List::Subscriptions, "sub_1", status("past_due"));
    rig.api.set_ahead(10);
    let dry = rig.run(true).await;
    let counted = (dry.found.total().different, dry.found.repaired);
    assert_eq!(counted, (1, 0), "{:?}", dry.found);
    assert!(!dry.found.is_settled());
    let before = rig.statuses().await;
    assert!(
        !before[1].1.contains("past_due"),
        "a dry run changes nothing"
    );

    let done = rig.reconcile().await;
    assert_eq!((done.found.drift(), done.found.repaired), (1, 1));
    assert!(rig.statuses().await[1].1.contains("past_due"));
}

async fn what_is_gone_there_is_named_and_stays(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.sell(3);
    rig.reconcile().await;
    rig.there.remove(List::Subscriptions, "sub_1");
    let ended = rig.reconcile().await;
    assert_eq!(ended.found.gone, 1);
    assert_eq!(ended.found.gone_ids, ["sub_1"]);
    assert!(!ended.found.is_settled());
    assert_eq!(rig.statuses().await.len(), 3, "nothing is removed");
}

async fn what_moves_between_pages_is_neither_missed_nor_gone(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.sell(6);
    rig.reconcile().await;
    rig.api.set_page(2);
    // The lists go from the newest on. One that moves behind the reader is not listed any more.
    let there = std::sync::Arc::clone(&rig.there);
    rig.api.before(4, move || {
        there.change(List::Subscriptions, "sub_0", |it| {
            it["status"] = json!("unpaid");
        });
        there.move_to_end(List::Subscriptions, "sub_0");
    });
    rig.api.set_ahead(5);
    let ended = rig.reconcile().await;
    assert_eq!(ended.found.gone, 0, "{:?}", ended.found);
    assert!(rig.statuses().await[0].1.contains("unpaid"));
}

async fn a_webhook_newer_than_the_answer_wins(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.sell(1);
    // The provider's clock is minutes behind: what counts is its own.
    rig.api.set_ahead(-300);
    rig.reconcile().await;
    let paused = stripe_subscription("sub_0", "cus_0", "paused");
    let at = rig.api.now() + 60;
    rig.webhook(&stripe_event(
        "evt_1",
        "customer.subscription.updated",
        at,
        paused,
    ))
    .await;
    // The list still says active, as a slow replica would.
    let ended = rig.reconcile().await;
    assert_eq!(
        ended.found.drift(),
        0,
        "older than what is known: {:?}",
        ended.found
    );
    assert!(rig.statuses().await[0].1.contains("paused"));
}

async fn paddle_is_read_with_archived_customers_and_small_pages(engine: Engine) {
    let rig = Rig::of(engine, PADDLE.name).await;
    for number in 0..65 {
        let customer = format!("ctm_{number}");
        let status = if number == 3 { "archived" } else { "active" };
        rig.there.put(
            List::Customers,
            json!({"id": customer, "email": format!("p{number}@example.com"), "name": null,
                "status": status}),
        );
        rig.there.put(
            List::Payments,
            json!({"id": format!("txn_{number}"), "status": "completed", "customer_id": customer,
                "subscription_id": null, "items": [], "origin": "web",
                "payments": [{"captured_at": "2026-11-01T00:00:00Z"}],
                "details": {"totals": {"total": "0", "grand_total": "0"}, "line_items": []}}),
        );
    }
    let wanted = Wanted {
        provider: PADDLE.name,
        since: None,
        dry_run: false,
    };
    let app = AppSlug::default_app();
    let ended = run(rig.store(), &rig.apis, &app, wanted).await;
    assert_eq!(
        ended.status(),
        ReconcileStatus::Finished,
        "{:?}",
        ended.error
    );
    let kinds = &ended.found.kinds;
    assert_eq!(kinds[&Stage::Customers].missing, 65);
    assert_eq!(kinds[&Stage::Payments].missing, 65);
    let pages = rig.api.asked();
    let pages = pages.iter().filter(|it| it.starts_with("/transactions"));
    assert_eq!(pages.count(), 3, "thirty a page, whatever is asked");
    let again = run(rig.store(), &rig.apis, &app, wanted).await;
    assert_eq!(again.found.drift(), 0, "{:?}", again.found);
}

async fn a_slow_answer_is_as_old_as_its_question(engine: Engine) {
    use crate::support::fake_api::Fault;
    let rig = Rig::start(engine).await;
    rig.sell(1);
    rig.reconcile().await;
    let paused = stripe_subscription("sub_0", "cus_0", "paused");
    let at = rig.api.now() + 1;
    rig.webhook(&stripe_event(
        "evt_1",
        "customer.subscription.updated",
        at,
        paused,
    ))
    .await;
    rig.api.fail(1, Fault::Slow(Duration::from_secs(3)));
    let ended = rig.reconcile().await;
    assert_eq!(ended.status(), ReconcileStatus::Finished);
    assert!(rig.statuses().await[0].1.contains("paused"));
}

on_both_stores! {
    all_is_read_and_the_second_time_nothing_differs,
    only_what_differs_is_counted_and_repaired,
    what_is_gone_there_is_named_and_stays,
    what_moves_between_pages_is_neither_missed_nor_gone,
    a_webhook_newer_than_the_answer_wins,
    paddle_is_read_with_archived_customers_and_small_pages,
    a_slow_answer_is_as_old_as_its_question,
}
