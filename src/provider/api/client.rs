//! The client of the providers' APIs: time-outs, patience, and a pace below their limits.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use miniserde::de::Visitor;
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde_json::value::RawValue;
use stripe_client_core::{AccountId, CustomizedStripeRequest, RequestBuilder, StripeClient};

use super::answer::{ApiPage, Fetched, Listed};
use super::cut_list::CutList;
use super::error::ApiError;
use super::http::{self, Answer};
use super::pace::{Pace, Paces};
use super::{key, paddle, page, stripe};
use crate::domain::id::{Kind, ObjectKey, Provider};
use crate::domain::mode::Mode;
use crate::domain::time::Timestamp;
use crate::pause::Pauses;
use crate::provider::STRIPE;

/// How often a question is asked before its asker is told.
const TRIES: u32 = 5;

/// The pause after the first try.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The longest pause that is waited for here. Who has to wait longer does something else meanwhile.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// What is needed to ask a provider.
#[derive(Clone, Debug)]
pub struct ApiSettings {
    /// The key.
    pub key: SecretString,
    /// Another address than the provider's own.
    pub base: Option<Url>,
}

/// The API of a provider, with a key. Cheap to clone; clones share their pace.
#[derive(Clone, Debug)]
pub struct Api {
    provider: Provider,
    client: reqwest::Client,
    base: Url,
    key: SecretString,
    pace: Pace,
    tries: u32,
}

impl Api {
    /// Makes a client with a pace of its own.
    ///
    /// # Errors
    /// When TLS cannot be set up or there is no address.
    pub fn new(provider: Provider, settings: ApiSettings) -> Result<Self, ApiError> {
        let base = match settings.base {
            Some(base) => base,
            None => Url::parse(own_base(provider, key::mode_of(&settings.key)))
                .map_err(ApiError::not_understood)?,
        };
        Ok(Self {
            provider,
            client: http::client()?,
            base,
            pace: Paces::default().of(provider, &settings.key),
            key: settings.key,
            tries: TRIES,
        })
    }

    /// Shares the pace of others that ask from this process.
    #[must_use]
    pub fn paced(mut self, paces: &Paces) -> Self {
        self.pace = paces.of(self.provider, &self.key);
        self
    }

    /// Asks as often as this allows.
    #[must_use]
    pub fn every(mut self, pace: Duration) -> Self {
        self.pace = Pace::of(pace);
        self
    }

    /// Asks once: who keeps his wishes in a table tries again later himself.
    #[must_use]
    pub const fn once(mut self) -> Self {
        self.tries = 1;
        self
    }

    /// Whose API it is.
    pub const fn provider(&self) -> Provider {
        self.provider
    }

    /// Whether the key is for live or for test data; `Any` if it does not say.
    pub fn mode(&self) -> Mode {
        key::mode_of(&self.key)
    }

