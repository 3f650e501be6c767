//! What one connection or one address can take.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tollgate::domain::customer::profile::ProfileChange;
use tollgate::domain::id::AppSlug;
use tollgate::http::Limits;
use tollgate::pipeline::customers::{self, SameEmail};
use tollgate::pipeline::order::Order;
use tollgate::store::Actor;

use crate::receiver::rig::{Answer, NOW, ROOT, Rig, at};

/// Sends a head as it is; status and code, which is empty if the answer has no body.
async fn head(rig: &Rig, text: &str) -> (u16, String) {
    let mut stream = rig.connect().await;
    // What is far too large may be cut off before all of it was written.
    let _ = stream.write_all(text.as_bytes()).await;
    let answer = Answer::read(&mut stream).await;
    if answer.body.is_empty() || answer.status == 200 {
        return (answer.status, String::new());
    }
    answer.problem()
}

#[tokio::test]
async fn the_head_of_a_request_is_bounded() {
    let rig = Rig::start().await;
    let end = "Connection: close\r\n\r\n";
    let lines = |number: usize, size: usize| -> String {
        let line = |n| format!("X-{n}: {}\r\n", "x".repeat(size));
        (0..number).map(line).collect()
    };
    let long = format!(
        "GET /healthz?{} HTTP/1.1\r\nHost: t\r\n{end}",
        "x".repeat(8_200)
    );
    let fitting = format!(
        "GET /readyz?{} HTTP/1.1\r\nHost: t\r\n{end}",
        "x".repeat(8_000)
    );
    let with = |more: String| format!("GET /healthz HTTP/1.1\r\nHost: t\r\n{more}{end}");
    let cases = [
        ("a long address", long, 414, "uri_too_long"),
        ("one that fits", fitting, 200, ""),
        (
            "32 KiB of headers",
            with(lines(33, 1_000)),
            431,
            "headers_too_large",
        ),
        ("31 KiB", with(lines(31, 1_000)), 200, ""),
        (
            "one large header",
            with(lines(1, 40_000)),
            431,
            "headers_too_large",
        ),
        ("90 headers", with(lines(90, 1)), 200, ""),
        ("more than a hundred", with(lines(101, 1)), 431, ""),
    ];
    for (what, text, status, code) in cases {
        let expected = (status, code.to_owned());
        assert_eq!(head(&rig, &text).await, expected, "{what}");
    }
}

#[tokio::test]
async fn a_request_names_one_host() {
    let rig = Rig::start().await;
    let refused = (400, "host_invalid".to_owned());
    let taken = (200, String::new());
    for (lines, expected) in [
        ("HTTP/1.1\r\nHost: t", &taken),
        ("HTTP/1.1\r\nHost: t:8080", &taken),
        ("HTTP/1.1\r\nHost:", &taken),
        ("HTTP/1.1", &refused),
        ("HTTP/1.1\r\nHost: t\r\nHost: t", &refused),
        ("HTTP/1.1\r\nHost: t\r\nhost: u", &refused),
        ("HTTP/1.1\r\nHost: t u", &refused),
        ("HTTP/1.1\r\nHost: t/u", &refused),
        ("HTTP/1.1\r\nHost: me@t", &refused),
        ("HTTP/1.0", &taken),
        ("HTTP/1.0\r\nHost: t\r\nHost: t", &refused),
    ] {
        let text = format!("GET /healthz {lines}\r\nConnection: close\r\n\r\n");
        assert_eq!(head(&rig, &text).await, *expected, "{lines}");
    }
    // With a body that is on its way, the sender still sees the answer.
    let body = vec![b' '; 512 * 1024];
    let mut stream = rig.connect().await;
    let text = format!(
        "POST /webhooks/stripe HTTP/1.1\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(text.as_bytes()).await.unwrap();
    stream.write_all(&body).await.unwrap();
    assert_eq!(Answer::read(&mut stream).await.problem(), refused);
}

/// Makes a customer; its token.
async fn token(rig: &Rig) -> String {
    let order = Order {
        app: AppSlug::default_app(),
        actor: Actor::Root,
        now: at(NOW),
        reason: None,
    };
    let profile: ProfileChange = serde_json::from_value(json!({"name": "Known"})).unwrap();
    let created = customers::create(&rig.store, &order, &profile, SameEmail::Refused).await;
    created.unwrap().token.expose().to_owned()
}

/// Asks with a token; the status, or nothing if no answer came.
async fn asks(rig: &Rig, path: &str, token: &str, patience: Duration) -> Option<u16> {
    let text = format!(
        "GET {path} HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer {token}\r\n\
         Connection: close\r\n\r\n"
    );
    let mut stream = rig.connect().await;
    stream.write_all(text.as_bytes()).await.unwrap();
    let answer = timeout(patience, Answer::read(&mut stream)).await;
    answer.ok().map(|answer| answer.status)
}

#[tokio::test]
async fn wrong_tokens_at_the_access_check_wait_and_right_ones_do_not() {
    let limits = Limits {
        wrong_token_wait: Duration::from_hours(1),
        wrong_tokens_waiting: 4,
        ..Limits::default()
    };
    let rig = Rig::with(limits, &[]).await;
    let right = token(&rig).await;
    let (package, all) = ("/access?package=acme/tool", "/access/packages");
    let patience = Duration::from_secs(10);
    for count in 0..100 {
        let path = if count % 2 == 0 { package } else { all };
        assert_eq!(
            asks(&rig, path, "wrong", patience).await,
            Some(401),
            "{count}"
        );
    }
    // From here on refusals are held back; those that hang up give their place to others.
    let mut held = Vec::new();
    for _ in 0..10 {
        let mut stream = rig.connect().await;
        let text = format!(
            "GET {all} HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer wrong\r\n\
             Connection: close\r\n\r\n"
        );
        stream.write_all(text.as_bytes()).await.unwrap();
        held.push(stream);
    }
    let mut waiting = 0;
    for stream in &mut held {
        let brief = Duration::from_millis(500);
        match timeout(brief, Answer::read(stream)).await {
            Ok(answer) => assert_eq!(answer.status, 401),
            Err(_) => waiting += 1,
        }
    }
    assert_eq!(
        waiting, 4,
        "as many as may wait; the others are answered at once"
    );
    for _ in 0..20 {
        assert_eq!(asks(&rig, package, &right, patience).await, Some(403));
        assert_eq!(asks(&rig, all, &right, patience).await, Some(200));
    }
    drop(held);
    let started = Instant::now();
    while asks(&rig, package, "wrong", Duration::from_millis(200))
        .await
        .is_some()
    {
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "no place came free"
        );
    }
}

