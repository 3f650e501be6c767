//! The access check of registries.

use serde_json::{Value, json};

use super::rig::{Answer, NOW, Rig, basic, path_of};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{stripe_customer, stripe_event, stripe_subscription};

async fn check(rig: &Rig, token: &str, query: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    rig.send(
        "GET",
        &format!("/access?{query}"),
        &[("authorization", &bearer)],
        None,
    )
    .await
}

/// The packages of a list with what may be had of each, without where it comes from.
fn extents(listed: &Value) -> Value {
    let mut packages = listed["packages"].clone();
    for extent in packages.as_object_mut().unwrap().values_mut() {
        let grants = extent.as_object_mut().unwrap().remove("grants");
        assert!(grants.is_some_and(|grants| grants != json!([])), "{listed}");
    }
    packages
}

fn token_of(made: &Value) -> String {
    made["token"].as_str().unwrap().to_owned()
}

async fn each_code_has_its_status_and_stands_in_the_headers(engine: Engine) {
    let rig = Rig::start(engine).await;
    let customer = async |name: &str| {
        let made = rig.customer(json!({"name": name})).await;
        let path = path_of(&made);
        let grant = json!({"package": "a/lib", "constraint": "^2.0"});
        rig.post(&format!("{path}/packages"), grant)
            .await
            .expect(201);
        (path, token_of(&made))
    };
    let (active, fine) = customer("active").await;
    let narrow = json!({"name": "n", "packages": ["b/*"]});
    let narrow = rig
        .post(&format!("{active}/tokens"), narrow)
        .await
        .expect(201);
    let short = json!({"name": "s", "expires_at": "2026-01-05T12:00:01Z"});
    let short = rig
        .post(&format!("{active}/tokens"), short)
        .await
        .expect(201);
    let (suspended, held) = customer("suspended").await;
    rig.post(&format!("{suspended}/suspend"), json!({}))
        .await
        .expect(200);
    let (expired, over) = customer("expired").await;
    rig.post(&format!("{expired}/expire"), json!({}))
        .await
        .expect(200);
    let (frozen, iced) = customer("frozen").await;
    let versions = json!({"versions": [{"package": "a/lib", "version": "2.0.0"}]});
    rig.post(&format!("{frozen}/freeze"), versions)
        .await
        .expect(200);
    let (deleted, gone) = customer("deleted").await;
    rig.delete(&format!("{deleted}?soft=true"))
        .await
        .expect(204);
    rig.pass(2);

    let cases = [
        (
            "fine",
            fine.as_str(),
            "package=a/lib&version=2.1.0",
            200,
            "ok",
        ),
        ("any version", &fine, "package=a/lib", 200, "ok"),
        ("capitals", &fine, "package=A/Lib&version=v2.1", 200, "ok"),
        (
            "unknown",
            "tok_nobody",
            "package=a/lib",
            401,
            "token_unknown",
        ),
        ("deleted", &gone, "package=a/lib", 401, "token_unknown"),
        (
            "run out",
            &token_of(&short),
            "package=a/lib",
            401,
            "token_expired",
        ),
        (
            "scope",
            &token_of(&narrow),
            "package=a/lib",
            403,
            "token_scope",
        ),
        (
            "not granted",
            &fine,
            "package=a/none",
            403,
            "package_not_granted",
        ),
        (
            "not allowed",
            &fine,
            "package=a/lib&version=3.0.0",
            403,
            "version_not_allowed",
        ),
        (
            "no version",
            &fine,
            "package=a/lib&version=!!",
            403,
            "version_not_allowed",
        ),
        (
            "suspended",
            &held,
            "package=a/lib&version=2.1.0",
            403,
            "customer_suspended",
        ),
        (
            "expired",
            &over,
            "package=a/lib&version=2.1.0",
            403,
            "customer_expired",
        ),
        (
            "frozen to it",
            &iced,
            "package=a/lib&version=2.0",
            200,
            "ok",
        ),
        (
            "frozen",
            &iced,
            "package=a/lib&version=2.1.0",
            403,
            "version_not_frozen",
        ),
    ];
    for (description, token, query, status, code) in cases {
        let answer = check(&rig, token, query).await;
        assert_eq!(answer.status, status, "{description}: {}", answer.body);
        assert_eq!(answer.body["code"], code, "{description}");
        assert_eq!(answer.body["allowed"], status == 200, "{description}");
        assert_eq!(answer.header("x-tollgate-code"), code, "{description}");
        let challenged = answer.headers.contains_key("www-authenticate");
        assert_eq!(challenged, status == 401, "{description}");
        if code == "token_unknown" {
            assert_eq!(answer.body["customer_id"], json!(null), "{description}");
        } else {
            let id = answer.body["customer_id"].as_str().unwrap();
            assert_eq!(answer.header("x-tollgate-customer-id"), id, "{description}");
            assert_eq!(
                answer.header("x-tollgate-status"),
                answer.body["status"],
                "{description}"
            );
        }
    }
}

