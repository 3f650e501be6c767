//! A browser: Debian's Chromium, driven through its chromedriver by the W3C protocol
//! (<https://www.w3.org/TR/webdriver2/>), which is JSON over HTTP. The dozen calls that are needed
//! are shorter than the crates that have them all, which bring ten to twenty others.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::serving::quiet_port;
use crate::support::{PATIENCE, client};

/// How the protocol names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

pub(super) struct Browser {
    client: reqwest::Client,
    process: Child,
    session: String,
}

impl Browser {
    pub(super) async fn start() -> Self {
        let port = quiet_port();
        let process = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            // The browser is in the group of its driver, and ends with it.
            .process_group(0)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is in Debian's package chromium-driver");
        let mut browser = Self {
            client: client(),
            process,
            session: format!("http://127.0.0.1:{port}"),
        };
        let started = Instant::now();
        let status = format!("{}/status", browser.session);
        while browser.client.get(&status).send().await.is_err() {
            assert!(started.elapsed() < PATIENCE, "chromedriver does not answer");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // The sandbox needs a user of its own, and a container's /dev/shm is small.
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--force-prefers-reduced-motion",
            "--window-size=1280,900",
        ];
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let made = browser.call("session", wanted).await;
        let id = made["sessionId"].as_str().unwrap();
        browser.session = format!("{}/session/{id}", browser.session);
        browser
    }

    async fn call(&self, path: &str, body: Value) -> Value {
        self.try_call(path, body).await.unwrap()
    }

    async fn try_call(&self, path: &str, body: Value) -> Result<Value, String> {
        let url = format!("{}/{path}", self.session);
        let answer = self.client.post(&url).json(&body).send().await.unwrap();
        let is_good = answer.status().is_success();
        let mut answer: Value = answer.json().await.unwrap();
        let value = answer["value"].take();
        if is_good {
            Ok(value)
        } else {
            Err(format!("{path}: {value}"))
        }
    }

    pub(super) async fn open(&self, url: &str) {
        self.call("url", json!({"url": url})).await;
    }

    async fn find(&self, css: &str) -> String {
        let started = Instant::now();
        loop {
            let wanted = json!({"using": "css selector", "value": css});
            match self.try_call("element", wanted).await {
                Ok(found) => return found[ELEMENT].as_str().unwrap().to_owned(),
                Err(error) if started.elapsed() > PATIENCE => {
                    panic!("{css} is not there: {error}\n{}", self.text("body").await)
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// Clicks the button or link with this text.
    pub(super) async fn press(&self, text: &str) {
        let script = "const all = [...document.querySelectorAll('button, a, summary')];
            const found = all.find((it) => it.textContent.trim() === arguments[0]);
            if (found) { found.click(); } return found !== undefined;";
        let started = Instant::now();
        while self.run(script, json!([text])).await != json!(true) {
            let body = self.text("body").await;
            assert!(started.elapsed() < PATIENCE, "no {text:?} in {body}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(super) async fn write(&self, css: &str, text: &str) {
        let element = self.find(css).await;
        self.call(&format!("element/{element}/clear"), json!({}))
            .await;
        let keys = json!({"text": text});
        self.call(&format!("element/{element}/value"), keys).await;
    }

    /// Types keys wherever the focus is.
    pub(super) async fn keys(&self, keys: &str) {
        let down = |key: char| {
            [
                json!({"type": "keyDown", "value": key.to_string()}),
                json!({"type": "keyUp", "value": key.to_string()}),
            ]
        };
        let actions: Vec<Value> = keys.chars().flat_map(down).collect();
        let body = json!({"actions": [{"type": "key", "id": "keyboard", "actions": actions}]});
        self.call("actions", body).await;
    }

    pub(super) async fn text(&self, css: &str) -> String {
        let script = "return document.querySelector(arguments[0])?.innerText ?? ''";
        let text = self.run(script, json!([css])).await;
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the page says something.
    pub(super) async fn sees(&self, text: &str) {
        let started = Instant::now();
        loop {
            let body = self.text("body").await;
            if body.contains(text) {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "no {text:?} in {body}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(super) async fn run(&self, script: &str, arguments: Value) -> Value {
        let body = json!({"script": script, "args": arguments});
        self.call("execute/sync", body).await
    }

    /// What the browser has to complain of since it was asked last.
    pub(super) async fn complaints(&self) -> Vec<String> {
        let log = self.call("se/log", json!({"type": "browser"})).await;
        let entries = log.as_array().into_iter().flatten();
        let bad = entries.filter(|it| it["level"] == "SEVERE");
        bad.map(|it| it["message"].as_str().unwrap().to_owned())
            .collect()
    }

    pub(super) async fn resize(&self, width: u32, height: u32) {
        let metrics = json!({"cmd": "Emulation.setDeviceMetricsOverride", "params": {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600,
        }});
        self.call("goog/cdp/execute", metrics).await;
    }

    pub(super) async fn prefer(&self, scheme: &str) {
        let feature = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        let media = json!({"cmd": "Emulation.setEmulatedMedia", "params": {"features": feature}});
        self.call("goog/cdp/execute", media).await;
    }

    /// A picture of the whole page, as a PNG in base64.
    pub(super) async fn picture(&self) -> String {
        let command = json!({"cmd": "Page.captureScreenshot", "params": {
            "format": "png", "captureBeyondViewport": true,
        }});
        let taken = self.call("goog/cdp/execute", command).await;
        taken["data"].as_str().unwrap().to_owned()
    }

    pub(super) async fn close(self) {
        let _ = self.client.delete(&self.session).send().await;
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let group = format!("-{}", self.process.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.process.wait();
    }
}
