//! Sellers by features: what each account is entitled to is asked for, where a plan may be of a feature.

use serde_json::{Value, json};
use tollgate::clock::{Clock, SystemClock};
use tollgate::domain::access::plan::PackageGrant;
use tollgate::domain::id::AppSlug;
use tollgate::domain::reconcile::{ReconcileStatus, Stage};
use tollgate::provider::STRIPE;
use tollgate::store::{PlanSource, StoredPlan};

use super::rig::Rig;
use crate::support::fake_api::{Fault, List};
use crate::support::stores::{Engine, on_both_stores};

impl Rig {
    /// Sets the plan of a price or feature.
    async fn plan(&self, id: &str) {
        let grant = PackageGrant {
            package: "acme/ui".to_owned(),
            constraint: "*".to_owned(),
        };
        let plan = StoredPlan {
            provider: STRIPE.name,
            price_id: id.to_owned(),
            name: None,
            packages: vec![grant],
            licenses: Vec::new(),
            counts: false,
            updates: None,
            source: PlanSource::Api,
            updated_at: SystemClock.now(),
        };
        let mut tx = self.store().begin().await.unwrap();
        let app = AppSlug::default_app();
        tx.plan_put(&app, &[plan]).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Entitles a customer at the provider to the first features.
    fn entitle(&self, customer: &str, features: usize) {
        let data: Vec<Value> = (1..=features)
            .map(|n| {
                json!({"id": format!("ent_{customer}_{n}"), "object": "entitlements.active_entitlement",
                    "feature": format!("feat_{n}"), "livemode": true,
                    "lookup_key": format!("module-{n}")})
            })
            .collect();
        self.there
            .put(List::Features, json!({"id": customer, "data": data}));
    }

    /// How many customers have what a plan gives.
    async fn holders(&self, plan: &str) -> usize {
        let sql = format!("SELECT customer_id FROM entitlements WHERE plan = '{plan}'");
        self.kept.place.texts(&sql).await.len()
    }

    fn asked_for_features(&self) -> usize {
        let asked = self.api.asked();
        let features = asked.iter().filter(|it| it.contains("/entitlements/"));
        features.count()
    }
}

async fn who_moves_here_and_sells_by_features_has_nothing_left_to_do(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.sell(45);
    for number in 0..44 {
        let customer = format!("cus_{number}");
        rig.entitle(&customer, if number == 7 { 12 } else { 1 });
    }
    rig.api.set_page(10);
    let first = rig.reconcile().await;
    assert_eq!(
        rig.asked_for_features(),
        0,
        "no plan can be of a feature: {:?}",
        first.found
    );
    rig.plan("module-1").await;
    rig.plan("feat_12").await;
    let second = rig.reconcile().await;
    assert_eq!(second.status(), ReconcileStatus::Finished);
    let tally = second.found.kinds[&Stage::Features];
    assert_eq!((tally.read, tally.different), (45, 44));
    assert_eq!(rig.asked_for_features(), 46, "one of them has two pages");
    assert_eq!(rig.holders("module-1").await, 44);
    assert_eq!(rig.holders("feat_12").await, 1);
    assert_eq!(second.found.unmapped.len(), 1, "one has no feature");
    let third = rig.reconcile().await;
    assert_eq!(third.found.drift(), 0, "{:?}", third.found);

    // What changed since, the events tell.
    assert_eq!(rig.asked_for_features(), 46);
    rig.plan("module-13").await;
    let last = rig.reconcile().await;
    assert_eq!(last.found.drift(), 0, "{:?}", last.found);
    assert_eq!(
        rig.asked_for_features(),
        92,
        "a plan of a feature that nobody has"
    );
}

async fn prices_with_plans_need_no_question_about_features(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.sell(3);
    rig.plan("gold").await;
    rig.plan("price_basic").await;
    let ended = rig.reconcile().await;
    assert_eq!(ended.status(), ReconcileStatus::Finished);
    assert_eq!(rig.holders("price_basic").await, 3);
    assert_eq!(rig.asked_for_features(), 0);
}

async fn a_key_that_may_not_read_features_compares_the_rest(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.sell(2);
    rig.plan("module-1").await;
    let questions = [
        "customers",
        "subscriptions",
        "invoices",
        "disputes",
        "refunds",
        "events",
    ];
    rig.api.fail(questions.len(), Fault::Status(403, None));
    let ended = rig.reconcile().await;
    assert_eq!(rig.asked_for_features(), 1);
    assert_eq!(
        ended.status(),
        ReconcileStatus::Finished,
        "{:?}",
        ended.error
    );
    assert_eq!(ended.found.kinds[&Stage::Subscriptions].missing, 2);
    // It was given the permission meanwhile.
    rig.entitle("cus_0", 1);
    rig.entitle("cus_1", 1);
    rig.reconcile().await;
    assert_eq!(rig.holders("module-1").await, 2);
}

on_both_stores! {
    who_moves_here_and_sells_by_features_has_nothing_left_to_do,
    prices_with_plans_need_no_question_about_features,
    a_key_that_may_not_read_features_compares_the_rest,
}
