//! What admins do with customers: the use cases behind every dialect of the API.
//!
//! Each is one transaction: what the act can touch is loaded, the act works on it in memory, and
//! what changed is written together with its audit entries. The transaction is the only one to
//! change the app, so that of two who want the same e-mail address or external id one gets it.
//! No index keeps addresses unique: the rule has exceptions.

use serde_json::json;

use super::order::{Order, audit_entries};
use super::tokens::{self, TokenError, TokenOrder};
use crate::domain::access::token::TokenText;
use crate::domain::apply::change::Change;
use crate::domain::apply::lookup_keys::LookupKeys;
use crate::domain::apply::working_set::WorkingSet;
use crate::domain::billing::fact::Contact;
use crate::domain::customer::act::{ActError, FreezeOrder};
use crate::domain::customer::profile::ProfileChange;
use crate::domain::customer::row::{AdminHold, Customer, Profile};
use crate::domain::email::fold_email;
use crate::domain::id::CustomerId;
use crate::domain::validate::FieldError;
use crate::random::{self, RandomError};
use crate::store::{Match, Store, StoreError, Tx, account_objects};

/// Why a customer was not made or changed.
#[derive(Debug, thiserror::Error)]
pub enum CustomerError {
    /// The order says something that is not allowed.
    #[error("the order has fields that are not right")]
    Invalid {
        /// What is wrong, field by field.
        errors: Vec<FieldError>,
    },
    /// Another customer has the e-mail address.
    #[error("another customer has this e-mail address: {by}")]
    EmailTaken {
        /// Which one.
        by: CustomerId,
    },
    /// Another customer, or one of its billing accounts, has the external id.
    #[error("another customer has this external id: {by}")]
    ExternalIdTaken {
        /// Which one.
        by: CustomerId,
    },
    /// The customer cannot be worked on.
    #[error(transparent)]
    Act(#[from] ActError),
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// No id or token could be drawn.
    #[error("no id or token could be made")]
    Random(#[from] RandomError),
}

impl From<TokenError> for CustomerError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Store(source) => Self::Store(source),
            TokenError::Random(source) => Self::Random(source),
        }
    }
}

/// A customer that was just made.
#[derive(Debug)]
pub struct Created {
    /// As it is shown.
    pub customer: Customer,
    /// Its first access token, for the one answer that shows it.
    pub token: TokenText,
}

/// What get-or-create did.
#[derive(Debug)]
pub enum GotOrCreated {
    /// It was there.
    Got(Box<Customer>),
    /// It was made.
    Created(Box<Created>),
}

/// A customer after an act.
#[derive(Debug)]
pub struct Acted {
    /// As it is shown.
    pub customer: Customer,
    /// Whether the act changed anything.
    pub changed: bool,
}

/// What can be done to a customer by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// No access for now, with the admin's words.
    Suspend(Option<String>),
    /// Access again.
    Reactivate,
    /// Access to fixed versions.
    Freeze(FreezeOrder),
    /// No access, with the admin's words.
    Expire(Option<String>),
}

/// How much of a deleted customer stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// Its row stays, with the time of the deletion.
    Soft,
    /// Nothing but what keeps later events from reviving it.
    Permanent,
}

/// Whether an e-mail address may belong to more than one customer of an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameEmail {
    /// As the rule is: whoever comes second is refused.
    Refused,
    /// The exception: the caller says that two people share the address, or one person is two
    /// customers. A billing account with the address follows the first one made.
    Allowed,
}

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
            .customer_find_by_external(&order.app, external_id, Match::Unique)
            .await?;
    }
    if let (None, Some(email)) = (&found, &profile.email) {
        found = tx
            .customer_find_by_email(&order.app, email, Match::Unique)
            .await?;
    }
    if let Some(customer) = found {
        return Ok(GotOrCreated::Got(Box::new(customer)));
    }
    let created = create_in(&mut tx, order, profile).await?;
    tx.commit().await?;
    Ok(GotOrCreated::Created(Box::new(created)))
}

/// Changes the given fields of a customer.
///
/// # Errors
/// When there is no such customer, a field is not right, or the new e-mail address or external
/// id is taken.
pub async fn update(
    store: &Store,
    order: &Order,
    id: &CustomerId,
    change: &ProfileChange,
    same_email: SameEmail,
) -> Result<Acted, CustomerError> {
    refuse_wrong(change)?;
    let mut tx = store.begin_in(&order.app).await?;
    let (before, profile) = {
        let row = tx
            .customer_find(&order.app, id)
            .await?
            .ok_or(ActError::Unknown)?;
        // Who is gone is said before who else has the address.
        if row.deleted_at.is_some() {
            return Err(ActError::Deleted.into());
        }
        if let Some(into) = row.merged_into {
            return Err(ActError::Merged { into }.into());
        }
        (
            row.profile.clone(),
            change.apply(&row.profile, &row.derived.contact),
        )
    };
    let news = Profile {
        email: profile.email.clone().filter(|_| {
            let fold = |profile: &Profile| profile.email.as_deref().and_then(fold_email);
            fold(&profile) != fold(&before)
        }),
        external_id: profile
            .external_id
            .clone()
            .filter(|_| profile.external_id != before.external_id),
        ..Profile::default()
    };
    refuse_taken(&mut tx, order, &news, Some(id), same_email).await?;
    let lookup_keys = reach_of(Some(id), [&before, &profile]);
    let acted = act_in(
        &mut tx,
        order,
        id,
        &lookup_keys,
        "update_profile",
        |working_set| working_set.update_profile(id, profile, order.now),
    )
    .await?;
    tx.commit().await?;
    Ok(acted)
}

