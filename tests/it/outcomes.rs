//! Every payload alone, over real HTTP, against a server with an empty store: the table
//! `fixtures/outcomes.json` says what becomes of each, and why.
//! That the table lists every payload is tested where they are only read.

use std::path::Path;

use futures::future::join_all;
use futures::stream::{self, StreamExt};

use crate::rabbitmq::rig::RawClient;
use crate::support::fixtures::{Row, outcomes, own, provider_of, recorded};
use crate::support::rabbitmq::{prefix, shared};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{TestServer, post_signed};

/// How many servers run at the same time.
const AT_ONCE: usize = 8;

/// The same over RabbitMQ.
const LANES: usize = 4;

/// Posts one file to a server of its own; what was wrong about its outcome.
async fn difference(server: TestServer, folder: &Path, row: &Row) -> Option<String> {
    let provider = provider_of(&row.file);
    let body = std::fs::read(folder.join(&row.file)).unwrap();
    let url = format!("{}/webhooks/{provider}", server.base);
    let (status, answer) = post_signed(&server.client, &url, provider, body).await;
    if status != 200 {
        return Some(format!("{}: {status} {answer}", row.file));
    }
    let event = server.outcome(answer["event_id"].as_str().unwrap()).await;
    server.stop_and_give_back().await;
    let (outcome, code) = (event["outcome"].as_str(), event["error"]["code"].as_str());
    let right = outcome == Some(row.outcome.as_str()) && code == row.code.as_deref();
    (!right).then(|| {
        format!(
            "{}: {outcome:?} {code:?}, not {} {:?}, because {}\n    {}",
            row.file, row.outcome, row.code, row.because, event["changes"]
        )
    })
}

async fn check(engine: Engine, folder: &Path, rows: &[Row]) {
    let differences: Vec<String> = stream::iter(rows)
        .map(|row| async { difference(TestServer::start(engine).await, folder, row).await })
        .buffer_unordered(AT_ONCE)
        .filter_map(|difference| async { difference })
        .collect()
        .await;
    expect_none(&differences, rows);
}

/// The same over RabbitMQ and PostgreSQL. Servers that run one after the other share queues,
/// which each leaves empty and without an owner; only those at the same time need their own.
async fn check_over_rabbitmq(folder: &Path, rows: &[Row]) {
    let lanes = rows
        .chunks(rows.len().div_ceil(LANES))
        .map(|rows| async move {
            let (prefix, mut differences) = (prefix(), Vec::new());
            let broker = RawClient::at(shared()).await;
            for row in rows {
                let server = TestServer::start_with(Engine::Postgres, |environment| {
                    environment.insert("AMQP_URL".into(), shared().url().into());
                    environment.insert("TOLLGATE_AMQP_PREFIX".into(), prefix.clone().into());
                });
                differences.extend(difference(server.await, folder, row).await);
                broker.remove_owner(&prefix).await;
            }
            differences
        });
    let differences: Vec<String> = join_all(lanes).await.into_iter().flatten().collect();
    expect_none(&differences, rows);
}

fn expect_none(differences: &[String], rows: &[Row]) {
    assert!(
        differences.is_empty(),
        "{} of {}:\n{}",
        differences.len(),
        rows.len(),
        differences.join("\n")
    );
}

async fn each_own_payload_alone_has_the_outcome_of_the_table(engine: Engine) {
    check(engine, &own(), &outcomes().own).await;
}

async fn each_recorded_payload_alone_has_the_outcome_of_the_table(engine: Engine) {
    let Some(folder) = recorded("each_recorded_payload_alone_has_the_outcome_of_the_table") else {
        return;
    };
    check(engine, &folder, &outcomes().recorded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_own_payload_has_the_outcome_of_the_table_over_rabbitmq() {
    check_over_rabbitmq(&own(), &outcomes().own).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_recorded_payload_has_the_outcome_of_the_table_over_rabbitmq() {
    let test = "each_recorded_payload_has_the_outcome_of_the_table_over_rabbitmq";
    let Some(folder) = recorded(test) else {
        return;
    };
    check_over_rabbitmq(&folder, &outcomes().recorded).await;
}

on_both_stores! {
    each_own_payload_alone_has_the_outcome_of_the_table,
    each_recorded_payload_alone_has_the_outcome_of_the_table,
}
