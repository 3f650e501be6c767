//! Webhook signatures: the one door to [`VerifiedWebhook`].
//!
//! Stripe and Paddle sign alike: HMAC-SHA-256 over the sender's time, a separator and the raw
//! body, in a header of `key=value` parts. The key is the whole secret as it is shown in the
//! dashboard, prefix included; nothing of it is decoded. Only names and separators differ, so
//! one `Scheme` per provider is all there is to tell them apart.
//!
//! The rules are the providers' own, from
//! <https://docs.stripe.com/webhooks#verify-manually> and
//! <https://developer.paddle.com/webhooks/signature-verification>. Where the official libraries
//! disagree with each other, ours are these:
//!
//! - A time too far in the future is refused like one too far in the past. Some libraries test
//!   age only, which lets a signature made for next year be replayed until then.
//! - Two times are refused, since it would be open which one was signed.
//! - Any of several digests may match any of several secrets: both sides rotate.
//! - Parts of unknown name, or without `=`, are skipped, so that a new scheme beside the known
//!   one breaks nothing; but no other scheme ever stands in for the live one.
//! - Bytes are verified, not text. What is not UTF-8 fails later, as a payload.
//! - Age is judged only after a digest matched, so that the answer to a forged delivery says
//!   nothing about our clock, and an honest sender with a wrong clock learns the true reason.
//!
//! There is no switch that turns the age limit or the check itself off.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use crate::domain::id::{Provider, SecretId};
pub use crate::domain::mode::Mode;
use crate::domain::time::Timestamp;

/// The header of Stripe's signature: `t=<unix seconds>,v1=<64 hex>[,v1=…]`.
pub const STRIPE_HEADER: &str = "Stripe-Signature";
/// The header of Paddle's signature: `ts=<unix seconds>;h1=<64 hex>[;h1=…]`.
pub const PADDLE_HEADER: &str = "Paddle-Signature";

/// The longest header that is looked at, in bytes. A dozen digests fit.
const MAX_HEADER: usize = 2048;
/// The most digests that are tried. Stripe sends one for each secret that is being rotated.
const MAX_DIGESTS: usize = 16;

/// The name of the header that carries the provider's signature.
pub const fn header_name(provider: Provider) -> &'static str {
    match provider {
        Provider::Stripe => STRIPE_HEADER,
        Provider::Paddle => PADDLE_HEADER,
    }
}

/// A webhook secret of an endpoint.
#[derive(Clone, Debug)]
pub struct Secret {
    /// Its id in the store; `None` for secrets from the settings.
    pub id: Option<SecretId>,
    /// Which deliveries it is meant for.
    pub mode: Mode,
    /// The whole secret, as the provider shows it. One that is empty or blank matches nothing:
    /// anybody could sign with it.
    pub key: SecretString,
}

/// A body that was signed with one of the endpoint's secrets. Only [`verify`] makes one.
#[derive(Clone, Debug)]
pub struct VerifiedWebhook<B> {
    provider: Provider,
    body: B,
    mode: Mode,
    secret: Option<SecretId>,
}

impl<B: AsRef<[u8]>> VerifiedWebhook<B> {
    /// Whose signature it was.
    pub const fn provider(&self) -> Provider {
        self.provider
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

    /// Gives the signed bytes away, uncopied.
    pub fn into_body(self) -> B {
        self.body
    }
}

/// Why a signature was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The header is not there.
    #[error("the signature header is missing")]
    Missing,
    /// The header cannot be read.
    #[error("the signature header is malformed: {0}")]
    Malformed(&'static str),
    /// No digest was made of this body with any of the secrets.
    #[error("the signature does not match the body with any of the endpoint's secrets")]
    Mismatch,
    /// Signed longer ago than the tolerance.
    #[error("the signature is too old")]
    TooOld,
    /// Signed further in the future than the tolerance.
    #[error("the signature's time is in the future")]
    InFuture,
}

impl SignatureError {
    /// The stable code in answers and the log.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Missing => "signature_missing",
            Self::Malformed(_) => "signature_malformed",
            Self::Mismatch => "signature_mismatch",
            Self::TooOld => "signature_too_old",
            Self::InFuture => "signature_in_future",
        }
    }
}

/// How a provider writes its header and what it signs.
struct Scheme {
    separator: u8,
    time: &'static [u8],
    digest: &'static [u8],
    /// Between the time and the body in what is signed.
    joint: &'static [u8],
}

const fn scheme(provider: Provider) -> Scheme {
    match provider {
        Provider::Stripe => Scheme {
            separator: b',',
            time: b"t",
            digest: b"v1",
            joint: b".",
        },
        Provider::Paddle => Scheme {
            separator: b';',
            time: b"ts",
            digest: b"h1",
            joint: b":",
        },
    }
}

