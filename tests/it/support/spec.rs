//! What a provider does, by its name.

use std::time::Duration;

use secrecy::SecretString;
use tollgate::domain::id::Provider;
use tollgate::domain::time::Timestamp;
use tollgate::provider::{Mode, ReadError, Reading, Secret, SignatureError, Spec, VerifiedWebhook};

pub(crate) fn spec(provider: Provider) -> &'static Spec {
    provider.as_str().parse().unwrap()
}

/// Reads a payload as receiver and worker do together.
pub(crate) fn read(provider: Provider, body: &[u8], mode: Mode) -> Result<Reading, ReadError> {
    let head = spec(provider).head(body)?;
    tollgate::provider::read(provider, &head.event_type, body, mode)
}

pub(crate) fn header_name(provider: Provider) -> &'static str {
    spec(provider).header
}

pub(crate) fn sign(provider: Provider, key: &SecretString, body: &[u8], at: Timestamp) -> String {
    spec(provider).sign(key, body, at)
}

pub(crate) fn verify<B: AsRef<[u8]>>(
    provider: Provider,
    header: Option<&[u8]>,
    body: B,
    secrets: &[Secret],
    now: Timestamp,
    tolerance: Duration,
) -> Result<VerifiedWebhook<B>, SignatureError> {
    spec(provider).verify(header, body, secrets, now, tolerance)
}
