//! Requests as bytes, and what the store holds.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::{ADMIN_TOKEN, TestServer};

/// A request and its answer.
#[derive(Clone)]
pub(super) struct Row {
    pub(super) what: String,
    pub(super) request: Vec<u8>,
    pub(super) status: u16,
    /// The code of the refusal; empty if the answer has no body, or is none.
    pub(super) code: &'static str,
}

/// A request that is written as it is. `Connection: close` has to be in it.
pub(super) fn raw(what: &str, request: impl AsRef<[u8]>, status: u16, code: &'static str) -> Row {
    Row {
        what: what.to_owned(),
        request: request.as_ref().to_vec(),
        status,
        code,
    }
}

/// A request of these headers, with the length of its body.
pub(super) fn request(line: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{line} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    if !body.is_empty() || line.starts_with("POST") {
        let length = body.len().to_string();
        head.extend(["Content-Length: ", &length, "\r\n"]);
    }
    [head.as_bytes(), b"\r\n", body].concat()
}

/// The value of `Authorization` of the owner of everything.
pub(super) fn owner() -> String {
    format!("Bearer {ADMIN_TOKEN}")
}

/// A call of the admin API, as JSON if it has a body.
pub(super) fn call(line: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let owner = owner();
    let json = ("Content-Type", "application/json");
    request(line, &[("Authorization", &owner), json], body.as_ref())
}

/// Sends a request; status and code. No request may go without an answer.
pub(super) async fn ask(server: &TestServer, row: &Row) -> (u16, String) {
    let address = server.base.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    // What is refused early may be cut off before all of it was written.
    let _ = stream.write_all(&row.request).await;
    let mut bytes = Vec::new();
    let reading = stream.read_to_end(&mut bytes);
    let read = timeout(Duration::from_secs(20), reading).await;
    read.expect(&row.what).expect(&row.what);
    let text = String::from_utf8_lossy(&bytes);
    let text = text
        .strip_prefix("HTTP/1.1 100 Continue\r\n\r\n")
        .unwrap_or(&text);
    let (head, body) = text.split_once("\r\n\r\n").expect(&row.what);
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let code = if body.is_empty() {
        String::new()
    } else {
        let body: Value = serde_json::from_str(body).expect(&row.what);
        body["code"].as_str().unwrap_or_default().to_owned()
    };
    (status, code)
}

/// Makes a customer with something of everything; its path.
pub(super) async fn known(server: &TestServer) -> String {
    let body = json!({"name": "Known", "email": "known@example.com"});
    let (status, made) = server.call("POST", "/api/v1/customers", Some(body)).await;
    assert_eq!(status, 201, "{made}");
    format!("/api/v1/customers/{}", made["id"].as_str().unwrap())
}

/// The number of rows of each table, except of idempotency keys, whose refusals are answers too.
pub(super) async fn rows_of(server: &TestServer) -> Vec<(&'static str, i64)> {
    let tables = [
        "apps",
        "customers",
        "accounts",
        "subscriptions",
        "payments",
        "events",
        "audit",
        "flags",
        "tokens",
        "grants",
        "plans",
        "releases",
        "licenses",
        "admin_tokens",
        "endpoint_secrets",
        "messages",
        "replays",
    ];
    let mut counts = Vec::new();
    for table in tables {
        let sql = format!("SELECT COUNT(*) FROM {table}");
        counts.push((table, server.place.count(&sql, &sql).await));
    }
    counts
}
