//! What events leave open is asked for, and the answer counts like an event.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Value, json};
use tollgate::domain::access::plan::PackageGrant;
use tollgate::domain::id::{AppSlug, Kind};
use tollgate::domain::mode::Mode;
use tollgate::domain::time::Timestamp;
use tollgate::pipeline::apis::Apis;
use tollgate::pipeline::refetch::{Asked, Step, step};
use tollgate::provider::STRIPE;
use tollgate::provider::api::observed_object;
use tollgate::store::{PlanSource, StoredPlan};
use tollgate::vault::Vault;

use super::rig::{NOW, Rig};
use crate::support::answers::{Answers, Laid};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{client, stripe_customer, stripe_event, stripe_subscription};

const KEY: &str = "rk_live_TESTONLY0123456789abcdef";
const SUBSCRIPTION: &str = "/v1/subscriptions/sub_1";

/// A rig with a key, and the provider that it opens.
struct Asking {
    rig: Rig,
    provider: Answers,
    apis: Apis,
}

impl Asking {
    async fn start(engine: Engine) -> Self {
        let rig = Rig::selling(engine).await;
        let provider = Answers::serve(NOW).await;
        let asking = Self {
            apis: apis(&provider),
            rig,
            provider,
        };
        asking.key(json!({"key": KEY})).await;
        let object = stripe_customer("cus_1", "a@example.com");
        let event = stripe_event("evt_cus_1", "customer.created", NOW - 90, object);
        asking.rig.happens(&event).await;
        asking
    }

    async fn key(&self, body: Value) {
        let path = "/apps/default/endpoints/stripe/api-key";
        self.rig.put(path, body).await.expect(200);
    }

    /// A subscription of `cus_1` was changed, and the event does not say what it was before.
    async fn changed(&self, id: &str, status: &str, created: i64) {
        let object = stripe_subscription("sub_1", "cus_1", status);
        let event = stripe_event(id, "customer.subscription.updated", created, object);
        self.rig.happens(&event).await;
    }

    /// Two states of one second.
    async fn unclear(&self) {
        self.changed("evt_a", "active", NOW).await;
        self.changed("evt_b", "unpaid", NOW).await;
    }

    /// What the provider says of the subscription, by its clock.
    fn says(&self, status: &str, date: i64) {
        let object = stripe_subscription("sub_1", "cus_1", status);
        self.provider.lay(SUBSCRIPTION, object);
        self.provider.set_date(date);
    }

    async fn step(&self) -> Step {
        step(&self.rig.store, &self.apis, self.rig.clock())
            .await
            .unwrap()
    }

    /// Lets the patience with a new question run out, and asks it.
    async fn asks(&self) -> &'static str {
        self.rig.pass(3);
        match self.step().await {
            Step::Asked(Asked { result, .. }) => result,
            Step::Nothing => "nothing",
        }
    }

    /// Has the provider refuse the question.
    fn is_answered(&self, status: u16, retry_after: Option<u64>) {
        let refusal = Laid {
            status,
            body: json!({"error": {"type": "api_error"}}),
            retry_after,
        };
        self.provider.lay_as(SUBSCRIPTION, refusal);
    }

    async fn waiting(&self) -> Vec<Value> {
        let listed = self.rig.get("/refetches").await.expect(200);
        listed["data"].as_array().unwrap().clone()
    }

    async fn status(&self) -> String {
        let customer = self.rig.get("/customers/by-external/cus_1").await;
        let customer = customer.expect(200);
        customer["status"].as_str().unwrap().to_owned()
    }

    async fn flags(&self) -> Vec<String> {
        let listed = self.rig.get("/flags").await.expect(200);
        let rows = listed["data"].as_array().unwrap().iter();
        rows.map(|row| format!("{} {}", row["kind"], row["subject"]).replace('"', ""))
            .collect()
    }
}

