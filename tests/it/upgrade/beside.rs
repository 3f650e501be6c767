//! Processes of the version before beside those of this one, on one broker and one database, as while
//! an installation is upgraded process by process.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::program::{err, out, run, tollgate};
use crate::support::rabbitmq::{prefix, shared};
use crate::support::serving::{Serving, quiet_port};
use crate::support::stores::Place;
use crate::support::{ADMIN_TOKEN, SECRET_KEY, client, environment};

/// The tag of the version before.
const TAG: &str = "v0.2.0";

/// Names a program of the version before, to be taken instead of building one.
const PROGRAM: &str = "TOLLGATE_OLD_BINARY";

/// The program of the version before: built from its tag, once, in a folder of its own.
fn program_before() -> PathBuf {
    if let Some(given) = std::env::var_os(PROGRAM) {
        return given.into();
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(TAG);
    let source = folder.join("source");
    if !source.exists() {
        let archive = Command::new("git")
            .args(["archive", TAG])
            .current_dir(root)
            .output()
            .unwrap();
        let why = String::from_utf8_lossy(&archive.stderr).into_owned();
        assert!(
            archive.status.success(),
            "there is no {TAG} here to build the version before from: `git fetch --tags --unshallow` \
             gets it, or set {PROGRAM} to a program of it\n{why}"
        );
        let unpacked = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let tar = unpacked.path().join("source.tar");
        std::fs::write(&tar, archive.stdout).unwrap();
        let into = unpacked.path().join("source");
        std::fs::create_dir(&into).unwrap();
        let untar = Command::new("tar")
            .arg("-xf")
            .arg(&tar)
            .arg("-C")
            .arg(&into)
            .status();
        assert!(untar.unwrap().success());
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::rename(into, &source).unwrap();
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--locked", "--bin", "tollgate"])
        .current_dir(&source)
        .env("CARGO_TARGET_DIR", &folder)
        .status();
    assert!(built.unwrap().success(), "{TAG} does not build");
    folder.join("debug/tollgate")
}

type Settings = BTreeMap<OsString, OsString>;

fn with_port(settings: &Settings) -> Settings {
    let mut settings = settings.clone();
    let listen = format!("127.0.0.1:{}", quiet_port());
    settings.insert("TOLLGATE_LISTEN".into(), listen.into());
    settings
}

/// Posts months of traffic to one process, and compares what the other one shows with the model.
async fn simulate(seed: &str, receiver: &str, api: &str) -> Output {
    let arguments = [
        "simulate",
        "--seed",
        seed,
        "--customers",
        "30",
        "--months",
        "6",
        "--shuffle",
        "--duplicate",
        "0.1",
        "--url",
        receiver,
        "--api-url",
        api,
    ];
    let token = (OsString::from("ADMIN_TOKEN"), ADMIN_TOKEN.into());
    tollgate(&arguments, Settings::from([token])).await
}

fn assert_right(output: &Output) {
    let text = format!("{}{}", out(output), err(output));
    assert!(output.status.success(), "{text}");
    assert!(text.contains(", 0 differences\n"), "{text}");
}

/// The number of events that a process has processed.
async fn processed(process: &Serving) -> i64 {
    let url = format!("{}/metrics", process.base);
    let asked = client().get(url).bearer_auth(ADMIN_TOKEN).send().await;
    let figures = asked.unwrap().text().await.unwrap();
    let counts = figures
        .lines()
        .filter(|line| line.starts_with("tollgate_events_total{"));
    let count = |line: &str| line.rsplit_once(' ').unwrap().1.parse::<i64>().unwrap();
    counts.map(count).sum()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "builds the version before: deploy/dev/test --slow"]
async fn old_and_new_processes_work_beside_each_other() {
    let before = tokio::task::spawn_blocking(program_before).await.unwrap();
    let url = crate::support::postgres::empty_database().await;
    let place = Place::Server(url);
    let dir = tempfile::tempdir().unwrap();
    let mut settings = environment(dir.path());
    settings.insert("DATABASE_URL".into(), place.url().into());
    settings.insert("TOLLGATE_SECRET_KEY".into(), SECRET_KEY.into());
    settings.insert("AMQP_URL".into(), shared().url().into());
    settings.insert("TOLLGATE_AMQP_PREFIX".into(), prefix().into());

    let migrated = run(&before, &["migrate"], settings.clone()).await;
    assert!(migrated.status.success(), "{}", err(&migrated));
    let mut old = Serving::spawn_of(&before, &with_port(&settings));
    old.until_ready().await;
    // As docs/upgrading.md has it: migrate while the old ones run, then replace one by one.
    let migrated = tollgate(&["migrate"], settings.clone()).await;
    assert!(migrated.status.success(), "{}", err(&migrated));
    old.until_ready().await;
    let new = Serving::start(&with_port(&settings)).await;

    // What the old one receives both process, and what the new one receives too.
    assert_right(&simulate("71", &old.base, &new.base).await);
    assert_right(&simulate("72", &new.base, &old.base).await);
    let shares = [processed(&old).await, processed(&new).await];
    assert!(shares.iter().all(|it| *it > 0), "{shares:?}");

    // The old one stops in the middle of the next load.
    let (receiver, api) = (new.base.clone(), new.base.clone());
    let load = tokio::spawn(async move { simulate("73", &receiver, &api).await });
    let so_far = processed(&old).await;
    while processed(&old).await == so_far {
        assert!(!load.is_finished(), "the old one had no part in it");
    }
    assert!(old.terminate().success());
    assert_right(&load.await.unwrap());

    // From the migration on, none of the old ones starts anew, and it says why.
    let refused = run(&before, &["serve"], with_port(&settings)).await;
    assert!(!refused.status.success());
    assert!(err(&refused).contains("newer"), "{}", err(&refused));
    assert!(new.terminate().success());
}