/// Checks the signature of a body: `header` is the header's value, if it was sent, and `now` the
/// receiver's clock. Both providers sign whole seconds, so age is counted in whole seconds; an
/// age of exactly `tolerance`, either way, is accepted.
///
/// Every secret is tried with every digest, whether or not one matched before, and digests are
/// compared in constant time.
///
/// # Errors
/// See [`SignatureError`]. A digest that is no hex of the right length matches nothing.
pub fn verify<B: AsRef<[u8]>>(
    provider: Provider,
    header: Option<&[u8]>,
    body: B,
    secrets: &[Secret],
    now: Timestamp,
    tolerance: Duration,
) -> Result<VerifiedWebhook<B>, SignatureError> {
    let scheme = scheme(provider);
    let header = Header::parse(header.ok_or(SignatureError::Missing)?, &scheme)?;

    let mut matched: Option<&Secret> = None;
    for secret in secrets {
        let Some(mac) = mac(&scheme, &secret.key, header.time, body.as_ref()) else {
            continue;
        };
        for digest in &header.digests {
            if mac.clone().verify_slice(digest).is_ok() && matched.is_none() {
                matched = Some(secret);
            }
        }
    }
    let secret = matched.ok_or(SignatureError::Mismatch)?;

    let age = now.seconds().saturating_sub(header.seconds);
    let tolerance = i64::try_from(tolerance.as_secs()).unwrap_or(i64::MAX);
    if age > tolerance {
        return Err(SignatureError::TooOld);
    }
    if age < -tolerance {
        return Err(SignatureError::InFuture);
    }
    Ok(VerifiedWebhook {
        provider,
        body,
        mode: secret.mode,
        secret: secret.id.clone(),
    })
}

/// The value of the signature header that the provider would send with this body: for `trigger`,
/// `demo` and tests. Without a digest if `key` is blank.
pub fn sign(provider: Provider, key: &SecretString, body: &[u8], at: Timestamp) -> String {
    let scheme = scheme(provider);
    let time = at.seconds().to_string();
    let digest = mac(&scheme, key, time.as_bytes(), body)
        .map_or_else(String::new, |mac| hex::encode(mac.finalize().into_bytes()));
    match provider {
        Provider::Stripe => format!("t={time},v1={digest}"),
        Provider::Paddle => format!("ts={time};h1={digest}"),
    }
}

/// The code over what is signed; `None` for a blank key, with which anybody could sign.
fn mac(scheme: &Scheme, key: &SecretString, time: &[u8], body: &[u8]) -> Option<Hmac<Sha256>> {
    let key = key.expose_secret();
    if key.trim().is_empty() {
        return None;
    }
    // HMAC takes keys of any length, so this never fails.
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).ok()?;
    mac.update(time);
    mac.update(scheme.joint);
    mac.update(body);
    Some(mac)
}

/// A header that has one time and at least one digest of the live scheme.
struct Header<'a> {
    /// The digits as they were sent: they are part of what was signed.
    time: &'a [u8],
    seconds: i64,
    /// The decoded digests; what is no hex is empty here and matches nothing.
    digests: Vec<Vec<u8>>,
}

impl<'a> Header<'a> {
    fn parse(header: &'a [u8], scheme: &Scheme) -> Result<Self, SignatureError> {
        let malformed = SignatureError::Malformed;
        if header.len() > MAX_HEADER {
            return Err(malformed("it is too long"));
        }
        let mut times = Vec::new();
        let mut digests = Vec::new();
        for part in header.split(|&byte| byte == scheme.separator) {
            let part = part.trim_ascii();
            let Some(equals) = part.iter().position(|&byte| byte == b'=') else {
                continue;
            };
            let (name, value) = (&part[..equals], &part[equals + 1..]);
            if name == scheme.time {
                times.push(value);
            } else if name == scheme.digest && !value.is_empty() {
                digests.push(hex::decode(value).unwrap_or_default());
            }
        }
        let [time] = times[..] else {
            return Err(malformed(if times.is_empty() {
                "no time"
            } else {
                "two times"
            }));
        };
        if digests.is_empty() {
            return Err(malformed("no digest of the live scheme"));
        }
        if digests.len() > MAX_DIGESTS {
            return Err(malformed("too many digests"));
        }
        let seconds = digits(time).ok_or(malformed("the time is not a number of seconds"))?;
        Ok(Self {
            time,
            seconds,
            digests,
        })
    }
}

/// Reads digits alone: no sign, no blanks, nothing after them.
fn digits(text: &[u8]) -> Option<i64> {
    if !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}
