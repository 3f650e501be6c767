//! The server under test, seen through HTTP alone: its webhooks and its admin API.
//!
//! The simulation has an app of its own there, with its own secrets, plans and token, so that it
//! can run beside others on a server in use.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::error::SimulateError;
use super::person::{Account, ActKind, AdminMade, SameEmail};
use super::provider::{Provider, Side};
use super::shop;
use crate::client::{RequestError, client};
use crate::clock::Clock;
use crate::domain::time::Timestamp;
use crate::random;

/// How long it may take until all receivers know a new secret: they ask every five seconds.
const SECRETS_KNOWN: Duration = Duration::from_secs(30);

/// How long a webhook that is refused is posted again.
const REPOST_FOR: Duration = Duration::from_mins(1);

/// A server and the credentials for it.
pub(super) struct Address {
    /// Base URL of the webhooks.
    pub(super) hooks: String,
    /// Base URL of the admin API.
    pub(super) api: String,
    /// An owner's token for all apps.
    pub(super) owner: SecretString,
    /// Dates the signatures.
    pub(super) clock: Arc<dyn Clock>,
}

/// The simulation's app on a server.
pub(super) struct Target {
    address: Address,
    client: reqwest::Client,
    app: String,
    token: SecretString,
    token_id: String,
    secrets: BTreeMap<Provider, SecretString>,
}

/// A webhook that was accepted, and how often it was refused before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Posted {
    pub(super) refused: usize,
}

impl Target {
    /// Creates the app with secrets, a policy, plans and releases. An older app of that name is deleted.
    pub(super) async fn fresh(
        address: Address,
        app: String,
        same_email: SameEmail,
    ) -> Result<Self, SimulateError> {
        let mut target = Self::plain(address, app)?;
        let path = format!("/api/v1/apps/{}", target.app);
        let (status, answer) = target.as_owner("DELETE", &path, None).await?;
        expect(
            matches!(status, 204 | 404),
            "deleting the old app",
            status,
            &answer,
        )?;
        let app = json!({ "slug": target.app, "name": "Simulation" });
        target.ordered("POST", "/api/v1/apps", app).await?;
        let named = Side::Connected.connected();
        let settings = json!({
            "identity": { "metadata_key": shop::SELLER_ID_KEY }, "connected_accounts": [named],
        });
        target.ordered("PATCH", &path, settings).await?;
        for provider in Provider::ALL {
            let secret = match provider {
                Provider::Stripe => format!("whsec_{}", hex::encode(random::bytes::<16>()?)),
                Provider::Paddle => format!("pdl_ntfset_{}", hex::encode(random::bytes::<16>()?)),
            };
            let path = format!("/api/v1/apps/{}/endpoints/{provider}/secrets", target.app);
            // Of any mode, as most are: live from the first live event on.
            let body = json!({ "secret": secret, "mode": "any" });
            target.ordered("POST", &path, body).await?;
            target.secrets.insert(provider, secret.into());
        }
        target.sign_in().await?;
        let policy = json!({ "on_same_email": same_email.word() });
        target.changed("PUT", "/api/v1/policy", policy).await?;
        target.stock().await?;
        Ok(target)
    }

    /// Connects to the app that an earlier run left.
    pub(super) async fn again(address: Address, app: String) -> Result<Self, SimulateError> {
        let mut target = Self::plain(address, app)?;
        target.sign_in().await?;
        Ok(target)
    }

    fn plain(address: Address, app: String) -> Result<Self, SimulateError> {
        Ok(Self {
            address,
            client: client()?,
            app,
            token: String::new().into(),
            token_id: String::new(),
            secrets: BTreeMap::new(),
        })
    }

    /// Makes a token bound to the app: with the owner's token, `/api/v1/customers` means another app.
    async fn sign_in(&mut self) -> Result<(), SimulateError> {
        let body = json!({
            "name": "simulate", "role": "admin", "app": self.app, "expires_in_days": 90,
        });
        let made = self.ordered("POST", "/api/v1/admin-tokens", body).await?;
        self.token = made["token"].as_str().unwrap_or_default().to_owned().into();
        made["id"]
            .as_str()
            .unwrap_or_default()
            .clone_into(&mut self.token_id);
        Ok(())
    }

