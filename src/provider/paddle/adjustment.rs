//! Adjustments: refunds and disputes.
//! <https://developer.paddle.com/api-reference/adjustments/overview>

use super::super::event::Event;
use super::super::reading::ReadError;
use crate::domain::billing::fact::{DisputeStage, Fact};
use crate::domain::id::{Kind, ObjectKey};

/// `adjustment.created`, `adjustment.updated`. Credits and refunds that are not approved (yet)
/// say nothing.
pub(super) fn changed(event: &Event<'_>) -> Result<Vec<Fact>, ReadError> {
    let adjustment = event.need_key(Kind::Adjustment, "id")?;
    let action = event.object.need_word("action")?;
    let status = event.object.word("status")?;
    let stage = match (action, status) {
        ("refund", Some("approved")) => {
            let [transaction, account] = ids(event)?;
            return Ok(vec![Fact::Refunded {
                refund: transaction.clone(),
                part: adjustment,
                full: is_full(event)?,
                amount: event.object.amount("totals.total").unwrap_or_default(),
                ids: [transaction, account].into(),
            }]);
        }
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
    let [transaction, account] = ids(event)?;
    let dispute = transaction.clone();
    Ok(vec![Fact::Disputed {
        dispute,
        stage,
        ids: [transaction, account].into(),
    }])
}

/// Returns true if the whole transaction was refunded. Older adjustments say so only item by item.
fn is_full(event: &Event<'_>) -> Result<bool, ReadError> {
    if let Some(kind) = event.object.word("type")? {
        return Ok(kind == "full");
    }
    let items = event.object.list("items")?.unwrap_or_default();
    // Items that are not read might be refunded in part.
    let mut full = !items.is_empty() && !event.object.is_cut("items");
    for item in items {
        full &= item.word("type")? == Some("full");
    }
    Ok(full)
}

/// An adjustment always names its transaction and its customer.
fn ids(event: &Event<'_>) -> Result<[ObjectKey; 2], ReadError> {
    Ok([
        event.need_key(Kind::Transaction, "transaction_id")?,
        event.need_key(Kind::Account, "customer_id")?,
    ])
}
