//! A store, a provider, and comparisons from their order to their end.

use std::sync::Arc;

use serde_json::{Value, json};
use tollgate::clock::{Clock, SystemClock};
use tollgate::domain::id::{AppSlug, Provider};
use tollgate::domain::reconcile::ReconcileStatus;
use tollgate::pipeline::apis::Apis;
use tollgate::pipeline::order::Order;
use tollgate::pipeline::process::process;
use tollgate::pipeline::reconcile::{self, Wanted};
use tollgate::provider::STRIPE;
use tollgate::store::reconcile::Reconcile;
use tollgate::store::{Actor, Store};

use crate::process::message;
use crate::support::fake_api::{FakeApi, List, Memory};
use crate::support::stores::{Engine, TestStore};
use crate::support::{stripe_customer, stripe_subscription};

/// A store and a provider.
pub(crate) struct Rig {
    pub(crate) kept: TestStore,
    pub(crate) api: FakeApi,
    pub(crate) there: Arc<Memory>,
    pub(crate) apis: Apis,
}

pub(crate) fn order_of(app: &AppSlug) -> Order {
    Order {
        app: app.clone(),
        actor: Actor::Operator,
        now: SystemClock.now(),
        reason: None,
    }
}

impl Rig {
    pub(crate) async fn start(engine: Engine) -> Self {
        Self::of(engine, STRIPE.name).await
    }

    pub(crate) async fn of(engine: Engine, provider: Provider) -> Self {
        let kept = TestStore::new(engine, SystemClock.now()).await;
        let there = Arc::new(Memory::default());
        let objects = Arc::clone(&there);
        let api = FakeApi::serve(provider, objects).await;
        let apis = api.apis();
        Self {
            kept,
            api,
            there,
            apis,
        }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.kept.store
    }

    /// Puts so many customers with a subscription into the provider.
    pub(crate) fn sell(&self, count: usize) {
        for number in 0..count {
            let customer = format!("cus_{number}");
            let mut object = stripe_customer(&customer, &format!("c{number}@example.com"));
            object["created"] = json!(self.api.now() - 86_400);
            self.there.put(List::Customers, object);
            let subscription = format!("sub_{number}");
            let mut object = stripe_subscription(&subscription, &customer, "active");
            object["created"] = json!(self.api.now() - 86_400);
            self.there.put(List::Subscriptions, object);
        }
    }

    /// Processes a webhook.
    pub(crate) async fn webhook(&self, event: &Value) {
        let message = message(event, "live");
        process(self.store(), &[&message], SystemClock.now())
            .await
            .unwrap();
    }

    /// Compares, from the order to the end.
    pub(crate) async fn reconcile(&self) -> Reconcile {
        self.run(false).await
    }

    pub(crate) async fn run(&self, dry_run: bool) -> Reconcile {
        let wanted = Wanted {
            provider: STRIPE.name,
            since: None,
            dry_run,
        };
        run(self.store(), &self.apis, &AppSlug::default_app(), wanted).await
    }

    /// The statuses of subscriptions here, by id.
    pub(crate) async fn statuses(&self) -> Vec<(String, String)> {
        let texts = self.kept.place.texts("SELECT key FROM subscriptions").await;
        let mut statuses = Vec::new();
        for key in texts {
            let kept = self
                .kept
                .place
                .texts(&format!(
                    "SELECT CAST(kept AS TEXT) FROM subscriptions WHERE key = '{key}'"
                ))
                .await;
            let id = key.rsplit(':').next().unwrap().to_owned();
            statuses.push((id, kept.concat()));
        }
        statuses.sort();
        statuses
    }
}

/// Orders a comparison and carries it out.
pub(crate) async fn run(store: &Store, apis: &Apis, app: &AppSlug, wanted: Wanted) -> Reconcile {
    let ordered = reconcile::order(store, apis, &order_of(app), wanted).await;
    finish(store, apis, ordered.unwrap()).await
}

/// Carries a comparison out.
pub(crate) async fn finish(store: &Store, apis: &Apis, mut it: Reconcile) -> Reconcile {
    while it.status() == ReconcileStatus::Open {
        let turn = reconcile::carry_on(store, apis, &SystemClock, Some(&it.id)).await;
        match turn.unwrap().worked {
            Some(worked) => it = worked,
            None => it = reconcile::find(store, &it.app, &it.id).await.unwrap(),
        }
    }
    it
}
