//! Two installations with one prefix on one broker.

use std::time::{Duration, Instant};

use lapin::options::QueuePurgeOptions;
use tollgate::config::{Config, Source};
use tollgate::http::Roles;
use tollgate::queue::rabbitmq::{RabbitQueue, RabbitSettings};
use tollgate::queue::{Lane, Publisher};
use tollgate::server::{Server, StartError};

use super::rig::{PATIENCE, Stranger, ids, message, retry_queue, take, work_queue};
use super::topology::chain;
use crate::support::rabbitmq::{prefix, shared};
use crate::support::stores::{Engine, Place};
use crate::support::{environment, shared_config};

fn of(prefix: &str, installation: &str) -> RabbitSettings {
    RabbitSettings {
        installation: Some(installation.to_owned()),
        ..shared().settings(prefix)
    }
}

async fn refusal(settings: &RabbitSettings) -> String {
    let started = RabbitQueue::start(settings).await;
    let error = started.err().expect("the queues of others are refused");
    assert!(error.is_permanent(), "trying again is useless: {error}");
    let checked = RabbitQueue::check(settings).await.unwrap_err();
    assert_eq!(checked.to_string(), error.to_string());
    chain(&error)
}

#[tokio::test]
async fn queues_with_messages_of_another_installation_are_refused() {
    let prefix = prefix();
    let first = RabbitQueue::start(&of(&prefix, "one")).await.unwrap();
    first.publish(message("evt_1")).await.unwrap();
    // A process of the same installation may always come.
    let second = RabbitQueue::start(&of(&prefix, "one")).await.unwrap();

    let said = refusal(&of(&prefix, "two")).await;
    for part in [
        &format!(
            "the exchange `{prefix}.installation` names its store (`{prefix}.installation.one`)"
        ),
        &format!("the queue `{prefix}.work.2` is in use (consumers: 0, waiting messages: 1)"),
        "give each a prefix or a virtual host of its own",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    // What was refused took nothing away, and the first goes on.
    let mut consumer = second.consumer(Lane::Work);
    assert_eq!(ids(&take(&mut consumer).await), ["evt_1"]);
    first.publish(message("evt_2")).await.unwrap();
}

#[tokio::test]
async fn messages_that_wait_for_a_retry_count_too() {
    let prefix = prefix();
    drop(RabbitQueue::start(&of(&prefix, "one")).await.unwrap());
    let stranger = Stranger::at(shared()).await;
    let waiting = retry_queue(&prefix, 3_600_000);
    stranger
        .publish(&waiting, lapin::BasicProperties::default(), b"later")
        .await;
    let said = refusal(&of(&prefix, "two")).await;
    assert!(
        said.contains(&format!("queue `{waiting}` is in use")),
        "{said}"
    );
}

#[tokio::test]
async fn idle_queues_are_taken_over_and_the_one_before_is_refused() {
    let prefix = prefix();
    let first = RabbitQueue::start(&of(&prefix, "one")).await.unwrap();
    first.publish(message("evt_1")).await.unwrap();
    drop(first);
    let stranger = Stranger::at(shared()).await;
    let work = work_queue(&prefix);
    stranger
        .channel
        .queue_purge(work.as_str().into(), QueuePurgeOptions::default())
        .await
        .unwrap();

    let second = RabbitQueue::start(&of(&prefix, "two")).await.unwrap();
    let mut consumer = second.consumer(Lane::Work);
    let consuming = tokio::spawn(async move { ids(&take(&mut consumer).await) });
    let started = Instant::now();
    while stranger.consumers(&work).await == 0 {
        assert!(started.elapsed() < PATIENCE, "it does not consume");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let said = refusal(&of(&prefix, "one")).await;
    assert!(
        said.contains("(consumers: 1, waiting messages: 0)")
            && said.contains(&format!("(`{prefix}.installation.two`)")),
        "{said}"
    );
    second.publish(message("evt_2")).await.unwrap();
    assert_eq!(consuming.await.unwrap(), ["evt_2"]);
}

/// Two stores, and settings that differ in nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_does_not_start_on_the_queues_of_another_store() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let place = Place::new(Engine::Postgres).await;
    let config = shared_config(dirs[0].path(), &place);
    let first = Server::start(&config, Roles::ALL).await.unwrap();
    let beside = Server::start(&config, Roles::ALL).await.unwrap();

    let mut environment = environment(dirs[1].path());
    environment.insert("AMQP_URL".into(), shared().url().into());
    let prefix = &config.queue.amqp_prefix;
    environment.insert("TOLLGATE_AMQP_PREFIX".into(), prefix.into());
    let source = Source {
        environment,
        file: None,
    };
    let other = Config::load(&source).unwrap().config;
    let refused = Server::start(&other, Roles::ALL).await.err().unwrap();
    assert!(matches!(refused, StartError::Broker(_)), "{refused}");
    let said = chain(&refused);
    assert!(
        said.contains("another installation uses the queues"),
        "{said}"
    );
    first.stop().await;
    beside.stop().await;

    let taking_over = Server::start(&other, Roles::ALL).await.unwrap();
    taking_over.stop().await;
    // The id stays with the store.
    let again = Server::start(&other, Roles::ALL).await.unwrap();
    again.stop().await;
}
