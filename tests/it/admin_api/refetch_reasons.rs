//! Whom nobody told about: what is asked for without an unclear event, and where it is asked.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tollgate::domain::id::Provider;
use tollgate::domain::mode::Mode;
use tollgate::pipeline::apis::Apis;
use tollgate::pipeline::process::process;
use tollgate::pipeline::refetch::{Asked, Step, step};
use tollgate::pipeline::timers::run_due;
use tollgate::provider::{PADDLE, STRIPE};
use tollgate::queue::message::{Headers, HeadersV1};
use tollgate::queue::{Message, Origin};
use tollgate::vault::Vault;

use super::rig::{NOW, Rig};
use crate::support::answers::Answers;
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{client, stripe_customer, stripe_event, stripe_subscription};

const DAY: i64 = 86_400;

/// A rig with a key, and the provider that it opens.
async fn asking(engine: Engine, provider: Provider, key: &str) -> (Rig, Answers, Apis) {
    client();
    let rig = Rig::selling(engine).await;
    let answers = Answers::serve(NOW).await;
    let base = format!("http://{}", answers.address).parse().unwrap();
    let apis = Apis::new(Vault::new(&[7; 32]), BTreeMap::from([(provider, base)]));
    let path = format!("/apps/default/endpoints/{provider}/api-key");
    rig.put(&path, json!({"key": key})).await.expect(200);
    (rig, answers, apis)
}

async fn asked(rig: &Rig, apis: &Apis) -> &'static str {
    match step(&rig.store, apis, rig.clock()).await.unwrap() {
        Step::Asked(Asked { result, .. }) => result,
        Step::Nothing => "nothing",
    }
}

/// What waits, each as its reason and object.
async fn waiting(rig: &Rig) -> Vec<String> {
    let listed = rig.get("/refetches").await.expect(200);
    let rows = listed["data"].as_array().unwrap().iter();
    rows.map(|row| format!("{} {}", row["reason"], row["object"]).replace('"', ""))
        .collect()
}

async fn flags(rig: &Rig) -> Vec<String> {
    let listed = rig.get("/flags").await.expect(200);
    let rows = listed["data"].as_array().unwrap().iter();
    rows.map(|row| row["kind"].as_str().unwrap().to_owned())
        .collect()
}

fn until(period_end: i64) -> Value {
    let mut object = stripe_subscription("sub_1", "cus_1", "active");
    let item = &mut object["items"]["data"][0];
    item["current_period_start"] = json!(period_end - 30 * DAY);
    item["current_period_end"] = json!(period_end);
    object
}

async fn a_subscription_that_is_overdue_is_asked_for(engine: Engine) {
    let (rig, stripe, apis) = asking(engine, STRIPE.name, "rk_live_TESTONLY0123456789abcdef").await;
    let contact = stripe_customer("cus_1", "a@example.com");
    let first_end = NOW + DAY;
    for event in [
        stripe_event("evt_1", "customer.created", NOW - 90, contact),
        stripe_event(
            "evt_2",
            "customer.subscription.created",
            NOW - 90,
            until(first_end),
        ),
    ] {
        rig.happens(&event).await;
    }
    assert_eq!(waiting(&rig).await, [""; 0]);
    // The period ends, and three days later nobody has said anything.
    rig.pass(4 * 86_400 + 1);
    run_due(&rig.store, rig.now()).await.unwrap();
    assert_eq!(flags(&rig).await, ["overdue"]);
    assert_eq!(waiting(&rig).await, ["overdue sub_1"]);
    assert_eq!(asked(&rig, &apis).await, "nothing", "it has patience");

    stripe.lay("/v1/subscriptions/sub_1", until(first_end + 30 * DAY));
    stripe.set_date(NOW + 4 * DAY + 3);
    rig.pass(3);
    assert_eq!(asked(&rig, &apis).await, "recorded");
    assert_eq!(flags(&rig).await, [""; 0]);
    assert_eq!(waiting(&rig).await, [""; 0]);
    run_due(&rig.store, rig.now()).await.unwrap();
    assert_eq!(asked(&rig, &apis).await, "nothing");
}

