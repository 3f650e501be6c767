//! Providers that limit, fail, cut off, or refuse.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tollgate::clock::{Clock, SystemClock};
use tollgate::domain::id::AppSlug;
use tollgate::domain::reconcile::ReconcileStatus;
use tollgate::pipeline::apis::Apis;
use tollgate::pipeline::reconcile::{self, ReconcileError, Wanted};
use tollgate::provider::{PADDLE, STRIPE};
use tollgate::store::SealedApiKey;
use tollgate::vault::Vault;

use super::rig::{Rig, order_of, run};
use crate::support::SetClock;
use crate::support::fake_api::{Fault, List, nobodys_api};
use crate::support::stores::{Engine, on_both_stores};

const WANTED: Wanted = Wanted {
    provider: STRIPE.name,
    since: None,
    dry_run: false,
};

async fn limits_faults_and_cuts_are_waited_out(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.sell(4);
    rig.api.set_page(2);
    for (number, fault) in [
        (0, Fault::Status(429, Some(0))),
        (1, Fault::Status(500, None)),
        (3, Fault::Cut),
        (5, Fault::Slow(Duration::from_millis(300))),
        (6, Fault::Status(503, Some(0))),
    ] {
        rig.api.fail(number, fault);
    }
    let ended = rig.reconcile().await;
    assert_eq!(
        ended.status(),
        ReconcileStatus::Finished,
        "{:?}",
        ended.error
    );
    let total = ended.found.total();
    assert_eq!((total.read, total.missing), (8, 8));
}

async fn a_provider_that_is_away_is_asked_again_later(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.sell(1);
    let app = AppSlug::default_app();
    let ordered = reconcile::order(rig.store(), &rig.apis, &order_of(&app), WANTED).await;
    let id = ordered.unwrap().id;
    // Longer than anybody waits for an answer.
    rig.api.fail(0, Fault::Status(429, Some(120)));
    let clock = SetClock::at(SystemClock.now().seconds() + 1);
    let turn = async || {
        let turn = reconcile::carry_on(rig.store(), &rig.apis, &clock, Some(&id)).await;
        turn.unwrap().worked
    };
    let waiting = turn().await.unwrap();
    assert_eq!(waiting.status(), ReconcileStatus::Open);
    assert_eq!(waiting.error.unwrap().code, "provider_away");
    clock.pass(Duration::from_secs(119));
    assert!(
        turn().await.is_none(),
        "not before the time that it asked for"
    );
    clock.pass(Duration::from_secs(2));
    assert_eq!(turn().await.unwrap().error, None);
}

async fn a_refused_key_ends_it_and_the_next_one_starts_anew(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.sell(2);
    let wrong = Apis::default().and(AppSlug::default_app(), rig.api.api_with("sk_live_wrong"));
    let app = AppSlug::default_app();
    let ended = run(rig.store(), &wrong, &app, WANTED).await;
    assert_eq!(ended.status(), ReconcileStatus::Failed);
    let error = ended.error.unwrap();
    assert_eq!(error.code, "api_key_refused");
    assert!(!error.detail.contains("sk_live"), "{}", error.detail);
    let ended = rig.reconcile().await;
    assert_eq!(ended.since, None, "one that failed is no beginning");
    assert_eq!(ended.found.total().missing, 4);
}

async fn what_cannot_be_understood_is_named_and_the_rest_goes_on(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.sell(3);
    rig.there.change(List::Subscriptions, "sub_1", |it| {
        it["items"]["data"][0]["price"] = json!(5);
    });
    let ended = rig.reconcile().await;
    assert_eq!(ended.status(), ReconcileStatus::Finished);
    let total = ended.found.total();
    assert_eq!(
        (total.unreadable, total.missing),
        (1, 5),
        "{:?}",
        ended.found
    );
    assert!(!ended.found.is_settled());
    let failed = "SELECT COUNT(*) FROM events WHERE outcome = 'failed'";
    assert_eq!(rig.kept.place.count(failed, failed).await, 1);
    rig.api.fail(0, Fault::Garbled);
    let ended = rig.reconcile().await;
    assert_eq!(ended.status(), ReconcileStatus::Failed);
    assert_eq!(ended.error.unwrap().code, "answer_not_understood");
}

