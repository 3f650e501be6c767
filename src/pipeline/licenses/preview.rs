//! What would become of a licence: the same changes, in a transaction that is never committed.

use super::change::{LicenseChange, Renewal, change_in, renew_in};
use super::{Changed, LicenseError, reinstate_in, revoke_in, seen};
use crate::domain::id::LicenseId;
use crate::domain::precondition::Precondition;
use crate::pipeline::order::Order;
use crate::store::Store;

/// What may be done with a licence and shown before.
#[derive(Clone, Debug)]
pub enum LicenseAct {
    /// It is taken back.
    Revoke,
    /// It is given again.
    Reinstate,
    /// It gets a later end.
    Renew(Renewal),
    /// It gets another end, limit or metadata.
    Change(LicenseChange),
}

/// Shows what an act would make of a licence, and does nothing.
///
/// # Errors
/// As those of the act.
pub async fn preview(
    store: &Store,
    order: &Order,
    id: &LicenseId,
    act: LicenseAct,
) -> Result<Changed, LicenseError> {
    let (mut tx, owned) = seen(store, order, id, &Precondition::None).await?;
    match act {
        LicenseAct::Revoke => revoke_in(&mut tx, order, owned, None).await,
        LicenseAct::Reinstate => reinstate_in(&mut tx, order, owned).await,
        LicenseAct::Renew(renewal) => renew_in(&mut tx, order, owned, renewal).await,
        LicenseAct::Change(change) => change_in(&mut tx, order, owned, change).await,
    }
}