/// All orders of some things.
fn orders(things: &[usize]) -> Vec<Vec<usize>> {
    if things.is_empty() {
        return vec![Vec::new()];
    }
    let first = |&first: &usize| {
        let rest: Vec<usize> = things.iter().copied().filter(|it| *it != first).collect();
        let with_first = |mut order: Vec<usize>| {
            order.insert(0, first);
            order
        };
        orders(&rest)
            .into_iter()
            .map(with_first)
            .collect::<Vec<_>>()
    };
    things.iter().flat_map(first).collect()
}

fn apis(provider: &Answers) -> Apis {
    client();
    let base = format!("http://{}", provider.address).parse().unwrap();
    Apis::new(Vault::new(&[7; 32]), BTreeMap::from([(STRIPE.name, base)]))
}

async fn an_unclear_order_is_asked_for_and_the_answer_decides(engine: Engine) {
    let asking = Asking::start(engine).await;
    asking.unclear().await;
    assert_eq!(asking.status().await, "suspended");
    assert_eq!(asking.flags().await, ["ambiguous sub_1"]);
    let waiting = asking.waiting().await;
    assert_eq!(waiting.len(), 1, "{waiting:?}");
    for (field, value) in [
        ("reason", json!("ambiguous")),
        ("status", json!("waiting")),
        ("kind", json!("subscription")),
        ("object", json!("sub_1")),
        ("since", json!("2026-01-05T12:00:00.000Z")),
        ("next_at", json!("2026-01-05T12:00:03.000Z")),
    ] {
        assert_eq!(waiting[0][field], value, "{field}");
    }
    assert_eq!(asking.step().await, Step::Nothing, "it has patience");

    asking.says("active", NOW + 3);
    assert_eq!(asking.asks().await, "recorded");
    assert_eq!(asking.status().await, "active");
    assert_eq!(asking.flags().await, [""; 0]);
    assert_eq!(asking.waiting().await, [json!(null); 0]);
    assert_eq!(asking.step().await, Step::Nothing);
    assert_eq!(
        asking.provider.header("authorization"),
        Some(format!("Bearer {KEY}"))
    );
    let version = asking.provider.header("stripe-version").unwrap();
    assert!(version.ends_with(".endive"), "{version}");

    let events = asking.rig.get("/events").await.expect(200);
    let newest = &events["data"][0];
    let id = newest["id"].as_str().unwrap();
    assert!(id.starts_with("fetched_"), "{newest}");
    assert_eq!(
        (&newest["outcome"], &newest["occurred_at"]),
        (&json!("applied"), &json!("2026-01-05T12:00:02.000Z")),
        "the second in which it was asked"
    );
}

async fn many_events_about_one_object_are_one_question(engine: Engine) {
    let asking = Asking::start(engine).await;
    for number in 0..5 {
        let status = ["active", "unpaid"][number % 2];
        asking.changed(&format!("evt_{number}"), status, NOW).await;
    }
    asking.says("active", NOW + 3);
    assert_eq!(asking.asks().await, "recorded");
    assert_eq!(asking.asks().await, "nothing");
    assert_eq!(asking.provider.asked(), [SUBSCRIPTION]);
}

async fn a_need_that_comes_while_the_provider_is_asked_is_asked_for_again(engine: Engine) {
    let asking = Asking::start(engine).await;
    asking.unclear().await;
    asking.says("active", NOW + 3);
    asking.rig.pass(3);
    asking.provider.close();
    let step = asking.step();
    let meanwhile = async {
        while asking.provider.asked().is_empty() {
            tokio::task::yield_now().await;
        }
        asking.changed("evt_c", "active", NOW + 10).await;
        asking.changed("evt_d", "unpaid", NOW + 10).await;
        asking.provider.open(1_000);
    };
    let (step, ()) = tokio::join!(step, meanwhile);
    assert!(matches!(step, Step::Asked(asked) if asked.result == "recorded"));
    assert_eq!(asking.waiting().await.len(), 1);
    assert_eq!(asking.status().await, "suspended", "the newer events count");
    asking.says("active", NOW + 15);
    asking.rig.pass(3);
    assert_eq!(asking.asks().await, "recorded");
    assert_eq!(asking.status().await, "active");
    assert_eq!(asking.waiting().await.len(), 0);
}

