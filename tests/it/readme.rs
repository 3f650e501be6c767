//! The blocks of the README and of docs/ on serving run as they are written, in a shell, from a folder of their own.
//!
//! Two things are put in their place: the program that is under test, for
//! `cargo run --release --` and `tollgate`; and free ports, for 8080 and those behind it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::docs::{root, text};
use crate::support::client;
use crate::support::postgres::unused_database;
use crate::support::program::{err, out};
use crate::support::{SECRET_KEY, rabbitmq};

const PATIENCE: Duration = Duration::from_mins(1);

/// The settings, and what the README has done with them.
const SETTINGS: &str = "set -a; . ./tollgate.env; set +a\n";

/// Before a block's output.
const MARK: &str = "@@@ block";

/// The pages and sections of which each shell block is run, in the order of the tests.
const RUN: [(&str, &str); 6] = [
    ("README.md", "## Serving"),
    ("docs/first-hour.md", "# The first hour"),
    ("docs/api.md", "# The admin API"),
    ("docs/composer.md", "## npm, Cargo and other packages"),
    ("docs/forgetting.md", "# Forgetting"),
    ("docs/operating.md", "## From one machine to many"),
];

/// The shell blocks that these tests run. Those that need what a test does not have say so behind `sh`.
pub(crate) fn run() -> Vec<String> {
    let blocks = RUN.iter().flat_map(|(page, heading)| blocks(page, heading));
    blocks.map(|it| it.text).collect()
}

/// A shell block.
struct Block {
    text: String,
    /// What it prints, if the page has that.
    answer: Option<Value>,
}

/// The shell blocks of a page's section, in order.
fn blocks(page: &str, heading: &str) -> Vec<Block> {
    // Read when it runs: a change of a page needs no build.
    let page = text(&root().join(page));
    let (_, section) = page.split_once(&format!("{heading}\n")).unwrap();
    let depth = heading.split(' ').next().unwrap();
    let end = section
        .find(&format!("\n{depth} "))
        .unwrap_or(section.len());
    let fenced = section[..end].split("```sh\n").skip(1);
    let block = |it: &str| {
        let (text, rest) = it.split_once("```").unwrap();
        let answer = rest.trim_start().strip_prefix("```json answer\n");
        let answer = answer.map(|it| it.split_once("```").unwrap().0);
        Block {
            text: text.to_owned(),
            answer: answer.map(|it| serde_json::from_str(it).unwrap()),
        }
    };
    fenced.map(block).collect()
}

/// What differs in form: names of fields and kinds of values. A list that is written without elements may have any.
fn difference(written: &Value, real: &Value, at: &str) -> Option<String> {
    match (written, real) {
        (Value::Object(written), Value::Object(real)) => {
            let names = |it: &serde_json::Map<String, Value>| it.keys().cloned().collect();
            let (here, there): (BTreeSet<String>, BTreeSet<String>) = (names(written), names(real));
            if here != there {
                return Some(format!("{at} has {here:?} on the page, and is {there:?}"));
            }
            let mut parts = written.iter();
            parts.find_map(|(name, it)| difference(it, &real[name], &format!("{at}.{name}")))
        }
        (Value::Array(written), Value::Array(real)) => {
            let (first, second) = (written.first()?, real.first());
            second.map_or_else(
                || Some(format!("{at} is empty")),
                |it| difference(first, it, &format!("{at}[0]")),
            )
        }
        (Value::String(_), Value::String(_))
        | (Value::Number(_), Value::Number(_))
        | (Value::Null, Value::Null) => None,
        _ => (written != real).then(|| format!("{at} is {written} on the page, and {real}")),
    }
}

/// The lines that a reader of these blocks gives to one shell.
fn joined(blocks: &[Block]) -> String {
    let mut script = SETTINGS.to_owned();
    for block in blocks {
        writeln!(script, "echo; echo '{MARK}'\n{}", block.text).unwrap();
    }
    script
}

/// Holds what a script of blocks has printed against the pages.
fn check_answers(blocks: &[Block], printed: &str) {
    let parts: Vec<&str> = printed.split(MARK).skip(1).collect();
    assert_eq!(parts.len(), blocks.len(), "{printed}");
    for (block, part) in blocks.iter().zip(parts) {
        if let Some(answer) = &block.answer {
            let line = part.lines().rev().find(|it| it.starts_with('{')).unwrap();
            let real: Value = serde_json::from_str(line).unwrap();
            let difference = difference(answer, &real, "it");
            assert_eq!(difference, None, "{}", block.text);
        }
    }
}

