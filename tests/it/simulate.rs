//! The simulation: that it finds nothing where nothing is wrong, and something where something is.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::process::Output;

use serde_json::json;
use tollgate::domain::time::Timestamp;
use tollgate::http::Roles;
use tollgate::server::Server;

use crate::support::program::{err, out, tollgate};
use crate::support::stores::{Engine, Place};
use crate::support::{ADMIN_TOKEN, NO_ROLE, TestServer, client, seconds_from_now, shared_config};

/// Runs a simulation with an owner's token.
async fn simulate(arguments: &[&str]) -> Output {
    let arguments: Vec<&str> = ["simulate"].iter().chain(arguments).copied().collect();
    let token = (OsString::from("ADMIN_TOKEN"), ADMIN_TOKEN.into());
    tollgate(&arguments, BTreeMap::from([token])).await
}

fn text(output: &Output) -> String {
    format!("{}{}", out(output), err(output))
}

/// The end of a traffic of which no timer is due any more, whenever the test runs.
fn long_ago() -> String {
    let until = Timestamp::from_seconds(seconds_from_now(-60 * 86_400)).unwrap();
    until.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_weather_changes_nobody() {
    let temporary = tempfile::tempdir().unwrap();
    let arguments = [
        "simulate",
        "--seed",
        "12",
        "--customers",
        "40",
        "--months",
        "8",
        "--shuffle",
        "--duplicate",
        "0.2",
    ];
    let environment = BTreeMap::from([("TMPDIR".into(), temporary.path().into())]);
    let output = tollgate(&arguments, environment).await;
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    for shown in [
        "seed 12",
        " Paddle",
        " Stripe 2024-06-20",
        " Stripe 2025-11-17.clover",
    ] {
        assert!(text.contains(shown), "`{shown}` is missing:\n{text}");
    }
    // Lives without any trouble would be no test.
    for status in [
        " active",
        " expired",
        " frozen",
        " suspended",
        ", 0 differences",
    ] {
        let verdict = text.lines().last().unwrap();
        assert!(verdict.contains(status), "`{status}` is missing:\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "colour is for terminals:\n{text}");
    let left = std::fs::read_dir(temporary.path()).unwrap().count();
    assert_eq!(left, 0, "the folder is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_loss_explains_is_counted_and_not_blamed() {
    let arguments = [
        "--seed",
        "5",
        "--customers",
        "12",
        "--months",
        "5",
        "--drop",
        "0.1",
    ];
    let output = simulate(&arguments).await;
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    let lost = text
        .lines()
        .find(|line| line.starts_with("lost: "))
        .unwrap();
    assert!(
        !lost.contains("; 0 customers"),
        "a tenth of all events is missed: {lost}"
    );
    assert!(
        text.lines().last().unwrap().ends_with(", 0 differences"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_changed_behind_its_back_is_named() {
    let server = TestServer::start(Engine::Sqlite).await;
    let until = long_ago();
    let same = [
        "--seed",
        "3",
        "--customers",
        "8",
        "--months",
        "4",
        "--until",
        &until,
        "--url",
        &server.base,
    ];
    let output = simulate(&same).await;
    assert!(output.status.success(), "{}", text(&output));
    let check: Vec<&str> = same.iter().chain(&["--check"]).copied().collect();
    let output = simulate(&check).await;
    assert!(
        output.status.success(),
        "nothing has changed: {}",
        text(&output)
    );

    let order = json!({ "name": "hand", "role": "admin", "app": "simulation-3" });
    let (_, made) = server
        .call("POST", "/api/v1/admin-tokens", Some(order))
        .await;
    let token = made["token"].as_str().unwrap();
    let api = format!("{}/api/v1/customers", server.base);
    let list = client()
        .get(format!("{api}?status=active"))
        .bearer_auth(token);
    let list: serde_json::Value = list.send().await.unwrap().json().await.unwrap();
    let victim = &list["data"][0];
    let url = format!("{api}/{}/suspend", victim["id"].as_str().unwrap());
    let suspend = client()
        .post(url)
        .bearer_auth(token)
        .json(&json!({ "reason": "test" }));
    assert_eq!(suspend.send().await.unwrap().status(), 200);

    let output = simulate(&check).await;
    let text = text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let named: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("customer "))
        .collect();
    let victim = format!("customer {}", victim["external_id"].as_str().unwrap());
    assert_eq!(named, [victim.as_str()], "{text}");
    for shown in [
        "expected active, found suspended",
        "in their true order",
        "1 differences",
    ] {
        assert!(text.contains(shown), "`{shown}` is missing:\n{text}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_seed_is_the_same_traffic_byte_for_byte() {
    let until = long_ago();
    let traffic = async |seed: &str| {
        let arguments = [
            "--dry-run",
            "--seed",
            seed,
            "--customers",
            "10",
            "--months",
            "3",
            "--until",
            &until,
            "--shuffle",
            "--duplicate",
            "0.3",
            "--delay",
            "0.1",
            "--drop",
            "0.1",
        ];
        let output = simulate(&arguments).await;
        assert!(output.status.success(), "{}", text(&output));
        output.stdout
    };
    let first = traffic("7").await;
    assert!(first.split(|byte| *byte == b'\n').count() > 100);
    assert_eq!(first, traffic("7").await);
    assert_ne!(first, traffic("8").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_that_make_no_sense_are_explained() {
    let cases: [(&[&str], &str); 9] = [
        (&["--duplicate", "1.5"], "must be a share from 0 to 1"),
        (&["--drop", "some"], "must be a share from 0 to 1"),
        (&["--customers", "0"], "0 is not in 1..=100000"),
        (&["--months", "1000"], "1000 is not in 1..=120"),
        (&["--rate", "0"], "must be a number of events a second"),
        (&["--until", "tomorrow"], "must be a time such as"),
        (&["--check"], "--url"),
        (&["--token", "x"], "--url"),
        (
            &["--url", "http://127.0.0.1:1", "--customers", "1"],
            "the request to http://127.0.0.1:1",
        ),
    ];
    for (arguments, expected) in cases {
        let output = simulate(arguments).await;
        assert!(!output.status.success(), "{arguments:?}");
        assert!(
            err(&output).contains(expected),
            "{arguments:?}: {}",
            err(&output)
        );
    }
    let url = ["simulate", "--url", "http://127.0.0.1:1"];
    let output = tollgate(&url, BTreeMap::new()).await;
    assert!(
        err(&output).contains("give an owner's token with --token"),
        "{}",
        err(&output)
    );
}

/// Receiver, three workers and API as servers of their own, over RabbitMQ and PostgreSQL.
#[tokio::test(flavor = "multi_thread")]
async fn three_workers_over_a_broker_end_the_same() {
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
    let api = Roles {
        api: true,
        ..NO_ROLE
    };
    let mut servers = Vec::new();
    for roles in [receiver, api, worker, worker, worker] {
        servers.push(Server::start(&config, roles).await.unwrap());
    }
    let base = |index: usize| format!("http://{}", servers[index].address());
    let (hooks, api) = (base(0), base(1));
    let arguments = [
        "--seed",
        "23",
        "--customers",
        "20",
        "--months",
        "5",
        "--shuffle",
        "--duplicate",
        "0.2",
        "--url",
        &hooks,
        "--api-url",
        &api,
    ];
    let output = simulate(&arguments).await;
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    assert!(text.contains(", 0 differences"), "{text}");
    for server in servers {
        server.stop().await;
    }
    place.give_back();
}
