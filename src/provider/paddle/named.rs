//! The ids that a Paddle notification names, whether or not it can be read.

use super::super::head;
use super::super::named::{Found, Named, Places};
use super::envelope::{Envelope, NAME};
use crate::domain::id::{Kind, Scope};
use crate::domain::mode::Mode;

/// The fields of Paddle's entities that refer to others which have a page of their own in its
/// dashboard: <https://developer.paddle.com/webhooks/overview>.
const PLACES: Places = Places {
    top: 1,
    references: &[
        "adjustment_id",
        "business_id",
        "customer_id",
        "invoice_id",
        "subscription_id",
        "transaction_id",
    ],
    containers: &[],
};

/// What a notification names. `text` is a JSON object.
pub(super) fn named(text: &str, event_type: &str, mode: Mode) -> Named {
    let Ok(envelope) = head::parse::<Envelope<'_>>(text) else {
        return Named::default();
    };
    let simulated = envelope.is_simulated().then_some(false);
    let scope = Scope {
        provider: NAME,
        livemode: simulated.or(mode.livemode()).unwrap_or(true),
        connected: None,
    };
    let found = Found::within(envelope.raw_data(), PLACES);
    let own = if event_type.starts_with("customer.") {
        "id"
    } else {
        "customer_id"
    };
    Named {
        account: found.top(&[own]).map(|id| scope.key(Kind::Account, id)),
        ids: found.into_ids(),
    }
}