async fn a_paddle_account_without_contact_is_asked_for(engine: Engine) {
    let key = "pdl_live_apikey_01testonly";
    let (rig, paddle, apis) = asking(engine, PADDLE.name, key).await;
    let event = json!({
        "event_id": "evt_01named", "event_type": "subscription.created",
        "occurred_at": "2026-01-05T11:59:00.000000Z", "notification_id": "ntf_01named",
        "data": {
            "id": "sub_01named", "status": "active", "customer_id": "ctm_01named",
            "transaction_id": "txn_01named",
            "items": [{"status": "active", "quantity": 1, "recurring": true,
                "price": {"id": "pri_01basic", "product_id": "pro_01basic"}}],
        },
    });
    let message = Message {
        headers: Headers::V1(HeadersV1 {
            app: "default".parse().unwrap(),
            provider: PADDLE.name,
            event_id: "evt_01named".to_owned(),
            event_type: "subscription.created".to_owned(),
            received_at: rig.now(),
            mode: Mode::Any,
            receipt: "receipt of Paddle's".to_owned(),
            attempt: 0,
            origin: Origin::default(),
            replay: None,
            error: None,
        }),
        body: event.to_string().into(),
    };
    process(&rig.store, &[&message], rig.now()).await.unwrap();
    assert_eq!(waiting(&rig).await, ["no_contact ctm_01named"]);
    rig.pass(59);
    assert_eq!(
        asked(&rig, &apis).await,
        "nothing",
        "its own event is on the way"
    );

    let customer = json!({"data": {
        "id": "ctm_01named", "status": "active", "email": "named@example.com", "name": "Named",
        "created_at": "2026-01-05T11:58:00.000000Z",
        "updated_at": "2026-01-05T11:58:00.000000Z",
    }});
    paddle.lay("/customers/ctm_01named", customer);
    paddle.set_date(NOW + 61);
    rig.pass(2);
    assert_eq!(asked(&rig, &apis).await, "recorded");
    assert_eq!(paddle.asked(), ["/customers/ctm_01named"]);
    let shown = rig.get("/customers/by-external/ctm_01named").await;
    let shown = shown.expect(200);
    assert_eq!(
        (&shown["email"], &shown["name"]),
        (&json!("named@example.com"), &json!("Named"))
    );
    assert_eq!(waiting(&rig).await, [""; 0]);
}

async fn an_object_of_a_connected_account_is_asked_for_there(engine: Engine) {
    let (rig, stripe, apis) = asking(engine, STRIPE.name, "rk_live_TESTONLY0123456789abcdef").await;
    let named = json!({"connected_accounts": ["acct_1"]});
    rig.put("/apps/default", named).await.expect(200);
    for (id, status) in [("evt_a", "active"), ("evt_b", "unpaid")] {
        let object = stripe_subscription("sub_1", "cus_1", status);
        let mut event = stripe_event(id, "customer.subscription.updated", NOW, object);
        event["account"] = json!("acct_1");
        rig.happens(&event).await;
    }
    assert!(
        waiting(&rig).await.contains(&"ambiguous sub_1".to_owned()),
        "{:?}",
        waiting(&rig).await
    );
    let object = stripe_subscription("sub_1", "cus_1", "active");
    stripe.lay("/v1/subscriptions/sub_1", object);
    stripe.set_date(NOW + 3);
    rig.pass(3);
    assert_eq!(asked(&rig, &apis).await, "recorded");
    assert_eq!(stripe.asked(), ["/v1/subscriptions/sub_1"]);
    let account = stripe.header("stripe-account");
    assert_eq!(account.as_deref(), Some("acct_1"));
    let events = rig.get("/events").await.expect(200);
    let newest = &events["data"][0];
    assert_eq!(
        (&newest["account"], &newest["outcome"]),
        (&json!("acct_1"), &json!("applied")),
        "{newest}"
    );
}

on_both_stores!(
    a_subscription_that_is_overdue_is_asked_for,
    a_paddle_account_without_contact_is_asked_for,
    an_object_of_a_connected_account_is_asked_for_there,
);
