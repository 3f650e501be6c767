//! Sessions: a sealed cookie that stands for an admin token.
//!
//! The cookie holds the hash of the token, the app that is looked at, the session's own token for
//! forms, and its end, sealed with the secret key. Every request looks the hash up again, as the API
//! does, so a revoked or expired token ends its sessions at once, on every server, and nobody can
//! use the cookie elsewhere: it is no token. Signing out is written down, so that a copy of the cookie
//! that somebody else has is worth nothing from then on.
//!
//! Refused: a random id in the store, in place of what the cookie says. It would be a row to write for
//! each sign-in, and only those that end before their time need one.

use axum::http::header::COOKIE;
use axum::http::{HeaderMap, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::ExposeSecret;
use std::time::Duration;

use super::place::PLACE;
use crate::domain::access::token::TokenHash;
use crate::domain::id::AppSlug;
use crate::domain::time::Timestamp;
use crate::http::{ApiError, idempotency};
use crate::random;
use crate::vault::{SealedFor, Vault};

/// The cookie.
const NAME: &str = "tollgate_console";

/// A working day. The cookie is forgotten then, and its seal says so too.
const LIFE: Duration = Duration::from_hours(12);

/// What a cookie says.
#[derive(Clone, Debug)]
pub(super) struct Session {
    /// Of the token.
    pub(super) hash: TokenHash,
    /// What every form must send back.
    pub(super) csrf: String,
    /// The app that is looked at, for a token that is good for all.
    pub(super) app: AppSlug,
    ends_at: Timestamp,
}

impl Session {
    /// Begins a session.
    ///
    /// # Errors
    /// When there is no randomness.
    pub(super) fn begin(hash: TokenHash, app: AppSlug, now: Timestamp) -> Result<Self, ApiError> {
        let csrf = random::bytes::<16>().map_err(ApiError::internal)?;
        Ok(Self {
            hash,
            csrf: hex::encode(csrf),
            app,
            ends_at: now.plus(LIFE),
        })
    }

    /// The same session, looking at another app.
    pub(super) fn looking_at(self, app: AppSlug) -> Self {
        Self { app, ..self }
    }

    /// What it is told by where its end is written down: no secret.
    pub(super) fn digest(&self) -> String {
        idempotency::digest(&[b"session", self.csrf.as_bytes()])
    }

    /// When it ends by itself.
    pub(super) const fn ends_at(&self) -> Timestamp {
        self.ends_at
    }

    /// Reads the session of a request; `None` without one that is still good.
    pub(super) fn find(headers: &HeaderMap, vault: &Vault, now: Timestamp) -> Option<Self> {
        let lines = headers.get_all(COOKIE).iter();
        let pairs = lines
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        let mut ours = pairs.filter(|(name, _)| *name == NAME);
        let session = ours.find_map(|(_, value)| Self::open(value, vault))?;
        (now < session.ends_at).then_some(session)
    }

    fn open(value: &str, vault: &Vault) -> Option<Self> {
        let sealed = URL_SAFE_NO_PAD.decode(value).ok()?;
        let opened = vault.open(SealedFor::Session, &sealed).ok()?;
        let mut parts = opened.expose_secret().split(' ');
        let session = Self {
            hash: TokenHash::parse(parts.next()?).ok()?,
            csrf: parts.next()?.to_owned(),
            app: parts.next()?.parse().ok()?,
            ends_at: Timestamp::from_nanos(parts.next()?.parse().ok()?),
        };
        Some(session)
    }

    /// Returns the header that keeps the session in a browser.
    ///
    /// # Errors
    /// When it cannot be sealed.
    pub(super) fn cookie(
        &self,
        vault: &Vault,
        now: Timestamp,
        secure: bool,
    ) -> Result<HeaderValue, ApiError> {
        let text = format!(
            "{} {} {} {}",
            hex::encode(self.hash.as_bytes()),
            self.csrf,
            self.app,
            self.ends_at.nanos()
        );
        let sealed = vault
            .seal(SealedFor::Session, &text)
            .map_err(ApiError::internal)?;
        let left = self.ends_at.seconds() - now.seconds();
        header(&URL_SAFE_NO_PAD.encode(sealed), left, secure)
    }
}

/// Returns the header that has a browser forget the session.
pub(super) fn forgotten(secure: bool) -> Result<HeaderValue, ApiError> {
    header("", 0, secure)
}

/// `Strict`: no other site's page can send it along, not even with a link.
fn header(value: &str, seconds: i64, secure: bool) -> Result<HeaderValue, ApiError> {
    let secure = if secure { "; Secure" } else { "" };
    let text = format!(
        "{NAME}={value}; Path={PLACE}; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"
    );
    HeaderValue::from_str(&text).map_err(ApiError::internal)
}
