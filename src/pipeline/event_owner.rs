//! Whose an event is.

use crate::domain::apply::lookup_keys::external_ids;
use crate::domain::id::{AppSlug, CustomerId};
use crate::store::{EventRecord, StoreError, Tx};

/// The customer whom an event is about: its own, or whoever has the account that it names by now.
pub(super) async fn of(
    tx: &mut Tx,
    app: &AppSlug,
    event: &EventRecord,
) -> Result<Option<CustomerId>, StoreError> {
    if event.customer.is_some() {
        return Ok(event.customer.clone());
    }
    let Some(account) = &event.billing_account else {
        return Ok(None);
    };
    let [prefixed, bare] = external_ids(account);
    let found = tx
        .customer_find_by_external(app, &prefixed, &[bare])
        .await?;
    Ok(found.map(|customer| customer.id))
}