async fn a_token_comes_by_basic_or_bearer(engine: Engine) {
    let rig = Rig::start(engine).await;
    let made = rig.customer(json!({"name": "Acme"})).await;
    rig.post(
        &format!("{}/packages", path_of(&made)),
        json!({"package": "a/lib"}),
    )
    .await
    .expect(201);
    let token = token_of(&made);
    let path = "/access?package=a/lib&version=1.0";
    for (credentials, status) in [
        (basic(&token), 200),
        (format!("bearer {token}"), 200),
        (basic("tok_other"), 401),
        ("Basic !!!".to_owned(), 401),
        ("Digest x".to_owned(), 401),
    ] {
        let answer = rig
            .send("GET", path, &[("authorization", &credentials)], None)
            .await;
        assert_eq!(answer.status, status, "{credentials}");
    }
    assert_eq!(rig.send("GET", path, &[], None).await.status, 401);
    check(&rig, &token, "").await.refused(422, "query_invalid");
    // A misspelt `version` must not mean every version.
    let misspelt = "package=a/lib&versoin=3.0";
    check(&rig, &token, misspelt)
        .await
        .refused(422, "query_invalid");
}

async fn a_plan_opens_packages_and_a_freeze_keeps_what_was_out(engine: Engine) {
    let rig = Rig::start(engine).await;
    let plan = json!({"packages": [{"package": "a/lib", "constraint": "^1.0"}]});
    rig.put("/plans/stripe/price_basic", plan).await.expect(201);
    let releases = json!({"releases": [
        {"version": "1.0.0", "released_at": "2025-06-01T00:00:00Z"},
        {"version": "1.1.0", "released_at": "2026-01-05T11:59:00Z"},
        {"version": "2.0.0", "released_at": "2025-06-01T00:00:00Z"},
        {"version": "1.2.0", "released_at": "2026-01-05T12:00:00Z"},
    ]});
    rig.post("/packages/a/lib/releases", releases)
        .await
        .expect(201);
    let account = stripe_customer("cus_1", "one@x.com");
    rig.happens(&stripe_event(
        "evt_1",
        "customer.created",
        NOW - 90,
        account,
    ))
    .await;
    let paid = stripe_subscription("sub_1", "cus_1", "active");
    rig.happens(&stripe_event(
        "evt_2",
        "customer.subscription.created",
        NOW - 80,
        paid,
    ))
    .await;
    let customer = rig.get("/customers/by-external/cus_1").await.expect(200);
    let path = path_of(&customer);
    let made = rig
        .post(&format!("{path}/tokens"), json!({"name": "ci"}))
        .await
        .expect(201);
    let token = token_of(&made);
    check(&rig, &token, "package=a/lib&version=1.2.0")
        .await
        .expect(200);

    let mut ended = stripe_subscription("sub_1", "cus_1", "canceled");
    ended["ended_at"] = json!(NOW - 30);
    rig.happens(&stripe_event(
        "evt_3",
        "customer.subscription.deleted",
        NOW - 30,
        ended,
    ))
    .await;
    let frozen = rig.get(&path).await.expect(200);
    assert_eq!(frozen["status"], "frozen", "{frozen}");
    let kept = json!([
        {"package": "a/lib", "version": "1.0.0"}, {"package": "a/lib", "version": "1.1.0"}
    ]);
    assert_eq!(frozen["frozen_versions"], kept);
    for (version, code) in [
        ("1.0.0", "ok"),
        ("1.1.0", "ok"),
        ("1.2.0", "version_not_frozen"),
        ("1.3.0", "version_not_frozen"),
        ("2.0.0", "version_not_allowed"),
    ] {
        let answer = check(&rig, &token, &format!("package=a/lib&version={version}")).await;
        assert_eq!(answer.body["code"], code, "{version}");
        let admin = format!("{path}/access?package=a/lib&version={version}");
        assert_eq!(rig.get(&admin).await.expect(200)["code"], code, "{version}");
    }

    let bearer = format!("Bearer {token}");
    let all = rig
        .send(
            "GET",
            "/access/packages",
            &[("authorization", &bearer)],
            None,
        )
        .await;
    let all = all.expect(200);
    assert_eq!(
        extents(&all),
        json!({"a/lib": {"versions": ["1.0.0", "1.1.0"]}})
    );
}

