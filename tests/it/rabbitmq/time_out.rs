//! What RabbitMQ 4.3 does when a consumer keeps a message too long: it takes messages back and cancels
//! the consumer, on a channel that stays open. No such broker is at hand, so one is played.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::peer::{Peer, Script, Then};
use super::rig::PATIENCE;
use crate::support::TestServer;
use crate::support::stores::{Engine, on_both_stores};

/// More than the worker takes in its first batch, so that the consumer is cancelled in the middle of
/// its work.
const EVENTS: usize = 400;

/// The ids in the ledger, each as often as it is there.
async fn listed(server: &TestServer) -> Vec<String> {
    let (mut ids, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/v1/events?page_size=100&cursor={cursor}");
        let (status, page) = server.get(&path).await;
        assert_eq!(status, 200, "{page}");
        for event in page["data"].as_array().unwrap() {
            assert_eq!(event["outcome"], "ignored", "{event}");
            ids.push(event["id"].as_str().unwrap().to_owned());
        }
        match page["meta"]["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => return ids,
        }
    }
}

async fn a_consumer_timed_out_in_the_middle_of_work_loses_nothing(engine: Engine) {
    let script = |range: std::ops::Range<usize>, then| Script {
        events: range.map(|n| format!("evt_{n:04}")).collect(),
        then,
    };
    let first = script(0..EVENTS, Then::TimesOut);
    let next = script(EVENTS..EVENTS + 1, Then::Waits);
    let peer = Peer::start(vec![first, next]).await;
    let settings = peer.settings();
    let server = TestServer::start_with(engine, |environment| {
        let url = secrecy::ExposeSecret::expose_secret(&settings.url);
        environment.insert("AMQP_URL".into(), url.into());
        environment.insert(
            "TOLLGATE_AMQP_PREFIX".into(),
            settings.prefix.clone().into(),
        );
    })
    .await;
    let started = Instant::now();
    while listed(&server).await.len() <= EVENTS || peer.given_back().is_empty() {
        assert!(started.elapsed() < PATIENCE, "{:?}", peer.given_back());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // What was taken back came again, and counts once.
    let ids = listed(&server).await;
    assert_eq!(ids.len(), EVENTS + 1);
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), EVENTS + 1);
    let acknowledged = peer.acknowledged();
    assert_eq!(acknowledged.len(), 2, "{acknowledged:?}");
    // Given back by `basic.nack`, not by hanging up, which counts towards the delivery limit there.
    assert_eq!(peer.given_back(), [0]);
    server.stop().await;
}

on_both_stores! {
    a_consumer_timed_out_in_the_middle_of_work_loses_nothing,
}
