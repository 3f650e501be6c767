//! Load: connections that send one request after the other. Written by hand, because a client
//! library would take more of the machine than what is measured.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What some seconds of load saw.
pub(crate) struct Window {
    time: Duration,
    /// Of each answer, shortest first.
    latencies: Vec<Duration>,
}

impl Window {
    pub(crate) fn rate(&self) -> f64 {
        self.count() / self.time.as_secs_f64()
    }

    /// The number of answers.
    pub(crate) fn count(&self) -> f64 {
        f64::from(u32::try_from(self.latencies.len()).unwrap())
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

/// Sends requests for some time, and one at least. `request` makes the next one of the connection with this number;
/// each must be answered with 200.
pub(crate) async fn send<R>(
    address: SocketAddr,
    connections: usize,
    time: Duration,
    request: R,
) -> Window
where
    R: Fn(usize) -> String + Clone + Send + 'static,
{
    send_paced(address, connections, time, Duration::ZERO, request).await
}

/// The same, but each connection sends a request at most once in `between`.
pub(crate) async fn send_paced<R>(
    address: SocketAddr,
    connections: usize,
    time: Duration,
    between: Duration,
    request: R,
) -> Window
where
    R: Fn(usize) -> String + Clone + Send + 'static,
{
    let started = Instant::now();
    let until = started + time;
    let tasks = (0..connections).map(|number| {
        let request = request.clone();
        tokio::spawn(connection(address, until, between, move || request(number)))
    });
    let answers = join_all(tasks).await;
    let mut latencies: Vec<_> = answers.into_iter().flat_map(Result::unwrap).collect();
    latencies.sort_unstable();
    Window {
        time: started.elapsed(),
        latencies,
    }
}

async fn connection(
    address: SocketAddr,
    until: Instant,
    between: Duration,
    request: impl Fn() -> String,
) -> Vec<Duration> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut latencies = Vec::new();
    let mut answer = Vec::new();
    let mut next = Instant::now();
    loop {
        let request = request();
        if !between.is_zero() {
            tokio::time::sleep_until(next.into()).await;
            next += between;
        }
        let began = Instant::now();
        stream.write_all(request.as_bytes()).await.unwrap();
        answer.clear();
        let mut length = None;
        while length.is_none_or(|length| answer.len() < length) {
            let read = stream.read_buf(&mut answer).await.unwrap();
            assert!(read > 0, "the connection was closed");
            length = length.or_else(|| whole_length(&answer));
        }
        latencies.push(began.elapsed());
        let head = String::from_utf8_lossy(&answer[..answer.len().min(500)]);
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        if Instant::now() >= until {
            break;
        }
    }
    latencies
}

/// Returns how long an answer is with its head, by its `content-length`, once the head is there.
fn whole_length(answer: &[u8]) -> Option<usize> {
    let end = answer.windows(4).position(|it| it == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).unwrap();
    let mut headers = head.lines().filter_map(|line| line.split_once(": "));
    let (_, length) = headers.find(|(name, _)| name.eq_ignore_ascii_case("content-length"))?;
    Some(end + 4 + length.parse::<usize>().unwrap())
}
