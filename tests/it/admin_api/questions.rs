//! Questions of proxies: in headers, and by the path of the file that somebody wants.

use serde_json::{Value, json};

use super::rig::{Answer, Rig, path_of};
use crate::support::stores::{Engine, on_both_stores};

const COMMIT: &str = "5d41402abc4b2a76b9719d911017c592ae1f3c25";
const NEWER: &str = "7d793037a0760186574b0282f2f435e7000000ff";

async fn ask(rig: &Rig, token: &str, headers: &[(&str, &str)]) -> Answer {
    let bearer = format!("Bearer {token}");
    let mut all = vec![("authorization", bearer.as_str())];
    all.extend(headers);
    rig.send("GET", "/access", &all, None).await
}

async fn customer(rig: &Rig, constraint: &str) -> (String, String) {
    let made = rig.customer(json!({"name": "Ada"})).await;
    let path = path_of(&made);
    let grant = json!({"package": "acme/tool", "constraint": constraint});
    rig.post(&format!("{path}/packages"), grant)
        .await
        .expect(201);
    (path, made["token"].as_str().unwrap().to_owned())
}

/// What Traefik 3 and Caddy 2 send beside the client's own headers.
fn forwarded(uri: &str) -> [(&str, &str); 5] {
    [
        ("x-forwarded-method", "GET"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "packages.example.com"),
        ("x-forwarded-uri", uri),
        ("x-forwarded-for", "198.51.100.7"),
    ]
}

async fn a_proxy_asks_by_the_path_of_a_file(engine: Engine) {
    let rig = Rig::start(engine).await;
    let (path, token) = customer(&rig, "^1.0").await;
    let narrow = json!({"name": "n", "packages": ["other/*"]});
    let narrow = rig
        .post(&format!("{path}/tokens"), narrow)
        .await
        .expect(201);
    let narrow = narrow["token"].as_str().unwrap();
    for (token, uri, behind_nginx, passed_on, code) in [
        (token.as_str(), "/packages.json", 200, 200, "ok"),
        (&token, "/p2/acme/tool.json", 200, 200, "ok"),
        (&token, "/p2/acme/tool~dev.json", 200, 200, "ok"),
        (
            &token,
            "/p2/symfony/console.json",
            403,
            404,
            "package_not_granted",
        ),
        (
            &token,
            "/dist/symfony/console/1.0.0.zip",
            403,
            403,
            "package_not_granted",
        ),
        (&token, "/dist/acme/tool/1.2.0.zip", 200, 200, "ok"),
        (&token, "/dist/acme/tool/1.2.0+build.zip", 200, 200, "ok"),
        (&token, "/dist/acme/tool/1.2.0%2Bbuild.zip", 200, 200, "ok"),
        (
            &token,
            "/dist/acme/tool/2.0.0.zip",
            403,
            403,
            "version_not_allowed",
        ),
        (
            &token,
            "/dist/acme/tool/readme.zip",
            403,
            403,
            "version_not_allowed",
        ),
        (&token, "/a/../packages.json", 422, 422, "question_unclear"),
        (&token, "/include/all.json", 422, 422, "question_unclear"),
        (narrow, "/p2/acme/tool.json", 403, 404, "token_scope"),
        (narrow, "/packages.json", 403, 403, "token_scope"),
        ("tok_wrong", "/p2/acme/tool.json", 401, 401, "token_unknown"),
    ] {
        let original = ask(&rig, token, &[("x-original-uri", uri)]).await;
        assert_eq!(
            (original.status, &original.body["code"]),
            (behind_nginx, &json!(code)),
            "{uri}"
        );
        let forwarded = ask(&rig, token, &forwarded(uri)).await;
        assert_eq!(
            (forwarded.status, &forwarded.body["code"]),
            (passed_on, &json!(code)),
            "{uri}"
        );
        // Composer would print a warning for each public package.
        assert!(passed_on != 404 || forwarded.body.get("warning").is_none());
        if passed_on == 401 {
            assert!(forwarded.headers.contains_key("www-authenticate"));
        }
    }
    // Traefik passes on what else the client sent.
    let mut lines = forwarded("/dist/acme/tool/2.0.0.zip").to_vec();
    lines.push(("x-original-uri", "/dist/acme/tool/1.0.0.zip"));
    ask(&rig, &token, &lines)
        .await
        .refused(422, "question_unclear");
    let nothing = ask(&rig, &token, &[]).await;
    nothing.refused(422, "query_invalid");
}

