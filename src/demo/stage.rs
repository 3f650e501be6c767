//! The server that the demo runs on, and the requests it sends there.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::error::DemoError;
use super::story::{Customer, PLANS, Webhook};
use crate::client::{RequestError, client};
use crate::clock::{Clock, SystemClock};
use crate::domain::id::Provider;
use crate::domain::time::Timestamp;
use crate::provider::{PADDLE, STRIPE};
use crate::random;
use crate::server::embedded::Embedded;

/// How long the demo waits for an outcome: some hundred times longer than usual.
const OUTCOME_TIMEOUT: Duration = Duration::from_secs(10);

/// How many connections post the shuffled webhooks at once.
const CONNECTIONS: usize = 8;

/// Shows the time of the story until it is replayed to follow the system's clock.
struct StoryClock(AtomicI64);

impl Clock for StoryClock {
    fn now(&self) -> Timestamp {
        match self.0.load(Ordering::SeqCst) {
            i64::MIN => SystemClock.now(),
            nanos => Timestamp::from_nanos(nanos),
        }
    }
}

/// The server that the demo runs on, with its clock, client and credentials.
pub(crate) struct Stage {
    server: Embedded,
    clock: Arc<StoryClock>,
    client: reqwest::Client,
    secrets: BTreeMap<Provider, SecretString>,
    tokens: BTreeMap<&'static str, String>,
    posted: usize,
    started: Instant,
}

/// The result of webhooks posted in disorder.
pub(super) struct Replayed {
    pub(super) posted: usize,
    pub(super) outcomes: BTreeMap<String, usize>,
    pub(super) duplicates: u64,
}

impl Stage {
    /// Starts a server in its own folder, with fresh secrets.
    pub(super) async fn set() -> Result<Self, DemoError> {
        let stripe = format!("whsec_{}", hex::encode(random::bytes::<16>()?));
        let paddle = format!("pdl_ntfset_{}", hex::encode(random::bytes::<16>()?));
        let settings = [
            ("STRIPE_WEBHOOK_SECRET", stripe.clone()),
            ("PADDLE_WEBHOOK_SECRET", paddle.clone()),
        ];
        let clock = Arc::new(StoryClock(AtomicI64::new(i64::MIN)));
        let shared = Arc::clone(&clock) as Arc<dyn Clock>;
        let server = Embedded::start("demo", &settings, shared).await?;
        let secrets = [(STRIPE.name, stripe), (PADDLE.name, paddle)];
        Ok(Self {
            server,
            clock,
            client: client()?,
            secrets: secrets
                .into_iter()
                .map(|(provider, key)| (provider, key.into()))
                .collect(),
            tokens: BTreeMap::new(),
            posted: 0,
            started: Instant::now(),
        })
    }

    pub(super) fn base(&self) -> String {
        self.server.base()
    }

    pub(super) fn folder(&self) -> &Path {
        self.server.folder()
    }

    pub(super) fn owner_token(&self) -> &str {
        self.server.owner_token()
    }

    /// The address that signs its first visitor in to the console.
    pub(super) fn sign_in(&self) -> Result<String, DemoError> {
        Ok(self.server.sign_in()?)
    }

    pub(super) fn secret(&self, provider: Provider) -> &str {
        self.secrets
            .get(&provider)
            .map_or("", |key| key.expose_secret())
    }

    pub(super) fn posted(&self) -> usize {
        self.posted
    }

    pub(super) fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    /// Sets the clock to one second after an instant of the story, the time a webhook takes.
    pub(super) fn clock_to(&self, at: Timestamp) {
        self.clock
            .0
            .store(at.plus(Duration::from_secs(1)).nanos(), Ordering::SeqCst);
    }

    pub(super) fn clock_to_system(&self) {
        self.clock.0.store(i64::MIN, Ordering::SeqCst);
    }

    /// Sets through the API which packages each price buys.
    pub(super) async fn set_plans(&self) -> Result<(), DemoError> {
        for (spec, price, packages) in PLANS {
            let packages: Vec<Value> = packages
                .iter()
                .map(
                    |(package, constraint)| json!({ "package": package, "constraint": constraint }),
                )
                .collect();
            let path = format!("/api/v1/plans/{}/{price}", spec.name);
            self.api("PUT", &path, Some(json!({ "packages": packages })))
                .await?;
        }
        Ok(())
    }

