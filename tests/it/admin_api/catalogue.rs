//! The packages of an app, and who may have one.

use serde_json::{Value, json};

use super::rig::{NOW, Rig, path_of};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{stripe_customer, stripe_event, stripe_subscription};

impl Rig {
    /// Somebody who pays for `price_basic`; the path.
    async fn payer(&self, account: &str) -> String {
        let object = stripe_customer(account, &format!("{account}@x.com"));
        let event = format!("evt_{account}");
        self.happens(&stripe_event(&event, "customer.created", NOW - 90, object))
            .await;
        self.pays(account, "active", NOW - 80).await;
        let by = format!("/customers/by-external/{account}");
        path_of(&self.get(&by).await.expect(200))
    }

    async fn pays(&self, account: &str, status: &str, created: i64) {
        let object = stripe_subscription(&format!("sub_of_{account}"), account, status);
        let (event, kind) = (
            format!("evt_{account}_{status}"),
            "customer.subscription.updated",
        );
        self.happens(&stripe_event(&event, kind, created, object))
            .await;
    }

    async fn plan(&self, price: &str, packages: &[&str]) {
        let packages: Vec<Value> = packages.iter().map(|it| json!({"package": it})).collect();
        let path = format!("/plans/stripe/{price}");
        let put = self.put(&path, json!({"packages": packages})).await;
        assert!([200, 201].contains(&put.status), "{}", put.body);
    }

    /// External id, status and sources of those who have a package.
    async fn holders(&self, package: &str) -> Vec<String> {
        let path = format!("/packages/{package}/customers");
        let listed = self.get(&path).await.expect(200);
        let rows = listed["data"].as_array().unwrap();
        let told = |row: &Value| {
            let grants = row["grants"].as_array().unwrap().iter();
            let sources: Vec<&str> = grants.map(|it| it["source"].as_str().unwrap()).collect();
            let who = row["external_id"].as_str().or(row["name"].as_str());
            format!(
                "{} {} {} {}",
                who.unwrap(),
                row["status"].as_str().unwrap(),
                row["code"].as_str().unwrap(),
                sources.join(",")
            )
        };
        rows.iter().map(told).collect()
    }
}

async fn all_named_packages_are_listed_with_their_releases(engine: Engine) {
    let rig = Rig::start(engine).await;
    assert_eq!(rig.get("/packages").await.expect(200)["meta"]["total"], 0);
    for name in ["One", "Two"] {
        let customer = path_of(&rig.customer(json!({"name": name})).await);
        for package in ["c/granted", "a/both"] {
            let path = format!("{customer}/packages");
            rig.post(&path, json!({"package": package}))
                .await
                .expect(201);
        }
    }
    rig.plan("price_basic", &["b/planned", "a/both"]).await;
    for (package, version) in [("a/both", "1.0"), ("a/both", "1.1"), ("d/released", "1.0")] {
        let path = format!("/packages/{package}/releases");
        rig.post(&path, json!({"version": version}))
            .await
            .expect(201);
    }
    let all = json!([
        {"package": "a/both", "versions": "composer", "releases": 2}, {"package": "b/planned", "versions": "composer", "releases": 0},
        {"package": "c/granted", "versions": "composer", "releases": 0}, {"package": "d/released", "versions": "composer", "releases": 1},
    ]);
    let listed = rig.get("/packages").await.expect(200);
    assert_eq!(
        (&listed["data"], &listed["meta"]["total"]),
        (&all, &json!(4))
    );
    let walk = rig.get("/packages?cursor=&page_size=2").await.expect(200);
    let next = walk["meta"]["next_cursor"].as_str().unwrap();
    let walk = rig
        .get(&format!("/packages?cursor={next}&page_size=1"))
        .await;
    assert_eq!(walk.expect(200)["data"][0]["package"], "c/granted");
}