/// Caddy passes on the client's query, unless it is told not to.
async fn a_query_beside_headers_must_ask_the_same(engine: Engine) {
    let rig = Rig::start(engine).await;
    let (_, token) = customer(&rig, "^1.0").await;
    let bearer = format!("Bearer {token}");
    let beside = async |query: &str, header: (&str, &str)| {
        let lines = [("authorization", bearer.as_str()), header];
        let query = format!("/access?{query}");
        rig.send("GET", &query, &lines, None).await
    };
    let chosen = "package=acme/tool&version=1.0.0";
    for (query, header) in [
        (chosen, ("x-forwarded-uri", "/dist/acme/tool/2.0.0.zip")),
        (chosen, ("x-original-uri", "/dist/acme/tool/2.0.0.zip")),
        (chosen, ("x-forwarded-uri", "/packages.json")),
        (chosen, ("x-forwarded-uri", "/dist/acme/tool//2.0.0.zip")),
        (chosen, ("x-tollgate-package", "acme/tool")),
        ("version=1.0.0", ("x-forwarded-uri", "/p2/acme/tool.json")),
        ("package=", ("x-forwarded-uri", "/p2/acme/tool.json")),
    ] {
        let answer = beside(query, header).await;
        answer.refused(422, "question_unclear");
    }
    // The same twice over, and what a proxy in front of Tollgate says of this request.
    for header in [
        ("x-forwarded-uri", "/dist/acme/tool/1.0.0.zip"),
        ("x-original-uri", "/access?package=acme/tool&version=1.0.0"),
    ] {
        assert_eq!(beside(chosen, header).await.status, 200, "{header:?}");
    }
}

async fn a_version_may_have_a_plus(engine: Engine) {
    let rig = Rig::start(engine).await;
    let (_, token) = customer(&rig, "^1.0").await;
    let bearer = format!("Bearer {token}");
    for version in ["1.2.0+build", "1.2.0%2Bbuild", "1.2.0%20build"] {
        let query = format!("/access?package=acme/tool&version={version}");
        let answer = rig
            .send("GET", &query, &[("authorization", &bearer)], None)
            .await;
        assert_eq!(answer.expect(200)["version"], "1.2.0+build", "{version}");
    }
    let lines = [
        ("x-tollgate-package", "acme/tool"),
        ("x-tollgate-version", "1.2.0+build"),
    ];
    assert_eq!(ask(&rig, &token, &lines).await.status, 200);
}

