//! The program's commands, as a user runs them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::support::program::{err, out, tollgate};
use crate::support::spec::spec;
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{PADDLE_SECRET, STRIPE_SECRET, TestServer, environment};
use tollgate::provider::STRIPE;

/// The environment of a command that talks to a running test server and its store.
fn beside(server: &TestServer) -> BTreeMap<OsString, OsString> {
    let mut environment = server.environment.clone();
    let address = server.server.address().to_string();
    environment.insert("TOLLGATE_LISTEN".into(), address.into());
    environment
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_is_printed_as_it_is_served() {
    let output = tollgate(&["openapi"], BTreeMap::new()).await;
    assert!(output.status.success(), "{}", err(&output));
    assert_eq!(
        out(&output).trim_end(),
        tollgate::http::description::document()
    );
}

/// Runs a command whose standard output and standard error are these.
fn printed_into(arguments: &[&str], out: Stdio, err: Stdio) -> Option<i32> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    let command = command.args(arguments).env_clear().stdin(Stdio::null());
    command.stdout(out).stderr(err).status().unwrap().code()
}

/// A pipe that nobody reads.
fn closed_pipe() -> Stdio {
    let (_, writer) = std::io::pipe().unwrap();
    writer.into()
}

#[test]
fn a_full_disk_is_an_error_and_a_closed_pipe_is_none() {
    let full = || Stdio::from(File::options().write(true).open("/dev/full").unwrap());
    for arguments in [&["openapi"][..], &["man"], &["completions", "bash"]] {
        let said = Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .args(arguments)
            .stdout(full())
            .output()
            .unwrap();
        assert_eq!(said.status.code(), Some(1), "{arguments:?}");
        assert!(
            err(&said).contains("writing to standard output: No space left"),
            "{}",
            err(&said)
        );
        assert_eq!(
            printed_into(arguments, closed_pipe(), Stdio::null()),
            Some(0)
        );
    }
    // What is said on standard error is lost with it, and the exit code stays.
    for err in [full(), closed_pipe()] {
        let wrong = ["import", "customers", "/nowhere.csv"];
        assert_eq!(printed_into(&wrong, Stdio::null(), err), Some(1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_shows_every_step_and_leaves_nothing_behind() {
    let temporary = tempfile::tempdir().unwrap();
    let environment = BTreeMap::from([("TMPDIR".into(), temporary.path().into())]);
    let output = tollgate(&["demo"], environment).await;
    let text = out(&output);
    assert!(output.status.success(), "{text}\n{}", err(&output));
    assert!(!text.contains('\u{1b}'), "colour is for terminals:\n{text}");
    for shown in [
        "Ada  stripe  customer.created                applied     create customer",
        "grant acme/forms ^1.0, subscription active",
        "suspend (payment_failed)",
        "freeze (subscription_ended)",
        "403 customer_suspended",
        "403 version_not_frozen",
        "19 duplicates counted",
        "Zoe ended exactly as Ada did",
        "every step was as it should be",
    ] {
        assert!(text.contains(shown), "`{shown}` is missing:\n{text}");
    }
    assert_eq!(
        std::fs::read_dir(temporary.path()).unwrap().count(),
        0,
        "the folder is gone"
    );
}

async fn trigger_signs_a_sample_that_the_server_takes(engine: Engine) {
    let server = TestServer::start(engine).await;
    let arguments = [
        "trigger",
        "stripe",
        "customer.created",
        "--set",
        "data.object.id=cus_42",
        "--set",
        "data.object.email=fortytwo@example.com",
    ];
    let output = tollgate(&arguments, beside(&server)).await;
    assert!(output.status.success(), "{}{}", out(&output), err(&output));
    assert!(
        out(&output).starts_with("200 {\"received\":true"),
        "{}",
        out(&output)
    );
    let path = "/api/v1/customers?email=fortytwo@example.com";
    let list = server.until(path, |list| list["meta"]["total"] == 1).await;
    assert_eq!(list["data"][0]["external_id"], "stripe_cus_42");
    server.stop().await;
}

async fn every_type_that_has_a_sample_is_taken(engine: Engine) {
    let server = TestServer::start(engine).await;
    for provider in tollgate::provider::names() {
        for kind in spec(provider)
            .types
            .iter()
            .filter(|kind| kind.sample.is_some())
        {
            let payload = serde_json::from_str(kind.sample.unwrap()).unwrap();
            let event = server.deliver(provider, &payload).await;
            assert_ne!(event["outcome"], "failed", "{}: {event}", kind.name);
        }
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trigger_names_the_types_that_it_knows() {
    let output = tollgate(
        &["trigger", "paddle", "nonsense"],
        environment(Path::new("/tmp")),
    )
    .await;
    assert!(!output.status.success());
    let text = err(&output);
    assert!(
        text.contains("there is no sample of paddle's `nonsense`; one of: customer.created"),
        "{text}"
    );
}

async fn a_second_server_on_one_folder_is_refused_by_name(engine: Engine) {
    let server = TestServer::start(engine).await;
    let output = tollgate(&["serve"], server.environment.clone()).await;
    assert!(!output.status.success());
    assert!(
        err(&output).contains("another process serves"),
        "{}",
        err(&output)
    );
    server.stop().await;
}

async fn a_token_from_the_command_line_opens_the_api(engine: Engine) {
    let server = TestServer::start(engine).await;
    let arguments = ["token", "create", "--name", "ci", "--role", "viewer"];
    let output = tollgate(&arguments, beside(&server)).await;
    assert!(output.status.success(), "{}", err(&output));
    let token = out(&output).trim().to_owned();
    assert!(token.starts_with("tga_"), "{token}");
    let url = format!("{}/api/v1/customers", server.base);
    let answer = server
        .client
        .get(&url)
        .bearer_auth(&token)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let body = json!({ "name": "x" });
    let answer = server
        .client
        .post(&url)
        .bearer_auth(&token)
        .json(&body)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 403, "a viewer only reads");
    let arguments = [
        "token", "create", "--name", "ci", "--role", "admin", "--app", "nowhere",
    ];
    let refused = tollgate(&arguments, beside(&server)).await;
    assert!(
        err(&refused).contains("there is no app `nowhere`"),
        "{}",
        err(&refused)
    );
    let nameless = ["token", "create", "--name", " ", "--role", "admin"];
    let refused = tollgate(&nameless, beside(&server)).await;
    assert!(
        err(&refused).contains("must not be empty"),
        "{}",
        err(&refused)
    );
    server.stop().await;
}

async fn failed_events_are_listed_shown_and_replayed_beside_a_running_server(engine: Engine) {
    let server = TestServer::start(engine).await;
    let event = json!({
        "id": "evt_1", "type": "customer.subscription.updated", "created": 1_790_000_000,
        "livemode": true, "data": { "object": { "id": "sub_1" } },
    });
    server.deliver(STRIPE.name, &event).await;
    let listed = tollgate(&["events", "list", "--outcome", "failed"], beside(&server)).await;
    assert!(
        out(&listed).contains("evt_1  payload_field_missing"),
        "{}",
        out(&listed)
    );
    let shown = tollgate(&["events", "show", "evt_1"], beside(&server)).await;
    assert!(out(&shown).contains(&event.to_string()), "{}", out(&shown));
    let before = server.get("/api/v1/events/evt_1").await.1["processed_at"].clone();
    let replayed = tollgate(&["events", "replay", "evt_1"], beside(&server)).await;
    assert!(replayed.status.success(), "{}", err(&replayed));
    server
        .until("/api/v1/events/evt_1", |it| it["processed_at"] != before)
        .await;
    let missing = tollgate(&["events", "show", "evt_none"], beside(&server)).await;
    assert!(
        err(&missing).contains("the ledger has no event `evt_none`"),
        "{}",
        err(&missing)
    );
    server.stop().await;
}

async fn many_events_are_replayed_by_filter_beside_a_running_server(engine: Engine) {
    let server = TestServer::start(engine).await;
    let stripe = STRIPE.name;
    for number in 1..=2 {
        let event = json!({
            "id": format!("evt_{number}"), "type": "customer.subscription.updated",
            "created": 1_790_000_000, "livemode": true, "data": { "object": { "id": "sub_1" } },
        });
        server.deliver(stripe, &event).await;
    }
    let of = |more: &[&'static str]| [&["events", "replay"][..], more].concat();
    let failed = ["--outcome", "failed", "--since", "2026-01-01T00:00:00Z"];
    let shown = tollgate(
        &of(&[&failed[..], &["--dry-run"]].concat()),
        beside(&server),
    )
    .await;
    assert_eq!(
        out(&shown),
        "2 events would be replayed\nevt_1\nevt_2\n",
        "{}",
        err(&shown)
    );
    let shown = tollgate(&of(&["evt_1", "--dry-run"]), beside(&server)).await;
    let expected = "evt_1 would be failed  payload_field_missing: ";
    assert!(
        out(&shown).starts_with(expected),
        "{}{}",
        out(&shown),
        err(&shown)
    );

    let before = server.get("/api/v1/events/evt_2").await.1["processed_at"].clone();
    let ordered = tollgate(&of(&failed), beside(&server)).await;
    let said = out(&ordered);
    let (id, rest) = said
        .split_once(": ")
        .unwrap_or_else(|| panic!("{}", err(&ordered)));
    let lines: Vec<&str> = rest.lines().collect();
    assert_eq!(lines[0], "2 events; the running server will process them");
    assert!(
        lines
            .last()
            .unwrap()
            .ends_with("finished 2 of 2 events published"),
        "{lines:?}"
    );
    server
        .until("/api/v1/events/evt_2", |it| it["processed_at"] != before)
        .await;
    let path = format!("/api/v1/replays/{id}");
    let finished = |it: &serde_json::Value| it["finished_at"].is_string();
    assert_eq!(server.until(&path, finished).await["published"], 2);

    for (arguments, said) in [
        (of(&[]), "nothing says which events to replay"),
        (of(&["evt_1", "--outcome", "failed"]), "cannot be used with"),
        (of(&["evt_1", "--all"]), "cannot be used with"),
        (of(&["--since", "yesterday"]), "or a day such as 2026-01-31"),
        (
            of(&["--since", "2026-01-31T09:30:00"]),
            "must be a time with its zone",
        ),
        (
            of(&["--outcome", "applied"]),
            "`force` replays it all the same",
        ),
    ] {
        let refused = tollgate(&arguments, beside(&server)).await;
        assert!(!refused.status.success(), "{arguments:?}");
        assert!(
            err(&refused).contains(said),
            "{arguments:?}: {}",
            err(&refused)
        );
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn check_config_prints_every_problem_and_no_secret() {
    let dir = tempfile::tempdir().unwrap();
    let mut environment = environment(dir.path());
    let none = tollgate(&["check-config", "--connect"], environment.clone()).await;
    assert!(none.status.success(), "{}{}", out(&none), err(&none));
    let said = "there is no store yet: `tollgate serve` makes ";
    assert!(out(&none).contains(said), "{}", out(&none));
    assert!(
        tollgate(&["migrate"], environment.clone())
            .await
            .status
            .success()
    );
    let good = tollgate(&["check-config", "--connect"], environment.clone()).await;
    assert!(good.status.success(), "{}{}", out(&good), err(&good));
    assert!(out(&good).contains("the store answers"), "{}", out(&good));
    environment.insert("TOLLGATE_LISTEN".into(), "nowhere".into());
    environment.insert("ADMIN_TOKEN".into(), "short".into());
    let bad = tollgate(&["check-config"], environment).await;
    assert_eq!(bad.status.code(), Some(1));
    let text = out(&bad);
    assert!(
        text.contains("TOLLGATE_LISTEN") && text.contains("ADMIN_TOKEN"),
        "{text}"
    );
    for text in [text, out(&good)] {
        assert!(
            !text.contains(STRIPE_SECRET) && !text.contains(PADDLE_SECRET),
            "{text}"
        );
    }
}

on_both_stores! {
    trigger_signs_a_sample_that_the_server_takes,
    every_type_that_has_a_sample_is_taken,
    a_second_server_on_one_folder_is_refused_by_name,
    a_token_from_the_command_line_opens_the_api,
    failed_events_are_listed_shown_and_replayed_beside_a_running_server,
    many_events_are_replayed_by_filter_beside_a_running_server,
}
