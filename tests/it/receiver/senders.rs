//! What slow, greedy and failing senders can take, and what a stop leaves of them.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tollgate::http::Limits;
use tollgate::provider::STRIPE;

use super::rig::{
    Answer, NOW, Queue, Rig, STRIPE_SECRET, forged, request, signature, small_limits, stripe_event,
};

#[tokio::test]
async fn a_body_over_one_mebibyte_is_refused_however_it_is_announced() {
    let rig = Rig::start().await;
    let body = vec![b' '; 2 * 1024 * 1024];
    let too_large = (413, "payload_too_large".to_owned());
    assert_eq!(
        rig.post_good(&body).await.problem(),
        too_large,
        "with its length"
    );

    let mut chunked = format!(
        "POST /webhooks/stripe HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\
         Stripe-Signature: {}\r\nConnection: close\r\n\r\n",
        forged()
    )
    .into_bytes();
    // The last chunk, of one byte, is the one too many.
    for chunk in body[..=1024 * 1024].chunks(64 * 1024) {
        chunked.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        chunked.extend_from_slice(chunk);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    let mut stream = rig.connect().await;
    stream.write_all(&chunked).await.unwrap();
    assert_eq!(
        Answer::read(&mut stream).await.problem(),
        too_large,
        "in chunks"
    );

    // The size is judged before anything else, so nobody waits for what is not wanted.
    let claims = [
        (
            "more than is thrown away",
            "Content-Length: 10000000000\r\n",
        ),
        (
            "asks first",
            "Content-Length: 2000000\r\nExpect: 100-continue\r\n",
        ),
    ];
    for (description, lines) in claims {
        let head = format!("POST /webhooks/nobody/stripe HTTP/1.1\r\nHost: t\r\n{lines}\r\n");
        let mut stream = rig.connect().await;
        stream.write_all(head.as_bytes()).await.unwrap();
        let answer = Answer::read(&mut stream).await;
        assert_eq!(answer.problem(), too_large, "{description}");
    }

    let mut largest = stripe_event("evt_1");
    largest.resize(1024 * 1024, b' ');
    assert_eq!(
        rig.post_good(&largest).await.status,
        200,
        "exactly one mebibyte"
    );
    largest.push(b' ');
    assert_eq!(
        rig.post_good(&largest).await.problem(),
        too_large,
        "one byte more"
    );
}

#[tokio::test]
async fn senders_of_slow_heads_and_slow_bodies_are_cut_off() {
    let limits = small_limits();
    let rig = Rig::with(limits, &[]).await;
    let body = stripe_event("evt_1");
    let header = signature(STRIPE.name, STRIPE_SECRET, &body, NOW);
    let whole = request("/webhooks/stripe", &[("Stripe-Signature", &header)], &body);
    let head = whole.len() - body.len();

    for (description, sent) in [("nothing", 0), ("half a head", head / 2)] {
        let mut stream = rig.connect().await;
        stream.write_all(&whole[..sent]).await.unwrap();
        let started = Instant::now();
        let mut rest = Vec::new();
        let reading = stream.read_to_end(&mut rest);
        // Closed or reset: either way the connection is free again.
        let _ = timeout(Duration::from_secs(5), reading)
            .await
            .expect(description);
        assert!(started.elapsed() >= limits.head_time / 2, "{description}");
    }

    let mut stream = rig.connect().await;
    stream.write_all(&whole[..=head]).await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    // One byte at a time: no pause is ever long.
    let dripping = tokio::spawn(async move {
        for byte in &whole[head + 1..] {
            tokio::time::sleep(Duration::from_millis(50)).await;
            if writer.write_all(&[*byte]).await.is_err() {
                return;
            }
        }
    });
    let mut answer = Vec::new();
    let reading = reader.read_to_end(&mut answer);
    let _ = timeout(Duration::from_secs(5), reading)
        .await
        .expect("an end");
    dripping.abort();
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("body_too_slow"), "{answer}");
    assert!(rig.published().is_empty());
}

