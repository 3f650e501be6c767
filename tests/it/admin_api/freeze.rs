//! What a frozen customer reaches: by a date and the known releases, or by a list.

use serde_json::{Value, json};

use super::rig::{Rig, path_of};
use crate::support::stores::{Engine, on_both_stores};

/// A customer with grants by hand; its path and its token.
async fn customer(rig: &Rig) -> (String, String) {
    let made = rig.customer(json!({"name": "Acme"})).await;
    let path = path_of(&made);
    let grants = json!({"packages": [
        {"package": "a/lib", "constraint": "^1.0"}, {"package": "a/new", "constraint": "*"},
    ]});
    rig.put(&format!("{path}/packages"), grants)
        .await
        .expect(200);
    (path, made["token"].as_str().unwrap().to_owned())
}

async fn code(rig: &Rig, token: &str, package: &str, version: &str) -> Value {
    let bearer = format!("Bearer {token}");
    let path = format!("/access?package={package}&version={version}");
    let answer = rig
        .send("GET", &path, &[("authorization", &bearer)], None)
        .await;
    answer.body["code"].clone()
}

fn flags(customer: &Value) -> Vec<String> {
    let flags = customer["flags"].as_array().unwrap().iter();
    let told = flags.map(|it| format!("{} {}", it["kind"], it["subject"]).replace('"', ""));
    told.collect()
}

async fn a_date_reaches_what_was_out_by_then_and_granted(engine: Engine) {
    let rig = Rig::start(engine).await;
    let releases = json!({"releases": [
        {"version": "1.0.0", "released_at": "2025-06-01T00:00:00.000Z"},
        {"version": "1.1.0", "released_at": "2025-12-01T00:00:00.000Z"},
        {"version": "1.2.0", "released_at": "2025-12-01T00:00:01.000Z"},
        {"version": "2.0.0", "released_at": "2025-06-01T00:00:00.000Z"},
    ]});
    rig.post("/packages/a/lib/releases", releases)
        .await
        .expect(201);
    let (path, token) = customer(&rig).await;
    let ahead = json!({"at": "2100-01-01T00:00:00.000Z"});
    let refused = rig.post(&format!("{path}/freeze"), ahead).await;
    let refused = refused.refused(422, "body_invalid");
    assert_eq!(refused["errors"][0]["field"], "at", "{refused}");
    let order = json!({"at": "2025-12-01T00:00:00.000Z"});
    let frozen = rig
        .post(&format!("{path}/freeze"), order.clone())
        .await
        .expect(200);
    assert_eq!(frozen["frozen_at"], "2025-12-01T00:00:00.000Z");
    let reached = json!([
        {"package": "a/lib", "version": "1.0.0"}, {"package": "a/lib", "version": "1.1.0"},
    ]);
    assert_eq!(frozen["frozen_versions"], reached);
    assert_eq!(flags(&frozen), ["releases_unknown a/new"]);
    for (package, version, expected) in [
        ("a/lib", "1.1.0", "ok"),
        ("a/lib", "1.2.0", "version_not_frozen"),
        ("a/lib", "2.0.0", "version_not_allowed"),
        ("a/new", "1.0.0", "version_not_frozen"),
        ("a/none", "1.0.0", "package_not_granted"),
    ] {
        assert_eq!(
            code(&rig, &token, package, version).await,
            expected,
            "{package} {version}"
        );
    }
    let again = rig.post(&format!("{path}/freeze"), order).await.expect(200);
    assert_eq!(again["changed"], false);

    // A release that is told late counts from its own date, at once.
    let late = json!({"version": "0.9.0", "released_at": "2025-11-01T00:00:00.000Z"});
    rig.post("/packages/a/new/releases", late).await.expect(201);
    let shown = rig.get(&path).await.expect(200);
    assert_eq!(flags(&shown), [""; 0]);
    assert_eq!(
        shown["frozen_versions"].as_array().unwrap().len(),
        3,
        "{shown}"
    );
    assert_eq!(code(&rig, &token, "a/new", "0.9.0").await, "ok");

    let earlier = json!({"at": "2025-07-01T00:00:00.000Z"});
    let moved = rig
        .post(&format!("{path}/freeze"), earlier)
        .await
        .expect(200);
    assert_eq!(moved["changed"], true);
    assert_eq!(
        moved["frozen_versions"],
        json!([{"package": "a/lib", "version": "1.0.0"}])
    );
    let free = rig
        .post(&format!("{path}/reactivate"), json!({}))
        .await
        .expect(200);
    assert_eq!(
        (&free["status"], &free["frozen_versions"]),
        (&json!("active"), &Value::Null)
    );
    assert_eq!(code(&rig, &token, "a/lib", "1.2.0").await, "ok");
}