/// Two workers: the one that asked first gets its answer last.
pub(crate) async fn an_older_answer_that_is_written_last_hides_nothing(engine: Engine) {
    let asking = Asking::start(engine).await;
    asking.unclear().await;
    asking.rig.pass(3);
    asking.says("unpaid", NOW + 3);
    asking.provider.close();
    let other = Answers::serve(NOW + 64).await;
    let object = stripe_subscription("sub_1", "cus_1", "active");
    other.lay(SUBSCRIPTION, object);
    let first = asking.step();
    let second = async {
        while asking.provider.asked().is_empty() {
            tokio::task::yield_now().await;
        }
        // The lease of the first runs out.
        asking.rig.pass(61);
        let apis = apis(&other);
        let step = step(&asking.rig.store, &apis, asking.rig.clock()).await;
        assert!(matches!(step.unwrap(), Step::Asked(asked) if asked.result == "recorded"));
        assert_eq!(asking.status().await, "active");
        asking.provider.open(1_000);
    };
    let (first, ()) = tokio::join!(first, second);
    assert!(
        matches!(first, Step::Asked(asked) if asked.result == "recorded"),
        "{first:?}"
    );
    assert_eq!(asking.status().await, "active");
    assert_eq!(asking.waiting().await.len(), 0);
}

/// By our clock its events are ten minutes old, and so is its answer.
pub(crate) async fn a_providers_answer_has_the_time_of_its_own_clock(engine: Engine) {
    let asking = Asking::start(engine).await;
    asking.changed("evt_a", "active", NOW - 600).await;
    asking.changed("evt_b", "unpaid", NOW - 600).await;
    asking.says("active", NOW - 597);
    assert_eq!(asking.asks().await, "recorded");
    assert_eq!(asking.status().await, "active");
    // Newer by its clock, and long before the answer by ours.
    asking.changed("evt_c", "unpaid", NOW - 590).await;
    assert_eq!(asking.status().await, "suspended");
    assert_eq!(asking.flags().await, [""; 0]);
}

async fn an_answer_is_one_more_fact_in_any_order(engine: Engine) {
    let rig = Rig::selling(engine).await;
    let mut number = 0;
    for order in orders(&[0, 1, 2, 3]) {
        number += 1;
        let (id, account) = (format!("sub_{number}"), format!("cus_{number}"));
        let changed = |name: &str, status: &str, created: i64| {
            let object = stripe_subscription(&id, &account, status);
            let event = format!("evt_{name}_{number}");
            stripe_event(&event, "customer.subscription.updated", created, object)
        };
        let object = stripe_subscription(&id, &account, "active").to_string();
        let object = RawValue::from_string(object).unwrap();
        let at = Timestamp::from_seconds(NOW + 2).unwrap();
        let answer = observed_object(STRIPE.name, Kind::Subscription, &object, at, Mode::Live);
        let answer = answer.unwrap().unwrap();
        let all = [
            changed("a", "active", NOW),
            changed("b", "unpaid", NOW),
            serde_json::from_str(&answer.body).unwrap(),
            changed("c", "past_due", NOW + 5),
        ];
        for index in order {
            rig.happens(&all[index]).await;
        }
        let path = format!("/customers/by-external/{account}");
        let customer = rig.get(&path).await.expect(200);
        let path = format!(
            "/customers/{}/subscriptions",
            customer["id"].as_str().unwrap()
        );
        let shown = rig.get(&path).await.expect(200);
        let shown = &shown["data"][0];
        assert_eq!(
            (&customer["status"], &shown["status"]),
            (&json!("active"), &json!("past_due")),
            "{shown}"
        );
    }
    assert_eq!(number, 24);
}

