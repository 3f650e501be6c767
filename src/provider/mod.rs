//! The providers' wire formats, turned into facts.
//!
//! The way of a webhook: [`Spec::verify`] proves who sent it; [`Spec::head`] finds its id and
//! type, which is all that the receiver needs; later the worker has [`read`] turn it into
//! [facts](crate::domain::billing::fact), behind which nobody knows JSON or a provider's words.
//! All of it is pure: bytes in, values out, no clock, no network. Only [`api`] asks a provider
//! something.
//!
//! A provider is a folder with its [`Spec`], and a line in [`ALL`].
//!
//! Payloads are read by place, not into the providers' full types. A receiver meets many API
//! versions at once, since each endpoint is pinned to one and test tools send others, and typed
//! models accept about one version each. So every field is looked for in each place where some
//! version has it, the newest first, and the version itself is never asked: it may be absent.
//! Unknown fields are skipped, unknown types are ignored unread, unknown words in open lists
//! (statuses) are kept as they are. What a fact cannot do without is named by its path when it
//! is missing.

pub mod api;
mod digest;
mod event;
mod fields;
mod head;
mod json;
mod metadata;
mod named;
mod paddle;
mod reading;
mod signature;
mod spec;
mod stripe;

use std::str::FromStr;

use crate::domain::event::BodyDigest;
use crate::domain::id::Provider;

pub use crate::domain::mode::Mode;
pub use event::EventType;
pub use head::{EventHead, PayloadError};
pub use named::{MAX_NAMED, Named};
pub use paddle::PADDLE;
pub use reading::{IgnoreReason, Meaning, ReadError, Reading, UnknownProvider};
pub use signature::{Secret, SignatureError};
pub use spec::{Spec, TEST_TYPE, VerifiedWebhook};
pub use stripe::STRIPE;

/// The providers whose webhooks are received, in the order in which they are listed everywhere.
pub const ALL: &[&Spec] = &[STRIPE, PADDLE];

impl FromStr for &'static Spec {
    type Err = UnknownProvider;
    fn from_str(text: &str) -> Result<Self, UnknownProvider> {
        let found = ALL.iter().find(|spec| spec.name.as_str() == text);
        found.copied().ok_or_else(|| {
            let known: Vec<String> = names().map(|name| format!("`{name}`")).collect();
            UnknownProvider {
                text: text.chars().take(80).collect(),
                known: known.join(" or "),
            }
        })
    }
}

/// The provider of a name; `None` if it is not in [`ALL`].
pub fn spec(provider: Provider) -> Option<&'static Spec> {
    ALL.iter().find(|spec| spec.name == provider).copied()
}

/// The names of the providers in [`ALL`].
pub fn names() -> impl Iterator<Item = Provider> {
    ALL.iter().map(|spec| spec.name)
}

/// What figures call the providers and types that are not known here.
const OTHER: &str = "other";

/// The names of a provider and of an event type for figures: a bounded number of pairs, whatever a
/// sender invents.
pub fn known_names(provider: Provider, event_type: &str) -> (&'static str, &'static str) {
    match spec(provider) {
        Some(spec) => {
            let known = spec.known_type(event_type);
            (spec.name.as_str(), known.unwrap_or(OTHER))
        }
        None => (OTHER, OTHER),
    }
}

/// The other forms in which an external id may be written: `cus_1` for `stripe_cus_1`, and the
/// reverse. Which provider an id without prefix belongs to it does not say; all are given.
pub fn other_spellings(external_id: &str) -> Vec<String> {
    let bare = names().find_map(|name| {
        let rest = external_id.strip_prefix(name.as_str())?;
        rest.strip_prefix('_')
    });
    match bare {
        Some(bare) => vec![bare.to_owned()],
        None => names()
            .map(|name| format!("{name}_{external_id}"))
            .collect(),
    }
}

/// Says what a payload of a provider means, see [`Spec::read`].
///
/// # Errors
/// See [`ReadError`]; [`ReadError::Provider`] if the provider is not in [`ALL`].
pub fn read(
    provider: Provider,
    event_type: &str,
    body: &[u8],
    mode: Mode,
) -> Result<Reading, ReadError> {
    let spec: &Spec = provider.as_str().parse()?;
    spec.read(event_type, body, mode)
}

/// Finds the ids that a payload names, see [`Spec::named`]. Of a provider that is not in [`ALL`],
/// none.
pub fn named(provider: Provider, event_type: &str, body: &str, mode: Mode) -> Named {
    spec(provider).map_or_else(Named::default, |spec| spec.named(event_type, body, mode))
}

/// Digests a body, so that it can be told from another of the same event, see [`Spec::digest`]. Of
/// a provider that is not in [`ALL`], the bytes count as they are.
pub fn digest(provider: Provider, body: &str) -> BodyDigest {
    match spec(provider) {
        Some(spec) => spec.digest(body),
        None => digest::of_bytes(body),
    }
}