    /// Lets a failed payment suspend at once, so that the story need not wait for a week.
    pub(super) async fn set_policy(&self) -> Result<(), DemoError> {
        let policy = json!({ "suspend_after": "0d" });
        self.api("PUT", "/api/v1/policy", Some(policy)).await?;
        Ok(())
    }

    pub(super) async fn release(
        &self,
        package: &str,
        version: &str,
        at: Timestamp,
    ) -> Result<(), DemoError> {
        let body = json!({ "version": version, "released_at": at.to_string() });
        self.api(
            "POST",
            &format!("/api/v1/packages/{package}/releases"),
            Some(body),
        )
        .await?;
        Ok(())
    }

    /// Posts a webhook and waits for the event's outcome.
    pub(super) async fn deliver(&mut self, webhook: &Webhook) -> Result<Value, DemoError> {
        let id = self.post(webhook).await?;
        self.posted += 1;
        let event = self.outcome(&id).await?;
        expect(event["outcome"] != "failed", || {
            format!("{} failed: {}", webhook.event_type, event["error"])
        })?;
        Ok(event)
    }

    /// Posts all webhooks twice, in a random order, over several connections at once.
    pub(super) async fn post_shuffled(
        &mut self,
        webhooks: &[Webhook],
    ) -> Result<Replayed, DemoError> {
        let mut twice: Vec<&Webhook> = webhooks.iter().chain(webhooks).collect();
        shuffle(&mut twice)?;
        let mut ids = Vec::new();
        for group in twice.chunks(CONNECTIONS) {
            ids.extend(try_join_all(group.iter().map(|webhook| self.post(webhook))).await?);
        }
        self.posted += twice.len();
        ids.sort_unstable();
        ids.dedup();
        let mut replayed = Replayed {
            posted: twice.len(),
            outcomes: BTreeMap::new(),
            duplicates: 0,
        };
        let expected = (twice.len() - ids.len()) as u64;
        let started = Instant::now();
        loop {
            (replayed.outcomes, replayed.duplicates) = (BTreeMap::new(), 0);
            for id in &ids {
                let event = self.outcome(id).await?;
                let outcome = event["outcome"].as_str().unwrap_or_default().to_owned();
                *replayed.outcomes.entry(outcome).or_default() += 1;
                replayed.duplicates += event["duplicates"].as_u64().unwrap_or_default();
            }
            if replayed.duplicates == expected {
                return Ok(replayed);
            }
            expect(started.elapsed() < OUTCOME_TIMEOUT, || {
                format!(
                    "{} duplicates were counted, not {expected}",
                    replayed.duplicates
                )
            })?;
        }
    }

    async fn post(&self, webhook: &Webhook) -> Result<String, DemoError> {
        let url = format!("{}/webhooks/{}", self.base(), webhook.provider.name);
        let body = webhook.payload.clone().into_bytes();
        let key = self.secrets.get(&webhook.provider.name);
        let key = key.ok_or_else(|| DemoError::Wrong("a secret is missing".to_owned()))?;
        let signature = webhook.provider.sign(key, &body, self.clock.now());
        let request = self
            .client
            .post(&url)
            .header(webhook.provider.header, signature)
            .body(body);
        let answer = request.send().await.map_err(RequestError::to(&url))?;
        let status = answer.status().as_u16();
        let answer: Value = answer.json().await.map_err(RequestError::to(&url))?;
        expect(status == 200, || {
            format!("{} was answered {status}: {answer}", webhook.event_type)
        })?;
        Ok(answer["event_id"].as_str().unwrap_or_default().to_owned())
    }

