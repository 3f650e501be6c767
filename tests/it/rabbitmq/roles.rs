//! Roles as processes of their own would have them: over one broker and one database.

use std::time::{Duration, Instant};

use tollgate::config::{Config, Source};
use tollgate::http::Roles;
use tollgate::provider::STRIPE;
use tollgate::server::{Server, StartError};

use super::rig::PATIENCE;
use crate::support::stores::{Engine, Place};
use crate::support::{
    NO_ROLE, call, client, environment, post_signed, seconds_from_now, shared_config,
    stripe_customer, stripe_event,
};

/// Receiver, worker and API as three servers of their own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_role_serves_its_own_and_together_they_are_one() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::new(Engine::Postgres).await;
    let config = shared_config(dir.path(), &place);
    let worker = Roles {
        worker: true,
        ..NO_ROLE
    };
    let receiver = Roles {
        receiver: true,
        ..NO_ROLE
    };
    let worker = Server::start(&config, worker).await.unwrap();
    let receiver = Server::start(&config, receiver).await.unwrap();
    let api = Server::start(
        &config,
        Roles {
            api: true,
            ..NO_ROLE
        },
    )
    .await
    .unwrap();
    let base = |server: &Server| format!("http://{}", server.address());
    let client = client();

    let customer = stripe_customer("cus_1", "one@example.com");
    let event = stripe_event(
        "evt_1",
        "customer.created",
        seconds_from_now(-100),
        customer,
    );
    let body = event.to_string().into_bytes();
    let url = |server: &Server| format!("{}/webhooks/stripe", base(server));
    for (name, server) in [("API", &api), ("worker", &worker)] {
        let (answered, said) = post_signed(&client, &url(server), STRIPE.name, body.clone()).await;
        assert_eq!(answered, 404, "a webhook at the {name}");
        let said = said.to_string();
        assert!(said.contains("one with `--role receiver` does"), "{said}");
    }
    let path = "/api/v1/events/evt_1";
    for (name, server) in [("receiver", &receiver), ("worker", &worker)] {
        let (answered, said) = call(&client, &base(server), "GET", path, None).await;
        assert_eq!(answered, 404, "the admin API at the {name}");
        let said = said.to_string();
        assert!(said.contains("one with `--role api` does"), "{said}");
    }
    let (answered, _) = post_signed(&client, &url(&receiver), STRIPE.name, body).await;
    assert_eq!(answered, 200);
    let started = Instant::now();
    loop {
        let (status, event) = call(&client, &base(&api), "GET", path, None).await;
        if status == 200 && event["outcome"] == "applied" {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "{status} {event}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for server in [receiver, worker, api] {
        let (status, _) = call(&client, &base(&server), "GET", "/readyz", None).await;
        assert_eq!(status, 200);
        server.stop().await;
    }
}

#[tokio::test]
async fn the_built_in_queue_needs_all_roles_in_one_process() {
    let dir = tempfile::tempdir().unwrap();
    let source = Source {
        environment: environment(dir.path()),
        file: None,
    };
    let config = Config::load(&source).unwrap().config;
    let roles = Roles {
        worker: false,
        ..Roles::ALL
    };
    let refused = Server::start(&config, roles).await.err().unwrap();
    assert!(matches!(refused, StartError::RolesApart), "{refused}");
}
