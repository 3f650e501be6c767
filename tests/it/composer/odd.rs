//! Requests and repositories that say something unusual.

use axum::Router;
use axum::http::header::CONTENT_ENCODING;
use serde_json::{Value, json};

use super::Rig;
use super::repository::{Repository, Shape, VERSIONS};
use crate::support::TestServer;
use crate::support::stores::{Engine, on_both_stores};

async fn a_range_that_is_not_honoured_is_no_range(engine: Engine) {
    for over_http in [false, true] {
        let rig = Rig::start(engine, Shape::Plain, over_http).await;
        let (_, token) = rig.customer(&[("acme/tool", "*")]).await;
        let seen = rig.seen(&token, "acme/tool").await;
        let url = seen["1.0.0"]["dist"]["url"].as_str().unwrap();
        let path = url.strip_prefix(&rig.server.base).unwrap();
        let whole = rig.ask(&token, path, &[]).await;
        let tag = whole.header("etag");
        let at = whole.header("last-modified");
        for (headers, status) in [
            (vec![("range", "lines=1-2")], 200),
            (vec![("range", "bytes=0-9,20-29")], 200),
            (vec![("range", "bytes=9-0")], 200),
            (vec![("range", "what")], 200),
            (vec![("range", "bytes=-512")], 206),
            (vec![("if-range", "\"other\"")], 200),
        ] {
            let answer = rig.ask(&token, path, &headers).await;
            assert_eq!(answer.status, status, "{over_http} {headers:?}");
            let bytes = &whole.bytes;
            let expected = if status == 206 {
                &bytes[bytes.len() - 512..]
            } else {
                bytes
            };
            assert_eq!(answer.bytes, expected, "{over_http} {headers:?}");
        }
        // A part counts only for the file that the client knows. The upstream of this test knows no
        // `If-Range`, and what it says is passed on.
        if !over_http {
            for (known, status) in [
                (tag, 206),
                (at, 206),
                ("\"other\"", 200),
                ("Thu, 01 Jan 1970 00:00:00 GMT", 200),
            ] {
                let headers = [("range", "bytes=512-1023"), ("if-range", known)];
                let answer = rig.ask(&token, path, &headers).await;
                assert_eq!(answer.status, status, "{known}");
                let expected = if status == 206 {
                    512
                } else {
                    whole.bytes.len()
                };
                assert_eq!(answer.bytes.len(), expected, "{known}");
            }
            let headers = [
                ("if-none-match", tag),
                ("if-range", tag),
                ("range", "bytes=0-9"),
            ];
            assert_eq!(rig.ask(&token, path, &headers).await.status, 304);
        }
        rig.server.stop().await;
    }
}

async fn customers_never_learn_of_other_ways_to_archives(engine: Engine) {
    let rig = Rig::start(engine, Shape::Inline, false).await;
    let (_, token) = rig.customer(&[("acme/tool", "*")]).await;
    let past = "https://past.example/%package%/%reference%";
    let options = json!({"http": {"header": ["Authorization: Bearer past"]}});
    let version = |number: u8, dist: Value| {
        json!({
            "name": "acme/tool", "version": format!("{number}.0.0"), "dist": dist,
            "transport-options": options,
        })
    };
    let mirrors = json!([{"url": past, "preferred": true}]);
    let archive = "dist/acme/tool/acme-tool-1.0.0+x.tar";
    let whole = json!({
        "packages": {"acme/tool": [
            version(1, json!({"type": "tar", "url": archive, "reference": "x", "mirrors": mirrors})),
            version(2, json!({"type": "tar", "url": "", "mirrors": mirrors})),
            version(3, json!({"type": "tar", "mirrors": mirrors})),
            version(4, json!("https://past.example/4.tar")),
        ]},
        "mirrors": [{"dist-url": past, "git-url": past, "preferred": true}],
    });
    rig.repository.put("packages.json", &whole);
    for path in [
        "packages.json",
        "p2/acme/tool.json",
        "p2/acme/tool~dev.json",
    ] {
        let answer = rig.ask(&token, &format!("/composer/{path}"), &[]).await;
        let text = String::from_utf8(answer.bytes).unwrap();
        assert_eq!(answer.status, 200, "{text}");
        assert!(
            !text.contains("past") && !text.contains("mirrors"),
            "{text}"
        );
    }
    let seen = rig.seen(&token, "acme/tool").await;
    assert_eq!(seen.len(), 4);
    let has_archive = |version: &str| seen[version].contains_key("dist");
    assert!(has_archive("1.0.0") && !has_archive("2.0.0") && !has_archive("4.0.0"));
    rig.server.stop().await;
}

