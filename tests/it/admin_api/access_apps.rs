//! Registries of one app among several.

use serde_json::json;

use super::rig::{Answer, Rig, id_of};
use crate::support::stores::{Engine, on_both_stores};

async fn ask(rig: &Rig, path: &str, token: &str, headers: &[(&str, &str)]) -> Answer {
    let bearer = format!("Bearer {token}");
    let mut all = vec![("authorization", bearer.as_str())];
    all.extend(headers);
    rig.send("GET", path, &all, None).await
}

/// An admin of any app may grant a package of any name.
async fn a_token_of_another_app_is_unknown_where_one_is_asked_for(engine: Engine) {
    let rig = Rig::start(engine).await;
    let other = json!({"slug": "other", "name": "Other"});
    rig.post("/apps", other).await.expect(201);
    let mallory = rig.post("/customers?app=other", json!({"name": "Mallory"}));
    let mallory = mallory.await.expect(201);
    let grant = json!({"package": "acme/forms", "constraint": "*"});
    let path = format!("/customers/{}/packages?app=other", id_of(&mallory));
    rig.post(&path, grant).await.expect(201);
    let token = mallory["token"].as_str().unwrap();

    let query = "package=acme/forms&version=2.0.0";
    for app in ["", "&app=other"] {
        let path = format!("/access?{query}{app}");
        ask(&rig, &path, token, &[]).await.expect(200);
    }
    let file = [("x-original-uri", "/dist/acme/forms/2.0.0.zip")];
    let root = [("x-original-uri", "/packages.json")];
    for (path, headers) in [
        (format!("/access?{query}&app=default"), &[][..]),
        ("/access?app=default".to_owned(), &file),
        ("/access?app=default".to_owned(), &root),
        ("/access/packages?app=default".to_owned(), &[]),
        ("/access/packages?app=nobody".to_owned(), &[]),
    ] {
        let answer = ask(&rig, &path, token, headers).await;
        assert_eq!(answer.status, 401, "{path}: {}", answer.body);
        assert_eq!(answer.body["code"], "token_unknown", "{path}");
        assert_eq!(answer.body["customer_id"], json!(null), "{path}");
    }
    for (path, headers) in [
        ("/access?app=other", &file[..]),
        ("/access?app=other", &root),
        ("/access/packages?app=other", &[]),
    ] {
        ask(&rig, path, token, headers).await.expect(200);
    }
    let wrong = ask(&rig, "/access?app=No%20Slug", token, &file).await;
    wrong.refused(422, "query_invalid");
}

/// What a branch is now says nothing of what it was.
async fn no_date_covers_a_branch(engine: Engine) {
    let rig = Rig::start(engine).await;
    let releases = json!({"releases": [
        {"version": "1.0.0", "released_at": "2025-01-01T00:00:00Z"},
        {"version": "dev-main", "released_at": "2025-01-01T00:00:00Z", "reference": "abc"},
        {"version": "1.x-dev", "released_at": "2025-01-01T00:00:00Z"},
    ]});
    let path = "/packages/acme/forms/releases";
    rig.post(path, releases).await.expect(201);
    let customer = rig.customer(json!({"name": "Ada"})).await;
    let grant = json!({"package": "acme/forms", "constraint": "*"});
    let path = format!("/customers/{}", id_of(&customer));
    rig.post(&format!("{path}/packages"), grant)
        .await
        .expect(201);
    let token = customer["token"].as_str().unwrap();
    let of = |version: &str| format!("/access?package=acme/forms&version={version}");
    for version in ["1.0.0", "dev-main"] {
        ask(&rig, &of(version), token, &[]).await.expect(200);
    }
    let freeze = json!({"at": "2025-06-01T00:00:00Z"});
    rig.post(&format!("{path}/freeze"), freeze)
        .await
        .expect(200);
    ask(&rig, &of("1.0.0"), token, &[]).await.expect(200);
    for version in ["dev-main", "1.x-dev"] {
        let answer = ask(&rig, &of(version), token, &[]).await;
        assert_eq!(answer.body["code"], "version_not_frozen", "{version}");
    }
    let archive = [("x-original-uri", "/dist/acme/forms/abc.zip")];
    let answer = ask(&rig, "/access", token, &archive).await;
    assert_eq!(answer.status, 403, "{}", answer.body);
    let frozen = rig.get(&path).await.expect(200);
    let kept = json!([{"package": "acme/forms", "version": "1.0.0"}]);
    assert_eq!(frozen["frozen_versions"], kept);
    // U+212A, which Unicode folds to a `k`.
    let answer = ask(&rig, "/access?package=acme/%E2%84%AAit", token, &[]).await;
    assert_eq!(answer.body["code"], "package_not_granted");
}

on_both_stores! {
    a_token_of_another_app_is_unknown_where_one_is_asked_for,
    no_date_covers_a_branch,
}
