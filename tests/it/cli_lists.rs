//! Lists of the command line.

use std::collections::BTreeMap;
use std::ffi::OsString;

use serde_json::{Value, json};
use tollgate::provider::STRIPE;

use crate::support::program::{err, out, tollgate};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{
    TestServer, environment, seconds_from_now, stripe_customer, stripe_event, stripe_subscription,
};

on_both_stores! {
    events_are_listed_in_parts_and_as_json,
    a_customer_is_named_by_whatever_is_at_hand,
    replays_are_listed_shown_and_canceled_as_json,
    an_app_is_paused_and_resumed_from_the_command_line,
    an_app_that_does_not_exist_is_no_app_without_events,
}

async fn run(server: &TestServer, arguments: &[&str]) -> (bool, String, String) {
    let output = tollgate(arguments, server.environment.clone()).await;
    (output.status.success(), out(&output), err(&output))
}

/// What a command prints, line by line, as JSON.
async fn json_lines(server: &TestServer, arguments: &[&str]) -> Vec<Value> {
    let (good, printed, said) = run(server, arguments).await;
    assert!(good, "{arguments:?}: {said}");
    let lines = printed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}

/// Ann with a subscription, and Bob; the id of Ann.
async fn ann_and_bob(server: &TestServer) -> String {
    let now = seconds_from_now(0);
    for (account, email) in [("cus_1", "ann@example.com"), ("cus_2", "bob@example.com")] {
        let customer = stripe_customer(account, email);
        let event = stripe_event(&format!("evt_{account}"), "customer.created", now, customer);
        server.deliver(STRIPE.name, &event).await;
    }
    let subscription = stripe_subscription("sub_1", "cus_1", "active");
    let created = "customer.subscription.created";
    let event = stripe_event("evt_sub", created, now, subscription);
    let event = server.deliver(STRIPE.name, &event).await;
    event["customer_id"].as_str().unwrap().to_owned()
}

async fn events_are_listed_in_parts_and_as_json(engine: Engine) {
    let server = TestServer::start(engine).await;
    for number in 0..130 {
        let customer = stripe_customer(&format!("cus_{number}"), &format!("c{number}@example.com"));
        let id = format!("evt_{number}");
        let event = stripe_event(&id, "customer.created", seconds_from_now(0), customer);
        let (status, answer) = server.post(STRIPE.name, &event).await;
        assert_eq!(status, 200, "{answer}");
    }
    server.outcome("evt_129").await;
    server
        .until("/api/v1/events?page_size=1", |list| {
            list["meta"]["total"] == 130
        })
        .await;
    let all = json_lines(&server, &["events", "list", "--no-limit", "--json"]).await;
    assert_eq!(all.len(), 130);
    // The lines are what the API answers.
    let (_, listed) = server.get("/api/v1/events?page_size=1").await;
    assert_eq!(all[0], listed["data"][0]);

    let (good, first, said) = run(&server, &["events", "list", "--limit", "110"]).await;
    assert!(good, "{said}");
    assert_eq!(first.lines().count(), 110, "more than are read at once");
    let cursor = said.split_once("there are more: --cursor ").unwrap().1;
    let cursor = cursor.trim();
    let of_rest = ["events", "list", "--cursor", cursor, "--json"];
    let rest = json_lines(&server, &of_rest).await;
    assert_eq!(rest, all[110..], "it goes on where the first ended");
    let (_, rest, said) = run(&server, &["events", "list", "--cursor", cursor]).await;
    assert_eq!(rest.lines().count(), 20, "{said}");
    assert!(!said.contains("there are more"), "{said}");

    let shown = json_lines(&server, &["events", "show", "evt_7", "--json"]).await;
    let (_, event) = server.get("/api/v1/events/evt_7").await;
    assert_eq!(shown, [event]);
    assert!(shown[0]["payload"]["data"].is_object(), "{shown:?}");
    let (good, _, said) = run(&server, &["events", "list", "--cursor", "nonsense"]).await;
    assert!(!good && said.contains("cursor"), "{said}");
    let (good, _, said) = run(&server, &["events", "list", "--limit", "0"]).await;
    assert!(!good && said.contains("--limit"), "{said}");

    // A day alone is its beginning for `--since` and its end for `--until`.
    let (_, event) = server.get("/api/v1/events/evt_7").await;
    let today = &event["received_at"].as_str().unwrap()[..10];
    for (more, number) in [
        (vec!["--since", today, "--until", today], 130),
        (vec!["--until", "2001-01-31"], 0),
        (vec!["--since", "2199-01-31"], 0),
    ] {
        let arguments = [&["events", "list", "--no-limit", "--json"][..], &more].concat();
        let lines = json_lines(&server, &arguments).await;
        assert_eq!(lines.len(), number, "{more:?}");
    }
    server.stop().await;
}