    /// Reads a page of a list: from the place at which another ended, or from its start.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn list(
        &self,
        what: Listed,
        since: Option<Timestamp>,
        cursor: Option<&str>,
    ) -> Result<ApiPage, ApiError> {
        let Answer { body, at, took } = if self.provider == STRIPE.name {
            self.ask_stripe(stripe::list(what, since, cursor), None)
                .await?
        } else {
            self.ask_paddle(paddle::list(what, since, cursor)).await?
        };
        let (objects, next) = page::read(self.provider, &body)?;
        if next.is_some() && next.as_deref() == cursor {
            // The same page for ever.
            return Err(ApiError::not_understood("the list does not go on"));
        }
        Ok(ApiPage {
            objects,
            next,
            at,
            took,
        })
    }

    /// Reads an object. Deleted customers are objects with `deleted: true`.
    ///
    /// # Errors
    /// See [`ApiError`]; [`ApiError::NotFound`] if there is none of this id, or can be none.
    pub async fn get(&self, object: &ObjectKey) -> Result<Fetched, ApiError> {
        let ObjectKey { scope, kind, id } = object;
        // Ids come from payloads, and are put into a path.
        if id.is_empty()
            || !id
                .bytes()
                .all(|it| it.is_ascii_alphanumeric() || it == b'_')
        {
            return Err(ApiError::NotFound);
        }
        let Answer { body, at, took } = if self.provider == STRIPE.name {
            let request = stripe::get(*kind, id).ok_or(ApiError::NotFound)?;
            let connected = scope.connected.as_deref();
            self.ask_stripe(request, connected).await?
        } else {
            let question = paddle::get(*kind, id).ok_or(ApiError::NotFound)?;
            self.ask_paddle(question).await?
        };
        let mut found = page::read_one(self.provider, &body)?;
        if *kind == Kind::FeatureList {
            found = stripe::summary(id, &found).map_err(ApiError::not_understood)?;
        }
        if let Some(list) = stripe::cut_list(*kind).filter(|_| self.provider == STRIPE.name) {
            found = self.with_rest(object, found, list).await?;
        }
        // Nobody knows when the object was read, only that it was not before it was asked for. A time
        // that is too late would hide what happened meanwhile.
        let asked_at = at.minus(took);
        let at = Timestamp::from_seconds(asked_at.seconds()).unwrap_or(asked_at);
        Ok(Fetched { object: found, at })
    }

    /// Adds to an object's list what the answer left out.
    async fn with_rest(
        &self,
        key: &ObjectKey,
        object: Box<RawValue>,
        list: &str,
    ) -> Result<Box<RawValue>, ApiError> {
        let Some(mut cut) = CutList::of(&object, list)? else {
            return Ok(object);
        };
        while let Some(after) = cut.next()? {
            let request = stripe::rest(key.kind, &key.id, &after).ok_or(ApiError::NotFound)?;
            let connected = key.scope.connected.as_deref();
            let Answer { body, .. } = self.ask_stripe(request, connected).await?;
            let (objects, next) = page::read(self.provider, &body)?;
            cut.add(objects, next.is_some())?;
        }
        cut.whole()
    }

    async fn ask_stripe(
        &self,
        request: RequestBuilder,
        connected: Option<&str>,
    ) -> Result<Answer, ApiError> {
        let client = Stripe {
            api: self,
            answer: Mutex::default(),
        };
        let mut request = request.customize::<Unread>();
        if let Some(account) = connected {
            request = request.account_id(AccountId::from(account));
        }
        let Unread = request.send(&client).await?;
        let answer = client.answer.into_inner();
        answer
            .unwrap_or_else(PoisonError::into_inner)
            .ok_or_else(|| ApiError::not_understood("it is empty"))
    }

    async fn ask_paddle(&self, (path, query): paddle::Question) -> Result<Answer, ApiError> {
        let url = format!("{}{path}", self.base.as_str().trim_end_matches('/'));
        let request = || {
            let request = self.client.get(&url).query(&query);
            request.header("Paddle-Version", paddle::VERSION)
        };
        self.ask(request).await
    }

    /// Asks until there is an answer or patience is at its end.
    async fn ask(&self, request: impl Fn() -> reqwest::RequestBuilder) -> Result<Answer, ApiError> {
        let mut pauses = Pauses::between(FIRST_PAUSE, LONGEST_PAUSE);
        let mut tries = 1;
        loop {
            self.pace.turn().await;
            let request = request().bearer_auth(self.key.expose_secret());
            let error = match http::send(request).await {
                Err(error) if error.is_passing() => error,
                answer => return answer,
            };
            let wanted = match &error {
                ApiError::Away { retry_after, .. } => *retry_after,
                _ => None,
            };
            // It is said to all who share the limit.
            if let Some(pause) = wanted {
                self.pace.rest(pause.min(LONGEST_PAUSE));
            }
            if tries == self.tries || wanted.is_some_and(|it| it > LONGEST_PAUSE) {
                return Err(error);
            }
            let pause = wanted.unwrap_or_else(|| pauses.next());
            tokio::time::sleep(pause).await;
            tries += 1;
        }
    }
}

fn own_base(provider: Provider, mode: Mode) -> &'static str {
    if provider == STRIPE.name {
        return "https://api.stripe.com";
    }
    match mode {
        Mode::Test => "https://sandbox-api.paddle.com",
        Mode::Live | Mode::Any => "https://api.paddle.com",
    }
}

/// Sends async-stripe's requests, and keeps the answer beside what the trait lets through.
struct Stripe<'a> {
    api: &'a Api,
    answer: Mutex<Option<Answer>>,
}

impl StripeClient for Stripe<'_> {
    type Err = ApiError;

    async fn execute(&self, request: CustomizedStripeRequest) -> Result<Bytes, ApiError> {
        let (request, settings) = request.into_pieces();
        let base = self.api.base.as_str().trim_end_matches('/');
        let mut url =
            Url::parse(&format!("{base}/v1{}", request.path)).map_err(ApiError::not_understood)?;
        url.set_query(request.query.as_deref().filter(|query| !query.is_empty()));
        let send = || {
            let request = self.api.client.get(url.clone());
            let request = request.header("Stripe-Version", stripe::version());
            match &settings.account_id {
                // <https://docs.stripe.com/connect/authentication>
                Some(account) => request.header("Stripe-Account", account.as_str()),
                None => request,
            }
        };
        let answer = self.api.ask(send).await?;
        let mut kept = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = kept.insert(answer);
        Ok(Bytes::copy_from_slice(answer.body.as_bytes()))
    }
}

/// Any JSON, unread.
struct Unread;

impl miniserde::Deserialize for Unread {
    fn begin(out: &mut Option<Self>) -> &mut dyn Visitor {
        *out = Some(Self);
        <dyn Visitor>::ignore()
    }
}
