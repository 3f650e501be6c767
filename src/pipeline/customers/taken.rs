//! E-mail addresses and external ids that belong to somebody already.

use super::{CustomerError, SameEmail};
use crate::domain::customer::row::{Customer, Profile};
use crate::domain::id::CustomerId;
use crate::pipeline::order::Order;
use crate::store::{Match, Tx};

/// Refuses an e-mail address or external id that another customer has.
pub(super) async fn refuse_taken(
    tx: &mut Tx,
    order: &Order,
    profile: &Profile,
    own: Option<&CustomerId>,
    same_email: SameEmail,
) -> Result<(), CustomerError> {
    let others = |customer: Customer| Some(customer.id).filter(|id| Some(id) != own);
    if let (Some(email), SameEmail::Refused) = (&profile.email, same_email) {
        let holder = tx
            .customer_find_by_email(&order.app, email, Match::Unique)
            .await?;
        if let Some(by) = holder.and_then(others) {
            return Err(CustomerError::EmailTaken { by });
        }
    }
    if let Some(external_id) = &profile.external_id {
        let found = tx
            .customer_find_by_external(&order.app, external_id, &[])
            .await?;
        if let Some(by) = found.and_then(others) {
            return Err(CustomerError::ExternalIdTaken { by });
        }
    }
    Ok(())
}