/// Suspends, reactivates, freezes or expires a customer.
///
/// # Errors
/// When there is no such customer.
pub async fn act(
    store: &Store,
    order: &Order,
    id: &CustomerId,
    act: Act,
) -> Result<Acted, CustomerError> {
    let mut tx = store.begin_in(&order.app).await?;
    let name = match &act {
        Act::Suspend(_) => "suspend",
        Act::Reactivate => "reactivate",
        Act::Freeze(_) => "freeze",
        Act::Expire(_) => "expire",
    };
    let lookup_keys = reach_of(Some(id), []);
    let acted = act_in(
        &mut tx,
        order,
        id,
        &lookup_keys,
        name,
        |working_set| match act {
            Act::Suspend(reason) => working_set.suspend(id, reason, order.now),
            Act::Reactivate => working_set.reactivate(id, order.now),
            Act::Freeze(freeze) => working_set.freeze(id, freeze, order.now),
            Act::Expire(reason) => working_set.expire(id, reason, order.now),
        },
    )
    .await?;
    tx.commit().await?;
    Ok(acted)
}

/// Deletes a customer. Later events of its billing accounts are recorded and change nothing.
///
/// # Errors
/// When there is no such customer. One that was deleted softly can still be deleted for good.
pub async fn delete(
    store: &Store,
    order: &Order,
    id: &CustomerId,
    deletion: Deletion,
) -> Result<(), CustomerError> {
    let mut tx = store.begin_in(&order.app).await?;
    let row = tx
        .customer_find(&order.app, id)
        .await?
        .ok_or(ActError::Unknown)?;
    let gone_already = row.deleted_at.is_some();
    if gone_already && deletion == Deletion::Soft {
        return Ok(());
    }
    if !gone_already {
        let shown = Profile {
            email: row.derived.contact.email.clone(),
            external_id: row.derived.external_id.clone(),
            ..Profile::default()
        };
        let lookup_keys = reach_of(Some(id), [&row.profile, &shown]);
        act_in(&mut tx, order, id, &lookup_keys, "delete", |working_set| {
            working_set.delete(id, order.now)
        })
        .await?;
    }
    if deletion == Deletion::Permanent {
        tx.customer_purge(&order.app, id).await?;
        order.audit(&mut tx, Some(id), "purge", json!({})).await?;
    }
    Ok(tx.commit().await?)
}

fn refuse_wrong(change: &ProfileChange) -> Result<(), CustomerError> {
    let errors = change.errors();
    if errors.is_empty() {
        Ok(())
    } else {
        Err(CustomerError::Invalid { errors })
    }
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

/// Refuses an e-mail address or external id that another customer has.
async fn refuse_taken(
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
            .customer_find_by_external(&order.app, external_id, Match::Unique)
            .await?;
        if let Some(by) = found.and_then(others) {
            return Err(CustomerError::ExternalIdTaken { by });
        }
    }
    Ok(())
}

async fn create_in(tx: &mut Tx, order: &Order, profile: Profile) -> Result<Created, CustomerError> {
    let id = CustomerId::from_uuid(random::uuid(order.now)?);
    let lookup_keys = reach_of(None, [&profile]);
    let create = |working_set: &mut WorkingSet| {
        Ok(working_set.create_customer(id.clone(), profile, order.now))
    };
    let acted = act_in(tx, order, &id, &lookup_keys, "create", create).await?;
    let (_, token) = tokens::issue(tx, order, &id, TokenOrder::first()).await?;
    Ok(Created {
        customer: acted.customer,
        token,
    })
}

/// Lets an act work on all that it can touch, and writes what it changed.
async fn act_in(
    tx: &mut Tx,
    order: &Order,
    id: &CustomerId,
    lookup_keys: &LookupKeys,
    name: &str,
    act: impl FnOnce(&mut WorkingSet) -> Result<Vec<Change>, ActError>,
) -> Result<Acted, CustomerError> {
    let mut working_set = tx.working_set_load(&order.app, lookup_keys).await?;
    let before = hold_of(&working_set, id);
    let changes = act(&mut working_set)?;
    let changed = !working_set.changed.customers.is_empty();
    tx.working_set_save(&order.app, &working_set).await?;
    let mut entries = audit_entries(&order.app, &order.actor, &changes, order.now);
    if changed && entries.is_empty() {
        // The act counts though nothing of it shows yet, such as a hold behind a stronger one.
        let details = json!({"from": before, "to": hold_of(&working_set, id)});
        entries.push(order.entry(Some(id), name, details));
    }
    tx.audit_add(&entries).await?;
    let customer = working_set.customers.remove(id).ok_or(ActError::Unknown)?;
    Ok(Acted { customer, changed })
}

/// The admin's hold of a row, for the audit.
fn hold_of(working_set: &WorkingSet, id: &CustomerId) -> serde_json::Value {
    let hold = working_set
        .customers
        .get(id)
        .and_then(|row| row.hold.as_ref());
    json!({"hold": hold.map(AdminHold::as_str)})
}

/// Everybody whom an act on these profiles can touch.
fn reach_of<'a>(
    id: Option<&CustomerId>,
    profiles: impl IntoIterator<Item = &'a Profile>,
) -> LookupKeys {
    let mut lookup_keys = LookupKeys {
        customers: id.into_iter().cloned().collect(),
        ..LookupKeys::default()
    };
    for profile in profiles {
        lookup_keys
            .emails
            .extend(profile.email.as_deref().and_then(fold_email));
        if let Some(external_id) = &profile.external_id {
            lookup_keys.accounts.extend(account_objects(external_id));
            lookup_keys.external_ids.insert(external_id.clone());
        }
    }
    lookup_keys
}
