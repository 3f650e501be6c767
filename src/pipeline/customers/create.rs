//! Making customers.

use super::act::{act_in, lookup_keys_of};
use super::find::details;
use super::orders::{Created, CustomerError, GotOrCreated, SameEmail, refuse_wrong};
use super::taken::refuse_taken;
use crate::domain::apply::working_set::WorkingSet;
use crate::domain::billing::fact::Contact;
use crate::domain::customer::profile::ProfileChange;
use crate::domain::customer::row::Profile;
use crate::domain::id::CustomerId;
use crate::domain::validate::FieldError;
use crate::pipeline::order::Order;
use crate::pipeline::tokens::{self, TokenOrder};
use crate::random;
use crate::store::{Store, Tx};

/// Makes a customer with an access token.
///
/// # Errors
/// When it has neither name nor e-mail address, a field is not right, or the e-mail address or
/// external id is taken.
pub async fn create(
    store: &Store,
    order: &Order,
    change: &ProfileChange,
    same_email: SameEmail,
) -> Result<Created, CustomerError> {
    let profile = new_profile(change)?;
    let mut tx = store.begin_in(&order.app).await?;
    refuse_taken(&mut tx, order, &profile, None, same_email).await?;
    let created = create_in(&mut tx, order, profile).await?;
    tx.commit().await?;
    Ok(created)
}

/// The customer with this external id, else with this e-mail address, else a new one. Two who
/// ask at once get the same.
///
/// # Errors
/// As [`create`].
pub async fn get_or_create(
    store: &Store,
    order: &Order,
    change: &ProfileChange,
) -> Result<GotOrCreated, CustomerError> {
    let profile = new_profile(change)?;
    let mut tx = store.begin_in(&order.app).await?;
    let mut found = None;
    if let Some(external_id) = &profile.external_id {
        found = tx
            .customer_find_by_external(&order.app, external_id, &[])
            .await?;
    }
    if let (None, Some(email)) = (&found, &profile.email) {
        found = tx.customer_find_by_email(&order.app, email).await?;
    }
    if let Some(customer) = found {
        let found = details(&mut tx, &order.app, customer, order.now).await?;
        return Ok(GotOrCreated::Got(Box::new(found)));
    }
    let created = create_in(&mut tx, order, profile).await?;
    tx.commit().await?;
    Ok(GotOrCreated::Created(Box::new(created)))
}

fn new_profile(change: &ProfileChange) -> Result<Profile, CustomerError> {
    refuse_wrong(change)?;
    let profile = change.apply(&Profile::default(), &Contact::default());
    if profile.name.is_none() && profile.email.is_none() {
        let missing = "is missing; a customer needs a name or an e-mail address";
        let errors = vec![
            FieldError::new("name", missing),
            FieldError::new("email", missing),
        ];
        return Err(CustomerError::Invalid { errors });
    }
    Ok(profile)
}

async fn create_in(tx: &mut Tx, order: &Order, profile: Profile) -> Result<Created, CustomerError> {
    let id = CustomerId::from_uuid(random::uuid(order.now)?);
    let lookup_keys = lookup_keys_of(None, [&profile]);
    let create = |working_set: &mut WorkingSet| {
        Ok(working_set.create_customer(id.clone(), profile, order.now))
    };
    let acted = act_in(tx, order, &id, &lookup_keys, "create", create).await?;
    let issued = tokens::issue_in(tx, order, &id, TokenOrder::first()).await?;
    Ok(Created {
        customer: acted.customer,
        granted: acted.granted,
        token: issued.text,
    })
}