async fn a_thin_event_means_that_its_object_is_fetched(engine: Engine) {
    let asking = Asking::start(engine).await;
    let thin = json!({
        "id": "evt_thin", "object": "v2.core.event", "type": "v1.customer.subscription.updated",
        "livemode": true, "created": "2026-01-05T11:59:00.000Z",
        "related_object": {"id": "sub_1", "type": "subscription", "url": SUBSCRIPTION},
    });
    asking.rig.happens(&thin).await;
    let event = asking.rig.get("/events/evt_thin").await.expect(200);
    assert_eq!(
        (&event["outcome"], &event["error"]["code"]),
        (&json!("ignored"), &json!("fetched_instead"))
    );
    assert_eq!(asking.flags().await, [""; 0]);
    asking.says("unpaid", NOW + 3);
    assert_eq!(asking.asks().await, "recorded");
    assert_eq!(asking.status().await, "suspended");
}

async fn without_a_key_and_where_the_app_says_never_nothing_is_asked(engine: Engine) {
    let asking = Asking::start(engine).await;
    let never = json!({"refetch": "never"});
    let app = asking.rig.put("/apps/default", never).await.expect(200);
    assert_eq!(app["refetch"], "never");
    asking.unclear().await;
    assert_eq!(asking.waiting().await.len(), 0);
    let again = json!({"refetch": null});
    let app = asking.rig.put("/apps/default", again).await.expect(200);
    assert_eq!(app["refetch"], "when_unsure");
    let path = "/apps/default/endpoints/stripe/api-key";
    asking.rig.delete(path).await.expect(204);
    asking.changed("evt_c", "active", NOW + 1).await;
    asking.changed("evt_d", "unpaid", NOW + 1).await;
    assert_eq!(asking.waiting().await.len(), 0);
    assert_eq!(asking.provider.asked(), [""; 0]);
    asking
        .rig
        .put("/apps/default", json!({"refetch": "sometimes"}))
        .await
        .refused(422, "body_invalid");
}

async fn an_app_can_want_the_providers_word_each_time(engine: Engine) {
    let asking = Asking::start(engine).await;
    let always = json!({"refetch": "always"});
    asking.rig.put("/apps/default", always).await.expect(200);
    asking.changed("evt_a", "active", NOW).await;
    assert_eq!(asking.waiting().await[0]["reason"], "always");
    asking.says("unpaid", NOW + 3);
    assert_eq!(asking.asks().await, "recorded");
    assert_eq!(asking.status().await, "suspended");
    assert_eq!(asking.waiting().await.len(), 0, "the answer is no new need");
}

async fn a_question_about_what_is_gone_ends_with_a_word(engine: Engine) {
    let asking = Asking::start(engine).await;
    asking.unclear().await;
    assert_eq!(asking.asks().await, "object_gone");
    let waiting = asking.waiting().await;
    assert_eq!(
        (&waiting[0]["status"], &waiting[0]["error"]),
        (&json!("given_up"), &json!("object_gone"))
    );
    assert_eq!(asking.asks().await, "nothing");
    asking.changed("evt_c", "active", NOW + 9).await;
    asking.changed("evt_d", "unpaid", NOW + 9).await;
    assert_eq!(asking.waiting().await[0]["status"], "waiting");
}

async fn a_provider_that_is_away_is_asked_later_when_it_says(engine: Engine) {
    let asking = Asking::start(engine).await;
    asking.unclear().await;
    asking.is_answered(429, Some(120));
    assert_eq!(asking.asks().await, "provider_away");
    let waiting = asking.waiting().await;
    assert_eq!(
        (&waiting[0]["attempts"], &waiting[0]["next_at"]),
        (&json!(1), &json!("2026-01-05T12:02:03.000Z"))
    );
    asking.says("active", NOW + 130);
    assert_eq!(asking.asks().await, "nothing");
    asking.rig.pass(120);
    assert_eq!(asking.asks().await, "recorded");
    assert_eq!(asking.status().await, "active");
}

