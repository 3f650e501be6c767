//! The README's blocks run as they are written, in a shell, from a folder of their own.
//!
//! Two things are put in their place: the program that is under test, for
//! `cargo run --release --` and `tollgate`; and free ports, for 8080 and those behind it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use secrecy::ExposeSecret as _;
use tempfile::TempDir;

use crate::support::client;
use crate::support::postgres::unused_database;
use crate::support::program::{err, out};
use crate::support::{SECRET_KEY, rabbitmq};

const README: &str = include_str!("../../README.md");
const PATIENCE: Duration = Duration::from_mins(1);

/// The shell blocks of a section, in order.
fn blocks(heading: &str) -> Vec<&'static str> {
    let (_, section) = README.split_once(&format!("\n{heading}\n")).unwrap();
    let depth = heading.split(' ').next().unwrap();
    let end = section
        .find(&format!("\n{depth} "))
        .unwrap_or(section.len());
    let fenced = section[..end].split("```sh\n").skip(1);
    fenced.map(|it| it.split_once("```").unwrap().0).collect()
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
        let mut command = self.command(block);
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
    let serving = blocks("## Serving");
    let mut shell = Shell::new();
    shell.serve(serving[0], &["8080"]).await;

    shell.run(&without(serving[1], &["curl"])).await;
    // Applying the webhook takes a moment; the reader of the README takes longer.
    let settings = "set -a; . ./tollgate.env; set +a\n";
    let curl = serving[1]
        .lines()
        .find(|line| line.starts_with("curl"))
        .unwrap();
    let look = format!("{settings}{curl} -s");
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

    let api = blocks("## The admin API");
    let shown = out(&shell.run(&format!("{settings}{}", api[0])).await);
    for part in [r#""allowed":true"#, r#""code":"customer_suspended""#] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
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

    let serving = blocks("## Serving");
    // The settings of the section before, without the server that it starts.
    shell.run(&without(serving[0], &["cargo"])).await;
    let block = blocks("### From one machine to many")[0];
    shell.serve(block, &["8080", "8081", "8082"]).await;

    shell.run(&without(serving[1], &["curl"])).await;
    let curl = serving[1]
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
    assert_eq!(blocks("## Serving").len(), 4);
    assert!(blocks("### From one machine to many")[0].contains("tollgate migrate"));
    assert_eq!(without("a b\nc d\n", &["a"]), "c d\n");
    assert!(Path::new(env!("CARGO_BIN_EXE_tollgate")).exists());
}
