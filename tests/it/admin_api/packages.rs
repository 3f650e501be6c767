//! Grants, plans, releases and constraints.

use serde_json::{Value, json};

use super::rig::{NOW, Rig, path_of};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{stripe_customer, stripe_event, stripe_subscription};
use tollgate::provider::STRIPE;

async fn constraints(rig: &Rig, packages: &str) -> Vec<(String, String, String)> {
    let listed = rig.get(packages).await.expect(200);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let rows = listed["data"].as_array().unwrap();
    rows.iter()
        .map(|row| {
            (
                text(&row["package"]),
                text(&row["constraint"]),
                text(&row["source"]),
            )
        })
        .collect()
}

fn rows(expected: &[(&str, &str, &str)]) -> Vec<(String, String, String)> {
    let own = |&(a, b, c): &(&str, &str, &str)| (a.to_owned(), b.to_owned(), c.to_owned());
    expected.iter().map(own).collect()
}

async fn packages_are_granted_replaced_and_revoked(engine: Engine) {
    let rig = Rig::start(engine).await;
    let customer = path_of(&rig.customer(json!({"name": "Acme"})).await);
    let path = format!("{customer}/packages");
    let grant = json!({"package": "a/one", "constraint": "^1.0"});
    let given = rig.post(&path, grant.clone()).await.expect(201);
    assert_eq!(
        (&given["changed"], &given["source"]),
        (&json!(true), &json!("manual"))
    );
    assert_eq!(rig.post(&path, grant).await.expect(200)["changed"], false);
    let wider = json!({"package": "a/one", "constraint": "*"});
    assert_eq!(rig.post(&path, wider).await.expect(200)["changed"], true);
    let plain = rig
        .post(&path, json!({"package": "b/two"}))
        .await
        .expect(201);
    assert_eq!(plain["constraint"], "*");
    let expected = rows(&[("a/one", "*", "manual"), ("b/two", "*", "manual")]);
    assert_eq!(constraints(&rig, &path).await, expected);

    let all =
        json!({"packages": [{"package": "b/two"}, {"package": "c/three", "constraint": "~2"}]});
    let replaced = rig.put(&path, all.clone()).await.expect(200);
    assert_eq!(replaced["changed"], true);
    assert_eq!(replaced["data"].as_array().unwrap().len(), 2);
    assert_eq!(rig.put(&path, all).await.expect(200)["changed"], false);
    let expected = rows(&[("b/two", "*", "manual"), ("c/three", "~2", "manual")]);
    assert_eq!(constraints(&rig, &path).await, expected);

    rig.delete(&format!("{path}/b%2Ftwo")).await.expect(204);
    rig.delete(&format!("{path}/c/three")).await.expect(204);
    rig.delete(&format!("{path}/c/three"))
        .await
        .refused(404, "grant_not_found");
    assert_eq!(constraints(&rig, &path).await, rows(&[]));
}

async fn a_grant_that_cannot_be_read_is_refused_by_field(engine: Engine) {
    let rig = Rig::start(engine).await;
    let path = format!(
        "{}/packages",
        path_of(&rig.customer(json!({"name": "Acme"})).await)
    );
    let cases = [
        (json!({"package": "one"}), "package"),
        (json!({"package": "A/One"}), "package"),
        (
            json!({"package": "a/one", "constraint": "=>1"}),
            "constraint",
        ),
        (json!({"constraint": "*"}), "package"),
    ];
    for (body, field) in cases {
        let problem = rig
            .post(&path, body.clone())
            .await
            .refused(422, "body_invalid");
        assert_eq!(problem["errors"][0]["field"], field, "{body}");
    }
    let twice =
        json!({"packages": [{"package": "a/one"}, {"package": "a/one", "constraint": "^1"}]});
    let problem = rig.put(&path, twice).await.refused(422, "body_invalid");
    assert_eq!(problem["errors"][0]["field"], "packages[1].package");
    assert_eq!(constraints(&rig, &path).await, rows(&[]));
}

