//! What operators are told of: endpoints to which nothing comes any more, and flags of no customer.

use serde_json::{Value, json};
use tollgate::domain::id::AppSlug;
use tollgate::domain::span::Span;
use tollgate::pipeline::{flags, silence};
use tollgate::provider::STRIPE;
use tollgate::store::endpoint_receipt::{Endpoint, Receipt};
use tollgate::store::usage::Uses;

use super::hooks::Receiver;
use super::rig::{NOW, Rig, id_of};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{stripe_customer, stripe_event, stripe_subscription};

const SECRETS: &str = "/apps/default/endpoints/stripe/secrets";
const DAY: u64 = 86_400;

impl Rig {
    async fn tells_of_silence(&self, limit: Option<Span>) -> usize {
        silence::tell(&self.store, limit, self.now()).await.unwrap()
    }

    /// Looks as the worker does, after a while.
    async fn silent_after(&self, seconds: u64) -> usize {
        self.flush_usage().await;
        self.pass(seconds);
        self.tells_of_silence(Some(Span::days(3))).await
    }

    /// What a receiver is told now, by kind.
    async fn told(&self, receiver: &Receiver) -> Vec<Value> {
        self.delivers_all().await;
        let taken = receiver.taken().into_iter();
        taken.map(|(_, body)| body).collect()
    }

    async fn silent_endpoints(&self) -> u64 {
        let mut tx = self.store.read().await.unwrap();
        let counts = tx.receipt_count_silent(self.now()).await.unwrap();
        counts.iter().map(|(_, count)| count).sum()
    }

    async fn subscribes(&self, account: &str, status: &str, created: i64) {
        let customer = stripe_customer(account, &format!("{account}@x.com"));
        let object = stripe_subscription(&format!("sub_of_{account}"), account, status);
        for (event, kind, object) in [
            ("evt", "customer.created", customer),
            ("evt_sub", "customer.subscription.updated", object),
        ] {
            let id = format!("{event}_{account}_{created}");
            self.happens(&stripe_event(&id, kind, created, object))
                .await;
        }
    }
}

async fn an_endpoint_that_falls_silent_is_told_of_once(engine: Engine) {
    let rig = Rig::start(engine).await;
    let receiver = Receiver::start().await;
    rig.hook(&receiver.url, &["endpoint.silent"]).await;
    let secret = "whsec_of_an_endpoint";
    let made = rig
        .post(SECRETS, json!({"secret": secret}))
        .await
        .expect(201);
    assert_eq!(rig.silent_after(10 * DAY).await, 0, "nothing ever came");

    let first = rig.now().to_string();
    rig.webhook(secret).await.expect(200);
    assert_eq!(rig.silent_after(3 * DAY - 1).await, 0);
    assert_eq!(rig.silent_endpoints().await, 0);
    assert_eq!(rig.silent_after(1).await, 1);
    assert_eq!(rig.silent_after(300).await, 0, "told already");
    assert_eq!(rig.silent_endpoints().await, 1);
    let told = rig.told(&receiver).await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(
        (&told[0]["type"], &told[0]["app"], &told[0]["data"]),
        (
            &json!("endpoint.silent"),
            &json!("default"),
            &json!({"provider": "stripe", "last_received_at": first})
        )
    );
    assert!(told[0].get("customer_id").is_none_or(Value::is_null));

    // A webhook ends the silence, and a refused one does not.
    rig.webhook("whsec_of_another")
        .await
        .refused(400, "signature_mismatch");
    assert_eq!(rig.silent_after(10).await, 0);
    assert_eq!(rig.silent_endpoints().await, 1);
    rig.webhook(secret).await.expect(200);
    assert_eq!(rig.silent_after(10).await, 0);
    assert_eq!(rig.silent_endpoints().await, 0);
    assert_eq!(rig.silent_after(4 * DAY).await, 1, "silent anew");
    assert_eq!(rig.told(&receiver).await.len(), 1);

    // Nobody misses what has no secret any more.
    rig.webhook(secret).await.expect(200);
    rig.flush_usage().await;
    rig.delete(&format!("{SECRETS}/{}", id_of(&made)))
        .await
        .expect(204);
    assert_eq!(rig.silent_after(4 * DAY).await, 0);
    assert_eq!(rig.told(&receiver).await.len(), 0);
}

async fn an_endpoint_for_tests_is_not_missed(engine: Engine) {
    let rig = Rig::start(engine).await;
    let secret = "whsec_of_an_endpoint";
    rig.post(SECRETS, json!({"secret": secret, "mode": "test"}))
        .await
        .expect(201);
    rig.webhook(secret).await.expect(200);
    assert_eq!(rig.silent_after(10 * DAY).await, 0);
}

