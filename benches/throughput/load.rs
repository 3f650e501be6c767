//! Load: connections that post one webhook after the other. Written by hand, because a client
//! library would take more of the machine than what is measured.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::event;
use crate::program::Program;

/// What some seconds of load saw.
pub(crate) struct Window {
    time: Duration,
    /// Of each answer, shortest first.
    latencies: Vec<Duration>,
}

impl Window {
    pub(crate) fn rate(&self) -> f64 {
        let count = u32::try_from(self.latencies.len()).unwrap();
        f64::from(count) / self.time.as_secs_f64()
    }

    /// The latency that this part of the answers did not exceed, in milliseconds.
    pub(crate) fn millis(&self, part: f64) -> f64 {
        let last = u32::try_from(self.latencies.len() - 1).unwrap();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a part of a length is an index"
        )]
        let index = (part * f64::from(last)) as usize;
        self.latencies[index].as_secs_f64() * 1_000.0
    }
}

/// Posts to a program for some time.
pub(crate) async fn post(program: &mut Program, connections: usize, time: Duration) -> Window {
    let address = program.address;
    while TcpStream::connect(address).await.is_err() {
        // It is still starting.
        program.assert_running();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let started = Instant::now();
    let tasks = (0..connections).map(|_| tokio::spawn(connection(address, started + time)));
    let answers = join_all(tasks).await;
    let mut latencies: Vec<_> = answers.into_iter().flat_map(Result::unwrap).collect();
    latencies.sort_unstable();
    Window {
        time: started.elapsed(),
        latencies,
    }
}

async fn connection(address: SocketAddr, until: Instant) -> Vec<Duration> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut latencies = Vec::new();
    let mut answer = Vec::new();
    while Instant::now() < until {
        let (signature, body) = event::signed();
        let request = format!(
            "POST /webhooks/stripe HTTP/1.1\r\nHost: localhost\r\n\
             Content-Type: application/json\r\nStripe-Signature: {signature}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let began = Instant::now();
        stream.write_all(request.as_bytes()).await.unwrap();
        answer.clear();
        while !is_whole(&answer) {
            let read = stream.read_buf(&mut answer).await.unwrap();
            assert!(read > 0, "the connection was closed");
        }
        latencies.push(began.elapsed());
        let text = String::from_utf8_lossy(&answer);
        assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
    }
    latencies
}

/// Whether an answer is complete, by its `content-length`.
fn is_whole(answer: &[u8]) -> bool {
    let Some(end) = answer.windows(4).position(|it| it == b"\r\n\r\n") else {
        return false;
    };
    let head = std::str::from_utf8(&answer[..end]).unwrap();
    let mut lengths = head
        .lines()
        .filter_map(|line| line.strip_prefix("content-length: "));
    let length: usize = lengths.next().unwrap().parse().unwrap();
    answer.len() >= end + 4 + length
}