async fn a_plan_takes_effect_at_once_for_every_paying_customer(engine: Engine) {
    let rig = Rig::start(engine).await;
    let account = stripe_customer("cus_1", "one@x.com");
    rig.happens(&stripe_event(
        "evt_1",
        "customer.created",
        NOW - 50,
        account,
    ))
    .await;
    let paid = stripe_subscription("sub_1", "cus_1", "active");
    rig.happens(&stripe_event(
        "evt_2",
        "customer.subscription.created",
        NOW - 40,
        paid,
    ))
    .await;
    let customer = rig.get("/customers/by-external/cus_1").await.expect(200);
    assert_eq!(customer["flags"][0]["kind"], "unmapped_price");
    let path = format!("{}/packages", path_of(&customer));
    assert_eq!(constraints(&rig, &path).await, rows(&[]));

    let plan = "/plans/stripe/price_basic";
    let body = json!({"packages": [{"package": "a/one", "constraint": "^1"}]});
    assert_eq!(
        rig.put(plan, body.clone()).await.expect(201)["source"],
        "api"
    );
    assert_eq!(rig.put(plan, body).await.expect(200)["changed"], false);
    assert_eq!(
        constraints(&rig, &path).await,
        rows(&[("a/one", "^1", "plan")])
    );
    let listed = rig.get(&path).await.expect(200);
    assert_eq!(listed["data"][0]["price_id"], "price_basic");
    assert_eq!(listed["data"][0]["subscription_id"], "sub_1");
    assert_eq!(
        rig.get(&path_of(&customer)).await.expect(200)["flags"],
        json!([])
    );
    rig.delete(&format!("{path}/a/one"))
        .await
        .refused(404, "grant_not_found");

    assert_eq!(
        rig.get("/plans").await.expect(200)["data"][0]["price_id"],
        "price_basic"
    );
    rig.delete(plan).await.expect(204);
    rig.delete(plan).await.refused(404, "plan_not_found");
    rig.get(plan).await.refused(404, "plan_not_found");

    // The product's plan stands in for the price's.
    let body = json!({"packages": [{"package": "b/two"}]});
    rig.put("/plans/stripe/prod_basic", body).await.expect(201);
    assert_eq!(
        constraints(&rig, &path).await,
        rows(&[("b/two", "*", "plan")])
    );
}

async fn a_price_moves_from_the_settings_to_the_api_without_a_gap(engine: Engine) {
    use tollgate::domain::access::plan::PackageGrant;
    use tollgate::domain::id::AppSlug;

    let rig = Rig::start(engine).await;
    let grant = |package: &str| PackageGrant {
        package: package.to_owned(),
        constraint: "*".to_owned(),
    };
    let settings = |package| vec![(STRIPE.name, "price_1".to_owned(), vec![grant(package)])];
    let replace = async |plans: Vec<_>| {
        let mut tx = rig.store.begin().await.unwrap();
        let app = AppSlug::default_app();
        tx.plan_replace_environment(&app, &plans, rig.now())
            .await
            .unwrap();
        tx.commit().await.unwrap();
    };
    let plan = async || rig.get("/plans/stripe/price_1").await.expect(200);
    let package = |plan: &Value| plan["packages"][0]["package"].clone();
    replace(settings("a/settings")).await;
    let body = json!({"packages": [{"package": "a/api", "constraint": "*"}], "updates": "365d"});
    let put = async || {
        rig.put("/plans/stripe/price_1", body.clone())
            .await
            .expect(200)
    };
    let set = put().await;
    assert_eq!(
        (&set["changed"], &set["source"]),
        (&json!(true), &json!("environment"))
    );
    assert_eq!(package(&set), "a/settings", "the settings go on to count");
    assert_eq!(package(&set["waiting"]), "a/api");
    assert_eq!(set["waiting"]["updates"], "365d");
    assert_eq!(put().await["changed"], false);
    let listed = rig.get("/plans").await.expect(200);
    assert_eq!(package(&listed["data"][0]["waiting"]), "a/api");

    replace(settings("a/other")).await;
    assert_eq!(
        package(&plan().await["waiting"]),
        "a/api",
        "it goes on to wait"
    );
    replace(Vec::new()).await;
    let taken_over = plan().await;
    assert_eq!(
        (package(&taken_over), &taken_over["source"]),
        (json!("a/api"), &json!("api"))
    );
    assert_eq!(
        (&taken_over["updates"], &taken_over["waiting"]),
        (&json!("365d"), &json!(null))
    );

    // And back again: the settings win, and what an admin set is not lost.
    replace(settings("a/settings")).await;
    assert_eq!(package(&plan().await["waiting"]), "a/api");
    rig.delete("/plans/stripe/price_1").await.expect(204);
    assert_eq!(plan().await["waiting"], json!(null));
    rig.delete("/plans/stripe/price_1")
        .await
        .refused(409, "plan_read_only");
    replace(Vec::new()).await;
    rig.get("/plans/stripe/price_1")
        .await
        .refused(404, "plan_not_found");
}

