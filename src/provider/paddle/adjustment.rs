//! Adjustments: refunds and disputes.
//! <https://developer.paddle.com/api-reference/adjustments/overview>

use std::collections::{BTreeMap, BTreeSet};

use super::super::event::Event;
use super::super::reading::ReadError;
use crate::domain::billing::fact::{DisputeStage, Fact, RefundFact, RefundStage};
use crate::domain::id::{Kind, ObjectKey};

/// `adjustment.created`, `adjustment.updated`. Credits say nothing: no money goes back.
pub(super) fn changed(event: &Event<'_>) -> Result<Vec<Fact>, ReadError> {
    let action = event.object.need_word("action")?;
    let status = event.object.word("status")?;
    let stage = match (action, status) {
        ("refund", status) => return refund(event, status).map(|fact| vec![fact]),
        // The reversal is another adjustment, upon which this one may be updated too: it must
        // not open the dispute again.
        ("chargeback" | "chargeback_warning", Some("reversed"))
        | ("chargeback_reverse" | "chargeback_warning_reverse", _) => DisputeStage::Won,
        // Paddle has taken the money, but contests the dispute for the seller, so nothing is lost
        // until it stays so.
        ("chargeback", _) => DisputeStage::Open,
        ("chargeback_warning", _) => DisputeStage::Warning,
        _ => return Ok(Vec::new()),
    };
    Ok(vec![Fact::Disputed {
        dispute: event.need_key(Kind::Transaction, "transaction_id")?,
        stage,
        ids: ids(event)?,
    }])
}

fn refund(event: &Event<'_>, status: Option<&str>) -> Result<Fact, ReadError> {
    let stage = match status {
        Some("approved") => RefundStage::Succeeded,
        Some("rejected" | "reversed") => RefundStage::Failed,
        // `pending_approval`; and what nobody here knows yet has given nothing back.
        _ => RefundStage::Pending,
    };
    Ok(Fact::Refunded(RefundFact {
        refund: event.need_key(Kind::Adjustment, "id")?,
        stage,
        amount: event.object.amount("totals.total").unwrap_or_default(),
        lines: lines(event)?,
        ids: ids(event)?,
    }))
}

/// The lines of the transaction that money is given back for. One may be there twice, once for its tax.
/// <https://developer.paddle.com/api-reference/adjustments/create-adjustment>
fn lines(event: &Event<'_>) -> Result<BTreeMap<String, i64>, ReadError> {
    let mut lines = BTreeMap::new();
    for item in event.object.list("items")?.unwrap_or_default() {
        let Some(line) = item.id(&["item_id"])? else {
            continue;
        };
        let amount = match item.word("type")? {
            Some("full") => i64::MAX,
            _ => item
                .amount("totals.total")
                .or(item.amount("amount"))
                .unwrap_or_default(),
        };
        let sum: &mut i64 = lines.entry(line.to_owned()).or_default();
        *sum = sum.saturating_add(amount);
    }
    Ok(lines)
}

/// An adjustment always names its transaction and its customer.
fn ids(event: &Event<'_>) -> Result<BTreeSet<ObjectKey>, ReadError> {
    let mut ids = BTreeSet::from([
        event.need_key(Kind::Transaction, "transaction_id")?,
        event.need_key(Kind::Account, "customer_id")?,
    ]);
    ids.extend(event.key(Kind::Subscription, "subscription_id")?);
    Ok(ids)
}
