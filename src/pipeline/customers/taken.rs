//! E-mail addresses and external ids that belong to somebody already.

use super::orders::{CustomerError, SameEmail};
use crate::domain::customer::row::Profile;
use crate::domain::id::CustomerId;
use crate::domain::policy::OnSameEmail;
use crate::pipeline::order::Order;
use crate::provider;
use crate::store::{StoreError, Tx};

/// Refuses an e-mail address or external id that another customer has.
///
/// Only an address that an admin gave is taken; one that webhooks brought has not been proved to be
/// anybody's. Where a shared address joins, the customer that it would join has it too. An external
/// id is taken in every spelling: two customers cannot both claim one billing account.
pub(in crate::pipeline) async fn refuse_taken(
    tx: &mut Tx,
    order: &Order,
    profile: &Profile,
    own: Option<&CustomerId>,
    same_email: SameEmail,
) -> Result<(), CustomerError> {
    if let (Some(email), SameEmail::Refused) = (&profile.email, same_email)
        && let Some(by) = holder_of_email(tx, order, email, own).await?
    {
        return Err(CustomerError::EmailTaken { by });
    }
    if let Some(external_id) = &profile.external_id {
        let others = provider::other_spellings(external_id);
        let holder = tx
            .customer_holding_external_id(&order.app, external_id, &others, own)
            .await?;
        if let Some(by) = holder {
            return Err(CustomerError::ExternalIdTaken { by: by.id });
        }
    }
    Ok(())
}

async fn holder_of_email(
    tx: &mut Tx,
    order: &Order,
    email: &str,
    own: Option<&CustomerId>,
) -> Result<Option<CustomerId>, StoreError> {
    let given = tx.customer_given_email(&order.app, email, own).await?;
    let policy = tx.app_policy(&order.app).await?;
    let joins = policy.is_some_and(|policy| policy.on_same_email == OnSameEmail::Join);
    let holder = if given.is_none() && joins {
        tx.customer_find_by_email(&order.app, email).await?
    } else {
        given
    };
    Ok(holder.map(|it| it.id).filter(|id| Some(id) != own))
}
