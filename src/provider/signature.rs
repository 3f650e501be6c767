//! Webhook signatures.
//!
//! Stripe and Paddle sign alike, by `TimedHmac`: HMAC-SHA-256 over the sender's time, a
//! separator and the raw body, in a header of `key=value` parts. The key is the whole secret as it
//! is shown in the dashboard, prefix included; nothing of it is decoded. Only names and separators
//! differ. Who signs otherwise brings a `Signature` of its own.
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

use crate::domain::id::SecretId;
use crate::domain::mode::Mode;
use crate::domain::time::Timestamp;

/// The longest header that is looked at, in bytes. A dozen digests fit.
const MAX_HEADER: usize = 2048;
/// The most digests that are tried. Stripe sends one for each secret that is being rotated.
const MAX_DIGESTS: usize = 16;

/// The bytes of a digest by HMAC-SHA-256.
const DIGEST: usize = 32;

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
    /// All codes.
    pub const CODES: [&'static str; 5] = [
        Self::Missing.code(),
        Self::Malformed("").code(),
        Self::Mismatch.code(),
        Self::TooOld.code(),
        Self::InFuture.code(),
    ];

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

/// How a provider signs.
pub(super) trait Signature: Sync {
    /// Checks what the header alone shows, before there is a body.
    fn check_form(&self, header: &[u8]) -> Result<(), SignatureError>;

    /// Checks the signature of a body and answers the secret that it was made with.
    fn check<'s>(
        &self,
        header: &[u8],
        body: &[u8],
        secrets: &'s [Secret],
        now: Timestamp,
        tolerance: Duration,
    ) -> Result<&'s Secret, SignatureError>;

    /// The header's value for a body.
    fn sign(&self, key: &SecretString, body: &[u8], at: Timestamp) -> String;
}

/// A header of a time and digests, `t=1,v1=ab,v1=cd`, over the time and the body.
pub(super) struct TimedHmac {
    /// Between the parts of the header.
    pub(super) separator: char,
    /// The name of the time.
    pub(super) time: &'static str,
    /// The name of a digest of the live scheme.
    pub(super) digest: &'static str,
    /// Between the time and the body in what is signed.
    pub(super) joint: &'static str,
}

impl Signature for TimedHmac {
    fn check_form(&self, header: &[u8]) -> Result<(), SignatureError> {
        let header = Header::parse(header, self)?;
        if header.digests.is_empty() {
            Err(SignatureError::Mismatch)
        } else {
            Ok(())
        }
    }

    fn check<'s>(
        &self,
        header: &[u8],
        body: &[u8],
        secrets: &'s [Secret],
        now: Timestamp,
        tolerance: Duration,
    ) -> Result<&'s Secret, SignatureError> {
        let header = Header::parse(header, self)?;
        let mut matched: Option<&Secret> = None;
        for secret in secrets {
            let Some(mac) = self.mac(&secret.key, header.time, body) else {
                continue;
            };
            for sent in &header.digests {
                let mut digest = [0; DIGEST];
                let is_decoded = hex::decode_to_slice(sent, &mut digest).is_ok();
                if is_decoded && mac.clone().verify_slice(&digest).is_ok() && matched.is_none() {
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
        Ok(secret)
    }

    fn sign(&self, key: &SecretString, body: &[u8], at: Timestamp) -> String {
        let seconds = at.seconds().to_string();
        let digest = self
            .mac(key, seconds.as_bytes(), body)
            .map_or_else(String::new, |mac| hex::encode(mac.finalize().into_bytes()));
        let Self {
            separator,
            time,
            digest: name,
            ..
        } = self;
        format!("{time}={seconds}{separator}{name}={digest}")
    }
}

impl TimedHmac {
    /// The code over what is signed; `None` for a blank key, with which anybody could sign.
    fn mac(&self, key: &SecretString, time: &[u8], body: &[u8]) -> Option<Hmac<Sha256>> {
        let key = key.expose_secret();
        if key.trim().is_empty() {
            return None;
        }
        // HMAC takes keys of any length, so this never fails.
        let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).ok()?;
        mac.update(time);
        mac.update(self.joint.as_bytes());
        mac.update(body);
        Some(mac)
    }
}

/// A header that has one time and at least one digest of the live scheme.
struct Header<'a> {
    /// The digits as they were sent: they are part of what was signed.
    time: &'a [u8],
    seconds: i64,
    /// The digests in hexadecimal, but for those that can match nothing: what is no hex or has another length.
    digests: Vec<&'a [u8]>,
}

impl<'a> Header<'a> {
    fn parse(header: &'a [u8], scheme: &TimedHmac) -> Result<Self, SignatureError> {
        let malformed = SignatureError::Malformed;
        if header.len() > MAX_HEADER {
            return Err(malformed("it is too long"));
        }
        let mut times = [None; 2];
        let (mut sent, mut digests) = (0, Vec::new());
        for part in header.split(|&byte| char::from(byte) == scheme.separator) {
            let part = part.trim_ascii();
            let Some(equals) = part.iter().position(|&byte| byte == b'=') else {
                continue;
            };
            let (name, value) = (&part[..equals], &part[equals + 1..]);
            if name == scheme.time.as_bytes() {
                // The first, and the last one after it.
                times[usize::from(times[0].is_some())] = Some(value);
            } else if name == scheme.digest.as_bytes() && !value.is_empty() {
                sent += 1;
                if value.len() == 2 * DIGEST && value.iter().all(u8::is_ascii_hexdigit) {
                    digests.push(value);
                }
            }
        }
        let time = match times {
            [Some(time), None] => time,
            [None, _] => return Err(malformed("no time")),
            [Some(_), Some(_)] => return Err(malformed("two times")),
        };
        if sent == 0 {
            return Err(malformed("no digest of the live scheme"));
        }
        if sent > MAX_DIGESTS {
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
