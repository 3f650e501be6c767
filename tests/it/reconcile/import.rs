//! Importing many: in constant memory, and what it takes.

use std::sync::Arc;

use tollgate::domain::reconcile::{ReconcileStatus, Stage};
use tollgate::pipeline::reconcile::Wanted;
use tollgate::provider::{PADDLE, STRIPE};

use super::rig::run;
use crate::support::fake_api::{FakeApi, Generated};
use crate::support::stores::{Engine, TestStore, on_both_stores};
use tollgate::clock::{Clock, SystemClock};
use tollgate::domain::id::AppSlug;

async fn both_providers_are_imported_page_by_page(engine: Engine) {
    for provider in [STRIPE.name, PADDLE.name] {
        let is_stripe = provider == STRIPE.name;
        let objects = Generated {
            count: 250,
            is_stripe,
        };
        let api = FakeApi::serve(provider, Arc::new(objects)).await;
        let kept = TestStore::new(engine, SystemClock.now()).await;
        let wanted = Wanted {
            provider,
            since: None,
            dry_run: false,
        };
        let app = AppSlug::default_app();
        let ended = run(&kept.store, &api.apis(), &app, wanted).await;
        assert_eq!(
            ended.status(),
            ReconcileStatus::Finished,
            "{:?}",
            ended.error
        );
        for stage in [Stage::Customers, Stage::Subscriptions] {
            let tally = ended.found.kinds[&stage];
            assert_eq!(
                (tally.read, tally.missing),
                (250, 250),
                "{provider} {stage}"
            );
        }
        let prices: Vec<&str> = ended.found.unmapped.iter().map(|it| &*it.price).collect();
        let expected = if is_stripe {
            ["price_basic", "price_other"]
        } else {
            ["pri_01basic", "pri_01other"]
        };
        assert_eq!(
            prices, expected,
            "those of most running subscriptions first"
        );
        let again = run(&kept.store, &api.apis(), &app, wanted).await;
        assert_eq!(again.found.drift(), 0, "{:?}", again.found);
    }
}

on_both_stores! { both_providers_are_imported_page_by_page }
