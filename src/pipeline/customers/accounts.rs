//! A customer's billing accounts: how each was linked, and linking and parting by hand.

use std::collections::BTreeSet;

use super::act::act_in;
use super::find::{FindError, living, shown};
use super::orders::{Acted, CustomerError};
use crate::domain::apply::lookup_keys::{LookupKeys, connected_part, prefixed_account};
use crate::domain::apply::working_set::Account;
use crate::domain::customer::act::ActError;
use crate::domain::id::{AppSlug, CustomerId, Kind, ObjectKey, Provider, Scope};
use crate::domain::identity::links::stored_groups;
use crate::domain::identity::register::{Tie, ties};
use crate::pipeline::order::Order;
use crate::provider;
use crate::random;
use crate::store::{Store, StoreError, Tx};

/// A billing account as an admin names it.
#[derive(Clone, Debug, Default)]
pub struct AccountName {
    /// Whose it is; `None` where the id says it (`stripe_cus_…`).
    pub provider: Option<Provider>,
    /// The provider's id of it, with or without the provider and `_` before it, and the connected
    /// account and `/` between.
    pub id: String,
    /// Its mode, where accounts of both have the id.
    pub livemode: Option<bool>,
    /// Its connected account (Stripe Connect), where it belongs to one.
    pub connected_account: Option<String>,
}

/// A billing account of a customer.
#[derive(Clone, Debug)]
pub struct LinkedAccount {
    /// The account.
    pub account: Account,
    /// How it was linked.
    pub tie: Tie,
}

/// Lists a customer's billing accounts, those first that the provider had first.
///
/// # Errors
/// When there is no such customer.
pub async fn accounts(
    store: &Store,
    app: &AppSlug,
    id: &CustomerId,
) -> Result<Vec<LinkedAccount>, FindError> {
    let mut tx = store.read().await?;
    let customer = shown(&mut tx, app, id).await?;
    let only = BTreeSet::from([customer.id]);
    let lookup_keys = LookupKeys {
        customers: only.clone(),
        ..LookupKeys::default()
    };
    let mut working_set = tx.working_set_load(app, &lookup_keys).await?;
    let group = stored_groups(&working_set, &only).pop();
    let keys = group.map(|group| group.accounts).unwrap_or_default();
    let mut ties = ties(&working_set, &keys);
    let linked = keys.into_iter().filter_map(|key| {
        Some(LinkedAccount {
            tie: ties.remove(&key)?,
            account: working_set.accounts.remove(&key)?,
        })
    });
    Ok(linked.collect())
}

/// Links a billing account to a customer, whatever customer it has. One that no webhook has named
/// yet is linked for when one does.
///
/// # Errors
/// When there is no such customer, or nothing can be an account of this name.
pub async fn link_account(
    store: &Store,
    order: &Order,
    id: &CustomerId,
    name: &AccountName,
) -> Result<Acted, CustomerError> {
    let mut tx = store.begin_in(&order.app).await?;
    let acted = link_in(&mut tx, order, id, name).await?;
    tx.commit().await?;
    Ok(acted)
}

/// Shows what [`link_account`] would do, and does nothing: the transaction is never committed.
///
/// # Errors
/// As those of [`link_account`].
pub async fn preview_link(
    store: &Store,
    order: &Order,
    id: &CustomerId,
    name: &AccountName,
) -> Result<Acted, CustomerError> {
    let mut tx = store.begin_in(&order.app).await?;
    link_in(&mut tx, order, id, name).await
}

async fn link_in(
    tx: &mut Tx,
    order: &Order,
    id: &CustomerId,
    name: &AccountName,
) -> Result<Acted, CustomerError> {
    living(tx, &order.app, id).await?;
    let known = known(tx, &order.app, name).await?;
    let account = match one_of(&known)? {
        Some(account) => account,
        None => unknown(name)?,
    };
    let lookup_keys = lookup_keys_of(id, &account);
    act_in(tx, order, id, &lookup_keys, "link_account", |working_set| {
        working_set.link_account(&account, id, order.now)
    })
    .await
}

/// Parts a billing account from a customer: it gets the customer back that it brought along, or one
/// of its own.
///
/// # Errors
/// When there is no such customer, or the account is none of its own.
pub async fn part_account(
    store: &Store,
    order: &Order,
    id: &CustomerId,
    name: &AccountName,
) -> Result<Acted, CustomerError> {
    let mut tx = store.begin_in(&order.app).await?;
    let acted = part_in(&mut tx, order, id, name).await?;
    tx.commit().await?;
    Ok(acted)
}