async fn a_refused_key_is_told_and_what_waits_stays(engine: Engine) {
    let asking = Asking::start(engine).await;
    asking.unclear().await;
    asking.is_answered(401, None);
    assert_eq!(asking.asks().await, "api_key_refused");
    assert_eq!(asking.waiting().await[0]["error"], "api_key_refused");
}

async fn a_key_that_may_not_read_one_object_is_asked_for_others(engine: Engine) {
    for (status, next) in [(403, "api_key_refused"), (401, "nothing")] {
        let asking = Asking::start(engine).await;
        asking.unclear().await;
        asking.is_answered(status, None);
        assert_eq!(asking.asks().await, "api_key_refused");
        asking.rig.pass(5);
        assert_eq!(asking.asks().await, next, "{status}");
    }
}

async fn nobody_who_is_away_is_waited_for_longer_than_an_hour(engine: Engine) {
    let asking = Asking::start(engine).await;
    asking.unclear().await;
    asking.is_answered(503, Some(30 * 86_400));
    assert_eq!(asking.asks().await, "provider_away");
    asking.says("active", NOW + 3_700);
    asking.rig.pass(3_600);
    assert_eq!(asking.asks().await, "recorded");
}

async fn items_past_ten_are_fetched_page_by_page(engine: Engine) {
    let asking = Asking::start(engine).await;
    let mut object = stripe_subscription("sub_1", "cus_1", "active");
    object["items"]["has_more"] = json!(true);
    let event_type = "customer.subscription.updated";
    let event = stripe_event("evt_a", event_type, NOW, object.clone());
    asking.rig.happens(&event).await;
    assert_eq!(asking.waiting().await[0]["reason"], "items_incomplete");
    assert_eq!(asking.flags().await, ["items_incomplete sub_1"]);
    asking.provider.lay(SUBSCRIPTION, object.clone());
    let mut item = object["items"]["data"][0].clone();
    item["id"] = json!("si_2");
    item["price"]["id"] = json!("price_other");
    let page = json!({"object": "list", "has_more": false, "data": [item]});
    asking.provider.lay("/v1/subscription_items", page);
    asking.provider.set_date(NOW + 3);
    assert_eq!(asking.asks().await, "recorded");
    let asked = asking.provider.asked();
    let rest = &asked[1];
    assert!(
        rest.contains("subscription=sub_1") && rest.contains("starting_after=si_1"),
        "{rest}"
    );
    assert_eq!(asking.flags().await, ["unmapped_price price_other"]);
}

async fn a_dispute_that_names_nobody_is_traced_by_its_charge(engine: Engine) {
    let asking = Asking::start(engine).await;
    asking.changed("evt_a", "active", NOW).await;
    let dispute = json!({"id": "dp_1", "object": "dispute", "charge": "ch_1",
        "status": "needs_response"});
    let event = stripe_event("evt_dp", "charge.dispute.created", NOW, dispute);
    asking.rig.happens(&event).await;
    assert_eq!(asking.flags().await, ["unlinked dp_1"]);
    let waiting = asking.waiting().await;
    assert_eq!(
        (&waiting[0]["reason"], &waiting[0]["object"]),
        (&json!("unlinked"), &json!("ch_1"))
    );
    let charge = json!({"id": "ch_1", "object": "charge", "customer": "cus_1",
        "status": "succeeded"});
    asking.provider.lay("/v1/charges/ch_1", charge);
    asking.provider.set_date(NOW + 3);
    assert_eq!(asking.asks().await, "recorded");
    assert_eq!(asking.flags().await, ["open_dispute dp_1"]);
}