async fn plans_of_the_settings_are_read_only(engine: Engine) {
    use tollgate::domain::access::plan::PackageGrant;
    use tollgate::domain::id::AppSlug;

    let rig = Rig::start(engine).await;
    let grant = PackageGrant {
        package: "a/one".to_owned(),
        constraint: "*".to_owned(),
    };
    let settings = |price: &str| vec![(STRIPE.name, price.to_owned(), vec![grant.clone()])];
    let replace = async |plans: Vec<_>| {
        let mut tx = rig.store.begin().await.unwrap();
        let app = AppSlug::default_app();
        tx.plan_replace_environment(&app, &plans, rig.now())
            .await
            .unwrap();
        tx.commit().await.unwrap();
    };
    replace(settings("price_1")).await;
    let plan = rig.get("/plans/stripe/price_1").await.expect(200);
    assert_eq!(plan["source"], "environment");
    assert_eq!(plan["waiting"], json!(null));
    let body = json!({"packages": []});
    rig.delete("/plans/stripe/price_1")
        .await
        .refused(409, "plan_read_only");
    rig.put("/plans/stripe/price_2", body.clone())
        .await
        .expect(201);

    rig.pass(60);
    replace(settings("price_1")).await;
    let same = rig.get("/plans/stripe/price_1").await.expect(200);
    assert_eq!(
        same["updated_at"], plan["updated_at"],
        "a restart changes nothing"
    );
    replace(settings("price_3")).await;
    rig.get("/plans/stripe/price_1")
        .await
        .refused(404, "plan_not_found");
    assert_eq!(rig.get("/plans").await.expect(200)["meta"]["total"], 2);
}

async fn wrong_plans_are_refused(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.put("/plans/ebay/p", json!({"packages": []}))
        .await
        .refused(404, "plan_not_found");
    let body =
        json!({"packages": [{"package": "a/one"}, {"package": "a/two", "constraint": "1 ||"}]});
    let problem = rig
        .put("/plans/stripe/p", body)
        .await
        .refused(422, "body_invalid");
    assert_eq!(problem["errors"][0]["field"], "packages[1].constraint");
    rig.put("/plans/stripe/p", json!({}))
        .await
        .refused(422, "body_invalid");
    let long = format!("/plans/stripe/{}", "p".repeat(256));
    rig.put(&long, json!({"packages": []}))
        .await
        .refused(422, "body_invalid");
}

async fn a_plan_takes_packages_by_their_names_alone(engine: Engine) {
    let rig = Rig::start(engine).await;
    let body = json!({"packages": ["acme/tool", {"package": "acme/forms", "constraint": "^2.0"}]});
    let plan = rig.put("/plans/stripe/p", body).await.expect(201);
    assert_eq!(
        plan["packages"],
        json!([
            {"package": "acme/tool", "constraint": "*"},
            {"package": "acme/forms", "constraint": "^2.0"},
        ])
    );
    for (packages, field) in [
        (json!(["acme/tool", "no name"]), "packages[1]"),
        (json!(["acme/tool", "acme/tool"]), "packages[1]"),
        (
            json!([{"package": "a/b"}, {"package": "a/b"}]),
            "packages[1].package",
        ),
        (json!(["acme/tool", 7]), "packages[1]"),
        (
            json!([{"package": "a/b", "version": "1"}]),
            "packages[0].version",
        ),
    ] {
        let refused = rig
            .put("/plans/stripe/p", json!({"packages": packages}))
            .await;
        let problem = refused.refused(422, "body_invalid");
        assert_eq!(
            problem["errors"][0]["field"], field,
            "{packages}: {problem}"
        );
    }
}

async fn a_package_is_named_in_one_part_or_two(engine: Engine) {
    let rig = Rig::start(engine).await;
    let paths = ["/packages/a%2Fb", "/packages/a%2fb", "/packages/a/b"];
    for (n, path) in paths.into_iter().enumerate() {
        let body = json!({"version": format!("1.{n}.0")});
        let releases = format!("{path}/releases");
        let added = rig.post(&releases, body).await.expect(201);
        assert_eq!(added["version"], format!("1.{n}.0"), "{path}");
    }
    for path in paths {
        for (query, most) in [("", 3), ("?page_size=2", 2), ("?cursor=", 3)] {
            let releases = format!("{path}/releases{query}");
            let listed = rig.get(&releases).await.expect(200);
            assert_eq!(listed["data"].as_array().unwrap().len(), most, "{releases}");
        }
        let shown = rig.get(path).await.expect(200);
        assert_eq!(shown["package"], "a/b");
        assert_eq!(shown["releases"], 3);
        rig.get(&format!("{path}/customers")).await.expect(200);
    }
}