async fn customers_are_found_by_a_package_they_may_have(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.plan("price_basic", &["a/lib"]).await;
    rig.payer("cus_1").await;
    let suspended = rig.payer("cus_2").await;
    rig.post(&format!("{suspended}/suspend"), json!({}))
        .await
        .expect(200);
    rig.payer("cus_3").await;
    rig.pays("cus_3", "canceled", NOW - 70).await;
    let by_hand = path_of(&rig.customer(json!({"name": "Acme"})).await);
    let grant = json!({"package": "a/lib", "constraint": "^1"});
    rig.post(&format!("{by_hand}/packages"), grant)
        .await
        .expect(201);
    let gone = rig.customer(json!({"name": "Gone"})).await;
    let path = path_of(&gone);
    rig.post(&format!("{path}/packages"), json!({"package": "a/lib"}))
        .await
        .expect(201);
    rig.delete(&format!("{path}?soft=true")).await.expect(204);
    // The newest first, although all were made in one millisecond of the rig's clock.
    let expected = [
        "Acme active ok manual",
        "stripe_cus_3 frozen version_not_frozen plan",
        "stripe_cus_1 active ok plan",
    ];
    assert_eq!(rig.holders("a/lib").await, expected);
    let release = json!({"version": "1.0", "released_at": "2020-01-01T00:00:00Z"});
    rig.post("/packages/a/lib/releases", release)
        .await
        .expect(201);
    assert_eq!(rig.holders("a/lib").await[1], "stripe_cus_3 frozen ok plan");
    let row = &rig.get("/packages/a/lib/customers").await.expect(200)["data"][0];
    assert_eq!(
        (&row["allowed"], &row["grants"][0]["constraint"]),
        (&json!(true), &json!("^1"))
    );
    let page = rig
        .get("/packages/a/lib/customers?page=1&page_size=2")
        .await;
    let page = page.expect(200);
    assert_eq!(
        (&page["meta"]["total"], &page["data"][0]["name"]),
        (&json!(3), &json!("Acme"))
    );
    let first = rig
        .get("/packages/a/lib/customers?cursor=&page_size=1")
        .await;
    let next = first.expect(200)["meta"]["next_cursor"]
        .as_str()
        .unwrap()
        .to_owned();
    let rest = rig
        .get(&format!("/packages/a/lib/customers?cursor={next}"))
        .await;
    assert_eq!(rest.expect(200)["data"].as_array().unwrap().len(), 2);
    assert_eq!(rig.holders("a/other").await, [""; 0]);
    rig.get("/packages/A/lib/customers")
        .await
        .refused(404, "package_not_found");
}

async fn a_changed_plan_counts_at_once_and_that_of_the_price_first(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.payer("cus_1").await;
    let here = ["stripe_cus_1 active ok plan"];
    assert_eq!(rig.holders("a/lib").await, [""; 0]);
    rig.plan("prod_basic", &["a/lib"]).await;
    assert_eq!(rig.holders("a/lib").await, here, "a plan of the product");
    rig.plan("price_basic", &["a/other"]).await;
    assert_eq!(rig.holders("a/lib").await, [""; 0], "the price has one");
    assert_eq!(rig.holders("a/other").await, here);
    rig.plan("price_basic", &["a/lib", "a/third"]).await;
    assert_eq!(rig.holders("a/other").await, [""; 0], "replaced");
    assert_eq!(rig.holders("a/lib").await, here);
    rig.delete("/plans/stripe/price_basic").await.expect(204);
    rig.delete("/plans/stripe/prod_basic").await.expect(204);
    assert_eq!(rig.holders("a/lib").await, [""; 0], "deleted");
    for (packages, expected) in [(&["a/lib"][..], &here[..]), (&[], &[])] {
        rig.restarts_with_plan(packages).await;
        assert_eq!(rig.holders("a/lib").await, expected, "settings");
    }
}

on_both_stores! {
    all_named_packages_are_listed_with_their_releases,
    customers_are_found_by_a_package_they_may_have,
    a_changed_plan_counts_at_once_and_that_of_the_price_first,
}
