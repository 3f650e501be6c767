//! What the bodies of strangers can take.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tollgate::http::Limits;
use tollgate::provider::STRIPE;

use super::rig::{
    Answer, NOW, PADDLE_SECRET, Rig, STRIPE_SECRET, forged, request, signature, stripe_event,
};

const KIB: usize = 1024;

fn head(path: &str, signature: Option<&str>, length: usize) -> String {
    let signature = signature.map_or_else(String::new, |it| format!("Stripe-Signature: {it}\r\n"));
    format!("POST {path} HTTP/1.1\r\nHost: t\r\n{signature}Content-Length: {length}\r\n\r\n")
}

/// Reads one answer of a connection that stays open; its status and its text.
async fn answer(stream: &mut TcpStream, description: &str) -> (u16, String) {
    let mut text = String::new();
    let mut part = vec![0; 4096];
    // Answers end with their JSON.
    while !text.ends_with('}') {
        let read = timeout(Duration::from_secs(5), stream.read(&mut part)).await;
        let read = read.expect(description).expect(description);
        assert_ne!(read, 0, "{description}: {text}");
        text.push_str(std::str::from_utf8(&part[..read]).unwrap());
    }
    (text[9..12].parse().unwrap(), text)
}

#[tokio::test]
async fn what_the_head_shows_to_be_wrong_is_refused_before_the_body_comes() {
    let limits = Limits {
        body_time: Duration::from_mins(1),
        ..Limits::default()
    };
    let rig = Rig::with(limits, &[]).await;
    let right = signature(STRIPE.name, STRIPE_SECRET, &stripe_event("evt_1"), NOW);
    let paddle = signature(
        tollgate::provider::PADDLE.name,
        PADDLE_SECRET,
        &stripe_event("evt_1"),
        NOW,
    );
    let short = format!("t={NOW},v1=abab");
    let no_hex = format!("t={NOW},v1={}", "xy".repeat(32));
    let huge = format!("{right},x={}", "x".repeat(4 * KIB));
    let stripe = "/webhooks/stripe";
    let cases = [
        ("no header", stripe, None, "signature_missing"),
        ("an empty one", stripe, Some(""), "signature_malformed"),
        (
            "another's form",
            stripe,
            Some(&*paddle),
            "signature_malformed",
        ),
        ("far too long", stripe, Some(&*huge), "signature_malformed"),
        (
            "a short digest",
            stripe,
            Some(&*short),
            "signature_mismatch",
        ),
        ("no hex", stripe, Some(&*no_hex), "signature_mismatch"),
        (
            "no app",
            "/webhooks/nobody/stripe",
            Some(&*right),
            "endpoint_unknown",
        ),
        (
            "no provider",
            "/webhooks/chargebee",
            Some(&*right),
            "endpoint_unknown",
        ),
        (
            "no secret",
            "/webhooks/acme/paddle",
            Some(&*right),
            "endpoint_unknown",
        ),
    ];
    for (description, path, signature, code) in cases {
        let mut stream = rig.connect().await;
        let head = head(path, signature, 100 * KIB);
        stream.write_all(head.as_bytes()).await.unwrap();
        let (_, text) = answer(&mut stream, description).await;
        assert!(
            text.contains(&format!("\"{code}\"")),
            "{description}: {text}"
        );
    }
}

#[tokio::test]
async fn a_refused_sender_can_write_all_of_its_body_and_use_the_connection_again() {
    let rig = Rig::start().await;
    let body = stripe_event("evt_1");
    let mut stream = rig.connect().await;
    for _ in 0..2 {
        let head = head("/webhooks/stripe", None, 1024 * KIB);
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&vec![b' '; 1024 * KIB]).await.unwrap();
        assert_eq!(answer(&mut stream, "unsigned").await.0, 400);
    }
    let header = signature(STRIPE.name, STRIPE_SECRET, &body, NOW);
    let right = head("/webhooks/stripe", Some(&header), body.len());
    stream.write_all(right.as_bytes()).await.unwrap();
    stream.write_all(&body).await.unwrap();
    assert_eq!(answer(&mut stream, "signed").await.0, 200);
}

