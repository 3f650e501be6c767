//! Changes go after a time, with their deliveries; what is still to be delivered stays.

use futures::future::join_all;
use serde_json::{Value, json};
use tollgate::domain::span::Span;
use tollgate::pipeline::retention::remove_changes;

use super::hooks::{HOOKS, Receiver};
use super::rig::{Rig, id_of, path_of};
use crate::support::stores::{Engine, on_both_stores};

const DAY: u64 = 86_400;

impl Rig {
    async fn removes_changes(&self) -> u64 {
        remove_changes(&self.store, Span::days(7), self.now())
            .await
            .unwrap()
    }

    async fn deliveries(&self, hook: &Value) -> Vec<Value> {
        let path = format!("{HOOKS}/{}/deliveries", id_of(hook));
        let listed = self.get(&path).await.expect(200);
        listed["data"].as_array().unwrap().clone()
    }

    /// Rows of deliveries, also of those whose change is gone.
    async fn delivery_rows(&self) -> i64 {
        let sql = "SELECT COUNT(*) FROM hook_deliveries";
        self.place.count(sql, sql).await
    }
}

async fn deliveries_go_with_changes_that_are_old_enough_and_waiting_ones_stay(engine: Engine) {
    let rig = Rig::start(engine).await;
    let receiver = Receiver::start().await;
    let hook = rig.hook(&receiver.url, &["customer.*"]).await;
    let ada = rig.customer(json!({"name": "Ada"})).await;
    let suspend = format!("{}/suspend", path_of(&ada));
    rig.post(&suspend, json!({})).await.expect(200);
    rig.delivers_all().await;
    assert_eq!(receiver.kinds(), ["customer.created", "customer.suspended"]);
    receiver.says(500);
    let bob = rig.customer(json!({"name": "Bob"})).await;
    rig.delivers().await;
    assert_eq!(rig.delivery_rows().await, 3);

    rig.pass(6 * DAY);
    assert_eq!(rig.removes_changes().await, 0, "not old enough");
    rig.pass(2 * DAY);
    assert_eq!(rig.removes_changes().await, 2);
    assert_eq!(rig.delivery_rows().await, 1);
    let left = rig.deliveries(&hook).await;
    assert_eq!(left[0]["customer_id"], bob["id"]);

    receiver.says(204);
    rig.pass(DAY);
    rig.delivers_all().await;
    assert_eq!(receiver.kinds(), ["customer.created"]);
    assert_eq!(rig.removes_changes().await, 1, "nothing waits for it");
    assert_eq!(rig.delivery_rows().await, 0);
}

async fn what_is_sent_again_while_its_change_is_removed_is_sent_or_refused(engine: Engine) {
    let rig = Rig::start(engine).await;
    let receiver = Receiver::start().await;
    let hook = rig.hook(&receiver.url, &["customer.created"]).await;
    let mut ended = [0, 0];
    for round in 0..12 {
        for _ in 0..3 {
            rig.customer(json!({"name": "Ada"})).await;
        }
        rig.delivers_all().await;
        receiver.taken();
        rig.pass(8 * DAY);
        let old = rig.deliveries(&hook).await;
        let again = old.iter().map(|it| async {
            let path = format!("{HOOKS}/{}/deliveries/{}/resend", id_of(&hook), id_of(it));
            rig.post(&path, json!({})).await
        });
        let removed = async {
            // So that it comes now before one of them, now behind.
            for _ in 0..round {
                tokio::task::yield_now().await;
            }
            rig.removes_changes().await
        };
        let (again, _) = tokio::join!(join_all(again), removed);
        let mut promised = 0;
        for answer in again {
            if answer.status == 202 {
                promised += 1;
            } else {
                answer.refused(404, "delivery_not_found");
                ended[1] += 1;
            }
        }
        ended[0] += promised;
        rig.delivers_all().await;
        assert_eq!(receiver.taken().len(), promised, "round {round}");
        // Nothing is left of what was removed, and nothing twice.
        rig.pass(8 * DAY);
        while rig.removes_changes().await > 0 {}
        assert_eq!(rig.delivery_rows().await, 0, "round {round}");
    }
    assert!(ended[0] > 0, "{ended:?}: none was sent again");
}

on_both_stores!(
    deliveries_go_with_changes_that_are_old_enough_and_waiting_ones_stay,
    what_is_sent_again_while_its_change_is_removed_is_sent_or_refused,
);