/// Begins a body for the admin API and keeps its end back.
async fn begin(rig: &Rig, sent: usize) -> TcpStream {
    let mut stream = rig.connect().await;
    let text = format!(
        "POST /api/v1/customers HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer {ROOT}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        sent + 1
    );
    stream.write_all(text.as_bytes()).await.unwrap();
    stream.write_all(&vec![b' '; sent]).await.unwrap();
    stream
}

#[tokio::test]
async fn bodies_of_the_api_share_a_budget_and_give_it_back() {
    const KIB: usize = 1024;
    let limits = Limits {
        body_time: Duration::from_mins(1),
        api_bytes: 1_000 * KIB,
        ..Limits::default()
    };
    let rig = Rig::with(limits, &[]).await;
    let create = async |padding: usize| {
        let body = format!("{}{}", json!({"name": "A"}), " ".repeat(padding));
        let bearer = format!("Bearer {ROOT}");
        let headers = [
            ("Authorization", bearer.as_str()),
            ("Content-Type", "application/json"),
        ];
        rig.post("/api/v1/customers", &headers, body.as_bytes())
            .await
    };
    let held = [begin(&rig, 400 * KIB).await, begin(&rig, 400 * KIB).await];
    let started = Instant::now();
    let refused = loop {
        let answer = create(400 * KIB).await;
        if answer.status != 201 {
            break answer;
        }
        assert!(started.elapsed() < Duration::from_secs(10), "never refused");
    };
    assert_eq!(refused.problem(), (503, "too_many_bodies".to_owned()));
    assert_eq!(refused.header("retry-after"), Some("5"));
    assert_eq!(create(20 * KIB).await.status, 201, "what fits is taken");
    drop(held);
    let started = Instant::now();
    while create(900 * KIB).await.status != 201 {
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "no memory came free"
        );
    }
}

/// The longest question that is allowed: all versions satisfy all bounds, so none is left out.
fn long_question() -> Value {
    let bounds = vec![">=1"; 2_048].join(" ");
    let versions: Vec<String> = (0..10_000).map(|n| format!("2.{n}")).collect();
    json!({"constraint": bounds, "versions": versions})
}

/// On one thread: compared where requests are served, a health check would wait for all of it.
#[tokio::test]
async fn a_long_comparison_of_versions_delays_no_health_check() {
    let rig = Rig::start().await;
    let body = long_question().to_string();
    let bearer = format!("Bearer {ROOT}");
    let headers = [
        ("Authorization", bearer.as_str()),
        ("Content-Type", "application/json"),
    ];
    let evaluating = async {
        let started = Instant::now();
        let answer = rig.post("/api/v1/constraints/evaluate", &headers, body.as_bytes());
        assert_eq!(answer.await.status, 200);
        started.elapsed()
    };
    let mut longest = Duration::ZERO;
    let asking = async {
        loop {
            let started = Instant::now();
            assert_eq!(rig.get("/healthz").await.status, 200);
            longest = longest.max(started.elapsed());
        }
    };
    let whole = tokio::select! {
        whole = evaluating => whole,
        () = asking => unreachable!("it never ends"),
    };
    assert!(longest < whole / 2, "{longest:?} of {whole:?}");
}