async fn a_customer_is_named_by_whatever_is_at_hand(engine: Engine) {
    let server = TestServer::start(engine).await;
    let ann = ann_and_bob(&server).await;
    let body = json!({"name": "Dana", "external_id": "erp_7", "email": "dana@example.com"});
    assert_eq!(
        server.call("POST", "/api/v1/customers", Some(body)).await.0,
        201
    );
    for name in [
        ann.as_str(),
        "cus_1",
        "stripe_cus_1",
        "sub_1",
        "ANN@example.com",
    ] {
        let arguments = ["events", "list", "--customer", name, "--json"];
        let lines = json_lines(&server, &arguments).await;
        let ids: Vec<&str> = lines.iter().map(|it| it["id"].as_str().unwrap()).collect();
        assert_eq!(ids, ["evt_sub", "evt_cus_1"], "{name}");
    }
    let arguments = ["events", "list", "--customer", "erp_7", "--json"];
    assert_eq!(json_lines(&server, &arguments).await, Vec::<Value>::new());
    for (name, why) in [
        (
            "cus_unknown",
            "nothing names a customer `cus_unknown` in the app `default`",
        ),
        (
            "ann@exam",
            "nothing names a customer `ann@exam` in the app `default`",
        ),
        // A part of somebody else's address.
        (
            "nn@example.com",
            "nothing names a customer `nn@example.com` in the app `default`",
        ),
    ] {
        let (good, printed, said) = run(&server, &["events", "list", "--customer", name]).await;
        assert!(!good && printed.is_empty() && said.contains(why), "{said}");
    }
    // The name of nobody must not stand for everybody.
    let replay = ["events", "replay", "--customer", "cus_unknown", "--force"];
    let (good, _, said) = run(&server, &replay).await;
    assert!(!good && said.contains("nothing names a customer"), "{said}");
    // A variable of a script that is not set must not stand for the only customer that there is.
    for option in ["--customer", "--account", "--object", "--type"] {
        for nothing in ["", "  "] {
            let arguments = ["events", "replay", option, nothing, "--force"];
            let (good, _, said) = run(&server, &arguments).await;
            assert!(!good && said.contains("is empty: give"), "{said}");
        }
    }
    let of_ann = [
        "events",
        "replay",
        "--customer",
        "sub_1",
        "--force",
        "--dry-run",
    ];
    let (_, printed, said) = run(&server, &of_ann).await;
    assert!(
        printed.starts_with("2 events would be replayed"),
        "{printed}{said}"
    );
    server.stop().await;
}

async fn replays_are_listed_shown_and_canceled_as_json(engine: Engine) {
    let server = TestServer::start(engine).await;
    ann_and_bob(&server).await;
    let (good, printed, said) = run(&server, &["replays", "list", "--json"]).await;
    assert!(good && printed.is_empty(), "{said}");
    assert!(said.contains("nothing was replayed in bulk"), "{said}");
    for command in ["show", "cancel"] {
        let unknown = "rpl_01939f1bf0007cc8a4d0b1c2d3e4f506";
        let (good, _, said) = run(&server, &["replays", command, unknown]).await;
        let why = format!(
            "the app `default` has no replay `{unknown}`; `tollgate replays list` shows what it has"
        );
        assert!(!good && said.contains(&why), "{command}: {said}");
    }
    let ordered = [
        "events",
        "replay",
        "--all",
        "--force",
        "--per-second",
        "1",
        "--detach",
    ];
    let (good, printed, said) = run(&server, &ordered).await;
    assert!(good, "{said}");
    let id = printed.split(':').next().unwrap();
    let listed = json_lines(&server, &["replays", "list", "--json"]).await;
    assert_eq!(listed.len(), 1);
    assert_eq!(
        (&listed[0]["id"], &listed[0]["matched"]),
        (&json!(id), &json!(3))
    );
    let canceled = json_lines(&server, &["replays", "cancel", id, "--json"]).await;
    assert_eq!(canceled[0]["status"], "canceled", "{canceled:?}");
    let shown = json_lines(&server, &["replays", "show", id, "--json"]).await;
    let (_, replay) = server.get(&format!("/api/v1/replays/{id}")).await;
    assert_eq!(shown, [replay]);
    server.stop().await;
}