async fn what_a_checkout_sold_is_asked_for(engine: Engine) {
    let asking = Asking::start(engine).await;
    let app = AppSlug::default_app();
    let plan = StoredPlan {
        name: None,
        provider: STRIPE.name,
        price_id: "price_once".to_owned(),
        packages: vec![PackageGrant {
            package: "acme/tool".to_owned(),
            constraint: "*".to_owned(),
        }],
        licenses: Vec::new(),
        counts: true,
        updates: None,
        source: PlanSource::Api,
        updated_at: asking.rig.now(),
    };
    let mut tx = asking.rig.store.begin_in(&app).await.unwrap();
    tx.plan_put(&app, &[plan]).await.unwrap();
    tx.commit().await.unwrap();
    let mut session = json!({
        "id": "cs_1", "object": "checkout.session", "mode": "payment", "status": "complete",
        "payment_status": "paid", "customer": "cus_1", "payment_intent": "pi_1",
        "amount_total": 500, "currency": "usd", "customer_details": {"email": "a@example.com"},
    });
    let event_type = "checkout.session.completed";
    let event = stripe_event("evt_cs", event_type, NOW, session.clone());
    asking.rig.happens(&event).await;
    let waiting = asking.waiting().await;
    assert_eq!(waiting.len(), 1, "{waiting:?}");
    assert_eq!(
        (&waiting[0]["reason"], &waiting[0]["object"]),
        (&json!("line_items"), &json!("cs_1"))
    );
    session["line_items"] = json!({"object": "list", "has_more": false, "data": [{
        "id": "li_1", "object": "item", "quantity": 1, "amount_total": 500,
        "price": {"id": "price_once", "object": "price", "product": "prod_once"},
    }]});
    asking.provider.lay("/v1/checkout/sessions/cs_1", session);
    asking.provider.set_date(NOW + 3);
    assert_eq!(asking.asks().await, "recorded");
    let asked = asking.provider.asked();
    assert!(asked[0].contains("line_items"), "{asked:?}");
    let packages = "/customers/by-external/cus_1";
    let customer = asking.rig.get(packages).await.expect(200);
    let id = customer["id"].as_str().unwrap();
    let packages = asking.rig.get(&format!("/customers/{id}/packages")).await;
    let packages = packages.expect(200);
    assert_eq!(packages["data"][0]["package"], "acme/tool", "{packages}");
    assert_eq!(asking.waiting().await.len(), 0);
}

async fn a_test_object_is_not_asked_for_with_a_live_key(engine: Engine) {
    let asking = Asking::start(engine).await;
    for (id, status) in [("evt_a", "active"), ("evt_b", "unpaid")] {
        let object = stripe_subscription("sub_1", "cus_1", status);
        let mut event = stripe_event(id, "customer.subscription.updated", NOW, object);
        event["livemode"] = json!(false);
        asking.rig.happens(&event).await;
    }
    if asking.waiting().await.len() == 1 {
        assert_eq!(asking.asks().await, "other_mode");
    }
    assert_eq!(asking.provider.asked(), [""; 0]);
}

on_both_stores!(
    an_unclear_order_is_asked_for_and_the_answer_decides,
    many_events_about_one_object_are_one_question,
    a_need_that_comes_while_the_provider_is_asked_is_asked_for_again,
    an_older_answer_that_is_written_last_hides_nothing,
    a_providers_answer_has_the_time_of_its_own_clock,
    an_answer_is_one_more_fact_in_any_order,
    a_thin_event_means_that_its_object_is_fetched,
    without_a_key_and_where_the_app_says_never_nothing_is_asked,
    an_app_can_want_the_providers_word_each_time,
    a_question_about_what_is_gone_ends_with_a_word,
    a_provider_that_is_away_is_asked_later_when_it_says,
    a_refused_key_is_told_and_what_waits_stays,
    a_key_that_may_not_read_one_object_is_asked_for_others,
    nobody_who_is_away_is_waited_for_longer_than_an_hour,
    items_past_ten_are_fetched_page_by_page,
    a_dispute_that_names_nobody_is_traced_by_its_charge,
    what_a_checkout_sold_is_asked_for,
    a_test_object_is_not_asked_for_with_a_live_key,
);