async fn a_list_reaches_exactly_its_versions(engine: Engine) {
    let rig = Rig::start(engine).await;
    let (path, token) = customer(&rig).await;
    let list = json!([
        {"package": "b/gone", "version": "3.0.0"},
        {"package": "a/lib", "version": "1.0.1"},
        {"package": "a/lib", "version": "1.0.1"},
    ]);
    let order = json!({"versions": list});
    let frozen = rig
        .post(&format!("{path}/freeze"), order.clone())
        .await
        .expect(200);
    let reached = json!([
        {"package": "a/lib", "version": "1.0.1"}, {"package": "b/gone", "version": "3.0.0"},
    ]);
    assert_eq!(frozen["frozen_versions"], reached);
    assert_eq!(flags(&frozen), [""; 0], "releases are not asked for");
    for (package, version, expected) in [
        ("a/lib", "1.0.1", "ok"),
        ("a/lib", "v1.0.1.0", "ok"),
        ("a/lib", "1.0.0", "version_not_frozen"),
        ("a/new", "1.0.0", "version_not_frozen"),
        ("b/gone", "3.0.0", "ok"),
        ("b/none", "1.0.0", "package_not_granted"),
    ] {
        assert_eq!(
            code(&rig, &token, package, version).await,
            expected,
            "{package} {version}"
        );
    }
    let again = rig.post(&format!("{path}/freeze"), order).await.expect(200);
    assert_eq!(again["changed"], false);
    let none = rig
        .post(&format!("{path}/freeze"), json!({"versions": []}))
        .await
        .expect(200);
    assert_eq!(
        (&none["changed"], &none["frozen_versions"]),
        (&json!(true), &json!([]))
    );
    assert_eq!(
        code(&rig, &token, "a/lib", "1.0.1").await,
        "version_not_frozen"
    );
}

/// The same as a release that is told: nothing of it is kept of the customers.
async fn a_removed_release_is_reached_no_more(engine: Engine) {
    let rig = Rig::start(engine).await;
    for package in ["a/lib", "a/new"] {
        let release = json!({"version": "1.0.0", "released_at": "2025-06-01T00:00:00Z"});
        rig.post(&format!("/packages/{package}/releases"), release)
            .await
            .expect(201);
    }
    let (path, token) = customer(&rig).await;
    let order = json!({"at": "2025-12-01T00:00:00Z"});
    let frozen = rig.post(&format!("{path}/freeze"), order).await.expect(200);
    assert_eq!(flags(&frozen), [""; 0]);
    let known = rig.get("/flags").await.expect(200)["meta"]["total"].clone();
    assert_eq!(known, 0);
    assert_eq!(code(&rig, &token, "a/new", "1.0.0").await, "ok");

    rig.delete("/packages/a/new/releases/1.0.0")
        .await
        .expect(204);
    assert_eq!(
        code(&rig, &token, "a/new", "1.0.0").await,
        "version_not_frozen"
    );
    assert_eq!(code(&rig, &token, "a/lib", "1.0.0").await, "ok");
    let shown = rig.get(&path).await.expect(200);
    assert_eq!(
        shown["frozen_versions"],
        json!([{"package": "a/lib", "version": "1.0.0"}])
    );
    assert_eq!(flags(&shown), ["releases_unknown a/new"]);
}

on_both_stores! {
    a_date_reaches_what_was_out_by_then_and_granted,
    a_list_reaches_exactly_its_versions,
    a_removed_release_is_reached_no_more,
}
