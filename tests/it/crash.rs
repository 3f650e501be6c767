//! The program as a process, killed and ended while events arrive.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tollgate::clock::{Clock, SystemClock};
use tollgate::provider::STRIPE;

use crate::support::serving::{Serving, quiet_port};
use crate::support::spec::{header_name, sign};
use crate::support::{call, client, environment, secret, stripe_customer, stripe_event};

const SENDERS: usize = 8;

async fn start(data_dir: &Path, port: u16) -> Serving {
    let mut environment = environment(data_dir);
    environment.insert("TOLLGATE_LISTEN".into(), format!("127.0.0.1:{port}").into());
    Serving::start(&environment).await
}

/// Numbers of events, of all senders together.
#[derive(Default)]
struct Counts {
    sent: AtomicUsize,
    taken: AtomicUsize,
}

impl Counts {
    /// Waits until so many more events got 200, however slow the machine is.
    async fn until_taken(&self, more: usize) {
        let (started, before) = (Instant::now(), self.taken.load(Ordering::SeqCst));
        while self.taken.load(Ordering::SeqCst) < before + more {
            let waited = started.elapsed();
            assert!(waited < Duration::from_mins(1), "nothing more got 200");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Posts events of new customers until told to stop, each once; answers the numbers of those
/// that got 200.
async fn send(port: u16, counts: Arc<Counts>, stop: Arc<AtomicBool>) -> Vec<usize> {
    let (client, url) = (client(), format!("http://127.0.0.1:{port}/webhooks/stripe"));
    let mut taken = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        let n = counts.sent.fetch_add(1, Ordering::SeqCst);
        let now = SystemClock.now();
        let customer = stripe_customer(&format!("cus_{n}"), &format!("c{n}@example.com"));
        let event = stripe_event(
            &format!("evt_{n}"),
            "customer.created",
            now.seconds(),
            customer,
        );
        let body = event.to_string().into_bytes();
        let signature = sign(STRIPE.name, &secret(STRIPE.name), &body, now);
        let header = header_name(STRIPE.name);
        let answer = client
            .post(&url)
            .header(header, signature)
            .body(body)
            .send()
            .await;
        if answer.is_ok_and(|answer| answer.status() == 200) {
            taken.push(n);
            counts.taken.fetch_add(1, Ordering::SeqCst);
        } else {
            // A real provider would send it again; here the gap must simply do no harm.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    taken
}

/// Every event that got 200 has exactly one effect.
async fn check(port: u16, taken: &[usize]) {
    let (client, base) = (client(), format!("http://127.0.0.1:{port}"));
    for n in taken {
        let started = Instant::now();
        let event: Value = loop {
            let path = format!("/api/v1/events/evt_{n}");
            let (status, event) = call(&client, &base, "GET", &path, None).await;
            if status == 200 {
                break event;
            }
            let waited = started.elapsed();
            assert!(
                waited < Duration::from_secs(30),
                "evt_{n} got 200 and has no outcome: {event}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        assert_eq!(event["outcome"], "applied", "{event}");
        assert_eq!(event["duplicates"], 0, "{event}");
        let path = format!("/api/v1/customers?email=c{n}@example.com");
        let (_, list) = call(&client, &base, "GET", &path, None).await;
        assert_eq!(
            list["meta"]["total"], 1,
            "evt_{n} made not exactly one customer: {list}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_acknowledged_before_a_kill_has_one_effect_after_restart() {
    let dir = tempfile::tempdir().unwrap();
    let port = quiet_port();
    let (counts, stop) = (
        Arc::new(Counts::default()),
        Arc::new(AtomicBool::new(false)),
    );
    let mut server = start(dir.path(), port).await;
    let senders: Vec<_> = (0..SENDERS)
        .map(|_| tokio::spawn(send(port, Arc::clone(&counts), Arc::clone(&stop))))
        .collect();
    for _ in 0..3 {
        counts.until_taken(25).await;
        server.kill();
        server = start(dir.path(), port).await;
    }
    counts.until_taken(10).await;
    stop.store(true, Ordering::SeqCst);
    let mut taken = Vec::new();
    for sender in senders {
        taken.extend(sender.await.unwrap());
    }
    assert!(taken.len() > 50, "only {} events got 200", taken.len());
    check(port, &taken).await;
    assert!(server.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_ends_the_server_cleanly_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let port = quiet_port();
    let (counts, stop) = (
        Arc::new(Counts::default()),
        Arc::new(AtomicBool::new(false)),
    );
    let server = start(dir.path(), port).await;
    let sender = tokio::spawn(send(port, Arc::clone(&counts), Arc::clone(&stop)));
    counts.until_taken(10).await;
    assert!(
        server.terminate().success(),
        "the exit code says that it ended well"
    );
    stop.store(true, Ordering::SeqCst);
    let taken = sender.await.unwrap();
    assert!(!taken.is_empty());
    let server = start(dir.path(), port).await;
    check(port, &taken).await;
    assert!(server.terminate().success());
}
