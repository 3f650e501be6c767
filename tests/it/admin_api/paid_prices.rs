//! The rows that lead from a price to those who pay it follow what each customer has.

use serde_json::json;

use super::rig::{NOW, Rig};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{stripe_customer, stripe_event, stripe_subscription};

impl Rig {
    async fn has_subscription(&self, event: i64, id: &str, price: &str) {
        let mut subscription = stripe_subscription(id, "cus_1", "active");
        subscription["items"]["data"][0]["price"]["id"] = json!(price);
        let kind = "customer.subscription.updated";
        self.happens(&stripe_event(
            &format!("evt_{event}"),
            kind,
            NOW - 90 + event,
            subscription,
        ))
        .await;
    }

    /// Prices with their plans, as rows.
    async fn paid(&self) -> Vec<String> {
        let sql = "SELECT price || ' ' || plan FROM entitlements ORDER BY 1";
        self.place.texts(sql).await
    }
}

async fn who_pays_a_price_is_a_row_of_it_until_nothing_pays_it(engine: Engine) {
    let rig = Rig::start(engine).await;
    let customer = stripe_customer("cus_1", "ada@x.com");
    rig.happens(&stripe_event(
        "evt_0",
        "customer.created",
        NOW - 95,
        customer,
    ))
    .await;
    assert_eq!(rig.paid().await, Vec::<String>::new());
    rig.has_subscription(1, "sub_1", "price_a").await;
    rig.has_subscription(2, "sub_2", "price_a").await;
    assert_eq!(rig.paid().await, ["price_a "], "one row for both");
    rig.has_subscription(3, "sub_2", "price_b").await;
    assert_eq!(rig.paid().await, ["price_a ", "price_b "]);
    rig.has_subscription(4, "sub_3", "price_a").await;
    let plan = json!({"packages": [{"package": "acme/ui", "constraint": "*"}]});
    rig.put("/plans/stripe/price_a", plan).await.expect(201);
    rig.has_subscription(5, "sub_2", "price_a").await;
    assert_eq!(rig.paid().await, ["price_a price_a"]);
    for (event, id) in [(6, "sub_1"), (7, "sub_2")] {
        rig.has_subscription(event, id, "price_c").await;
    }
    let both = ["price_a price_a", "price_c "];
    assert_eq!(rig.paid().await, both, "the third pays it");
    rig.has_subscription(8, "sub_3", "price_c").await;
    assert_eq!(rig.paid().await, ["price_c "]);
}

on_both_stores!(who_pays_a_price_is_a_row_of_it_until_nothing_pays_it,);