async fn files_may_include_each_other_and_themselves(engine: Engine) {
    let rig = Rig::start(engine, Shape::Satis, false).await;
    let file = rig.repository.path().join("include/all$0123abcd.json");
    let text = std::fs::read_to_string(&file).unwrap();
    let mut whole: Value = serde_json::from_str(&text).unwrap();
    let sum = json!({"sha1": "0123abcd"});
    whole["includes"] = json!({
        "include/all$0123abcd.json": sum, "packages.json": sum, "/include/all$0123abcd.json": sum,
    });
    std::fs::write(&file, whole.to_string()).unwrap();
    let (_, token) = rig.customer(&[("acme/tool", "^1.0")]).await;
    let listed = rig.agreed(&token, "acme/tool").await;
    assert_eq!(listed, ["1.0.0", "1.1.0", "1.x-dev"]);
    rig.server.stop().await;
}

async fn a_repository_of_composer_1_alone_is_named(engine: Engine) {
    let rig = Rig::start(engine, Shape::Plain, false).await;
    let (_, token) = rig.customer(&[("acme/tool", "*")]).await;
    for (old, status) in [
        (
            json!({"provider-includes": {"p/all$%hash%.json": {"sha256": "0"}},
            "providers-url": "/p/%package%$%hash%.json"}),
            503,
        ),
        (json!({"providers-lazy-url": "/p/%package%.json"}), 503),
        (
            json!({"providers-url": "/p/%package%.json", "metadata-url": "/p2/%package%.json"}),
            200,
        ),
        (json!({"providers-url": "", "provider-includes": []}), 404),
    ] {
        let mut root = old.clone();
        root["packages"] = json!([]);
        rig.repository.put("packages.json", &root);
        let answer = rig.ask(&token, "/composer/p2/acme/tool.json", &[]).await;
        assert_eq!(answer.status, status, "{old}");
        let refresh = "/api/v1/packages/refresh";
        let (refreshed, told) = rig.server.call("POST", refresh, None).await;
        assert_eq!(refreshed, if status == 503 { 503 } else { 200 }, "{told}");
    }
    rig.server.stop().await;
}

async fn what_comes_compressed_unasked_is_not_taken_for_something_else(engine: Engine) {
    let router = Router::new().fallback(async || ([(CONTENT_ENCODING, "gzip")], "{}"));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = format!("http://{}/", listener.local_addr().unwrap());
    let upstream = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let server = TestServer::start_with(engine, |environment| {
        environment.insert("TOLLGATE_REPOSITORY".into(), place.into());
    })
    .await;
    let rig = Rig {
        server,
        repository: Repository::new(Shape::Plain, VERSIONS),
        upstream: None,
    };
    let (_, token) = rig.customer(&[("acme/tool", "*")]).await;
    let answer = rig.ask(&token, "/composer/p2/acme/tool.json", &[]).await;
    let code = answer.json()["code"].clone();
    assert_eq!(
        (answer.status, code),
        (503, json!("repository_unavailable"))
    );
    upstream.abort();
    rig.server.stop().await;
}

on_both_stores! {
    a_range_that_is_not_honoured_is_no_range,
    customers_never_learn_of_other_ways_to_archives,
    files_may_include_each_other_and_themselves,
    a_repository_of_composer_1_alone_is_named,
    what_comes_compressed_unasked_is_not_taken_for_something_else,
}
