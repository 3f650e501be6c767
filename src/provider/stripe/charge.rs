//! Money ids that belong together, refunds and disputes.
//!
//! From 2025-03-31 on nothing in a dispute or a charge leads to the invoice or the subscription,
//! so what ids other events named together is the only way to the payment:
//! <https://docs.stripe.com/changelog/basil>.

use std::collections::{BTreeMap, BTreeSet};

use super::super::event::Event;
use super::super::fields::Fields;
use super::super::reading::ReadError;
use super::links::{keys, link};
use crate::domain::billing::fact::{
    DisputeStage, Fact, PaymentFact, PaymentStep, RefundFact, RefundStage,
};
use crate::domain::id::{Kind, ObjectKey};

/// The most charges of a payment intent that are linked. Every two ids that an event names are a
/// link, so links grow with the square of the list; Stripe lists ten, and each charge has an event of
/// its own, which names its intent.
const MAX_CHARGES: usize = 20;

/// `charge.succeeded`. <https://docs.stripe.com/api/charges/object>
pub(super) fn succeeded(event: &Event<'_>) -> Result<Vec<Fact>, ReadError> {
    linked(event, of_charge(event)?)
}

/// `payment_intent.succeeded`. Before 2022-11-15 the intent listed its charges.
/// <https://docs.stripe.com/api/payment_intents/object>
///
/// A Checkout session whose payment is only authorized completes unpaid, and no event of it tells of the
/// capture: only the intent's does.
/// <https://docs.stripe.com/payments/place-a-hold-on-a-payment-method>
pub(super) fn payment_intent_succeeded(event: &Event<'_>) -> Result<Vec<Fact>, ReadError> {
    let intent = event.object.need_id(&["id"])?;
    let mut ids = keys(
        event,
        &[
            ("id", Kind::PaymentIntent),
            ("latest_charge", Kind::Charge),
            ("invoice", Kind::Invoice),
        ],
    )?;
    let charges = event.object.list("charges.data")?.unwrap_or_default();
    for charge in charges.into_iter().take(MAX_CHARGES) {
        let id = charge.id(&["id"])?;
        ids.extend(id.map(|id| event.scope.key(Kind::Charge, id)));
    }
    ids.extend(event.account()?);
    let mut facts = linked(event, ids)?;
    if is_captured_by_seller(&event.object)?
        && let Some(money) = event.object.integer("amount_received")?
    {
        facts.push(Fact::Payment(PaymentFact {
            document: event.scope.key(Kind::PaymentIntent, intent),
            // The session names it. A payment for something else makes no customer.
            account: None,
            subscription: None,
            reason: None,
            step: PaymentStep::Paid { money, cost: money },
            lines: Vec::new(),
            lines_incomplete: false,
            has_unpriced_items: false,
        }));
    }
    Ok(facts)
}

/// The payment methods for which the seller may capture although the intent as a whole does not say so.
/// <https://docs.stripe.com/api/payment_intents/object#payment_intent_object-payment_method_options>
const CAPTURED_METHODS: [&str; 10] = [
    "affirm",
    "afterpay_clearpay",
    "amazon_pay",
    "card",
    "cashapp",
    "klarna",
    "link",
    "mobilepay",
    "paypal",
    "revolut_pay",
];

/// True if the payment was first authorized, and later captured by the seller.
fn is_captured_by_seller(intent: &Fields<'_>) -> Result<bool, ReadError> {
    if intent.word("capture_method")? == Some("manual") {
        return Ok(true);
    }
    for method in CAPTURED_METHODS {
        let place = format!("payment_method_options.{method}.capture_method");
        if intent.word(&place)? == Some("manual") {
            return Ok(true);
        }
    }
    Ok(false)
}

/// `charge.refunded`: the charge counts its refunds itself. A charge that was only authorised, and
/// is released, says so too; nothing was paid then, so nothing was given back.
pub(super) fn refunded(event: &Event<'_>) -> Result<Vec<Fact>, ReadError> {
    let object = &event.object;
    let charge = event.scope.key(Kind::Charge, object.need_id(&["id"])?);
    let ids = of_charge(event)?;
    let captured = object.at("captured").is_none() || object.flag("captured")?;
    let captured = captured && object.integer("amount_captured")? != Some(0);
    let amount = match object.integer("amount_refunded")? {
        None if object.flag("refunded")? => object.integer("amount")?,
        amount => amount,
    };
    let refunded = amount
        .filter(|_| captured)
        .map(|amount| Fact::ChargeRefunded {
            charge,
            amount,
            ids: ids.clone(),
        });
    Ok(refunded.into_iter().chain(linked(event, ids)?).collect())
}