async fn an_endpoint_of_the_settings_is_missed_while_they_name_it(engine: Engine) {
    let rig = Rig::start(engine).await;
    let endpoint = Endpoint {
        app: AppSlug::default_app(),
        provider: STRIPE.name,
    };
    let receipt = Receipt {
        at: rig.now(),
        of_settings: true,
    };
    let mut uses = Uses::default();
    uses.add_receipt(endpoint, receipt);
    let mut tx = rig.store.begin().await.unwrap();
    tx.usage_add(&uses).await.unwrap();
    tx.commit().await.unwrap();
    // Receivers that start with it, and without.
    silence::keep_settings(&rig.store, &[STRIPE.name])
        .await
        .unwrap();
    assert_eq!(rig.silent_after(4 * DAY).await, 1);
    assert_eq!(rig.silent_endpoints().await, 1);
    assert_eq!(rig.tells_of_silence(None).await, 0);
    assert_eq!(rig.silent_endpoints().await, 0, "nobody wants to know");
    silence::keep_settings(&rig.store, &[]).await.unwrap();
    assert_eq!(rig.silent_after(1).await, 0);
}

async fn a_flag_of_no_customer_is_told_of_when_it_is_raised(engine: Engine) {
    let rig = Rig::start(engine).await;
    let receiver = Receiver::start().await;
    rig.hook(&receiver.url, &["flag.raised"]).await;
    let disputed = async |event: &str, status: &str, created: i64| {
        let object = json!({"id": "dp_1", "object": "dispute", "charge": "ch_1", "status": status});
        let event = stripe_event(event, "charge.dispute.updated", created, object);
        rig.happens(&event).await;
    };
    disputed("evt_1", "needs_response", NOW - 50).await;
    let told = rig.told(&receiver).await;
    assert_eq!(told.len(), 1, "{told:?}");
    let flag = json!({"kind": "unlinked", "subject": "dp_1", "at": "2026-01-05T11:59:10Z"});
    assert_eq!(told[0]["data"], json!({ "flag": flag }));
    disputed("evt_2", "under_review", NOW - 40).await;
    assert_eq!(
        rig.told(&receiver).await,
        Vec::<Value>::new(),
        "open already"
    );
    // Cleared, it is raised anew by what is newer.
    let listed = rig.get("/flags").await.expect(200);
    rig.delete(&format!("/flags/{}", id_of(&listed["data"][0])))
        .await
        .expect(204);
    disputed("evt_3", "needs_response", NOW - 45).await;
    assert_eq!(rig.told(&receiver).await, Vec::<Value>::new(), "older");
    disputed("evt_4", "lost", NOW - 30).await;
    assert_eq!(rig.told(&receiver).await.len(), 1);
}

async fn a_package_without_releases_is_told_of_once_for_all(engine: Engine) {
    let rig = Rig::start(engine).await;
    let receiver = Receiver::start().await;
    rig.hook(&receiver.url, &["flag.raised"]).await;
    let plan = json!({"packages": [{"package": "acme/tool"}]});
    rig.put("/plans/stripe/price_basic", plan).await.expect(201);
    let looks = async || {
        flags::tell_of_unreleased(&rig.store, rig.now())
            .await
            .unwrap();
        rig.told(&receiver).await
    };
    for account in ["cus_1", "cus_2"] {
        rig.subscribes(account, "active", NOW - 50).await;
    }
    assert_eq!(looks().await, Vec::<Value>::new(), "nobody is frozen");
    for account in ["cus_1", "cus_2"] {
        rig.subscribes(account, "canceled", NOW - 40).await;
    }
    let open = rig.get("/flags?kind=releases_unknown").await.expect(200);
    assert_eq!(open["data"].as_array().unwrap().len(), 2, "{open}");
    let told = looks().await;
    assert_eq!(told.len(), 1, "{told:?}");
    let flag = json!({"kind": "releases_unknown", "subject": "acme/tool"});
    assert_eq!(told[0]["data"], json!({ "flag": flag }));
    assert_eq!(looks().await, Vec::<Value>::new());
    // A release mends it, and without it the flag is raised again.
    let release = json!({"version": "1.0.0", "released_at": "2025-01-01T00:00:00Z"});
    let releases = "/packages/acme/tool/releases";
    rig.post(releases, release).await.expect(201);
    assert_eq!(looks().await, Vec::<Value>::new());
    rig.delete(&format!("{releases}/1.0.0")).await.expect(204);
    assert_eq!(looks().await.len(), 1);
}

async fn a_price_without_a_plan_is_told_of_with_its_customer(engine: Engine) {
    let rig = Rig::start(engine).await;
    let receiver = Receiver::start().await;
    rig.hook(&receiver.url, &["flag.raised"]).await;
    rig.subscribes("cus_1", "active", NOW - 50).await;
    let told = rig.told(&receiver).await;
    assert_eq!(told.len(), 1, "{told:?}");
    let flag = json!({"kind": "unmapped_price", "subject": "price_basic"});
    assert_eq!(told[0]["data"], json!({ "flag": flag }));
    assert!(told[0]["customer_id"].is_string(), "{told:?}");
}

on_both_stores! {
    an_endpoint_that_falls_silent_is_told_of_once,
    an_endpoint_for_tests_is_not_missed,
    an_endpoint_of_the_settings_is_missed_while_they_name_it,
    a_flag_of_no_customer_is_told_of_when_it_is_raised,
    a_package_without_releases_is_told_of_once_for_all,
    a_price_without_a_plan_is_told_of_with_its_customer,
}
