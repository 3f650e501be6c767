//! Two installations with one prefix on one broker.

use std::time::{Duration, Instant};

use lapin::ExchangeKind;
use lapin::options::ExchangeDeclareOptions;
use lapin::types::FieldTable;
use secrecy::ExposeSecret;
use tollgate::config::{Config, Source};
use tollgate::http::Roles;
use tollgate::queue::rabbitmq::{BrokerError, Claimed, RabbitQueue, RabbitSettings};
use tollgate::queue::{Lane, Publisher};
use tollgate::server::{Server, StartError};

use super::rig::{PATIENCE, RawClient, ids, message, take, work_queue};
use super::topology::chain;
use crate::support::postgres::database;
use crate::support::program::{said, with};
use crate::support::rabbitmq::{prefix, shared};
use crate::support::stores::{Engine, Place};
use crate::support::{SECRET_KEY, environment, shared_config};

/// As long as those that servers make.
const ONE: &str = "01939f1b-f000-7cc8-a4d0-b1c2d3e4f501";
const TWO: &str = "01939f1b-f000-7cc8-a4d0-b1c2d3e4f502";

fn of(prefix: &str, installation: &str) -> RabbitSettings {
    let settings = shared().settings(prefix);
    settings.of_installation(installation.to_owned())
}

async fn refusal(settings: &RabbitSettings) -> String {
    let started = RabbitQueue::start(settings).await;
    let error = started.err().expect("the queues of others are refused");
    assert!(matches!(error, BrokerError::OtherInstallation { .. }));
    assert!(error.is_permanent(), "trying again is useless: {error}");
    let checked = RabbitQueue::check(settings).await.unwrap_err();
    assert_eq!(checked.to_string(), error.to_string());
    chain(&error)
}

/// The broker's answer has room for 255 bytes, and a prefix may have a hundred.
#[tokio::test]
async fn queues_of_another_installation_are_refused_also_when_idle() {
    let short = prefix();
    let long = format!("{short}{}", "x".repeat(100 - short.len()));
    for prefix in [short, long] {
        let first = RabbitQueue::start(&of(&prefix, ONE)).await.unwrap();
        // A process of the same installation may always come.
        drop(RabbitQueue::start(&of(&prefix, ONE)).await.unwrap());
        let said = refusal(&of(&prefix, TWO)).await;
        assert!(said.contains(&format!("`{prefix}.installation`")), "{said}");
        assert!(said.contains("`tollgate claim-queues`"), "{said}");
        drop(first);
        refusal(&of(&prefix, TWO)).await;
    }
}

#[tokio::test]
async fn a_check_makes_nobody_the_owner() {
    let prefix = prefix();
    RabbitQueue::check(&of(&prefix, TWO)).await.unwrap();
    drop(RabbitQueue::start(&of(&prefix, ONE)).await.unwrap());
    refusal(&of(&prefix, TWO)).await;
}

#[tokio::test]
async fn queues_are_taken_over_with_what_waits_unless_they_are_consumed() {
    let prefix = prefix();
    let first = RabbitQueue::start(&of(&prefix, ONE)).await.unwrap();
    first.publish(message("evt_1")).await.unwrap();
    first.publish(message("evt_2")).await.unwrap();
    let mut consumer = first.consumer(Lane::Work);
    take(&mut consumer).await;
    let refused = RabbitQueue::claim(&of(&prefix, TWO)).await.unwrap_err();
    assert!(
        refused.to_string().contains("is consumed (consumers: 1)"),
        "{refused}"
    );
    refusal(&of(&prefix, TWO)).await;

    drop(consumer);
    let raw = RawClient::at(shared()).await;
    let started = Instant::now();
    while raw.consumers(&work_queue(&prefix)).await > 0 {
        assert!(started.elapsed() < PATIENCE, "it goes on consuming");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let claimed = RabbitQueue::claim(&of(&prefix, TWO)).await.unwrap();
    assert_eq!(claimed, Claimed::TakenOver { messages: 2 });
    let again = RabbitQueue::claim(&of(&prefix, TWO)).await.unwrap();
    assert_eq!(again, Claimed::Before);
    let second = RabbitQueue::start(&of(&prefix, TWO)).await.unwrap();
    let mut consumer = second.consumer(Lane::Work);
    let mut taken = ids(&take(&mut consumer).await);
    while taken.len() < 2 {
        taken.extend(ids(&take(&mut consumer).await));
    }
    assert_eq!(taken, ["evt_1", "evt_2"]);
    refusal(&of(&prefix, ONE)).await;
    // The first one, which still runs, notices.
    loop {
        match first.publish(message("evt_3")).await {
            Err(error) if chain(&error).contains("belong to another installation") => break,
            _ => assert!(started.elapsed() < PATIENCE, "it goes on publishing"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn an_exchange_of_somebody_else_is_named_and_left_alone() {
    let prefix = prefix();
    let raw = RawClient::at(shared()).await;
    let name = format!("{prefix}.installation");
    let options = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    let declare = async |options| {
        let name = name.as_str().into();
        let kind = ExchangeKind::Topic;
        let declared = raw
            .channel
            .exchange_declare(name, kind, options, FieldTable::default());
        declared.await.unwrap();
    };
    declare(options).await;
    let settings = of(&prefix, ONE);
    let started = RabbitQueue::start(&settings).await.err().unwrap();
    let claimed = RabbitQueue::claim(&settings).await.unwrap_err();
    for error in [started, claimed] {
        let said = chain(&error);
        assert!(said.contains("found topic, wanted fanout"), "{said}");
    }
    declare(options).await;
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
    first.stop().await;
    beside.stop().await;
    let refused = Server::start(&other, Roles::ALL).await.err().unwrap();
    assert!(matches!(refused, StartError::Broker(_)), "{refused}");
    // The id stays with the store.
    let again = Server::start(&config, Roles::ALL).await.unwrap();
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_takes_over_what_the_check_has_named() {
    let dir = tempfile::tempdir().unwrap();
    let (prefix, url, database) = (prefix(), shared().url(), database().await);
    let settings = with(
        dir.path(),
        &[
            ("AMQP_URL", &url),
            ("TOLLGATE_AMQP_PREFIX", &prefix),
            ("DATABASE_URL", database.expose_secret()),
            ("TOLLGATE_SECRET_KEY", SECRET_KEY),
        ],
    );
    drop(RabbitQueue::start(&of(&prefix, ONE)).await.unwrap());
    let check = &["check-config", "--connect"];
    let (good, text) = said(check, settings.clone()).await;
    let problem = "problem: AMQP_URL: the queues of this TOLLGATE_AMQP_PREFIX belong to another";
    assert!(!good && text.contains(problem), "{text}");
    let claim = &["claim-queues"];
    let (good, text) = said(claim, settings.clone()).await;
    let words = "the queues are those of this store now (messages that wait: 0)";
    assert!(good && text.contains(words), "{text}");
    let (good, text) = said(claim, settings.clone()).await;
    assert!(good && text.contains("are those of this store"), "{text}");
    let (good, text) = said(check, settings).await;
    assert!(good, "{text}");

    let (good, text) = said(claim, with(dir.path(), &[])).await;
    assert!(!good && text.contains("AMQP_URL is not set"), "{text}");
}