/// A shell in a folder where the README's commands are at hand.
struct Shell {
    folder: TempDir,
    ports: Vec<(String, u16)>,
    environment: BTreeMap<OsString, OsString>,
    background: Vec<Child>,
}

impl Shell {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = env!("CARGO_BIN_EXE_tollgate");
        for (name, line) in [
            ("tollgate", format!("exec '{program}' \"$@\"")),
            // `cargo run --release -- …`
            ("cargo", format!("shift 3; exec '{program}' \"$@\"")),
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, format!("#!/bin/sh\n{line}\n")).unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        }
        let path = std::env::var("PATH").unwrap();
        let path = format!("{}:{path}", folder.path().display());
        // Held together, so that three ports are three.
        let held = [8080, 8081, 8082].map(|port| (port, TcpListener::bind("127.0.0.1:0").unwrap()));
        let ports = held.map(|(port, held)| (port.to_string(), held.local_addr().unwrap().port()));
        Self {
            folder,
            ports: ports.into(),
            environment: BTreeMap::from([("PATH".into(), path.into())]),
            background: Vec::new(),
        }
    }

    fn port(&self, written: &str) -> u16 {
        self.ports.iter().find(|(it, _)| it == written).unwrap().1
    }

    fn command(&self, block: &str) -> Command {
        let mut text = block.to_owned();
        for (written, free) in &self.ports {
            text = text.replace(written, &free.to_string());
        }
        let mut command = Command::new("bash");
        command
            .args(["-euo", "pipefail", "-c", &text])
            .current_dir(self.folder.path())
            .env_clear()
            .envs(&self.environment)
            // What no line of the README sets: the port of the first server.
            .env(
                "TOLLGATE_LISTEN",
                format!("127.0.0.1:{}", self.port("8080")),
            )
            .stdin(Stdio::null());
        command
    }

    /// Runs a block to its end.
    async fn run(&self, block: &str) -> Output {
        // A block that waits for what does not happen is ended.
        let mut command = self.command(&format!(
            "(sleep {}; kill -TERM $$) < /dev/null > /dev/null 2>&1 & trap \"kill $!\" EXIT\n{block}",
            2 * PATIENCE.as_secs()
        ));
        let output = tokio::task::spawn_blocking(move || command.output().unwrap());
        let output = output.await.unwrap();
        assert!(output.status.success(), "{block}\n{}", err(&output));
        output
    }

    /// Starts a block that serves, and waits until these ports are ready.
    async fn serve(&mut self, block: &str, ports: &[&str]) {
        let log = std::fs::File::create(self.folder.path().join("log")).unwrap();
        let mut command = self.command(block);
        // A group of its own, so that the shell and what it starts can be ended together.
        command
            .process_group(0)
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        self.background.push(command.spawn().unwrap());
        let started = Instant::now();
        for port in ports {
            let url = format!("http://127.0.0.1:{}/readyz", self.port(port));
            while !is_ready(&url).await {
                let log = std::fs::read_to_string(self.folder.path().join("log"));
                assert!(started.elapsed() < PATIENCE, "{url} is not ready:\n{log:?}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn is_ready(url: &str) -> bool {
    let answer = client().get(url).send().await;
    answer.is_ok_and(|answer| answer.status() == 200)
}

impl Drop for Shell {
    fn drop(&mut self) {
        for shell in &mut self.background {
            let group = format!("-{}", shell.id());
            let _ = Command::new("kill").args(["-TERM", "--", &group]).status();
            let _ = shell.wait();
            // Its children are not ours to wait for; the group is gone when none is left.
            let started = Instant::now();
            let is_alive = || Command::new("kill").args(["-0", "--", &group]).output();
            while is_alive().is_ok_and(|it| it.status.success()) && started.elapsed() < PATIENCE {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

/// The lines of a block that begin with none of these words.
fn without(block: &str, words: &[&str]) -> String {
    let kept = block
        .split_inclusive('\n')
        .filter(|line| !words.iter().any(|it| line.starts_with(it)));
    kept.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_blocks_on_serving_and_on_the_api_run_as_written() {
    let serving = blocks("README.md", "## Serving");
    let mut shell = Shell::new();
    shell.serve(&serving[0].text, &["8080"]).await;

    shell.run(&without(&serving[1].text, &["curl"])).await;
    // Applying the webhook takes a moment; the reader of the README takes longer.
    let curl = (serving[1].text)
        .lines()
        .find(|line| line.starts_with("curl"))
        .unwrap();
    let look = format!("{SETTINGS}{curl} -s");
    let started = Instant::now();
    let shown = loop {
        let shown = out(&shell.run(&look).await);
        if shown.contains("cust_") {
            break shown;
        }
        assert!(started.elapsed() < PATIENCE, "{shown}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    for part in [r#""external_id":"stripe_cus_42""#, r#""status":"active""#] {
        assert!(shown.contains(part), "{part} in {shown}");
    }

    let pages = RUN[2..5].iter();
    let api: Vec<Block> = pages.flat_map(|(page, it)| blocks(page, it)).collect();
    let shown = out(&shell.run(&joined(&api)).await);
    check_answers(&api, &shown);
    for part in [
        r#""allowed":true"#,
        r#""code":"customer_suspended""#,
        r#"{"valid":true,"code":"ok"}"#,
    ] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_hour_goes_as_written() {
    let mut shell = Shell::new();
    let serving = blocks("README.md", "## Serving");
    shell.serve(&serving[0].text, &["8080"]).await;
    let hour = blocks("docs/first-hour.md", "# The first hour");
    let shown = out(&shell.run(&joined(&hour)).await);
    // What stands behind the commands, in order.
    let mut rest = shown.as_str();
    for part in [
        "all is well",
        r#""status": "active""#,
        "ok\nok\nversion_not_allowed\n",
        "counts as good until",
        r#"[{"from":"active","to":"suspended","customers":1}]"#,
        "customer_suspended\n",
        "ok\n",
        "payload_field_missing",
        r#""event_dismiss""#,
    ] {
        let found = rest.find(part);
        rest = &rest[found.unwrap_or_else(|| panic!("{part} in {shown}"))..];
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_that_is_imported_can_be() {
    let page = text(&root().join("docs/moving.md"));
    let (_, csv) = page.split_once("```csv\n").unwrap();
    let csv = csv.split_once("```").unwrap().0;
    let shell = Shell::new();
    std::fs::write(shell.folder.path().join("customers.csv"), csv).unwrap();
    let said = shell
        .run("tollgate import customers customers.csv 2>&1")
        .await;
    assert!(out(&said).contains('1'), "{}", out(&said));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_block_on_many_machines_runs_as_written() {
    let mut shell = Shell::new();
    let database = unused_database().await;
    let key = shell.folder.path().join("secret.key");
    std::fs::write(&key, SECRET_KEY).unwrap();
    // What `deploy/dev/services` prints.
    let mut set = |name: &str, value: &str| shell.environment.insert(name.into(), value.into());
    set("DATABASE_URL", database.expose_secret());
    set("AMQP_URL", &rabbitmq::shared().url());
    set("TOLLGATE_SECRET_KEY_FILE", key.to_str().unwrap());
    set("TOLLGATE_AMQP_PREFIX", &rabbitmq::prefix());

    let serving = blocks("README.md", "## Serving");
    // The settings of the section before, without the server that it starts.
    shell.run(&without(&serving[0].text, &["cargo"])).await;
    let block = &blocks("docs/operating.md", "## From one machine to many")[0];
    shell.serve(&block.text, &["8080", "8081", "8082"]).await;

    shell.run(&without(&serving[1].text, &["curl"])).await;
    let curl = (serving[1].text)
        .lines()
        .find(|line| line.starts_with("curl"))
        .unwrap();
    let look = format!("set -a; . ./tollgate.env; set +a\n{curl} -s").replace("8080", "8082");
    let started = Instant::now();
    loop {
        let shown = out(&shell.run(&look).await);
        if shown.contains(r#""external_id":"stripe_cus_42""#) {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "{shown}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[test]
fn the_blocks_of_a_section_are_found() {
    assert_eq!(blocks("README.md", "## Serving").len(), 2);
    let many = blocks("docs/operating.md", "## From one machine to many");
    assert_eq!(many.len(), 1);
    assert!(many[0].text.contains("tollgate migrate"));
    assert_eq!(without("a b\nc d\n", &["a"]), "c d\n");
    assert!(Path::new(env!("CARGO_BIN_EXE_tollgate")).exists());
}

#[test]
fn another_form_of_an_answer_is_found() {
    let written = json!({"a": [{"b": "…"}], "c": null, "d": []});
    let same = json!({"a": [{"b": "1"}, {"b": "2"}], "c": null, "d": [1]});
    assert_eq!(difference(&written, &same, "it"), None);
    for other in [
        json!({"a": [{"b": 1}], "c": null, "d": []}),
        json!({"a": [], "c": null, "d": []}),
        json!({"a": [{"b": "1"}], "c": "1", "d": []}),
        json!({"a": [{"b": "1"}], "d": []}),
    ] {
        assert!(difference(&written, &other, "it").is_some(), "{other}");
    }
}
