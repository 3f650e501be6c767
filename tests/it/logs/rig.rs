//! The program as a process whose log is kept.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tollgate::clock::{Clock, SystemClock};
use tollgate::domain::id::Provider;

use crate::support::spec::{header_name, sign};
use crate::support::stores::{Engine, Place};
use crate::support::{PATIENCE, SECRET_KEY, call, client, environment, rabbitmq, secret};

/// A running server, and its log in a file.
pub(super) struct Process {
    child: Child,
    pub(super) base: String,
    pub(super) client: reqwest::Client,
    pub(super) environment: BTreeMap<OsString, OsString>,
    pub(super) place: Place,
    log: PathBuf,
    _folder: TempDir,
}

impl Process {
    /// Starts a server with this format and filter, over RabbitMQ if a broker's address is given.
    pub(super) async fn start(
        engine: Engine,
        broker: Option<&str>,
        format: &str,
        filter: &str,
    ) -> Self {
        let place = Place::new(engine).await;
        let url = place.url();
        Self::start_over(place, &url, broker, format, filter).await
    }

    /// Starts a server that reaches its store by another address than the test.
    pub(super) async fn start_over(
        place: Place,
        url: &str,
        broker: Option<&str>,
        format: &str,
        filter: &str,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut environment = environment(folder.path());
        let mut set = |name: &str, value: &str| environment.insert(name.into(), value.into());
        set("DATABASE_URL", url);
        set("TOLLGATE_SECRET_KEY", SECRET_KEY);
        set("TOLLGATE_LOG", filter);
        set("TOLLGATE_LOG_FORMAT", format);
        if let Some(url) = broker {
            set("AMQP_URL", url);
            set("TOLLGATE_AMQP_PREFIX", &rabbitmq::prefix());
        }
        let log = folder.path().join("log");
        let child = Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .arg("serve")
            .env_clear()
            .envs(&environment)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut process = Self {
            child,
            base: String::new(),
            client: client(),
            environment,
            place,
            log,
            _folder: folder,
        };
        let text = process.until_logged("serving").await;
        let start = text.find("127.0.0.1:").unwrap();
        let end = |it: char| !(it.is_ascii_digit() || ".:".contains(it));
        let address = text[start..].split(end).next().unwrap();
        process.base = format!("http://{address}");
        process
    }

    pub(super) fn text(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// The lines of a log in JSON.
    pub(super) fn lines(&self) -> Vec<Value> {
        let text = self.text();
        let lines = text.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Waits until the log has these words.
    pub(super) async fn until_logged(&self, words: &str) -> String {
        let started = Instant::now();
        loop {
            let text = self.text();
            if text.contains(words) {
                return text;
            }
            assert!(started.elapsed() < PATIENCE, "no {words:?} in:\n{text}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until so many events have their line.
    pub(super) async fn until_done(&self, events: usize) {
        let started = Instant::now();
        while self.text().matches("event done").count() < events {
            assert!(started.elapsed() < 3 * PATIENCE, "{}", self.text());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Signs and posts a payload; status and the signature's header.
    pub(super) async fn post(&self, provider: Provider, payload: &Value) -> (u16, String) {
        let body = payload.to_string().into_bytes();
        let signature = sign(provider, &secret(provider), &body, SystemClock.now());
        let path = format!("/webhooks/{provider}");
        (self.post_bytes(&path, &signature, body).await, signature)
    }

    /// Posts bytes with a signature for Stripe and for Paddle.
    pub(super) async fn post_bytes(&self, path: &str, signature: &str, body: Vec<u8>) -> u16 {
        let mut request = self.client.post(format!("{}{path}", self.base));
        for spec in tollgate::provider::ALL {
            request = request.header(header_name(spec.name), signature);
        }
        let answer = request.body(body).send().await.unwrap();
        answer.status().as_u16()
    }

    pub(super) async fn call(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        call(&self.client, &self.base, method, path, body).await
    }

    /// Ends the process as service managers do; its whole log.
    pub(super) fn stop(&mut self) -> String {
        let pid = self.child.id().to_string();
        let told = Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        assert!(told.success());
        let status = self.child.wait().unwrap();
        let text = self.text();
        assert!(status.success(), "{status}:\n{text}");
        text
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Ended already in a test that passed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
