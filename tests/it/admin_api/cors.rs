//! Calls by pages of other origins, as browsers make them.

use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName};

use crate::support::stores::Engine;
use crate::support::{ADMIN_TOKEN, TestServer};

const PAGE: &str = "https://admin.example.com";

/// What a browser asks before a call that is not a plain one.
async fn preflight(server: &TestServer, origin: &str, path: &str) -> (u16, HeaderMap) {
    let asked = server
        .client
        .request(Method::OPTIONS, format!("{}{path}", server.base))
        .header("origin", origin)
        .header("access-control-request-method", "PATCH")
        .header(
            "access-control-request-headers",
            "authorization,content-type",
        );
    let answer = asked.send().await.unwrap();
    (answer.status().as_u16(), answer.headers().clone())
}

/// The headers that let a page do something.
fn allowed(headers: &HeaderMap) -> Vec<&str> {
    let names = headers.keys().map(HeaderName::as_str);
    names
        .filter(|name| name.starts_with("access-control-"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_named_origins_may_call_the_api() {
    let server = TestServer::start_with(Engine::Sqlite, |environment| {
        let origins = format!("http://localhost:3000, {PAGE}");
        environment.insert("TOLLGATE_CORS_ORIGINS".into(), origins.into());
    })
    .await;
    for path in [
        "/api/v1/customers",
        "/api/v1/customers/x",
        "/api/customers",
        "/access",
    ] {
        let (status, headers) = preflight(&server, PAGE, path).await;
        assert_eq!(status, 200, "{path}");
        assert_eq!(headers["access-control-allow-origin"], PAGE, "{path}");
        let text = |name: &str| headers[name].to_str().unwrap().to_lowercase();
        for method in ["get", "post", "put", "patch", "delete"] {
            assert!(
                text("access-control-allow-methods").contains(method),
                "{path}"
            );
        }
        for name in [
            "authorization",
            "content-type",
            "idempotency-key",
            "if-match",
        ] {
            assert!(
                text("access-control-allow-headers").contains(name),
                "{path}"
            );
        }
        assert_eq!(headers.get("access-control-allow-credentials"), None);
        // Another origin learns nothing, and a browser then makes no call.
        for other in [
            "https://evil.example",
            "null",
            "https://admin.example.com.evil.example",
        ] {
            let (_, headers) = preflight(&server, other, path).await;
            assert_eq!(headers.get("access-control-allow-origin"), None, "{other}");
        }
    }

    // Answers can be read, refusals too, and with them what a client needs of their headers.
    for (token, status) in [(ADMIN_TOKEN, 200), ("wrong", 401)] {
        let asked = server
            .client
            .get(format!("{}/api/v1/customers", server.base));
        let asked = asked.bearer_auth(token).header("origin", PAGE);
        let answer = asked.send().await.unwrap();
        assert_eq!(answer.status(), status);
        let headers = answer.headers();
        assert_eq!(headers["access-control-allow-origin"], PAGE);
        assert!(headers["vary"].to_str().unwrap().contains("origin"));
        let exposed = headers["access-control-expose-headers"].to_str().unwrap();
        for name in [
            "etag",
            "location",
            "retry-after",
            "x-request-id",
            "idempotency-replayed",
        ] {
            assert!(exposed.contains(name), "{name}: {exposed}");
        }
        assert_eq!(headers.get("access-control-allow-credentials"), None);
    }
    server.stop_and_give_back().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_origin_is_named_by_default() {
    let server = TestServer::start(Engine::Sqlite).await;
    for path in ["/api/v1/customers", "/api/customers", "/access"] {
        let (status, headers) = preflight(&server, PAGE, path).await;
        assert_eq!(status, 405, "{path}");
        assert_eq!(allowed(&headers), [""; 0], "{path}");
    }
    let asked = server
        .client
        .get(format!("{}/api/v1/customers", server.base));
    let asked = asked.bearer_auth(ADMIN_TOKEN).header("origin", PAGE);
    let answer = asked.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(allowed(answer.headers()), [""; 0]);
    server.stop_and_give_back().await;
}
