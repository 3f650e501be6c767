//! The two text formats, and what the linter of Prometheus says.

use std::io::Write;
use std::process::{Command, Stdio};

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use tollgate::provider::STRIPE;

use super::rig::scrape;
use super::sign_up;
use crate::support::stores::Engine;
use crate::support::{ADMIN_TOKEN, TestServer};

/// What Prometheus 2 and 3 send.
const OF_PROMETHEUS: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
    application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;q=0.3,\
    text/plain;version=0.0.4;q=0.2,/;q=0.1";

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_gets_openmetrics_and_others_the_older_text() {
    let server = TestServer::start(Engine::Sqlite).await;
    server.deliver(STRIPE.name, &sign_up(1)).await;
    let plain = "text/plain; version=0.0.4; charset=utf-8";
    let open = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    for (accept, expected) in [
        (None, plain),
        (Some("*/*"), plain),
        (Some(OF_PROMETHEUS), open),
    ] {
        let mut request = server.client.get(format!("{}/metrics", server.base));
        if let Some(accept) = accept {
            request = request.header(ACCEPT, accept);
        }
        let answer = request.bearer_auth(ADMIN_TOKEN).send().await.unwrap();
        assert_eq!(answer.headers()[CONTENT_TYPE], expected, "{accept:?}");
        let text = answer.text().await.unwrap();
        assert_eq!(text.ends_with("# EOF\n"), expected == open, "{text}");
        // Their words for a counter differ.
        let counter = "# TYPE tollgate_event_retries counter";
        assert_eq!(text.contains(counter), expected == open, "{text}");
        let sample = "\ntollgate_event_retries_total{provider=\"stripe\"} 0\n";
        assert!(text.contains(sample), "{text}");
    }
    server.stop().await;
}

/// Each family is described once, and in one place: a parser takes the second for another.
#[tokio::test(flavor = "multi_thread")]
async fn each_figure_is_described_once() {
    let server = TestServer::start(Engine::Sqlite).await;
    server.deliver(STRIPE.name, &sign_up(1)).await;
    let (_, text) = scrape(&server.base, Some(ADMIN_TOKEN)).await;
    let mut described = Vec::new();
    let mut current = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            current = rest.split(' ').next().unwrap().to_owned();
            assert!(!described.contains(&current), "{current} twice");
            described.push(current.clone());
        } else if !line.starts_with('#') {
            assert!(line.starts_with(&current), "{line} under {current}");
        } else {
            let (_, help) = line.split_once("# HELP ").unwrap();
            assert!(help.ends_with('.') && !help.ends_with(".."), "{help}");
        }
    }
    assert!(described.len() > 25, "{described:?}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs promtool: deploy/dev/test --slow"]
async fn the_linter_of_prometheus_has_no_complaint() {
    let server = TestServer::start(Engine::Sqlite).await;
    server.deliver(STRIPE.name, &sign_up(1)).await;
    let (_, text) = scrape(&server.base, Some(ADMIN_TOKEN)).await;
    let mut linter = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    linter
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let said = linter.wait_with_output().unwrap();
    let complaints = [said.stdout, said.stderr].concat();
    let complaints = String::from_utf8_lossy(&complaints);
    assert!(
        said.status.success() && complaints.is_empty(),
        "{complaints}"
    );
    server.stop().await;
}
