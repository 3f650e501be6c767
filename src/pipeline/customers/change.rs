//! Changing and deleting customers.

use serde_json::json;

use super::act::{act_in, lookup_keys_of};
use super::find::living;
use super::orders::{Act, Acted, CustomerError, Deletion, SameEmail, refuse_wrong};
use super::taken::refuse_taken;
use crate::domain::billing::fact::Contact;
use crate::domain::customer::act::ActError;
use crate::domain::customer::profile::ProfileChange;
use crate::domain::customer::row::Profile;
use crate::domain::id::CustomerId;
use crate::domain::precondition::Precondition;
use crate::domain::validate::FieldError;
use crate::pipeline::order::Order;
use crate::pipeline::package_texts::check_versions;
use crate::store::{Store, Tx};

/// Changes the given fields of a customer.
///
/// # Errors
/// When there is no such customer, it is in another state than `only_if` says, a field is not right,
/// or the new e-mail address or external id is taken.
pub async fn update(
    store: &Store,
    order: &Order,
    id: &CustomerId,
    change: &ProfileChange,
    same_email: SameEmail,
    only_if: &Precondition,
) -> Result<Acted, CustomerError> {
    refuse_wrong(change)?;
    let mut tx = store.begin_in(&order.app).await?;
    let (before, profile, shown, was_named) = {
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
        only_if.check(Some(&row.state_tag()))?;
        (
            row.profile.clone(),
            change.apply(&row.profile, &row.derived.contact),
            row.derived.external_id,
            is_named(&row.derived.contact),
        )
    };
    let news = Profile {
        email: profile
            .email
            .clone()
            .filter(|_| profile.folded_email() != before.folded_email()),
        external_id: profile
            .external_id
            .clone()
            .filter(|_| profile.external_id != before.external_id),
        ..Profile::default()
    };
    refuse_taken(&mut tx, order, &news, Some(id), same_email).await?;
    let lookup_keys = lookup_keys_of(Some(id), [&before, &profile]);
    let acted = act_in(
        &mut tx,
        order,
        id,
        &lookup_keys,
        "update_profile",
        |working_set| working_set.update_profile(id, profile, order.now),
    )
    .await?;
    if was_named && !is_named(&acted.customer.derived.contact) {
        return Err(nameless(change));
    }
    let cleared = change.external_id == Some(None);
    if let Some(stays) = shown.filter(|it| cleared && acted.external_id() == Some(it)) {
        let message = format!(
            "cannot be cleared: `{stays}` comes from a billing account; part the account from the \
             customer, or set another external id"
        );
        let errors = vec![FieldError::new("external_id", message)];
        return Err(CustomerError::Invalid { errors });
    }
    tx.commit().await?;
    Ok(acted)
}

/// Reports whether people can tell whose contact it is.
const fn is_named(contact: &Contact) -> bool {
    contact.name.is_some() || contact.email.is_some()
}

/// Refuses a change that takes from a customer the last of name and e-mail address.
fn nameless(change: &ProfileChange) -> CustomerError {
    let fields = [("name", &change.name), ("email", &change.email)];
    let cleared = fields
        .into_iter()
        .filter(|(_, given)| **given == Some(None));
    let message = "cannot be cleared; a customer needs a name or an e-mail address";
    let errors = cleared.map(|(field, _)| FieldError::new(field, message));
    CustomerError::Invalid {
        errors: errors.collect(),
    }
}

/// Suspends, reactivates, freezes or expires a customer.
///
/// # Errors
/// When there is no such customer, or it is in another state than `only_if` says.
pub async fn act(
    store: &Store,
    order: &Order,
    id: &CustomerId,
    act: Act,
    only_if: &Precondition,
) -> Result<Acted, CustomerError> {
    let mut tx = store.begin_in(&order.app).await?;
    if *only_if != Precondition::None {
        let customer = living(&mut tx, &order.app, id).await?;
        only_if.check(Some(&customer.state_tag()))?;
    }
    let acted = done_in(&mut tx, order, id, act).await?;
    tx.commit().await?;
    Ok(acted)
}

/// Shows what [`act`] would do, and does nothing: the transaction is never committed.
///
/// # Errors
/// As those of [`act`].
pub async fn preview(
    store: &Store,
    order: &Order,
    id: &CustomerId,
    act: Act,
) -> Result<Acted, CustomerError> {
    let mut tx = store.begin_in(&order.app).await?;
    done_in(&mut tx, order, id, act).await
}

async fn done_in(
    tx: &mut Tx,
    order: &Order,
    id: &CustomerId,
    act: Act,
) -> Result<Acted, CustomerError> {
    let act = readable(tx, order, act).await?;
    let name = match &act {
        Act::Suspend(_) => "suspend",
        Act::Reactivate => "reactivate",
        Act::Freeze(_) => "freeze",
        Act::Expire(_) => "expire",
    };
    let lookup_keys = lookup_keys_of(Some(id), []);
    act_in(tx, order, id, &lookup_keys, name, |working_set| match act {
        Act::Suspend(reason) => working_set.suspend(id, reason, order.now),
        Act::Reactivate => working_set.reactivate(id, order.now),
        Act::Freeze(freeze) => working_set.freeze(id, freeze, order.now),
        Act::Expire(reason) => working_set.expire(id, reason, order.now),
    })
    .await
}

/// Checks the versions of a freeze, and puts them in order: lists are compared to tell a repetition
/// from a change.
async fn readable(tx: &mut Tx, order: &Order, act: Act) -> Result<Act, CustomerError> {
    let Act::Freeze(mut freeze) = act else {
        return Ok(act);
    };
    if let Some(versions) = &mut freeze.versions {
        check_versions(tx, &order.app, versions).await?;
        versions.sort();
        versions.dedup();
    }
    Ok(Act::Freeze(freeze))
}

/// Deletes a customer. Later events of its billing accounts are recorded and change nothing. After
/// a permanent deletion the workers remove what else is kept of it, see
/// [`erasure`](crate::pipeline::erasure).
///
/// Returns whether there was anything left to delete: a customer that was deleted softly is not
/// deleted softly again, but can still be deleted for good.
///
/// # Errors
/// When there is no such customer, or it is in another state than `only_if` says.
pub async fn delete(
    store: &Store,
    order: &Order,
    id: &CustomerId,
    deletion: Deletion,
    only_if: &Precondition,
) -> Result<bool, CustomerError> {
    let mut tx = store.begin_in(&order.app).await?;
    let row = tx
        .customer_find(&order.app, id)
        .await?
        .ok_or(ActError::Unknown)?;
    let gone_already = row.deleted_at.is_some();
    if gone_already && deletion == Deletion::Soft {
        return Ok(false);
    }
    only_if.check(Some(&row.state_tag()))?;
    if !gone_already {
        let shown = Profile {
            email: row.derived.contact.email.clone(),
            external_id: row.derived.external_id.clone(),
            ..Profile::default()
        };
        let lookup_keys = lookup_keys_of(Some(id), [&row.profile, &shown]);
        act_in(&mut tx, order, id, &lookup_keys, "delete", |working_set| {
            working_set.delete(id, order.now)
        })
        .await?;
    }
    if deletion == Deletion::Permanent {
        tx.customer_purge(&order.app, id, order.now).await?;
        order.audit(&mut tx, Some(id), "purge", json!({})).await?;
    }
    tx.commit().await?;
    Ok(true)
}