async fn an_app_is_paused_and_resumed_from_the_command_line(engine: Engine) {
    let server = TestServer::start(engine).await;
    let (good, printed, said) = run(&server, &["app", "pause", "--reason", "a migration"]).await;
    assert!(good, "{said}");
    assert_eq!(printed, "the app default was paused\n");
    let (_, printed, _) = run(&server, &["app", "pause"]).await;
    assert_eq!(printed, "the app default was paused before\n");
    let listed = json_lines(&server, &["app", "list", "--json"]).await;
    assert_eq!(listed[0]["paused"]["reason"], "a migration", "{listed:?}");
    let (_, app) = server.get("/api/v1/apps/default").await;
    assert_eq!(listed[0]["paused"], app["paused"]);
    let (_, audit) = server.get("/api/v1/audit?operation=app_pause").await;
    assert_eq!(audit["data"][0]["actor"], "operator", "{audit}");
    let (_, printed, _) = run(&server, &["app", "list"]).await;
    assert!(
        printed.contains("paused since") && printed.contains("a migration"),
        "{printed}"
    );
    let (_, printed, _) = run(&server, &["app", "resume", "--reason", "done"]).await;
    assert_eq!(printed, "the app default goes on\n");
    let (_, printed, _) = run(&server, &["app", "resume"]).await;
    assert_eq!(printed, "the app default was not paused\n");
    let (good, _, said) = run(&server, &["app", "pause", "--app", "nowhere"]).await;
    assert!(
        !good && said.contains("there is no app `nowhere`"),
        "{said}"
    );
    server.stop().await;
}

async fn an_app_that_does_not_exist_is_no_app_without_events(engine: Engine) {
    let server = TestServer::start(engine).await;
    let id = format!("rpl_{}", "0".repeat(32));
    for command in [
        &["events", "list"][..],
        &["events", "failures"],
        &["events", "unaccounted"],
        &["events", "show", "evt_1"],
        &["events", "dismiss", "--all"],
        &["events", "replay", "--all"],
        &["events", "replay", "--all", "--dry-run"],
        &["replays", "list"],
        &["replays", "show", &id],
        &["replays", "cancel", &id],
    ] {
        let misspelt = [command, &["--app", "defualt"]].concat();
        let (good, printed, said) = run(&server, &misspelt).await;
        assert!(!good && printed.is_empty(), "{command:?}: {printed}");
        assert!(
            said.contains("there is no app `defualt`; `tollgate app list`"),
            "{command:?}: {said}"
        );
    }
    server.stop().await;
}

/// What a command prints that needs no settings.
pub(crate) async fn alone(arguments: &[&str]) -> String {
    let settings: BTreeMap<OsString, OsString> = BTreeMap::new();
    let output = tollgate(arguments, settings).await;
    assert!(output.status.success(), "{arguments:?}: {}", err(&output));
    out(&output)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_samples_are_listed_with_what_they_say() {
    let all = alone(&["trigger", "--list"]).await;
    for spec in tollgate::provider::ALL {
        for kind in spec.types {
            assert!(
                all.contains(&format!("{} ", kind.name)),
                "{}: {all}",
                kind.name
            );
        }
    }
    let of_one = alone(&["trigger", "paddle", "--list", "--json"]).await;
    let lines: Vec<Value> = of_one
        .lines()
        .map(|it| serde_json::from_str(it).unwrap())
        .collect();
    assert!(
        lines.iter().all(|it| it["provider"] == "paddle"),
        "{of_one}"
    );
    assert!(
        lines.iter().any(|it| it["type"] == "transaction.completed"),
        "{of_one}"
    );
    let output = tollgate(&["trigger"], BTreeMap::new()).await;
    assert_eq!(output.status.code(), Some(2), "{}", err(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn check_config_says_that_all_is_well_and_which_database_it_means() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = environment(dir.path());
    let output = tollgate(&["check-config"], settings.clone()).await;
    let text = out(&output);
    assert!(
        text.contains("all is well; the database is sqlite://"),
        "{text}"
    );
    let url = "postgres://keeper:s3cret@db.example.com:5433/shop?sslmode=require";
    settings.insert("DATABASE_URL".into(), url.into());
    let key = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
    settings.insert("TOLLGATE_SECRET_KEY".into(), key.into());
    let output = tollgate(&["check-config"], settings.clone()).await;
    let text = out(&output);
    let named = "PostgreSQL at db.example.com:5433, database shop, user keeper";
    assert!(
        text.contains(&format!("all is well; the database is {named}")),
        "{text}"
    );
    assert!(!text.contains("s3cret"), "{text}");
    let url = "postgres:///?host=/run/postgresql&dbname=shop&user=u&password=s3cret";
    settings.insert("DATABASE_URL".into(), url.into());
    let text = out(&tollgate(&["check-config"], settings.clone()).await);
    assert!(
        text.contains("PostgreSQL at /run/postgresql:5432, database shop, user u"),
        "{text}"
    );
    assert!(!text.contains("s3cret"), "{text}");
    settings.insert("TOLLGATE_LISTEN".into(), "nowhere".into());
    let output = tollgate(&["check-config"], settings).await;
    assert!(!out(&output).contains("all is well"), "{}", out(&output));
}
