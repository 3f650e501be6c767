//! How many things there can be, and how long their texts.

use serde_json::{Value, json};

use tollgate::domain::access::release::Release;
use tollgate::domain::access::versions::Scheme;
use tollgate::domain::id::AppSlug;
use tollgate::domain::time::Timestamp;
use tollgate::pipeline::order::Order;
use tollgate::pipeline::releases;
use tollgate::store::Actor;

use crate::support::TestServer;
use crate::support::stores::{Engine, TestStore, on_both_stores};

on_both_stores!(
    one_customer_has_a_bounded_number_of_tokens_and_packages,
    one_package_has_a_bounded_number_of_releases,
    apps_plans_licences_and_admin_tokens_are_bounded,
    texts_that_every_check_reads_are_short,
    a_cursor_of_no_list_is_refused,
    of_a_repository_with_too_many_releases_the_newest_are_kept,
);

async fn post(server: &TestServer, path: &str, body: Value) -> (u16, Value) {
    server
        .call("POST", &format!("/api/v1{path}"), Some(body))
        .await
}

/// Posts what must be refused with this code, and a sentence that says what to do.
async fn refused(server: &TestServer, path: &str, body: Value, code: &str) {
    let (status, problem) = post(server, path, body).await;
    assert_eq!((status, &problem["code"]), (409, &json!(code)), "{problem}");
    assert_ne!(problem["detail"], "");
}

async fn customer(server: &TestServer) -> String {
    let (status, made) = post(server, "/customers", json!({"name": "Known"})).await;
    assert_eq!(status, 201, "{made}");
    format!("/customers/{}", made["id"].as_str().unwrap())
}

fn packages(number: usize) -> Value {
    (0..number)
        .map(|n| json!({"package": format!("acme/p{n}")}))
        .collect()
}

async fn one_customer_has_a_bounded_number_of_tokens_and_packages(engine: Engine) {
    let server = TestServer::start(engine).await;
    let path = customer(&server).await;
    let tokens = format!("{path}/tokens");
    // It was made with one.
    let mut last = Value::Null;
    for n in 1..100 {
        let (status, made) = post(&server, &tokens, json!({"name": format!("t{n}")})).await;
        assert_eq!(status, 201, "{n}: {made}");
        last = made;
    }
    refused(&server, &tokens, json!({"name": "more"}), "tokens_too_many").await;
    let last = format!("/api/v1{tokens}/{}", last["id"].as_str().unwrap());
    assert_eq!(server.call("DELETE", &last, None).await.0, 204);
    assert_eq!(post(&server, &tokens, json!({"name": "more"})).await.0, 201);

    let granted = format!("{path}/packages");
    let all = Some(json!({"packages": packages(1_000)}));
    let (status, answer) = server.call("PUT", &format!("/api/v1{granted}"), all).await;
    assert_eq!(status, 200, "{answer}");
    let known = json!({"package": "acme/p7", "constraint": "^2.0"});
    assert_eq!(post(&server, &granted, known).await.0, 200, "no new one");
    let more = json!({"package": "acme/more"});
    refused(&server, &granted, more, "packages_too_many").await;
    server.stop_and_give_back().await;
}

async fn one_package_has_a_bounded_number_of_releases(engine: Engine) {
    let server = TestServer::start(engine).await;
    let path = "/packages/acme/tool/releases";
    for thousand in 0..10 {
        let version = |n| json!({"version": format!("{thousand}.{n}")});
        let releases: Value = (0..1_000).map(version).collect();
        let (status, answer) = post(&server, path, json!({"releases": releases})).await;
        assert_eq!(status, 201, "{answer}");
    }
    let known = json!({"version": "9.999", "released_at": "2026-01-01T00:00:00Z"});
    assert_eq!(post(&server, path, known).await.0, 200, "no new one");
    refused(
        &server,
        path,
        json!({"version": "10.0"}),
        "releases_too_many",
    )
    .await;
    server.stop_and_give_back().await;
}

/// The numbers from one on, in the form that both engines read.
fn numbers(most: u32) -> String {
    format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {most}) INSERT INTO"
    )
}

async fn apps_plans_licences_and_admin_tokens_are_bounded(engine: Engine) {
    let server = TestServer::start(engine).await;
    let place = &server.place;
    let apps = format!(
        "{} apps (slug, name, policy, settings, created_at) \
         SELECT 'app-' || i, name, policy, settings, created_at FROM n, apps",
        numbers(9_999)
    );
    place.try_run(&apps).await.unwrap();
    let app = json!({"slug": "more", "name": "More"});
    refused(&server, "/apps", app, "apps_too_many").await;

    let plan = |id: &str| format!("/api/v1/plans/stripe/{id}");
    let body = || Some(json!({"packages": []}));
    assert_eq!(server.call("PUT", &plan("first"), body()).await.0, 201);
    let plans = format!(
        "{} plans (app, provider, price_id, packages, licenses, counts, source, updated_at) \
         SELECT app, provider, 'p' || i, packages, licenses, counts, source, updated_at \
         FROM n, plans WHERE price_id = 'first'",
        numbers(4_999)
    );
    place.try_run(&plans).await.unwrap();
    let (status, problem) = server.call("PUT", &plan("more"), body()).await;
    assert_eq!((status, &problem["code"]), (409, &json!("plans_too_many")));
    assert_eq!(server.call("PUT", &plan("first"), body()).await.0, 200);

    let id = customer(&server).await;
    let id = id.strip_prefix("/customers/").unwrap();
    let licence = || json!({"customer_id": id, "product": "tool"});
    assert_eq!(post(&server, "/licenses", licence()).await.0, 201);
    let licences = format!(
        "{} licenses (id, app, customer_id, product, key_hash, key_made, sealed_key, metadata, \
         created_at) \
         SELECT 'l' || i, app, customer_id, product, CAST(CAST(i AS TEXT) AS {{bytes}}), key_made, \
         sealed_key, metadata, created_at FROM n, licenses",
        numbers(9_999)
    );
    let licences = |bytes| licences.replace("{bytes}", bytes);
    place.run(&licences("BLOB"), &licences("BYTEA")).await;
    refused(&server, "/licenses", licence(), "licenses_too_many").await;

    let token = json!({"name": "more", "role": "viewer"});
    assert_eq!(post(&server, "/admin-tokens", token.clone()).await.0, 201);
    let tokens = |hash: &str| {
        format!(
            "{} admin_tokens (id, name, role, hash, prefix, created_at) \
             SELECT 't' || i, name, role, {hash}, prefix, created_at FROM n, admin_tokens",
            numbers(999)
        )
    };
    let postgres = tokens("sha256(CAST(CAST(i AS TEXT) AS BYTEA))");
    place.run(&tokens("randomblob(32)"), &postgres).await;
    refused(&server, "/admin-tokens", token, "admin_tokens_too_many").await;
    server.stop().await;
}