    /// Defines what the prices buy, and a release of each package.
    async fn stock(&self) -> Result<(), SimulateError> {
        for provider in Provider::ALL {
            for (id, price) in shop::plans(provider) {
                let packages = price.packages().iter().map(
                    |(package, constraint)| json!({ "package": package, "constraint": constraint }),
                );
                let mut body = json!({ "packages": packages.collect::<Vec<_>>() });
                if let shop::Plan::Once(_, Some(days)) = price.plan {
                    body["updates"] = json!(format!("{days}d"));
                }
                let path = format!("/api/v1/plans/{provider}/{id}");
                self.changed("PUT", &path, body).await?;
            }
        }
        for (package, version) in shop::RELEASES {
            let body = json!({ "version": version, "released_at": "2020-01-01T00:00:00Z" });
            let path = format!("/api/v1/packages/{package}/releases");
            self.changed("POST", &path, body).await?;
        }
        Ok(())
    }

    /// Creates a customer as an admin would.
    pub(super) async fn make(&self, customer: &AdminMade) -> Result<(), SimulateError> {
        let body = json!({
            "external_id": customer.external_id, "user_id": customer.user_id,
            "email": customer.email, "name": customer.name,
        });
        self.changed("POST", "/api/v1/customers", body).await?;
        Ok(())
    }

    /// Links an account by hand to the customer of an external id, or parts it from that customer.
    pub(super) async fn put(
        &self,
        account: &Account,
        kind: ActKind,
        external_id: &str,
    ) -> Result<(), SimulateError> {
        let found = format!("/api/v1/customers/by-external-id?external_id={external_id}");
        let found = self.get(&found).await?;
        let customer = found["id"].as_str().unwrap_or_default();
        let path = format!("/api/v1/customers/{customer}/accounts");
        let connected = account.side.connected();
        if kind != ActKind::Part {
            let body = json!({
                "provider": account.provider.to_string(), "account": account.id,
                "connected_account": connected, "livemode": true,
            });
            self.changed("POST", &path, body).await?;
            return Ok(());
        }
        let connected = connected.map(|it| format!("&connected_account={it}"));
        let query = format!("livemode=true{}", connected.unwrap_or_default());
        let path = format!("{path}/{}?{query}", account.id);
        let (status, answer) = self.call("DELETE", &path, None, &self.token).await?;
        expect(status == 200, &path, status, &answer)
    }