async fn frozen_without_known_releases_is_flagged_and_reaches_nothing(engine: Engine) {
    let rig = Rig::start(engine).await;
    let made = rig.customer(json!({"name": "Acme"})).await;
    let path = path_of(&made);
    rig.post(&format!("{path}/packages"), json!({"package": "a/lib"}))
        .await
        .expect(201);
    let frozen = rig
        .post(&format!("{path}/freeze"), json!({}))
        .await
        .expect(200);
    assert_eq!(frozen["frozen_versions"], json!([]));
    let flag = &frozen["flags"][0];
    assert_eq!(flag["kind"], "releases_unknown");
    assert_eq!(
        (&flag["subject"], &flag["at"]),
        (&json!("a/lib"), &Value::Null)
    );
    let answer = check(&rig, &token_of(&made), "package=a/lib&version=1.0").await;
    assert_eq!(answer.body["code"], "version_not_frozen");
}

async fn everything_that_a_token_may_have_is_listed(engine: Engine) {
    let rig = Rig::start(engine).await;
    let made = rig.customer(json!({"name": "Acme"})).await;
    let path = path_of(&made);
    let grants = json!({"packages": [{"package": "a/lib", "constraint": "^1 || ^2"}, {"package": "b/tool"}]});
    rig.put(&format!("{path}/packages"), grants)
        .await
        .expect(200);
    let narrow = json!({"name": "n", "packages": ["a/*"], "scope": "install"});
    let narrow = rig
        .post(&format!("{path}/tokens"), narrow)
        .await
        .expect(201);
    let list = async |token: &str| {
        let credentials = basic(token);
        rig.send(
            "GET",
            "/access/packages",
            &[("authorization", &credentials)],
            None,
        )
        .await
    };
    let all = list(&token_of(&made)).await.expect(200);
    let expected = json!({"a/lib": {"constraint": "^1 || ^2"}, "b/tool": {"constraint": "*"}});
    assert_eq!(extents(&all), expected);
    let some = list(&token_of(&narrow)).await.expect(200);
    assert_eq!(extents(&some), json!({"a/lib": {"constraint": "^1 || ^2"}}));
    assert_eq!(some["scope"], "install");

    assert_eq!(list("tok_nobody").await.status, 401);
    rig.post(&format!("{path}/suspend"), json!({}))
        .await
        .expect(200);
    let refused = list(&token_of(&made)).await;
    assert_eq!(
        (refused.status, &refused.body["code"]),
        (403, &json!("customer_suspended"))
    );
}

on_both_stores! {
    each_code_has_its_status_and_stands_in_the_headers,
    a_token_comes_by_basic_or_bearer,
    a_plan_opens_packages_and_a_freeze_keeps_what_was_out,
    frozen_without_known_releases_is_flagged_and_reaches_nothing,
    everything_that_a_token_may_have_is_listed,
}
