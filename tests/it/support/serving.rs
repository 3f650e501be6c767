//! The program as a serving process, whose log a test can read.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use tempfile::NamedTempFile;

use super::client;

/// A port below those that the kernel hands out to clients, so that nobody takes it while the
/// process is down. Each call in one test process gives another one.
pub(crate) fn quiet_port() -> u16 {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let start = 20_000 + u16::try_from(std::process::id() % 10_000).unwrap();
    loop {
        let port = start + GIVEN.fetch_add(1, Ordering::SeqCst) % 2_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// `tollgate serve`, killed when dropped.
pub(crate) struct Serving {
    child: Child,
    log: NamedTempFile,
    pub(crate) base: String,
}

impl Serving {
    /// Starts it, with nothing in its environment but what is given; `TOLLGATE_LISTEN` among it.
    pub(crate) fn spawn(environment: &BTreeMap<OsString, OsString>) -> Self {
        Self::spawn_of(Path::new(env!("CARGO_BIN_EXE_tollgate")), environment)
    }

    /// The same with another program.
    pub(crate) fn spawn_of(program: &Path, environment: &BTreeMap<OsString, OsString>) -> Self {
        let listen = environment[&OsString::from("TOLLGATE_LISTEN")].clone();
        let log = NamedTempFile::new().unwrap();
        let child = Command::new(program)
            .arg("serve")
            .env_clear()
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::from(log.reopen().unwrap()))
            .spawn()
            .unwrap();
        Self {
            child,
            log,
            base: format!("http://{}", listen.into_string().unwrap()),
        }
    }

    /// Starts it and waits until it is ready.
    pub(crate) async fn start(environment: &BTreeMap<OsString, OsString>) -> Self {
        let mut serving = Self::spawn(environment);
        serving.until_ready().await;
        serving
    }

    pub(crate) async fn until_ready(&mut self) {
        let started = Instant::now();
        let url = format!("{}/readyz", self.base);
        let client = client();
        loop {
            let answer = client.get(&url).send().await;
            if answer.is_ok_and(|answer| answer.status() == 200) {
                return;
            }
            self.still_runs(started);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until its log has this text; returns the whole log.
    pub(crate) async fn until_logged(&mut self, text: &str) -> String {
        let started = Instant::now();
        loop {
            let log = self.log();
            if log.contains(text) {
                return log;
            }
            self.still_runs(started);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn still_runs(&mut self, since: Instant) {
        let ended = self.child.try_wait().unwrap();
        let waited = since.elapsed() > Duration::from_secs(30);
        assert!(!waited && ended.is_none(), "{ended:?}: {}", self.log());
    }

    /// What it has written to standard error so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log.path()).unwrap()
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, as service managers send it.
    pub(crate) fn terminate(mut self) -> ExitStatus {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(sent.unwrap().success());
        self.child.wait().unwrap()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // Already ended in a test that passed; this is for one that did not.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
