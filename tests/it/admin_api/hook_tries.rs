//! When a delivery that failed is tried again: later each time, and soon when its receiver takes others.

use serde_json::{Value, json};

use super::hooks::{HOOKS, Receiver};
use super::rig::{ROOT, Rig, id_of, path_of};
use crate::support::stores::{Engine, on_both_stores};

impl Rig {
    async fn changes_hook(&self, hook: &Value, change: Value) {
        let path = format!("{HOOKS}/{}", id_of(hook));
        self.as_admin(ROOT, "PATCH", &path, Some(change))
            .await
            .expect(200);
    }

    /// The oldest delivery of a hook that waits.
    async fn first_delivery(&self, hook: &Value) -> Value {
        let path = format!("{HOOKS}/{}/deliveries?state=waiting", id_of(hook));
        let listed = self.get(&path).await.expect(200);
        listed["data"].as_array().unwrap().last().unwrap().clone()
    }

    /// A customer whose changes a receiver refuses, until the next try is minutes away.
    async fn refused_for_long(&self, receiver: &Receiver) -> Value {
        receiver.says(500);
        let customer = self.customer(json!({"name": "Ada"})).await;
        for _ in 0..60 {
            self.delivers().await;
            self.pass(60);
        }
        // So that another round of nothing has just been.
        while self.delivers().await.failed == 0 {
            self.pass(60);
        }
        customer
    }
}

fn customers(receiver: &Receiver) -> Vec<Value> {
    let taken = receiver.taken().into_iter();
    taken.map(|(_, body)| body["customer_id"].clone()).collect()
}

async fn what_waits_is_due_at_once_when_a_later_one_is_taken(engine: Engine) {
    let rig = Rig::start(engine).await;
    let receiver = Receiver::start().await;
    rig.hook(&receiver.url, &["customer.*"]).await;
    let ada = rig.refused_for_long(&receiver).await;
    let suspend = format!("{}/suspend", path_of(&ada));
    rig.post(&suspend, json!({})).await.expect(200);
    receiver.says(204);
    // The hook rests for a minute.
    rig.pass(90);
    rig.delivers_all().await;
    assert_eq!(customers(&receiver), Vec::<Value>::new(), "not due yet");
    let bob = rig.customer(json!({"name": "Bob"})).await;
    rig.delivers_all().await;
    let taken = receiver.taken();
    let told = taken.iter().map(|(_, body)| {
        let kind = body["type"].as_str().unwrap();
        (body["customer_id"].clone(), kind.to_owned())
    });
    let told: Vec<(Value, String)> = told.collect();
    let (ada, bob) = (ada["id"].clone(), bob["id"].clone());
    let created = "customer.created".to_owned();
    let suspended = "customer.suspended".to_owned();
    assert_eq!(
        told,
        [
            (bob, created.clone()),
            (ada.clone(), created),
            (ada, suspended)
        ],
        "at once, and in the order of her changes"
    );
}

async fn what_is_refused_is_not_tried_for_each_that_is_taken(engine: Engine) {
    let rig = Rig::start(engine).await;
    let receiver = Receiver::start().await;
    let hook = rig.hook(&receiver.url, &["customer.*"]).await;
    let ada = rig.refused_for_long(&receiver).await;
    let refused = ada["id"].clone();
    receiver.judges(move |body| {
        let status = if body["customer_id"] == refused {
            500
        } else {
            204
        };
        (status, Vec::new())
    });
    let attempts = async || {
        let delivery = rig.first_delivery(&hook).await;
        delivery["attempts"].as_i64().unwrap()
    };
    let before = attempts().await;
    // Others in four hours, one every five minutes.
    for _ in 0..48 {
        rig.pass(300);
        rig.customer(json!({"name": "Bob"})).await;
        rig.delivers_all().await;
    }
    assert_eq!(customers(&receiver).len(), 48, "nobody waits for her");
    let tries = attempts().await - before;
    // The pauses are a little shorter or longer than a quarter of an hour.
    assert!((10..=20).contains(&tries), "{tries}");
}

async fn a_hook_that_is_enabled_again_gets_at_once_what_waited(engine: Engine) {
    for back in [
        json!({"status": "enabled"}),
        json!({"url": "moved", "status": "enabled"}),
    ] {
        let rig = Rig::start(engine).await;
        let (receiver, moved) = (Receiver::start().await, Receiver::start().await);
        let hook = rig.hook(&receiver.url, &["customer.*"]).await;
        let ada = rig.refused_for_long(&receiver).await;
        let elsewhere = back["url"].is_string();
        if elsewhere {
            rig.changes_hook(&hook, json!({"url": moved.url})).await;
        } else {
            rig.changes_hook(&hook, json!({"status": "disabled"})).await;
            rig.pass(60);
            rig.delivers_all().await;
            receiver.says(204);
            rig.changes_hook(&hook, back).await;
        }
        rig.delivers_all().await;
        let there = if elsewhere { &moved } else { &receiver };
        assert_eq!(customers(there), [ada["id"].clone()]);
    }
}

on_both_stores! {
    what_waits_is_due_at_once_when_a_later_one_is_taken,
    what_is_refused_is_not_tried_for_each_that_is_taken,
    a_hook_that_is_enabled_again_gets_at_once_what_waited,
}
