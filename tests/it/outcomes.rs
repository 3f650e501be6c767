//! Every payload alone, over real HTTP, against a server with an empty store: the table
//! `fixtures/outcomes.json` says what becomes of each, and why.

use std::path::{Path, PathBuf};

use futures::stream::{self, StreamExt};
use serde::Deserialize;
use serde_json::Value;
use tollgate::domain::id::Provider;

use crate::support::{TestServer, post_signed, recorded};

/// How many servers run at the same time.
const AT_ONCE: usize = 8;

#[derive(Deserialize)]
struct Table {
    own: Vec<Row>,
    recorded: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    file: String,
    outcome: String,
    code: Option<String>,
    because: String,
}

fn table() -> Table {
    serde_json::from_str(include_str!("../../fixtures/outcomes.json")).unwrap()
}

/// Posts one file to a server of its own; what was wrong about its outcome.
async fn difference(folder: &Path, row: &Row) -> Option<String> {
    let server = TestServer::start().await;
    let provider: Provider = row.file.split('/').next().unwrap().parse().unwrap();
    let body = std::fs::read(folder.join(&row.file)).unwrap();
    let url = format!("{}/webhooks/{provider}", server.base);
    let (status, answer) = post_signed(&server.client, &url, provider, body).await;
    if status != 200 {
        return Some(format!("{}: {status} {answer}", row.file));
    }
    let event = server.outcome(answer["event_id"].as_str().unwrap()).await;
    server.stop().await;
    let (outcome, code) = (event["outcome"].as_str(), event["error"]["code"].as_str());
    let right = outcome == Some(row.outcome.as_str()) && code == row.code.as_deref();
    (!right).then(|| {
        format!(
            "{}: {outcome:?} {code:?}, not {} {:?}, because {}\n    {}",
            row.file, row.outcome, row.code, row.because, event["changes"]
        )
    })
}

async fn check(folder: &Path, rows: &[Row]) {
    let differences: Vec<String> = stream::iter(rows)
        .map(|row| difference(folder, row))
        .buffer_unordered(AT_ONCE)
        .filter_map(|difference| async { difference })
        .collect()
        .await;
    assert!(
        differences.is_empty(),
        "{} of {}:\n{}",
        differences.len(),
        rows.len(),
        differences.join("\n")
    );
}

/// Every payload in a folder has a row, and every row a payload.
fn check_complete(folder: &Path, rows: &[Row]) {
    let mut files: Vec<String> = Vec::new();
    for provider in Provider::ALL {
        for entry in std::fs::read_dir(folder.join(provider.as_str())).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if Path::new(&name).extension().is_some_and(|it| it == "json") {
                files.push(format!("{provider}/{name}"));
            }
        }
    }
    let mut listed: Vec<String> = rows.iter().map(|row| row.file.clone()).collect();
    files.sort();
    listed.sort();
    assert_eq!(files, listed);
}

fn own_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_own_payload_alone_has_the_outcome_of_the_table() {
    check(&own_folder(), &table().own).await;
}

#[test]
fn the_table_has_a_row_for_each_own_payload() {
    check_complete(&own_folder(), &table().own);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_recorded_payload_alone_has_the_outcome_of_the_table() {
    let Some(folder) = recorded("each_recorded_payload_alone_has_the_outcome_of_the_table") else {
        return;
    };
    check(&folder, &table().recorded).await;
}

#[test]
fn the_table_has_a_row_for_each_recorded_payload() {
    let Some(folder) = recorded("the_table_has_a_row_for_each_recorded_payload") else {
        return;
    };
    check_complete(&folder, &table().recorded);
}

#[test]
fn every_payload_is_json_with_an_id() {
    for row in table().own {
        let text = std::fs::read_to_string(own_folder().join(&row.file)).unwrap();
        let payload: Value = serde_json::from_str(&text).unwrap();
        assert!(
            payload["id"].is_string() || payload["event_id"].is_string(),
            "{}",
            row.file
        );
    }
}
