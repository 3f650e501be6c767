//! Deleting an app that is too large to be deleted at once.

use serde_json::json;
use tollgate::pipeline::app_deletion::carry_on;

use super::rig::{NOW, ROOT, Rig};
use super::walls::Town;
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{stripe_customer, stripe_event};

/// The numbers from one on, in the form that both engines read.
fn numbers(most: u32) -> String {
    format!("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {most})")
}

impl Rig {
    /// Copies a row of a table many times, each with another key. The columns without a value are left out.
    async fn copies(&self, (table, key): (&str, &str), of: &str, (most, skip): (u32, &[&str])) {
        let prefix = format!("{table}.");
        let columns = self.place.columns().await;
        let columns = columns.iter().filter_map(|it| it.strip_prefix(&prefix));
        let columns = columns.filter(|it| *it != key && !skip.contains(it));
        let columns = columns.collect::<Vec<_>>().join(", ");
        let sql = format!(
            "{} INSERT INTO {table} ({key}, {columns}) SELECT {key} || '-' || i, {columns} \
             FROM {table}, n WHERE {of}",
            numbers(most)
        );
        self.place.try_run(&sql).await.unwrap();
    }

    /// How many rows of an app there are, in each table that has any.
    async fn rows_of(&self, app: &str) -> Vec<(String, i64)> {
        let mut found = Vec::new();
        for column in self.place.columns().await {
            let Some(table) = column.strip_suffix(".app") else {
                continue;
            };
            let sql = format!("SELECT COUNT(*) FROM {table} WHERE app = '{app}'");
            let rows = self.place.count(&sql, &sql).await;
            if rows > 0 {
                found.push((table.to_owned(), rows));
            }
        }
        let sql = "SELECT COUNT(*) FROM payloads WHERE seq NOT IN (SELECT seq FROM events)";
        assert_eq!(self.place.count(sql, sql).await, 0, "payloads of no event");
        found.sort();
        found
    }
}

async fn a_large_app_is_gone_at_once_and_deleted_in_steps(engine: Engine) {
    let town = Town::start(engine).await;
    let rig = &town.rig;
    let two = "/customers?app=two";
    rig.post(two, json!({"email": "two@x.com"}))
        .await
        .expect(201);
    let path = format!("{}?app=one", town.things.path("/customers/{id}/tokens"));
    let token = rig.post(&path, json!({"name": "ci"})).await.expect(201);
    let bearer = format!("Bearer {}", token["token"].as_str().unwrap());
    let access = async || {
        let headers = [("authorization", bearer.as_str())];
        rig.send("GET", "/access?package=a/b", &headers, None).await
    };
    access().await.expect(200);
    rig.copies(("events", "id"), "id = 'evt_1'", (6_000, &["seq"]))
        .await;
    let payloads = "INSERT INTO payloads (seq, payload) SELECT seq, '{}' FROM events \
                    WHERE seq NOT IN (SELECT seq FROM payloads)";
    rig.place.try_run(payloads).await.unwrap();
    rig.copies(("customers", "id"), "app = 'one'", (1_200, &[]))
        .await;
    let others = rig.rows_of("two").await;

    assert_eq!(rig.delete("/apps/one").await.status, 202);
    rig.get("/apps/one").await.refused(404, "app_not_found");
    rig.delete("/apps/one").await.refused(404, "app_not_found");
    let named = rig.get("/customers?app=one").await;
    named.refused(404, "app_not_found");
    assert_eq!(rig.get("/apps").await.expect(200)["meta"]["total"], 2);
    let theirs = rig.as_admin(&town.one, "GET", "/customers", None).await;
    theirs.refused(401, "token_unknown");
    let gone = access().await.expect(401);
    assert_eq!(gone["code"], "token_unknown", "{gone}");
    let again = json!({"slug": "one", "name": "One"});
    let too_early = rig.post("/apps", again.clone()).await;
    too_early.refused(409, "app_being_deleted");
    // A message that was under way makes nobody a customer again.
    let account = stripe_customer("cus_9", "late@x.com");
    let late = stripe_event("evt_9", "customer.created", NOW, account);
    rig.happens_in("one", &late).await;
    let newest = &rig.get("/audit").await.expect(200)["data"][0];
    assert_eq!(newest["operation"], "app_delete");

    let mut steps = 0;
    while carry_on(&rig.store).await.unwrap() {
        steps += 1;
        assert_eq!(rig.rows_of("two").await, others, "after {steps} steps");
    }
    assert!(steps > 20, "{steps}");
    assert_eq!(rig.rows_of("one").await, []);
    rig.post("/apps", again).await.expect(201);
    let nobody = rig.get("/customers?app=one").await.expect(200);
    assert_eq!(nobody["meta"]["total"], 0);
    let theirs = rig.as_admin(ROOT, "GET", two, None).await.expect(200);
    assert_eq!(theirs["meta"]["total"], 1);
}

on_both_stores! {
    a_large_app_is_gone_at_once_and_deleted_in_steps,
}