#[tokio::test]
async fn a_client_that_never_reads_answers_is_cut_off() {
    // Patience with heads is long here, so that only the answers can be what ends it.
    let limits = Limits {
        head_time: Duration::from_mins(1),
        ..small_limits()
    };
    let rig = Rig::with(limits, &[]).await;
    let ask = b"GET /nothing HTTP/1.1\r\nHost: t\r\n\r\n".repeat(1000);
    let mut stream = rig.connect().await;
    let flood = async { while stream.write_all(&ask).await.is_ok() {} };
    timeout(Duration::from_secs(20), flood)
        .await
        .expect("the connection is closed");
}

#[tokio::test]
async fn failing_signatures_are_limited_by_address_and_valid_ones_never() {
    let rig = Rig::with(Limits::default(), &["127.0.0.0/8"]).await;
    let body = stripe_event("evt_1");
    let from = |client, header: &str| {
        let headers = [("X-Forwarded-For", client), ("Stripe-Signature", header)];
        request("/webhooks/stripe", &headers, &body)
    };
    let send = async |request: Vec<u8>| {
        let mut stream = rig.connect().await;
        stream.write_all(&request).await.unwrap();
        Answer::read(&mut stream).await
    };
    let wrong = signature(STRIPE.name, "whsec_wrong", &body, NOW);
    let right = signature(STRIPE.name, STRIPE_SECRET, &body, NOW);
    for count in 0..100 {
        let (status, code) = send(from("192.0.2.1", &wrong)).await.problem();
        assert_eq!(
            (status, code.as_str()),
            (400, "signature_mismatch"),
            "failure {count}"
        );
    }
    // The allowance grows back at one failure in 0.6 s, so a slow machine has some left.
    let mut limited = send(from("192.0.2.1", &wrong)).await;
    for _ in 0..100 {
        if limited.status == 429 {
            break;
        }
        limited = send(from("192.0.2.1", &wrong)).await;
    }
    assert_eq!(limited.problem(), (429, "too_many_failures".to_owned()));
    assert_eq!(limited.header("retry-after"), Some("1"));
    let last = rig.log.take().pop().unwrap();
    assert_eq!(
        last["fields"]["error.code"], "signature_mismatch",
        "what is beyond the limit fills no log"
    );
    assert_eq!(
        send(from("192.0.2.1", &right)).await.status,
        200,
        "a valid one, all the same"
    );
    assert_eq!(
        send(from("192.0.2.2", &wrong)).await.status,
        400,
        "another address"
    );
    let line = rig.log.take().pop().unwrap();
    assert_eq!(
        line["fields"]["client.address"], "192.0.2.2",
        "behind the trusted proxy"
    );
}

#[tokio::test]
async fn a_forwarded_address_from_an_untrusted_sender_is_ignored() {
    let rig = Rig::start().await;
    rig.post(
        "/webhooks/stripe",
        &[("X-Forwarded-For", "192.0.2.1")],
        b"{}",
    )
    .await;
    let line = rig.log.take().pop().unwrap();
    assert_eq!(line["fields"]["client.address"], "127.0.0.1");
}