/// Begins a body with a forged signature and keeps its end back.
async fn begin(rig: &Rig, length: usize, sent: usize) -> TcpStream {
    let mut stream = rig.connect().await;
    let head = head("/webhooks/stripe", Some(&forged()), length);
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![b' '; sent]).await.unwrap();
    stream
}

fn sized(length: usize) -> Vec<u8> {
    let mut event = stripe_event("evt_1");
    event.resize(length, b' ');
    event
}

/// Posts a right event of this size until it has this status: bytes arrive when they do.
async fn until(rig: &Rig, length: usize, status: u16) -> Answer {
    let started = Instant::now();
    loop {
        let answer = rig.post_good(&sized(length)).await;
        if answer.status == status {
            return answer;
        }
        assert!(started.elapsed() < Duration::from_secs(10), "{answer:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn small_budget() -> Limits {
    Limits {
        body_time: Duration::from_mins(1),
        webhook_bytes: 300 * KIB,
        large_bodies: 1,
        large_body_wait: Duration::from_millis(100),
        ..Limits::default()
    }
}

#[tokio::test]
async fn bodies_under_way_share_a_budget_and_give_it_back() {
    let rig = Rig::with(small_budget(), &[]).await;
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(begin(&rig, 60 * KIB, 59 * KIB).await);
    }
    let refused = until(&rig, 20 * KIB, 503).await;
    assert_eq!(refused.problem(), (503, "too_many_bodies".to_owned()));
    assert_eq!(refused.header("retry-after"), Some("5"));
    held.pop();
    until(&rig, 20 * KIB, 200).await;
    // What ends in a refusal is given back too, and so is what ended well.
    let mut last = held.pop().unwrap();
    last.write_all(&[b' '; KIB]).await.unwrap();
    assert_eq!(answer(&mut last, "forged").await.0, 400);
    for _ in 0..50 {
        assert_eq!(rig.post_good(&sized(60 * KIB)).await.status, 200);
    }
}

#[tokio::test]
async fn a_body_that_is_only_announced_takes_nothing() {
    let rig = Rig::with(small_budget(), &[]).await;
    let mut held = Vec::new();
    for _ in 0..50 {
        held.push(begin(&rig, 1024 * KIB, 0).await);
        held.push(begin(&rig, 60 * KIB, 1).await);
    }
    for _ in 0..10 {
        assert_eq!(rig.post_good(&sized(200 * KIB)).await.status, 200);
    }
}

#[tokio::test]
async fn large_bodies_leave_room_for_small_ones() {
    let rig = Rig::with(small_budget(), &[]).await;
    let large = begin(&rig, 200 * KIB, 100 * KIB).await;
    let refused = until(&rig, 100 * KIB, 503).await;
    assert_eq!(refused.problem().1, "too_many_bodies");
    assert_eq!(rig.post_good(&sized(64 * KIB)).await.status, 200, "small");
    drop(large);
    until(&rig, 100 * KIB, 200).await;
}

#[tokio::test]
async fn a_burst_of_large_bodies_waits_for_its_turn() {
    let limits = Limits {
        webhook_bytes: 2048 * KIB,
        large_body_wait: Duration::from_mins(1),
        ..small_budget()
    };
    let rig = Rig::with(limits, &[]).await;
    let body = sized(200 * KIB);
    let header = signature(STRIPE.name, STRIPE_SECRET, &body, NOW);
    let whole = request("/webhooks/stripe", &[("Stripe-Signature", &header)], &body);
    let posts = (0..20).map(|_| async {
        let mut stream = rig.connect().await;
        stream.write_all(&whole).await.unwrap();
        Answer::read(&mut stream).await.status
    });
    let statuses = futures::future::join_all(posts).await;
    assert!(statuses.iter().all(|it| *it == 200), "{statuses:?}");
}
