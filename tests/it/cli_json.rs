//! What a command that fails tells a program that asked for JSON.

use std::collections::BTreeMap;

use secrecy::ExposeSecret;
use serde_json::Value;

use crate::support::TestServer;
use crate::support::postgres::empty_database;
use crate::support::program::{Settings, err, out, tollgate, with};
use crate::support::stores::{Engine, on_both_stores};

/// The exit code, and the error that a command tells as JSON and nowhere else.
async fn error(arguments: &[&str], settings: Settings) -> (i32, Value) {
    let output = tollgate(arguments, settings).await;
    let said = err(&output);
    assert_eq!(
        out(&output),
        "",
        "{arguments:?}: standard output stays clean"
    );
    let json: Vec<&str> = said.lines().filter(|it| it.starts_with('{')).collect();
    let last = said.lines().last().unwrap_or_default();
    assert_eq!(json, [last], "{arguments:?}: {said}");
    let told: Value = serde_json::from_str(last).unwrap();
    let names: Vec<&String> = told.as_object().unwrap().keys().collect();
    assert_eq!(names, ["error"], "{told}");
    (output.status.code().unwrap(), told["error"].clone())
}

async fn a_failure_is_told_as_json_with_the_code_of_the_api(engine: Engine) {
    let server = TestServer::start(engine).await;
    let replay = "rpl_01939f1bf0007cc8a4d0b1c2d3e4f506";
    for (arguments, exit, code, part) in [
        (
            &["events", "show", "evt_0"][..],
            1,
            "event_not_found",
            "`evt_0`",
        ),
        (
            &["events", "list", "--app", "nowhere"],
            1,
            "app_not_found",
            "`nowhere`",
        ),
        (
            &["events", "list", "--customer", "nobody"],
            1,
            "customer_not_found",
            "`nobody`",
        ),
        (
            &["events", "list", "--cursor", "x"],
            1,
            "query_invalid",
            "--cursor is not a cursor of this list",
        ),
        (
            &["replays", "show", replay],
            1,
            "replay_not_found",
            "has no replay",
        ),
        (
            &["replays", "cancel", replay],
            1,
            "replay_not_found",
            "has no replay",
        ),
        (
            &["events", "list", "--limit", "0"],
            2,
            "arguments_invalid",
            "--limit",
        ),
        (
            &["events", "list", "--since", "soon"],
            2,
            "arguments_invalid",
            "2026-01-31",
        ),
        (&["events", "lst"], 2, "arguments_invalid", "lst"),
        (
            &["trigger", "--list", "cash"],
            2,
            "arguments_invalid",
            "cash",
        ),
    ] {
        let with_json = [arguments, &["--json"]].concat();
        let (left, told) = error(&with_json, server.environment.clone()).await;
        assert_eq!(left, exit, "{arguments:?}: {told}");
        assert_eq!(told["code"], code, "{arguments:?}: {told}");
        let message = told["message"].as_str().unwrap();
        assert!(message.contains(part), "{arguments:?}: {message}");
        assert_eq!(told.get("errors"), None, "{told}");

        // People get the same sentence, and the same exit code.
        let plain = tollgate(arguments, server.environment.clone()).await;
        assert_eq!(plain.status.code(), Some(exit), "{arguments:?}");
        assert!(
            err(&plain).contains(message.lines().next().unwrap()),
            "{}",
            err(&plain)
        );
        assert!(!err(&plain).contains('{'), "{}", err(&plain));
    }
    server.stop().await;
}

on_both_stores! { a_failure_is_told_as_json_with_the_code_of_the_api }

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_a_command_from_its_store_is_told_as_json() {
    let folder = tempfile::tempdir().unwrap();
    let list = ["events", "list", "--json"];
    let (exit, told) = error(&list, with(folder.path(), &[])).await;
    assert_eq!(
        (exit, &told["code"]),
        (1, &"store_missing".into()),
        "{told}"
    );

    let away = [
        ("DATABASE_URL", "postgres://tollgate@127.0.0.1:1/tollgate"),
        ("TOLLGATE_SECRET_KEY", crate::support::SECRET_KEY),
    ];
    let (exit, told) = error(&list, with(folder.path(), &away)).await;
    assert_eq!((exit, &told["code"]), (1, &"store_away".into()), "{told}");

    let empty = empty_database().await;
    let unmigrated = [("DATABASE_URL", empty.expose_secret()), away[1]];
    let (exit, told) = error(&list, with(folder.path(), &unmigrated)).await;
    assert_eq!(
        (exit, &told["code"]),
        (1, &"schema_outdated".into()),
        "{told}"
    );

    let wrong = [("TOLLGATE_LISTEN", "nowhere"), ("ADMIN_TOKEN", "short")];
    let (exit, told) = error(&list, with(folder.path(), &wrong)).await;
    assert_eq!(
        (exit, &told["code"]),
        (1, &"settings_invalid".into()),
        "{told}"
    );
    let errors = told["errors"].as_array().unwrap();
    let fields: Vec<&str> = errors
        .iter()
        .map(|it| it["field"].as_str().unwrap())
        .collect();
    assert_eq!(fields, ["TOLLGATE_LISTEN", "ADMIN_TOKEN"], "{told}");
    assert!(
        !told.to_string().contains("short\""),
        "a secret is not repeated: {told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn help_and_version_are_no_errors_of_a_program() {
    for arguments in [
        &["events", "list", "--json", "--help"][..],
        &["events", "--help", "--json"],
    ] {
        let output = tollgate(arguments, BTreeMap::new()).await;
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(out(&output).contains("Usage:"), "{arguments:?}");
        assert_eq!(err(&output), "");
    }
}