#[tokio::test]
async fn one_connection_carries_many_webhooks() {
    let rig = Rig::start().await;
    let mut stream = rig.connect().await;
    for number in 0..3 {
        let body = stripe_event(&format!("evt_{number}"));
        let header = signature(STRIPE.name, STRIPE_SECRET, &body, NOW);
        let request = request("/webhooks/stripe", &[("Stripe-Signature", &header)], &body);
        let request = String::from_utf8(request).unwrap();
        let request = request.replace("Connection: close\r\n", "");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = vec![0; 4096];
        let read = stream.read(&mut answer).await.unwrap();
        let answer = String::from_utf8(answer[..read].to_vec()).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    assert_eq!(rig.published().len(), 3);
}

#[tokio::test]
async fn a_stopping_server_finishes_its_requests_and_accepts_no_more() {
    // So long that only an orderly stop ends the idle connection in time.
    let limits = Limits {
        head_time: Duration::from_mins(1),
        drain_time: Duration::from_mins(1),
        ..Limits::default()
    };
    let rig = Rig::with(limits, &[]).await;
    rig.set_queue(Queue::Slow(100));
    let body = stripe_event("evt_1");
    let header = signature(STRIPE.name, STRIPE_SECRET, &body, NOW);
    let headers = [("Stripe-Signature", header.as_str())];
    let idle = rig.connect().await;
    let mut busy = rig.connect().await;
    busy.write_all(&request("/webhooks/stripe", &headers, &body))
        .await
        .unwrap();
    // Only a request that has arrived is under way.
    while rig.recorder.begun.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    rig.shutdown.cancel();
    assert_eq!(Answer::read(&mut busy).await.status, 200);
    timeout(Duration::from_secs(5), rig.server)
        .await
        .expect("an end")
        .unwrap();
    assert!(
        TcpStream::connect(rig.addr).await.is_err(),
        "nobody listens any more"
    );
    drop(idle);
}

#[tokio::test]
async fn a_request_that_does_not_end_does_not_hold_up_the_stop() {
    let limits = Limits {
        body_time: Duration::from_mins(1),
        ..small_limits()
    };
    let rig = Rig::with(limits, &[]).await;
    let mut stream = rig.connect().await;
    let head = format!(
        "POST /webhooks/stripe HTTP/1.1\r\nHost: t\r\nStripe-Signature: {}\r\n\
         Content-Length: 10\r\n\r\n{{",
        forged()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let started = Instant::now();
    rig.shutdown.cancel();
    timeout(Duration::from_secs(5), rig.server)
        .await
        .expect("an end")
        .unwrap();
    assert!(
        started.elapsed() >= limits.drain_time / 2,
        "it had its time: {started:?}"
    );
}

#[tokio::test]
async fn connections_above_the_bound_wait_for_their_turn() {
    let limits = Limits {
        connections: 1,
        head_time: Duration::from_mins(1),
        ..small_limits()
    };
    let rig = Rig::with(limits, &[]).await;
    let first = rig.connect().await;
    let mut second = rig.connect().await;
    second
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut byte = [0];
    let early = timeout(Duration::from_millis(200), second.read(&mut byte)).await;
    assert!(early.is_err(), "answered although the only seat is taken");
    drop(first);
    let mut rest = Vec::new();
    timeout(Duration::from_secs(5), second.read_to_end(&mut rest))
        .await
        .expect("a turn")
        .unwrap();
    assert!(rest.starts_with(b"HTTP/1.1 200 "));
}

/// Asks on a connection whether the server lives; nothing if it was closed instead.
async fn asks(stream: &mut TcpStream) -> String {
    let request = b"GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n";
    // A closed connection may take the request or refuse it.
    let _ = stream.write_all(request).await;
    let mut answer = vec![0; 4096];
    let read = timeout(Duration::from_secs(5), stream.read(&mut answer)).await;
    let read = read.expect("an answer or an end").unwrap_or_default();
    String::from_utf8(answer[..read].to_vec()).unwrap()
}

#[tokio::test]
async fn one_address_cannot_take_every_connection() {
    let limits = Limits {
        connections_of_one: 2,
        head_time: Duration::from_mins(1),
        ..small_limits()
    };
    let rig = Rig::with(limits, &[]).await;
    let (mut first, mut second) = (rig.connect().await, rig.connect().await);
    for stream in [&mut first, &mut second] {
        assert!(asks(stream).await.starts_with("HTTP/1.1 200 "));
    }
    assert_eq!(
        asks(&mut rig.connect().await).await,
        "",
        "one too many is closed"
    );
    assert!(asks(&mut second).await.starts_with("HTTP/1.1 200 "));
    drop(first);
    // Its end is noticed a moment later.
    let started = Instant::now();
    while asks(&mut rig.connect().await).await.is_empty() {
        assert!(
            started.elapsed() < Duration::from_secs(5),
            "no seat came free"
        );
    }

    let behind_proxy = Rig::with(limits, &["127.0.0.0/8"]).await;
    let mut streams = Vec::new();
    for _ in 0..5 {
        let mut stream = behind_proxy.connect().await;
        assert!(asks(&mut stream).await.starts_with("HTTP/1.1 200 "));
        streams.push(stream);
    }
}