async fn texts_that_every_check_reads_are_short(engine: Engine) {
    let server = TestServer::start(engine).await;
    let path = customer(&server).await;
    let version = |length: usize| format!("1.0+{}", "a".repeat(length - 4));
    let constraint = |length: usize| format!("dev-{}", "a".repeat(length - 4));
    let fault = |problem: &Value| problem["errors"][0]["field"].clone();
    let releases = "/packages/acme/tool/releases";
    let (status, problem) = post(&server, releases, json!({"version": version(256)})).await;
    assert_eq!((status, fault(&problem)), (422, json!("version")));
    assert_eq!(
        post(&server, releases, json!({"version": version(255)}))
            .await
            .0,
        201
    );
    let frozen = json!({"versions": [{"package": "acme/tool", "version": version(256)}]});
    let (status, problem) = post(&server, &format!("{path}/freeze"), frozen).await;
    assert_eq!(
        (status, fault(&problem)),
        (422, json!("versions[0].version"))
    );
    let grant = |length| json!({"package": "acme/tool", "constraint": constraint(length)});
    let packages = format!("{path}/packages");
    let (status, problem) = post(&server, &packages, grant(1_025)).await;
    assert_eq!((status, fault(&problem)), (422, json!("constraint")));
    assert_eq!(post(&server, &packages, grant(1_024)).await.0, 201);
    let tried =
        |bounds: usize| json!({"constraint": vec![">1"; bounds].join(" "), "versions": ["2"]});
    let (status, problem) = post(&server, "/constraints/evaluate", tried(2_049)).await;
    assert_eq!(
        (status, &problem["code"]),
        (422, &json!("constraint_invalid"))
    );
    let message = problem["errors"][0]["message"].as_str().unwrap();
    assert!(message.contains("2048 bounds"), "{message}");
    assert_eq!(
        post(&server, "/constraints/evaluate", tried(2_048)).await.0,
        200
    );
    server.stop_and_give_back().await;
}

async fn a_cursor_of_no_list_is_refused(engine: Engine) {
    let server = TestServer::start(engine).await;
    for list in ["customers", "events", "audit", "admin-tokens", "licenses"] {
        for cursor in [
            "x",
            "cust_1",
            "-",
            "%25",
            "9999999999999999999999",
            "' OR 1=1 --",
        ] {
            let cursor = cursor.replace(' ', "%20");
            let (status, problem) = server.get(&format!("/api/v1/{list}?cursor={cursor}")).await;
            let found = (status, &problem["errors"][0]["field"]);
            assert_eq!(found, (422, &json!("cursor")), "{list} {cursor}: {problem}");
        }
        let (status, first) = server.get(&format!("/api/v1/{list}?cursor=")).await;
        assert_eq!(status, 200, "{list}: {first}");
    }
    server.stop_and_give_back().await;
}

async fn of_a_repository_with_too_many_releases_the_newest_are_kept(engine: Engine) {
    let now = Timestamp::from_seconds(1_790_000_000).unwrap();
    let TestStore {
        store,
        place: _place,
    } = TestStore::new(engine, now).await;
    let order = Order {
        app: AppSlug::default_app(),
        actor: Actor::Root,
        now,
        reason: None,
    };
    let release = |n: i64| {
        let at = Timestamp::from_seconds(n).unwrap();
        Release::new(Scheme::Composer, "acme/tool", &format!("1.{n}"), at).unwrap()
    };
    let first: Vec<Release> = (1..10_000).map(release).collect();
    let noted = releases::note(&store, &order, "acme/tool", first).await;
    assert_eq!(noted.unwrap(), 9_999);
    let more = vec![release(10_000), release(10_002), release(10_001)];
    let noted = releases::note(&store, &order, "acme/tool", more.clone()).await;
    assert_eq!(noted.unwrap(), 1);
    let noted = releases::note(&store, &order, "acme/tool", more).await;
    assert_eq!(noted.unwrap(), 0);
    let kept = releases::list(&store, &order.app, "acme/tool".to_owned()).await;
    let kept = kept.unwrap();
    assert_eq!((kept.len(), kept[0].version.as_str()), (10_000, "1.10002"));
}
