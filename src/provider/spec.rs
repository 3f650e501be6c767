//! The specification of a provider.

use std::fmt;
use std::time::Duration;

use secrecy::SecretString;
use serde_json::Value;

use super::event::{EventType, Reader};
use super::head::{EventHead, PayloadError, object_text};
use super::metadata::MAX_ID;
use super::named::Named;
use super::reading::{ReadError, Reading};
use super::signature::{Secret, Signature, SignatureError};
use crate::domain::id::{Provider, SecretId};
use crate::domain::mode::Mode;
use crate::domain::time::Timestamp;

/// All there is to know of a provider's webhooks.
pub struct Spec {
    /// Whose they are.
    pub name: Provider,
    /// The header that carries the signature.
    pub header: &'static str,
    /// The form of its value, for the documentation.
    pub header_form: &'static str,
    /// The field of a payload that holds the event's id, if one does.
    pub event_id: Option<&'static str>,
    /// How the ids of its accounts begin.
    pub account_prefixes: &'static [&'static str],
    /// How the ids of those objects begin that events of several customers can name.
    pub shared_prefixes: &'static [&'static str],
    /// The fields of a payload that two deliveries of one event need not have in common.
    pub per_delivery: &'static [&'static str],
    /// The field of a payload that names the version of the API in which it is written, if one does.
    pub version: Option<&'static str>,
    /// True if payloads say whether they are live. Where they do not, each that is not simulated is.
    pub says_mode: bool,
    /// The event types that are read, each with its reader and a sample.
    pub types: &'static [EventType],
    pub(super) signature: &'static dyn Signature,
    pub(super) head: fn(&str) -> Result<EventHead, PayloadError>,
    pub(super) read: fn(&str, &str, Mode) -> Result<Reading, ReadError>,
    pub(super) named: fn(&str, &str, Mode) -> Named,
    pub(super) test: fn(&str, &str, Timestamp, Mode) -> Value,
}

/// The type of an event that only shows whether events arrive: none of a provider's own, so nothing of
/// it is applied.
pub const TEST_TYPE: &str = "tollgate.test";

impl fmt::Debug for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Spec").field(&self.name.as_str()).finish()
    }
}

impl Spec {
    /// True if an event is of live mode.
    pub fn is_live(&self, reading: &Reading) -> bool {
        !reading.simulated && reading.livemode.unwrap_or(!self.says_mode)
    }

    /// Checks whether a header can be the signature of any body, so that no body has to be read for
    /// one that cannot. What passes has still to be [verified](Self::verify).
    ///
    /// # Errors
    /// See [`SignatureError`]: those that do not depend on the body or the time.
    pub fn check_header(&self, header: Option<&[u8]>) -> Result<(), SignatureError> {
        let header = header.ok_or(SignatureError::Missing)?;
        self.signature.check_form(header)
    }

    /// Checks the signature of a body: `header` is the value of the provider's
    /// [header](Self::header), if it was sent, and `now` the receiver's clock. Stripe and Paddle
    /// sign whole seconds, so age is counted in whole seconds; an age of exactly `tolerance`,
    /// either way, is accepted.
    ///
    /// Every secret is tried with every digest, whether or not one matched before, and digests
    /// are compared in constant time.
    ///
    /// # Errors
    /// See [`SignatureError`]. A digest that is no hex of the right length matches nothing.
    pub fn verify<B: AsRef<[u8]>>(
        &'static self,
        header: Option<&[u8]>,
        body: B,
        secrets: &[Secret],
        now: Timestamp,
        tolerance: Duration,
    ) -> Result<VerifiedWebhook<B>, SignatureError> {
        let header = header.ok_or(SignatureError::Missing)?;
        let secret = (self.signature).check(header, body.as_ref(), secrets, now, tolerance)?;
        let place = secrets.iter().position(|it| std::ptr::eq(it, secret));
        Ok(VerifiedWebhook {
            spec: self,
            body,
            place: place.unwrap_or_default(),
            mode: secret.mode,
            secret: secret.id.clone(),
        })
    }