/// Shows what [`part_account`] would do, and does nothing: the transaction is never committed.
///
/// # Errors
/// As those of [`part_account`].
pub async fn preview_part(
    store: &Store,
    order: &Order,
    id: &CustomerId,
    name: &AccountName,
) -> Result<Acted, CustomerError> {
    let mut tx = store.begin_in(&order.app).await?;
    part_in(&mut tx, order, id, name).await
}

async fn part_in(
    tx: &mut Tx,
    order: &Order,
    id: &CustomerId,
    name: &AccountName,
) -> Result<Acted, CustomerError> {
    let own = CustomerId::from_uuid(random::uuid(order.now)?);
    living(tx, &order.app, id).await?;
    let mut known = known(tx, &order.app, name).await?;
    known.retain(|(_, customer)| customer.as_ref() == Some(id));
    let account = one_of(&known)?.ok_or(NOT_LINKED)?;
    let lookup_keys = lookup_keys_of(id, &account);
    let acted = act_in(tx, order, id, &lookup_keys, "part_account", |working_set| {
        working_set.part_account(&account, id, order.now, &mut || own.clone())
    });
    acted.await.map_err(|error| match error {
        CustomerError::Act(ActError::UnknownAccount) => NOT_LINKED,
        error => error,
    })
}

const NOT_LINKED: CustomerError = CustomerError::NoAccount {
    detail: "the customer has no such billing account",
};

const NEVER_NAMED: CustomerError = CustomerError::NoAccount {
    detail: "no webhook has named such a billing account, and its id has not the form of a new one",
};

fn lookup_keys_of(id: &CustomerId, account: &ObjectKey) -> LookupKeys {
    LookupKeys {
        customers: BTreeSet::from([id.clone()]),
        accounts: BTreeSet::from([account.clone()]),
        ..LookupKeys::default()
    }
}

/// The provider, the connected account and the provider's id, where the name says all of them.
fn parts(name: &AccountName) -> (Option<Provider>, Option<&str>, &str) {
    let prefixed = prefixed_account(&name.id);
    let known = prefixed.filter(|(provider, _)| provider::names().any(|it| it == *provider));
    let (provider, id) = match known {
        Some((provider, id)) if name.provider.is_none_or(|it| it == provider) => {
            (Some(provider), id)
        }
        _ => (name.provider, name.id.as_str()),
    };
    let (connected, own) = connected_part(id);
    (
        provider,
        name.connected_account.as_deref().or(connected),
        own,
    )
}

/// The accounts that a name can mean, each with its customer.
async fn known(
    tx: &mut Tx,
    app: &AppSlug,
    name: &AccountName,
) -> Result<Vec<(ObjectKey, Option<CustomerId>)>, StoreError> {
    let (provider, connected, id) = parts(name);
    let mut known = tx.account_owners(app, [id]).await?;
    known.retain(|(key, _)| {
        let scope = &key.scope;
        provider.is_none_or(|it| it == scope.provider)
            && name.livemode.is_none_or(|it| it == scope.livemode)
            && (connected.is_none() || connected == scope.connected.as_deref())
    });
    // Without another word it is the platform's own, if that has one.
    if known.iter().any(|(key, _)| key.scope.connected.is_none()) {
        known.retain(|(key, _)| connected.is_some() || key.scope.connected.is_none());
    }
    Ok(known)
}

fn one_of(known: &[(ObjectKey, Option<CustomerId>)]) -> Result<Option<ObjectKey>, CustomerError> {
    match known {
        [] => Ok(None),
        [(key, _)] => Ok(Some(key.clone())),
        [_, _, ..] => Err(CustomerError::AccountAmbiguous),
    }
}

/// An account that no webhook has named yet. Its id must have the form of the provider's, or a slip
/// of the pen would wait for ever.
fn unknown(name: &AccountName) -> Result<ObjectKey, CustomerError> {
    let (provider, connected, id) = parts(name);
    let spec = provider::ALL.iter().find(|spec| spec.is_account(id));
    let spec = spec.filter(|spec| provider.is_none_or(|it| it == spec.name));
    let spec = spec.ok_or(NEVER_NAMED)?;
    let scope = Scope {
        provider: spec.name,
        livemode: name.livemode.unwrap_or(true),
        connected: connected.map(str::to_owned),
    };
    Ok(scope.key(Kind::Account, id))
}
