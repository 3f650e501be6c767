//! Making customers.

use super::act::{act_in, lookup_keys_of};
use super::find::{CustomerDetails, details};
use super::orders::{Created, CustomerError, GotOrCreated, SameEmail, refuse_wrong};
use super::taken::refuse_taken;
use crate::domain::apply::working_set::WorkingSet;
use crate::domain::billing::fact::Contact;
use crate::domain::customer::profile::ProfileChange;
use crate::domain::customer::row::{Customer, Profile};
use crate::domain::email::fold_email;
use crate::domain::id::CustomerId;
use crate::domain::policy::OnSameEmail;
use crate::domain::validate::FieldError;
use crate::pipeline::order::Order;
use crate::pipeline::tokens::{self, TokenOrder};
use crate::provider;
use crate::random;
use crate::store::{Store, StoreError, Tx};

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

/// The customer with this external id in any spelling, or with this e-mail address, else a new one.
/// Two who ask at once get the same. One that is found by its address gets the external id, if none
/// was given to it before.
///
/// An address that only webhooks brought was typed by somebody who bought something, and is not proved to
/// be his: it identifies nobody beside an external id, unless the app trusts such addresses
/// ([`OnSameEmail::Join`]). Else whoever types the address of another one would get that one's external
/// id, and with it what is granted to it later.
///
/// # Errors
/// As [`create`], and when the external id and the e-mail address name two customers.
pub async fn get_or_create(
    store: &Store,
    order: &Order,
    change: &ProfileChange,
) -> Result<GotOrCreated, CustomerError> {
    let profile = profile_of(change)?;
    let mut tx = store.begin_in(&order.app).await?;
    let found = match identified(&mut tx, order, &profile).await? {
        Identified::Nobody => {
            refuse_nameless(&profile)?;
            let created = create_in(&mut tx, order, profile).await?;
            tx.commit().await?;
            return Ok(GotOrCreated::Created(Box::new(created)));
        }
        Identified::Known(customer) => details(&mut tx, &order.app, customer, order.now).await?,
        Identified::WithoutId(customer, external_id) => {
            let found = attach(&mut tx, order, customer, external_id).await?;
            tx.commit().await?;
            found
        }
    };
    Ok(GotOrCreated::Got(Box::new(found)))
}

/// A customer whom an external id and an e-mail address name.
enum Identified {
    /// There is none yet.
    Nobody,
    /// There is one.
    Known(Customer),
    /// There is one, which lacks the external id.
    WithoutId(Customer, String),
}

async fn identified(
    tx: &mut Tx,
    order: &Order,
    profile: &Profile,
) -> Result<Identified, CustomerError> {
    let mut of_id = None;
    if let Some(external_id) = &profile.external_id {
        let others = provider::other_spellings(external_id);
        of_id = tx
            .customer_find_by_external(&order.app, external_id, &others)
            .await?;
    }
    let mut of_email = None;
    if let Some(email) = &profile.email {
        of_email = tx.customer_find_by_email(&order.app, email).await?;
        if profile.external_id.is_some() && !trusts_typed_addresses(tx, order).await? {
            let is_given = |it: &Customer| it.profile.folded_email() == profile.folded_email();
            of_email = of_email.filter(is_given);
        }
    }
    Ok(match (of_id, of_email) {
        (Some(one), Some(other)) if one.id != other.id && !has_email_of(&one, profile) => {
            return Err(CustomerError::IdentityConflict {
                of_id: Some(one.id),
                of_email: other.id,
            });
        }
        (Some(customer), _) => Identified::Known(customer),
        (None, Some(customer)) => match (&profile.external_id, &customer.profile.external_id) {
            (Some(_), Some(_)) => {
                return Err(CustomerError::IdentityConflict {
                    of_id: None,
                    of_email: customer.id,
                });
            }
            (Some(missing), None) => Identified::WithoutId(customer, missing.clone()),
            (None, _) => Identified::Known(customer),
        },
        (None, None) => Identified::Nobody,
    })
}

async fn trusts_typed_addresses(tx: &mut Tx, order: &Order) -> Result<bool, StoreError> {
    let policy = tx.app_policy(&order.app).await?;
    Ok(policy.is_some_and(|policy| policy.on_same_email == OnSameEmail::Join))
}

/// Reports whether a customer has the address of a profile, which it may share with others.
fn has_email_of(customer: &Customer, profile: &Profile) -> bool {
    let email = profile.folded_email();
    let shown = customer.derived.contact.email.as_deref();
    customer.profile.folded_email() == email || shown.and_then(fold_email) == email
}

async fn attach(
    tx: &mut Tx,
    order: &Order,
    customer: Customer,
    external_id: String,
) -> Result<CustomerDetails, CustomerError> {
    let (id, before) = (customer.id, customer.profile);
    let profile = Profile {
        external_id: Some(external_id),
        ..before.clone()
    };
    refuse_taken(tx, order, &profile, Some(&id), SameEmail::Allowed).await?;
    let lookup_keys = lookup_keys_of(Some(&id), [&before, &profile]);
    let act = |working_set: &mut WorkingSet| working_set.update_profile(&id, profile, order.now);
    let acted = act_in(tx, order, &id, &lookup_keys, "update_profile", act).await?;
    Ok(CustomerDetails {
        customer: acted.customer,
        granted: acted.granted,
    })
}

fn new_profile(change: &ProfileChange) -> Result<Profile, CustomerError> {
    let profile = profile_of(change)?;
    refuse_nameless(&profile)?;
    Ok(profile)
}

fn profile_of(change: &ProfileChange) -> Result<Profile, CustomerError> {
    refuse_wrong(change)?;
    Ok(change.apply(&Profile::default(), &Contact::default()))
}

fn refuse_nameless(profile: &Profile) -> Result<(), CustomerError> {
    if profile.name.is_none() && profile.email.is_none() {
        let missing = "is missing; a customer needs a name or an e-mail address";
        let errors = vec![
            FieldError::new("name", missing),
            FieldError::new("email", missing),
        ];
        return Err(CustomerError::Invalid { errors });
    }
    Ok(())
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