async fn an_archive_is_known_by_what_it_is_made_of(engine: Engine) {
    let rig = Rig::start(engine).await;
    let (_, token) = customer(&rig, "^1.0").await;
    let releases = "/packages/acme/tool/releases";
    let body = json!({"releases": [
        {"version": "1.0.0", "reference": COMMIT},
        {"version": "2.0.0", "reference": NEWER},
        {"version": "2.1.0"},
    ]});
    let added = rig.post(releases, body).await.expect(201);
    let references: Vec<&Value> = added["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["reference"])
        .collect();
    assert_eq!(references, [&json!(COMMIT), &json!(NEWER), &Value::Null]);
    for (reference, status, version) in [
        (COMMIT, 200, "1.0.0"),
        (NEWER, 403, "2.0.0"),
        ("00000000a0760186574b0282f2f435e7000000ff", 403, ""),
    ] {
        for name in [
            format!("acme-tool-{reference}-zip-abc123.zip"),
            format!("{reference}.tar.gz"),
        ] {
            let uri = format!("/dist/acme/tool/{name}");
            let answer = ask(&rig, &token, &[("x-original-uri", &uri)]).await;
            let body = answer.expect(status);
            if !version.is_empty() {
                assert_eq!(body["version"], version, "{name}");
            }
        }
    }
    // It is kept when a release is announced again without it, and several may have one.
    let again = json!({"version": "v1.0", "released_at": "2026-01-01T00:00:00Z"});
    let again = rig.post(releases, again).await.expect(200);
    assert_eq!(again["reference"], COMMIT);
    let same = json!({"version": "1.5.0", "reference": NEWER});
    rig.post(releases, same).await.expect(201);
    let uri = format!("/dist/acme/tool/{NEWER}.zip");
    let answer = ask(&rig, &token, &[("x-original-uri", &uri)]).await;
    assert_eq!(answer.expect(200)["version"], "1.5.0");
    for odd in ["", "a b", "a\0", &"a".repeat(600)] {
        let odd = json!({"version": "3.0.0", "reference": odd});
        let refused = rig.post(releases, odd).await.expect(422);
        assert_eq!(refused["errors"][0]["field"], "reference", "{refused}");
    }
}

/// Whoever may have nothing is told at once, and not by each of its packages.
async fn a_token_that_is_good_for_nothing_gets_no_root(engine: Engine) {
    let rig = Rig::start(engine).await;
    let root = async |token: &str, expected: (u16, &str, &str)| {
        for name in ["x-original-uri", "x-forwarded-uri"] {
            let answer = ask(&rig, token, &[(name, "/packages.json")]).await;
            let (status, code, sentence) = expected;
            assert_eq!(
                (answer.status, answer.header("x-tollgate-code")),
                (status, code)
            );
            assert_eq!(answer.header("x-tollgate-warning"), sentence);
        }
    };
    let made = rig.customer(json!({"name": "Ada"})).await;
    let (path, token) = (path_of(&made), made["token"].as_str().unwrap());
    let nothing = "Your subscription includes no package.";
    root(token, (403, "package_not_granted", nothing)).await;

    let packages = format!("{path}/packages");
    for package in ["acme/one", "acme/two"] {
        let grant = json!({"package": package, "constraint": "^1.0"});
        rig.post(&packages, grant).await.expect(201);
    }
    root(token, (200, "ok", "")).await;
    let scoped = json!({"name": "n", "packages": ["acme/three", "other/*"]});
    let scoped = rig.post(&format!("{path}/tokens"), scoped).await;
    let scoped = scoped.expect(201)["token"].as_str().unwrap().to_owned();
    let other = "This access token is for no package of your subscription.";
    root(&scoped, (403, "token_scope", other)).await;
    let three = json!({"package": "acme/three"});
    rig.post(&packages, three).await.expect(201);
    root(&scoped, (200, "ok", "")).await;

    let frozen = json!({"versions": [{"package": "acme/two", "version": "1.0.0"}]});
    rig.post(&format!("{path}/freeze"), frozen)
        .await
        .expect(200);
    root(token, (200, "ok", "")).await;
    let left = "Your subscription has left you no version of any package.";
    root(&scoped, (403, "version_not_frozen", left)).await;
    // Nothing was released before the day, so nothing stays.
    rig.post(
        &format!("{path}/freeze"),
        json!({"at": "2020-01-01T00:00:00Z"}),
    )
    .await
    .expect(200);
    root(token, (403, "version_not_frozen", left)).await;

    rig.post(&format!("{path}/reactivate"), json!({}))
        .await
        .expect(200);
    rig.put(&packages, json!({"packages": []}))
        .await
        .expect(200);
    root(token, (403, "package_not_granted", nothing)).await;
}

async fn a_refusal_has_a_sentence(engine: Engine) {
    let rig = Rig::start(engine).await;
    let (path, token) = customer(&rig, "^1.0").await;
    let uri = [("x-original-uri", "/dist/acme/tool/2.0.0.zip")];
    let sentence = "Your subscription does not cover acme/tool 2.0.0.";
    let answer = ask(&rig, &token, &uri).await;
    assert_eq!(answer.headers["x-tollgate-warning"], sentence);
    assert_eq!(answer.expect(403)["warning"], sentence);
    rig.post(&format!("{path}/suspend"), json!({}))
        .await
        .expect(200);
    for uri in [
        "/packages.json",
        "/p2/acme/tool.json",
        "/dist/acme/tool/1.0.0.zip",
    ] {
        let answer = ask(&rig, &token, &[("x-original-uri", uri)]).await;
        let header = answer.headers["x-tollgate-warning"].to_str().unwrap();
        let shown: String = serde_json::from_str(&format!("\"{header}\"")).unwrap();
        let body = answer.body;
        assert!(
            shown.starts_with("Your subscription is suspended: "),
            "{shown}"
        );
        assert_eq!((answer.status, &body["warning"]), (403, &json!(shown)));
    }
}

on_both_stores! {
    a_proxy_asks_by_the_path_of_a_file,
    a_query_beside_headers_must_ask_the_same,
    a_version_may_have_a_plus,
    an_archive_is_known_by_what_it_is_made_of,
    a_token_that_is_good_for_nothing_gets_no_root,
    a_refusal_has_a_sentence,
}