    /// The value of the signature header that the provider would send with this body: for
    /// `trigger`, `demo` and tests. Without a digest if `key` is blank.
    pub fn sign(&self, key: &SecretString, body: &[u8], at: Timestamp) -> String {
        self.signature.sign(key, body, at)
    }

    /// Makes the payload of an event of the type [`TEST_TYPE`], for an endpoint whose secret has this
    /// mode. It proves nothing of the endpoint: it is none that a live endpoint alone gets.
    pub fn test_event(&self, id: &str, at: Timestamp, mode: Mode) -> String {
        (self.test)(id, TEST_TYPE, at, mode).to_string()
    }

    /// Finds a payload's id and type, and checks that the whole of it is JSON; everything else is
    /// skipped without being built.
    ///
    /// # Errors
    /// See [`PayloadError`].
    pub fn head(&self, body: &[u8]) -> Result<EventHead, PayloadError> {
        (self.head)(object_text(body)?)
    }

    /// Says what a payload means. Its type is the one that [`head`](Self::head) found, and `mode`
    /// that of the secret which signed it.
    ///
    /// # Errors
    /// See [`ReadError`]: only for payloads of types that are read.
    pub fn read(&self, event_type: &str, body: &[u8], mode: Mode) -> Result<Reading, ReadError> {
        (self.read)(object_text(body)?, event_type, mode)
    }

    /// Finds the ids that a payload names and the billing account that it is about, also where
    /// [`read`](Self::read) fails or has nothing to say.
    pub fn named(&self, event_type: &str, body: &str, mode: Mode) -> Named {
        match object_text(body.as_bytes()) {
            Ok(text) => (self.named)(text, event_type, mode),
            Err(_) => Named::default(),
        }
    }

    /// The name of a type, if it is read: what strangers invent has none.
    pub fn known_type(&self, event_type: &str) -> Option<&'static str> {
        Some(self.row(event_type)?.name)
    }

    /// Reports whether a text has the form of an account's id.
    pub fn is_account(&self, id: &str) -> bool {
        let rest = |prefix: &&str| id.strip_prefix(prefix);
        let rest = self.account_prefixes.iter().find_map(rest);
        let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(good)) && id.len() <= MAX_ID
    }

    /// Reports whether an id can be named by events of several customers, so that it says nothing of
    /// whose they are.
    pub fn is_shared(&self, id: &str) -> bool {
        let mut prefixes = self.shared_prefixes.iter();
        prefixes.any(|prefix| id.starts_with(prefix))
    }

    /// A sample payload of a type; `None` for types that are not read or have none.
    pub fn sample(&self, event_type: &str) -> Option<&'static str> {
        self.row(event_type)?.sample
    }

    /// The reader of a type; `None` for types that are not read.
    pub(super) fn reader(&self, event_type: &str) -> Option<Reader> {
        Some(self.row(event_type)?.reader)
    }

    fn row(&self, event_type: &str) -> Option<&'static EventType> {
        self.types.iter().find(|row| row.name == event_type)
    }
}

/// A body that was signed with one of the endpoint's secrets. Only [`Spec::verify`] makes one.
#[derive(Clone, Debug)]
pub struct VerifiedWebhook<B> {
    spec: &'static Spec,
    body: B,
    mode: Mode,
    secret: Option<SecretId>,
    place: usize,
}

impl<B: AsRef<[u8]>> VerifiedWebhook<B> {
    /// Whose signature it was.
    pub const fn provider(&self) -> Provider {
        self.spec.name
    }

    /// Finds its id and type, see [`Spec::head`].
    ///
    /// # Errors
    /// See [`PayloadError`].
    pub fn head(&self) -> Result<EventHead, PayloadError> {
        self.spec.head(self.body())
    }

    /// The bytes that were signed.
    pub fn body(&self) -> &[u8] {
        self.body.as_ref()
    }

    /// The mode of the secret that matched; of several, the first in the list.
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// The secret that matched, if it has an id.
    pub const fn secret(&self) -> Option<&SecretId> {
        self.secret.as_ref()
    }

    /// The place of the secret that matched in the list that was tried, from 0.
    pub const fn place(&self) -> usize {
        self.place
    }

    /// Gives the signed bytes away, uncopied.
    pub fn into_body(self) -> B {
        self.body
    }
}