    /// Waits until the receivers know the new secrets, by posting webhooks without a meaning; returns
    /// the number of events that this made.
    pub(super) async fn probe(&self) -> Result<usize, SimulateError> {
        for provider in Provider::ALL {
            let started = Instant::now();
            let body = json!({
                "id": "evt_probe", "event_id": "evt_probe_p", "type": "simulation.started",
                "event_type": "simulation.started", "created": self.now().seconds(),
                "occurred_at": self.now().to_string(), "data": {}, "livemode": false,
            });
            loop {
                let (status, answer) = self.post_once(provider, body.to_string()).await?;
                if status == 200 {
                    break;
                }
                let may_pass = matches!(status, 400 | 404 | 503);
                if !may_pass || started.elapsed() > SECRETS_KNOWN {
                    return expect(false, "the first webhook", status, &answer.into()).map(|()| 0);
                }
                // Below the rate at which failing signatures are throttled.
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        Ok(Provider::ALL.len())
    }

    /// Posts a webhook as its provider would: again and again, until it is accepted.
    pub(super) async fn post(
        &self,
        provider: Provider,
        body: &str,
    ) -> Result<Posted, SimulateError> {
        let started = Instant::now();
        let mut posted = Posted::default();
        loop {
            let tried = self.post_once(provider, body.to_owned()).await;
            match tried {
                Ok((200, _)) => return Ok(posted),
                Ok((503 | 429, _)) | Err(_) if started.elapsed() < REPOST_FOR => {
                    posted.refused += 1;
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
                Ok((status, answer)) => expect(false, "a webhook", status, &answer.into())?,
                Err(error) => return Err(error),
            }
        }
    }

    async fn post_once(
        &self,
        provider: Provider,
        body: String,
    ) -> Result<(u16, String), SimulateError> {
        let url = format!("{}/webhooks/{}/{provider}", self.address.hooks, self.app);
        let key = self.secrets.get(&provider);
        let key = key.ok_or_else(|| SimulateError::Server("a secret is missing".to_owned()))?;
        let body = body.into_bytes();
        let signature = provider.spec().sign(key, &body, self.now());
        let request = self
            .client
            .post(&url)
            .header(provider.spec().header, signature)
            .header("content-type", "application/json")
            .body(body);
        let answer = request.send().await.map_err(RequestError::to(&url))?;
        let status = answer.status().as_u16();
        Ok((status, answer.text().await.map_err(RequestError::to(&url))?))
    }

    /// Returns the time by the server's clock, as far as it is known.
    pub(super) fn now(&self) -> Timestamp {
        self.address.clock.now()
    }

    /// Reads from the admin API, as the app.
    pub(super) async fn get(&self, path: &str) -> Result<Value, SimulateError> {
        let (status, answer) = self.call("GET", path, None, &self.token).await?;
        expect(status == 200, path, status, &answer)?;
        Ok(answer)
    }

    /// Reads all rows of a list.
    pub(super) async fn all(&self, path: &str) -> Result<Vec<Value>, SimulateError> {
        let (mut rows, mut cursor) = (Vec::new(), String::new());
        let joint = if path.contains('?') { '&' } else { '?' };
        loop {
            let page = format!("{path}{joint}page_size=100&cursor={cursor}");
            let mut list = self.get(&page).await?;
            if let Value::Array(part) = list["data"].take() {
                rows.extend(part);
            }
            match list["meta"]["next_cursor"].as_str() {
                Some(next) => next.clone_into(&mut cursor),
                None => return Ok(rows),
            }
        }
    }

    /// Counts the rows of a list.
    pub(super) async fn count(&self, path: &str) -> Result<u64, SimulateError> {
        let joint = if path.contains('?') { '&' } else { '?' };
        let list = self.get(&format!("{path}{joint}page_size=1")).await?;
        Ok(list["meta"]["total"].as_u64().unwrap_or_default())
    }

    /// Deletes the token.
    pub(super) async fn leave(&self) -> Result<(), SimulateError> {
        let path = format!("/api/v1/admin-tokens/{}", self.token_id);
        let (status, answer) = self.as_owner("DELETE", &path, None).await?;
        expect(status == 204, "deleting the token", status, &answer)
    }

    async fn changed(&self, method: &str, path: &str, body: Value) -> Result<Value, SimulateError> {
        let (status, answer) = self.call(method, path, Some(body), &self.token).await?;
        expect((200..300).contains(&status), path, status, &answer)?;
        Ok(answer)
    }

    async fn ordered(&self, method: &str, path: &str, body: Value) -> Result<Value, SimulateError> {
        let (status, answer) = self.as_owner(method, path, Some(body)).await?;
        expect((200..300).contains(&status), path, status, &answer)?;
        Ok(answer)
    }

    async fn as_owner(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Result<(u16, Value), SimulateError> {
        self.call(method, path, body, &self.address.owner).await
    }

    async fn call(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
        token: &SecretString,
    ) -> Result<(u16, Value), SimulateError> {
        let url = format!("{}{path}", self.address.api);
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap_or_default();
        let mut request = self.client.request(method, &url);
        request = request.bearer_auth(token.expose_secret());
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.map_err(RequestError::to(&url))?;
        let status = answer.status().as_u16();
        let text = answer.text().await.map_err(RequestError::to(&url))?;
        let answer = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Ok((status, answer))
    }
}

/// Ends the run if the server does not do its part.
fn expect(right: bool, what: &str, status: u16, answer: &Value) -> Result<(), SimulateError> {
    if right {
        Ok(())
    } else {
        Err(SimulateError::Server(format!(
            "{what} was answered {status} {answer}"
        )))
    }
}
