//! Bodies that nobody reads, on connections that are used again.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::rig::owner;
use crate::support::TestServer;
use crate::support::stores::Engine;

const BODY: &[u8] = br#"{"reason": "a refund by hand"}"#;

/// The status of the next answer; nothing of its body is left behind.
async fn status(stream: &mut BufStream<TcpStream>) -> Option<u16> {
    let (mut status, mut length) = (None, 0);
    loop {
        let mut line = String::new();
        let read = timeout(Duration::from_secs(20), stream.read_line(&mut line)).await;
        read.expect("no answer").ok()?;
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        assert_ne!(line, "connection: close");
        if let Some(text) = line.strip_prefix("content-length: ") {
            length = text.parse().unwrap();
        }
        status = status.or_else(|| line.split(' ').nth(1)?.parse().ok());
    }
    stream.read_exact(&mut vec![0; length]).await.ok()?;
    status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_nobody_reads_takes_no_later_request_along() {
    let server = TestServer::start(Engine::Sqlite).await;
    let address = server.base.strip_prefix("http://").unwrap();
    let owner = format!("Authorization: {}\r\n", owner());
    for (line, headers, expected) in [
        ("POST /nowhere", "", 404),
        ("POST /healthz", "", 405),
        ("POST /api/v1/customers", "", 401),
        ("POST /api/v1/customers", owner.as_str(), 415),
        ("GET /api/v1/customers", &owner, 200),
        (
            "DELETE /api/v1/customers/cust_01939f1bf0007cc8a4d0b1c2d3e4f506",
            &owner,
            422,
        ),
        ("POST /webhooks/stripe", "", 400),
        ("POST /webhooks/nobody", "", 404),
        ("PUT /webhooks/stripe", "", 405),
    ] {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut stream = BufStream::new(stream);
        let length = BODY.len();
        let head =
            format!("{line} HTTP/1.1\r\nHost: t\r\n{headers}Content-Length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        // As clients do that write head and body one after the other.
        tokio::time::sleep(Duration::from_millis(20)).await;
        stream.write_all(BODY).await.unwrap();
        stream.flush().await.unwrap();
        assert_eq!(status(&mut stream).await, Some(expected), "{line}");
        let next = b"GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n";
        stream.write_all(next).await.unwrap();
        stream.flush().await.unwrap();
        assert_eq!(status(&mut stream).await, Some(200), "behind {line}");
    }
    server.stop().await;
}