async fn releases_are_recorded_once_by_value(engine: Engine) {
    let rig = Rig::start(engine).await;
    let path = "/packages/a/one/releases";
    let one = json!({"version": "1.0.0", "released_at": "2025-12-01T00:00:00.000Z"});
    let made = rig.post(path, one).await.expect(201);
    assert_eq!(made["released_at"], "2025-12-01T00:00:00.000Z");
    assert_eq!(made["package"], "a/one");
    let same = json!({"version": "1.0.0", "released_at": "2025-12-01T00:00:00.000Z"});
    assert_eq!(rig.post(path, same).await.expect(200)["changed"], false);
    let respelt = json!({"version": "v1.0", "released_at": "2025-12-01T00:00:00.000Z"});
    assert_eq!(rig.post(path, respelt).await.expect(200)["version"], "v1.0");
    let several =
        json!({"releases": [{"version": "1.1"}, {"version": "01.1+build"}, {"version": "1.0.0"}]});
    let several = rig.post(path, several).await.expect(201);
    assert_eq!(several["data"].as_array().unwrap().len(), 3);
    assert_eq!(
        several["data"][2]["released_at"], "2025-12-01T00:00:00.000Z",
        "a known version keeps its time"
    );
    rig.pass(60);
    let again = rig.post(path, json!({"version": "1.0.0"})).await;
    assert_eq!(again.expect(200)["changed"], false);
    let listed = rig.get(path).await.expect(200);
    assert_eq!(listed["meta"]["total"], 2, "{listed}");

    for (body, field) in [
        (json!({"version": "^1"}), "version"),
        (json!({}), "version"),
        (
            json!({"version": "1", "released_at": "soon"}),
            "released_at",
        ),
        (
            json!({"releases": [{"version": "x!"}]}),
            "releases[0].version",
        ),
        (
            json!({"releases": [
                {"version": "3.0", "released_at": "2025-12-01T00:00:00Z"},
                {"version": "v3.0.0", "released_at": "2025-12-02T00:00:00Z"},
            ]}),
            "releases[1].version",
        ),
        (json!({"version": "1", "releases": []}), "version"),
    ] {
        let problem = rig
            .post(path, body.clone())
            .await
            .refused(422, "body_invalid");
        assert_eq!(problem["errors"][0]["field"], field, "{body}");
    }
    rig.get("/packages/A/one/releases")
        .await
        .refused(404, "package_not_found");
}

async fn a_release_is_removed_by_any_spelling(engine: Engine) {
    let rig = Rig::start(engine).await;
    let path = "/packages/a/one/releases";
    let at = "2025-12-01T00:00:00.000Z";
    let all = ["1.0.0", "1.1", "dev-feature/x"];
    for version in all {
        let body = json!({"version": version, "released_at": at, "reference": "abc"});
        rig.post(path, body).await.expect(201);
    }
    for (version, rest) in [("v1.0", 2), ("1.1.0.0+build", 1), ("dev-feature%2Fx", 0)] {
        let one = format!("{path}/{version}");
        rig.delete(&one).await.expect(204);
        rig.delete(&one).await.refused(404, "release_not_found");
        let listed = rig.get(path).await.expect(200);
        assert_eq!(listed["meta"]["total"], rest, "{version}: {listed}");
    }
    for unknown in [
        "a/one/releases/2.0",
        "a/one/releases/no%20version",
        "b%2Ftwo/releases/1.0",
    ] {
        rig.delete(&format!("/packages/{unknown}"))
            .await
            .refused(404, "release_not_found");
    }
    rig.delete("/packages/A%2Fone/releases/1.0")
        .await
        .refused(404, "package_not_found");
    let audit = rig.get("/audit?operation=release_remove").await.expect(200);
    let told: Vec<&Value> = audit["data"]
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|it| &it["details"])
        .collect();
    let expected = all.map(|version| {
        let from = json!({"version": version, "released_at": at, "reference": "abc"});
        json!({"package": "a/one", "from": from, "to": null})
    });
    assert_eq!(told, expected.iter().collect::<Vec<_>>());
}

async fn constraints_can_be_tried_out(engine: Engine) {
    let rig = Rig::start(engine).await;
    let viewer = rig.admin("viewer", None).await;
    let path = "/constraints/evaluate";
    let body = json!({"constraint": "^2.0", "versions": ["2.1.0", "3.0.0", "no version!"]});
    let answer = rig
        .as_admin(&viewer, "POST", path, Some(body))
        .await
        .expect(200);
    assert_eq!(answer["valid"], true);
    let allowed: Vec<&Value> = answer["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["allowed"])
        .collect();
    assert_eq!(allowed, [true, false, false]);
    assert!(answer["results"][2]["error"].is_string());
    let body = json!({"constraint": "=>1", "versions": []});
    rig.post(path, body)
        .await
        .refused(422, "constraint_invalid");
}

on_both_stores! {
    packages_are_granted_replaced_and_revoked,
    a_grant_that_cannot_be_read_is_refused_by_field,
    a_plan_takes_effect_at_once_for_every_paying_customer,
    plans_of_the_settings_are_read_only,
    a_price_moves_from_the_settings_to_the_api_without_a_gap,
    wrong_plans_are_refused,
    a_plan_takes_packages_by_their_names_alone,
    a_package_is_named_in_one_part_or_two,
    releases_are_recorded_once_by_value,
    a_release_is_removed_by_any_spelling,
    constraints_can_be_tried_out,
}