    async fn outcome(&self, id: &str) -> Result<Value, DemoError> {
        let started = Instant::now();
        loop {
            let (status, event) = self
                .call("GET", &format!("/api/v1/events/{id}"), None)
                .await?;
            if status == 200 && event["outcome"] != "pending" {
                return Ok(event);
            }
            expect(started.elapsed() < OUTCOME_TIMEOUT, || {
                format!("{id} has no outcome: {event}")
            })?;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Reads a customer through the API.
    pub(super) async fn customer(&self, customer: Customer) -> Result<Value, DemoError> {
        let path = format!("/api/v1/customers/by-external/{}", customer.external_id());
        self.api("GET", &path, None).await
    }

    /// Collects the state that must be equal for two people who lived the same life.
    pub(super) async fn picture(&self, customer: Customer) -> Result<Value, DemoError> {
        let shown = self.customer(customer).await?;
        let id = shown["id"].as_str().unwrap_or_default();
        let list = self
            .api("GET", &format!("/api/v1/customers/{id}/packages"), None)
            .await?;
        let packages: Vec<Value> = list["data"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|it| json!([it["package"], it["constraint"]]))
            .collect();
        let keys = [
            "status",
            "status_reason",
            "holds",
            "frozen_at",
            "frozen_versions",
        ];
        let shown: Vec<&Value> = keys.iter().map(|key| &shown[*key]).collect();
        Ok(json!({ "shown": shown, "packages": packages }))
    }

    /// Asks the access check as a registry would, with a token of the customer.
    pub(super) async fn access(
        &mut self,
        customer: Customer,
        package: &str,
        version: &str,
    ) -> Result<Value, DemoError> {
        let token = self.token(customer).await?;
        let url = format!("{}/access?package={package}&version={version}", self.base());
        let request = self.client.get(&url).bearer_auth(token);
        let answer = request.send().await.map_err(RequestError::to(&url))?;
        let status = answer.status().as_u16();
        let mut answer: Value = answer.json().await.map_err(RequestError::to(&url))?;
        answer["http_status"] = json!(status);
        answer["asked"] = json!(format!("{package} {version}"));
        Ok(answer)
    }

    async fn token(&mut self, customer: Customer) -> Result<String, DemoError> {
        if let Some(token) = self.tokens.get(customer.name()) {
            return Ok(token.clone());
        }
        let shown = self.customer(customer).await?;
        let id = shown["id"].as_str().unwrap_or_default();
        let path = format!("/api/v1/customers/{id}/tokens");
        let made = self
            .api("POST", &path, Some(json!({ "name": "demo" })))
            .await?;
        let token = made["token"].as_str().unwrap_or_default().to_owned();
        self.tokens.insert(customer.name(), token.clone());
        Ok(token)
    }

    async fn api(&self, method: &str, path: &str, body: Option<Value>) -> Result<Value, DemoError> {
        let (status, answer) = self.call(method, path, body).await?;
        expect((200..300).contains(&status), || {
            format!("{method} {path}: {status} {answer}")
        })?;
        Ok(answer)
    }

    async fn call(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Result<(u16, Value), DemoError> {
        let url = format!("{}{path}", self.base());
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap_or_default();
        let mut request = self
            .client
            .request(method, &url)
            .bearer_auth(self.server.owner_token());
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.map_err(RequestError::to(&url))?;
        let status = answer.status().as_u16();
        Ok((status, answer.json().await.map_err(RequestError::to(&url))?))
    }

    /// Stops the server and removes its folder.
    pub(crate) async fn close(self) {
        self.server.stop().await;
    }
}

/// Ends the demo if a result is wrong.
pub(super) fn expect(right: bool, wrong: impl FnOnce() -> String) -> Result<(), DemoError> {
    if right {
        Ok(())
    } else {
        Err(DemoError::Wrong(wrong()))
    }
}

/// Ends the demo if an access check has another code.
pub(super) fn expect_code(answer: &Value, code: &str) -> Result<(), DemoError> {
    expect(answer["code"] == code, || {
        format!(
            "{} should be answered {code} and was {}",
            answer["asked"], answer["code"]
        )
    })
}

/// Fisher–Yates shuffle with the system's randomness; its bias of about 2^-60 does not matter here.
fn shuffle<T>(items: &mut [T]) -> Result<(), DemoError> {
    for last in (1..items.len()).rev() {
        let draw = u64::from_le_bytes(random::bytes()?);
        let index = usize::try_from(draw % (last as u64 + 1)).unwrap_or_default();
        items.swap(last, index);
    }
    Ok(())
}
