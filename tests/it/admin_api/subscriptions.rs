//! What billing says of a customer, by subscription.

use serde_json::{Value, json};

use super::rig::{NOW, Rig, path_of};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{stripe_customer, stripe_event, stripe_subscription};

const DAY: u64 = 86_400;

impl Rig {
    /// A customer of billing; its path.
    async fn billed(&self, account: &str) -> String {
        let object = stripe_customer(account, "one@x.com");
        let event = format!("evt_{account}");
        self.happens(&stripe_event(&event, "customer.created", NOW - 90, object))
            .await;
        let by = format!("/customers/by-external/{account}");
        path_of(&self.get(&by).await.expect(200))
    }

    async fn changed(&self, event: &str, created: i64, subscription: Value) {
        let event_type = "customer.subscription.updated";
        self.happens(&stripe_event(event, event_type, created, subscription))
            .await;
    }

    async fn subscriptions(&self, customer: &str) -> Vec<Value> {
        let path = format!("{customer}/subscriptions");
        let listed = self.get(&path).await.expect(200);
        listed["data"].as_array().unwrap().clone()
    }
}

async fn a_subscription_is_shown_whole(engine: Engine) {
    let rig = Rig::selling(engine).await;
    let customer = rig.billed("cus_1").await;
    assert_eq!(rig.subscriptions(&customer).await, [Value::Null; 0]);
    let mut subscription = stripe_subscription("sub_1", "cus_1", "active");
    subscription["items"]["data"][0]["current_period_end"] = json!(NOW + 100);
    subscription["cancel_at"] = json!(NOW + 200);
    rig.changed("evt_1", NOW - 50, subscription).await;
    let expected = json!([{
        "id": "sub_1", "provider": "stripe", "account": "cus_1", "livemode": true,
        "status": "active", "class": "good", "verdict": "good",
        "items": [{"price": "price_basic", "product": "prod_basic", "quantity": 1}],
        "period_end": "2026-01-05T12:01:40.000Z", "cancel_at": "2026-01-05T12:03:20.000Z",
        "collection_paused": false, "failing_since": null, "ended_at": null,
        "due_at": "2026-01-05T12:03:20.000Z", "ambiguous": false,
        "last_payment_failed_at": null, "next_payment_attempt": null,
    }]);
    assert_eq!(json!(rig.subscriptions(&customer).await), expected);
}

async fn subscriptions_are_shown_as_of_now(engine: Engine) {
    let rig = Rig::selling(engine).await;
    let policy = json!({"suspend_after": "0d", "end_after": "14d"});
    rig.put("/policy", policy).await.expect(200);
    let customer = rig.billed("cus_1").await;
    let overdue = stripe_subscription("sub_1", "cus_1", "past_due");
    rig.changed("evt_1", NOW - 50, overdue).await;
    let failing = &rig.subscriptions(&customer).await[0];
    assert_eq!(
        (&failing["class"], &failing["verdict"]),
        (&json!("failing"), &json!("failing"))
    );
    assert_eq!(failing["failing_since"], "2026-01-05T11:59:10.000Z");
    assert_eq!(failing["due_at"], "2026-01-19T11:59:10.000Z");
    // No timer has run, and yet it is over.
    rig.pass(15 * DAY);
    let ended = &rig.subscriptions(&customer).await[0];
    assert_eq!(
        (&ended["class"], &ended["status"]),
        (&json!("ended"), &json!("past_due"))
    );
    assert_eq!(ended["ended_at"], "2026-01-19T11:59:10.000Z");
    assert_eq!(ended["due_at"], Value::Null);
}

async fn each_class_has_its_word(engine: Engine) {
    let rig = Rig::selling(engine).await;
    let customer = rig.billed("cus_1").await;
    let cases = [
        ("sub_1", "trialing", "good", json!("good")),
        ("sub_2", "unpaid", "failing", json!("failing")),
        ("sub_3", "paused", "paused", json!("paused")),
        ("sub_4", "incomplete", "pending", Value::Null),
        ("sub_5", "incomplete_expired", "ended", Value::Null),
        ("sub_6", "canceled", "ended", json!("kept")),
        ("sub_7", "hologram", "unknown", Value::Null),
        ("sub_8", "canceled", "ended", json!("ended")),
    ];
    // A trial that nobody paid for leaves nothing.
    let tried = stripe_subscription("sub_8", "cus_1", "trialing");
    rig.changed("evt_tried", NOW - 60, tried).await;
    for (id, status, ..) in &cases {
        let event = format!("evt_{id}");
        rig.changed(&event, NOW - 50, stripe_subscription(id, "cus_1", status))
            .await;
    }
    let shown = rig.subscriptions(&customer).await;
    assert_eq!(shown.len(), cases.len());
    for ((id, status, class, verdict), row) in cases.iter().zip(shown) {
        assert_eq!(row["id"], *id);
        assert_eq!(
            (&row["status"], &row["class"]),
            (&json!(status), &json!(class)),
            "{id}"
        );
        assert_eq!(row["verdict"], *verdict, "{status}");
    }
    let walk = format!("{customer}/subscriptions?cursor=&page_size=3");
    let first = rig.get(&walk).await.expect(200);
    let next = first["meta"]["next_cursor"].as_str().unwrap();
    let rest = rig
        .get(&format!(
            "{customer}/subscriptions?page_size=9&cursor={next}"
        ))
        .await
        .expect(200);
    assert_eq!(rest["data"][0]["id"], "sub_4");
    assert_eq!(rest["data"].as_array().unwrap().len(), 5);
}

async fn only_the_row_that_is_shown_has_subscriptions(engine: Engine) {
    let rig = Rig::selling(engine).await.joins().await;
    let shown = rig.billed("cus_2").await;
    let contact = |event: &str, created, email: &str| {
        stripe_event(
            event,
            "customer.updated",
            created,
            stripe_customer("cus_1", email),
        )
    };
    rig.happens(&contact("evt_1", NOW - 80, "other@x.com"))
        .await;
    let merged = path_of(&rig.get("/customers/by-external/cus_1").await.expect(200));
    assert_ne!(merged, shown);
    // It held the other's address before: they are one, and the row made first is shown.
    rig.happens(&contact("evt_2", NOW - 95, "one@x.com")).await;
    let path = format!("{merged}/subscriptions");
    rig.get(&path).await.refused(404, "customer_merged");
    assert_eq!(rig.get(&format!("{shown}/subscriptions")).await.status, 200);
    let nobody = format!("/customers/cust_{}/subscriptions", "0".repeat(32));
    rig.get(&nobody).await.refused(404, "customer_not_found");
}

on_both_stores! {
    a_subscription_is_shown_whole,
    subscriptions_are_shown_as_of_now,
    each_class_has_its_word,
    only_the_row_that_is_shown_has_subscriptions,
}
