//! Money ids that belong together, refunds and disputes.
//!
//! From 2025-03-31 on nothing in a dispute or a charge leads to the invoice or the subscription,
//! so what ids other events named together is the only way to the account:
//! <https://docs.stripe.com/changelog/basil>.

use std::collections::BTreeSet;

use super::super::event::Event;
use super::super::reading::ReadError;
use super::links::{keys, link};
use crate::domain::billing::fact::{DisputeStage, Fact};
use crate::domain::id::{Kind, ObjectKey};

/// The most charges of a payment intent that are linked. Every two ids that an event names are a
/// link, so links grow with the square of the list; Stripe lists ten, and each charge has an event of
/// its own, which names its intent.
const MAX_CHARGES: usize = 20;

/// `charge.succeeded`. <https://docs.stripe.com/api/charges/object>
pub(super) fn succeeded(event: &Event<'_>) -> Result<Vec<Fact>, ReadError> {
    Ok(link(of_charge(event)?).into_iter().collect())
}

/// `payment_intent.succeeded`. Before 2022-11-15 the intent listed its charges.
/// <https://docs.stripe.com/api/payment_intents/object>
pub(super) fn payment_intent_succeeded(event: &Event<'_>) -> Result<Vec<Fact>, ReadError> {
    event.object.need_id(&["id"])?;
    let mut ids = keys(
        event,
        &[
            ("id", Kind::PaymentIntent),
            ("latest_charge", Kind::Charge),
            ("invoice", Kind::Invoice),
            ("customer", Kind::Account),
        ],
    )?;
    let charges = event.object.list("charges.data")?.unwrap_or_default();
    for charge in charges.into_iter().take(MAX_CHARGES) {
        let id = charge.id(&["id"])?;
        ids.extend(id.map(|id| event.scope.key(Kind::Charge, id)));
    }
    Ok(link(ids).into_iter().collect())
}

/// `charge.refunded`, which also comes for parts of a charge: then only its ids count.
pub(super) fn refunded(event: &Event<'_>) -> Result<Vec<Fact>, ReadError> {
    let object = &event.object;
    let charge = event.scope.key(Kind::Charge, object.need_id(&["id"])?);
    let ids = of_charge(event)?;
    let full = match (
        object.integer("amount_refunded")?,
        object.integer("amount")?,
    ) {
        (Some(refunded), Some(amount)) => refunded >= amount && amount > 0,
        _ => object.flag("refunded")?,
    };
    let mut facts = Vec::new();
    if full {
        facts.push(of_whole_charge(charge, full, &ids));
    }
    facts.extend(link(ids));
    Ok(facts)
}

/// `refund.created`, `.updated`, `.failed` and `charge.refund.updated`. A refund does not say
/// how much of the charge has gone back; `charge.refunded` does, for the same change. Only of a
/// refund that failed nothing else tells: the money came back to the seller.
/// <https://docs.stripe.com/api/refunds/object#refund_object-status>
pub(super) fn refund(event: &Event<'_>) -> Result<Vec<Fact>, ReadError> {
    let ids = keys(
        event,
        &[
            ("charge", Kind::Charge),
            ("payment_intent", Kind::PaymentIntent),
            ("customer", Kind::Account),
        ],
    )?;
    let failed = matches!(event.object.word("status")?, Some("failed" | "canceled"));
    let charge = event.object.id(&["charge"])?.filter(|_| failed);
    let charge = charge.map(|id| of_whole_charge(event.scope.key(Kind::Charge, id), false, &ids));
    Ok(charge.into_iter().chain(link(ids)).collect())
}

/// How the charge as a whole stands; it counts its refunds itself.
fn of_whole_charge(charge: ObjectKey, full: bool, ids: &BTreeSet<ObjectKey>) -> Fact {
    Fact::Refunded {
        part: charge.clone(),
        refund: charge,
        full,
        amount: 0,
        ids: ids.clone(),
    }
}

/// `charge.dispute.*`: the status says how it stands, whichever event brings it.
/// <https://docs.stripe.com/api/disputes/object#dispute_object-status>
pub(super) fn dispute(event: &Event<'_>) -> Result<Vec<Fact>, ReadError> {
    let dispute = event
        .scope
        .key(Kind::Dispute, event.object.need_id(&["id"])?);
    let stage = match event.object.need_word("status")? {
        "needs_response" | "under_review" => DisputeStage::Open,
        "lost" => DisputeStage::Lost,
        // Inquiries that came to nothing, and disputes that the seller ended by a refund, which
        // is told as such.
        "won" | "warning_closed" | "charge_refunded" | "prevented" => DisputeStage::Won,
        // `warning_needs_response`, `warning_under_review`; and what nobody here knows yet must
        // be looked at, but takes nothing away.
        _ => DisputeStage::Warning,
    };
    let ids = keys(
        event,
        &[
            ("charge", Kind::Charge),
            ("payment_intent", Kind::PaymentIntent),
        ],
    )?;
    let mut facts = vec![Fact::Disputed {
        dispute,
        stage,
        ids: ids.clone(),
    }];
    facts.extend(link(ids));
    Ok(facts)
}

fn of_charge(event: &Event<'_>) -> Result<BTreeSet<ObjectKey>, ReadError> {
    event.object.need_id(&["id"])?;
    keys(
        event,
        &[
            ("id", Kind::Charge),
            ("payment_intent", Kind::PaymentIntent),
            ("invoice", Kind::Invoice),
            ("customer", Kind::Account),
        ],
    )
}