/// `refund.created`, `.updated`, `.failed` and `charge.refund.updated`. That a refund failed, only
/// it tells: the money came back to the seller.
/// <https://docs.stripe.com/api/refunds/object#refund_object-status>
pub(super) fn refund(event: &Event<'_>) -> Result<Vec<Fact>, ReadError> {
    let object = &event.object;
    let refund = event.scope.key(Kind::Refund, object.need_id(&["id"])?);
    let stage = match object.word("status")? {
        Some("succeeded") => RefundStage::Succeeded,
        Some("failed" | "canceled") => RefundStage::Failed,
        // `pending`, `requires_action`; and what nobody here knows yet has given nothing back.
        _ => RefundStage::Pending,
    };
    let mut ids = keys(
        event,
        &[
            ("charge", Kind::Charge),
            ("payment_intent", Kind::PaymentIntent),
        ],
    )?;
    ids.extend(event.account()?);
    let refund = Fact::Refunded(RefundFact {
        refund,
        stage,
        amount: object.integer("amount")?.unwrap_or_default(),
        lines: BTreeMap::new(),
        ids: ids.clone(),
    });
    Ok([refund].into_iter().chain(linked(event, ids)?).collect())
}

/// `charge.dispute.*`: the status says how it stands, whichever event brings it. Old payloads have
/// no id of the dispute, only its charge.
/// <https://docs.stripe.com/api/disputes/object#dispute_object-status>
pub(super) fn dispute(event: &Event<'_>) -> Result<Vec<Fact>, ReadError> {
    let object = &event.object;
    let dispute = match (object.id(&["id"])?, object.id(&["charge"])?) {
        (Some(id), _) => event.scope.key(Kind::Dispute, id),
        (None, Some(charge)) => event.scope.key(Kind::Charge, charge),
        (None, None) => return Err(object.missing("id")),
    };
    let stage = match object.need_word("status")? {
        "needs_response" | "under_review" => DisputeStage::Open,
        "lost" => DisputeStage::Lost,
        // Inquiries that came to nothing, and disputes that the seller ended by a refund, which
        // is told as such.
        "won" | "warning_closed" | "charge_refunded" | "prevented" => DisputeStage::Won,
        // `warning_needs_response`, `warning_under_review`; and what nobody here knows yet must
        // be looked at, but takes nothing away.
        _ => DisputeStage::Warning,
    };
    disputed(event, dispute, stage)
}

/// `radar.early_fraud_warning.created`. <https://docs.stripe.com/api/radar/early_fraud_warnings>
pub(super) fn fraud_warning(event: &Event<'_>) -> Result<Vec<Fact>, ReadError> {
    let id = event.object.need_id(&["id"])?;
    let warning = event.scope.key(Kind::Dispute, id);
    disputed(event, warning, DisputeStage::FraudWarning)
}

fn disputed(
    event: &Event<'_>,
    dispute: ObjectKey,
    stage: DisputeStage,
) -> Result<Vec<Fact>, ReadError> {
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

/// The ids that a charge names, itself among them.
fn of_charge(event: &Event<'_>) -> Result<BTreeSet<ObjectKey>, ReadError> {
    event.object.need_id(&["id"])?;
    let mut ids = keys(
        event,
        &[
            ("id", Kind::Charge),
            ("payment_intent", Kind::PaymentIntent),
            ("invoice", Kind::Invoice),
        ],
    )?;
    ids.extend(event.account()?);
    Ok(ids)
}

/// The facts that ids belong together, and that the account has two.
fn linked(event: &Event<'_>, ids: BTreeSet<ObjectKey>) -> Result<Vec<Fact>, ReadError> {
    Ok(link(ids).into_iter().chain(event.account_link()?).collect())
}