async fn one_is_open_at_a_time_and_can_be_canceled(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.sell(1);
    let app = AppSlug::default_app();
    let by = order_of(&app);
    let first = reconcile::order(rig.store(), &rig.apis, &by, WANTED).await;
    let first = first.unwrap();
    let second = reconcile::order(rig.store(), &rig.apis, &by, WANTED).await;
    assert!(matches!(second, Err(ReconcileError::Open { id }) if id == first.id));
    let other = Wanted {
        provider: PADDLE.name,
        ..WANTED
    };
    let without = reconcile::order(rig.store(), &rig.apis, &by, other).await;
    assert!(matches!(without, Err(ReconcileError::KeyNeeded { .. })));
    let (canceled, changed) = reconcile::cancel(rig.store(), &by, &first.id)
        .await
        .unwrap();
    assert_eq!(
        (canceled.status(), changed),
        (ReconcileStatus::Canceled, true)
    );
    let (_, changed) = reconcile::cancel(rig.store(), &by, &first.id)
        .await
        .unwrap();
    assert!(!changed);
    let turn = reconcile::carry_on(rig.store(), &rig.apis, &SystemClock, Some(&first.id)).await;
    assert!(turn.unwrap().worked.is_none());
}

async fn two_workers_read_each_page_once(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.sell(12);
    rig.api.set_page(2);
    let app = AppSlug::default_app();
    let ordered = reconcile::order(rig.store(), &rig.apis, &order_of(&app), WANTED).await;
    let ordered = ordered.unwrap();
    let other = rig.kept.place.of_another_worker(rig.store()).await;
    let one = super::rig::finish(rig.store(), &rig.apis, ordered.clone());
    let two = super::rig::finish(&other, &rig.apis, ordered);
    let (one, two) = tokio::join!(one, two);
    assert_eq!(one.found, two.found);
    let total = one.found.total();
    assert_eq!((total.read, total.missing), (24, 24));
}

on_both_stores! {
    limits_faults_and_cuts_are_waited_out,
    a_provider_that_is_away_is_asked_again_later,
    a_refused_key_ends_it_and_the_next_one_starts_anew,
    what_cannot_be_understood_is_named_and_the_rest_goes_on,
    one_is_open_at_a_time_and_can_be_canceled,
    two_workers_read_each_page_once,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_orders_what_is_due_and_nothing_without_a_key() {
    let rig = Rig::start(Engine::Sqlite).await;
    rig.sell(1);
    let app = AppSlug::default_app();
    let mut tx = rig.store().begin().await.unwrap();
    let mut settings = tx.app_find(&app).await.unwrap().unwrap().settings;
    settings.api.reconcile_every = Some("6h".parse().unwrap());
    tx.app_settings_put(&app, &settings).await.unwrap();
    tx.commit().await.unwrap();
    let clock = Arc::new(SetClock::at(SystemClock.now().seconds()));
    let due = async || {
        reconcile::order_due(rig.store(), &rig.apis, clock.now())
            .await
            .unwrap()
    };
    assert_eq!(due().await, 1, "Stripe has a key, Paddle has none");
    assert_eq!(due().await, 0, "it is open");
    let open = reconcile::find_open(rig.store(), &app, STRIPE.name).await;
    super::rig::finish(rig.store(), &rig.apis, open.unwrap().unwrap()).await;
    clock.pass(Duration::from_hours(5));
    assert_eq!(due().await, 0);
    clock.pass(Duration::from_hours(2));
    assert_eq!(due().await, 1);
}

#[tokio::test]
async fn a_key_that_cannot_be_used_keeps_no_other_app_waiting() {
    let rig = Rig::start(Engine::Sqlite).await;
    let vault = Vault::new(&[7; 32]);
    let apis = Apis::new(vault, BTreeMap::new()).and(AppSlug::default_app(), nobodys_api());
    let now = SystemClock.now();
    let mut tx = rig.store().begin().await.unwrap();
    let mut app = tx.app_find(&AppSlug::default_app()).await.unwrap().unwrap();
    app.settings.api.reconcile_every = Some("6h".parse().unwrap());
    tx.app_settings_put(&app.slug, &app.settings).await.unwrap();
    // Listed before the other, which is older.
    app.slug = "other".parse().unwrap();
    app.created_at = now.plus(Duration::from_secs(1));
    assert!(tx.app_add(&app).await.unwrap());
    let key = SealedApiKey {
        app: app.slug,
        provider: STRIPE.name,
        sealed: vec![1, 2, 3],
        of_settings: false,
        created_at: now,
    };
    tx.api_key_put(&key).await.unwrap();
    tx.commit().await.unwrap();
    let due = reconcile::order_due(rig.store(), &apis, now).await;
    assert_eq!(due.unwrap(), 1);
}
