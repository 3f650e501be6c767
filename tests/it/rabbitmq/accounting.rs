//! Messages that are lost with their queue, though their webhooks were acknowledged.

use std::time::{Duration, Instant};

use lapin::options::QueueDeleteOptions;
use serde_json::{Value, json};
use tollgate::http::Roles;
use tollgate::provider::STRIPE;
use tollgate::server::Server;

use super::rig::{PATIENCE, RawClient, work_queue};
use crate::support::rabbitmq::shared;
use crate::support::stores::{Engine, Place};
use crate::support::{
    NO_ROLE, call, client, post_signed, seconds_from_now, shared_config, stripe_event,
};

fn payout(id: &str) -> Value {
    let object = json!({"id": "po_1", "object": "payout"});
    stripe_event(id, "payout.paid", seconds_from_now(-100), object)
}

/// Waits until the ids that a list shows are these.
async fn until_listed(base: &str, path: &str, expected: &[&str]) {
    let started = Instant::now();
    loop {
        let (status, listed) = call(&client(), base, "GET", path, None).await;
        assert_eq!(status, 200, "{listed}");
        let rows = listed["data"].as_array().unwrap().iter();
        let ids: Vec<&str> = rows.map(|row| row["id"].as_str().unwrap()).collect();
        if ids == expected {
            return;
        }
        assert!(
            started.elapsed() < PATIENCE,
            "{path}: {ids:?}, not {expected:?}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_lost_with_the_work_queue_is_listed_until_it_is_sent_again() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::new(Engine::Postgres).await;
    let config = shared_config(dir.path(), &place);
    let receiving = Roles {
        receiver: true,
        api: true,
        ..NO_ROLE
    };
    let receiver = Server::start(&config, receiving).await.unwrap();
    let base = format!("http://{}", receiver.address());
    let url = format!("{base}/webhooks/stripe");
    let send = async |id: &str| {
        let body = payout(id).to_string().into_bytes();
        let (status, _) = post_signed(&client(), &url, STRIPE.name, body).await;
        assert_eq!(status, 200, "{id}");
    };
    let lost = ["evt_1", "evt_2", "evt_3"];
    for id in lost {
        send(id).await;
    }
    let unaccounted = "/api/v1/events/unaccounted";
    until_listed(&base, unaccounted, &lost).await;
    let raw = RawClient::at(shared()).await;
    let options = QueueDeleteOptions::default();
    let deleted = raw
        .channel
        .queue_delete(work_queue(&config.queue.amqp_prefix).into(), options);
    assert_eq!(deleted.await.unwrap(), 3);

    let working = Roles {
        worker: true,
        ..NO_ROLE
    };
    let worker = Server::start(&config, working).await.unwrap();
    send("evt_4").await;
    until_listed(&base, "/api/v1/events", &["evt_4"]).await;
    until_listed(&base, unaccounted, &lost).await;
    for id in lost {
        send(id).await;
    }
    until_listed(&base, unaccounted, &[]).await;
    for server in [receiver, worker] {
        server.stop().await;
    }
}
