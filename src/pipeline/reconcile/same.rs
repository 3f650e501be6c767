//! Disputes and refunds that are known as the provider shows them.
//!
//! Each says when it came to its stage, and a flag that a person has looked at counts as cleared up to
//! that instant. An observation of the same stage would move it, and raise the flag again; so it is
//! left out.

use std::collections::BTreeSet;

use super::apply::Page;
use crate::domain::billing::fact::Fact;
use crate::domain::id::ObjectKey;
use crate::store::reconcile::Reconcile;
use crate::store::{StoreError, Tx};

/// Leaves out of a page what says nothing new.
pub(super) async fn leave_out(
    tx: &mut Tx,
    it: &Reconcile,
    page: &mut Page,
) -> Result<(), StoreError> {
    let facts = || page.messages.iter().flat_map(|read| &read.facts);
    let disputes: BTreeSet<ObjectKey> = facts()
        .filter_map(|fact| match fact {
            Fact::Disputed { dispute, .. } => Some(dispute.clone()),
            _ => None,
        })
        .collect();
    let refunds: BTreeSet<ObjectKey> = facts()
        .filter_map(|fact| match fact {
            Fact::Refunded(fact) => Some(fact.refund.clone()),
            _ => None,
        })
        .collect();
    let disputes = tx.reconcile_disputes(&it.app, &disputes).await?;
    let refunds = tx.reconcile_refunds(&it.app, &refunds).await?;
    page.messages.retain(|read| {
        !read.facts.iter().any(|fact| match fact {
            Fact::Disputed {
                dispute,
                stage,
                ids,
            } => disputes
                .get(dispute)
                .is_some_and(|known| known.stage.1 == *stage && ids.is_subset(&known.ids)),
            Fact::Refunded(fact) => refunds.get(&fact.refund).is_some_and(|known| {
                let same = known.stage.map(|(_, stage, amount)| (stage, amount));
                same == Some((fact.stage, fact.amount)) && fact.ids.is_subset(&known.ids)
            }),
            _ => false,
        })
    });
    Ok(())
}
