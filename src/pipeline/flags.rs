//! Flags: listing them, and clearing those that somebody has looked at.

use std::collections::BTreeSet;

use serde_json::json;

use super::order::Order;
use crate::domain::apply::lookup_keys::LookupKeys;
use crate::domain::customer::act::ActError;
use crate::domain::customer::flag::id::FlagId;
use crate::domain::customer::flag::{FlagHolder, FlagKind, HeldFlag};
use crate::domain::id::{AppSlug, Kind};
use crate::domain::time::Timestamp;
use crate::store::{
    FlagFilter, FlagGroup, FlagKindCount, FlagLink, Listed, Store, StoreError, Window,
};

/// Why a flag was not cleared.
#[derive(Debug, thiserror::Error)]
pub enum FlagError {
    /// No such flag is open.
    #[error("no such flag is open")]
    NotFound,
    /// Its customer cannot be worked on.
    #[error(transparent)]
    Act(#[from] ActError),
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

/// An open flag, as the list shows it.
#[derive(Clone, Debug)]
pub struct OpenFlag {
    /// The flag.
    pub held: HeldFlag,
    /// For an address that two customers share: the link that makes them one.
    pub link: Option<FlagLink>,
}

/// Lists open flags: the newest deciding instant first, mistakes of set-up last.
///
/// # Errors
/// When the store failed.
pub async fn list(
    store: &Store,
    app: &AppSlug,
    filter: &FlagFilter,
    window: &Window,
) -> Result<Listed<OpenFlag>, StoreError> {
    let mut tx = store.read().await?;
    let listed = tx.flag_list(app, filter, window).await?;
    let flags = listed.rows.iter().map(|held| &held.flag);
    let links = tx.flag_links(app, flags).await?;
    let is_shared = |held: &HeldFlag| held.flag.kind == FlagKind::SameEmail;
    Ok(listed.map(|held| OpenFlag {
        link: is_shared(&held)
            .then(|| links.get(&held.flag.subject).cloned())
            .flatten(),
        held,
    }))
}

/// Open flags about one subject, as the inbox shows them.
#[derive(Clone, Debug)]
pub struct OpenGroup {
    /// The flags.
    pub group: FlagGroup,
    /// For an address that two customers share: the link that makes them one.
    pub link: Option<FlagLink>,
}

/// Lists the open flags in groups by kind and subject, those that concern most first: at most so many, and
/// of each so many flags.
///
/// # Errors
/// When the store failed.
pub async fn groups(
    store: &Store,
    app: &AppSlug,
    filter: &FlagFilter,
    each: u32,
    most: u32,
) -> Result<Vec<OpenGroup>, StoreError> {
    let mut tx = store.read().await?;
    let groups = tx.flag_groups(app, filter, each, most).await?;
    let flags = groups
        .iter()
        .flat_map(|it| &it.first)
        .map(|held| &held.flag);
    let links = tx.flag_links(app, flags).await?;
    let groups = groups.into_iter().map(|group| {
        let shared = group.first.iter().map(|held| &held.flag);
        let mut shared = shared.filter(|flag| flag.kind == FlagKind::SameEmail);
        let link = shared.find_map(|flag| links.get(&flag.subject).cloned());
        OpenGroup { group, link }
    });
    Ok(groups.collect())
}

/// Counts the subjects that open flags are about by their kind; of the filter only the customer counts.
///
/// # Errors
/// When the store failed.
pub async fn kinds(
    store: &Store,
    app: &AppSlug,
    filter: &FlagFilter,
) -> Result<Vec<FlagKindCount>, StoreError> {
    store.read().await?.flag_kinds(app, filter).await
}

/// Finds an open flag.
///
/// # Errors
/// When no such flag is open.
pub async fn find(store: &Store, app: &AppSlug, id: &FlagId) -> Result<HeldFlag, FlagError> {
    let found = store.read().await?.flag_find(app, id).await?;
    found.ok_or(FlagError::NotFound)
}

/// Clears an open flag. It comes back only by a newer fact, never by a duplicate; one of set-up
/// does not come back at all.
///
/// # Errors
/// When no such flag is open.
pub async fn clear(store: &Store, order: &Order, id: &FlagId) -> Result<(), FlagError> {
    let mut tx = store.begin_in(&order.app).await?;
    let found = tx.flag_find(&order.app, id).await?;
    let open = found.ok_or(FlagError::NotFound)?;
    let mut working_set = tx
        .working_set_load(&order.app, &lookup_keys_of(&open.holder))
        .await?;
    let changes = match &open.holder {
        FlagHolder::Customer(customer) => {
            working_set.clear_flag(customer, &open.flag, order.now)?
        }
        FlagHolder::Object(key) => {
            working_set.clear_object_flag(key, &open.flag);
            Vec::new()
        }
        FlagHolder::Hook(_) => {
            tx.flag_drop(&order.app, &open.holder).await?;
            Vec::new()
        }
    };
    tx.working_set_save(&order.app, &working_set, order.now)
        .await?;
    let entries = order.entries(&changes);
    if entries.is_empty() {
        // Only what the store derives of customers is a change; this one it looks up.
        let details = json!({"operation": "unflag", "flag": open.flag});
        let customer = open.holder.customer();
        order.audit(&mut tx, customer, "unflag", details).await?;
    } else {
        tx.audit_add(&entries).await?;
    }
    Ok(tx.commit().await?)
}

/// The keys of everything that clearing a flag of this holder can touch.
fn lookup_keys_of(holder: &FlagHolder) -> LookupKeys {
    match holder {
        FlagHolder::Customer(id) => LookupKeys {
            customers: BTreeSet::from([id.clone()]),
            ..LookupKeys::default()
        },
        FlagHolder::Object(key) => LookupKeys {
            accounts: (key.kind == Kind::Account)
                .then(|| key.clone())
                .into_iter()
                .collect(),
            disputes: BTreeSet::from([key.clone()]),
            refunds: BTreeSet::from([key.clone()]),
            unfetched: BTreeSet::from([key.clone()]),
            ..LookupKeys::default()
        },
        FlagHolder::Hook(_) => LookupKeys::default(),
    }
}

/// Tells operators of packages without releases that a frozen customer depends on: once for each, until
/// there are some. Nobody writes these flags down, because one release mends them for everybody at once;
/// so they are looked for, now and then.
///
/// # Errors
/// When the store failed; then nobody was told.
pub async fn tell_of_unreleased(store: &Store, now: Timestamp) -> Result<(), StoreError> {
    let mut tx = store.read().await?;
    let (open, told) = (tx.flag_list_unreleased().await?, tx.flag_list_told().await?);
    drop(tx);
    if open == told {
        return Ok(());
    }
    let mut tx = store.begin().await?;
    if !tx.lock_upkeep("flags").await? {
        return Ok(());
    }
    // As it is now that nobody else tells.
    let (open, told) = (tx.flag_list_unreleased().await?, tx.flag_list_told().await?);
    let gone: Vec<_> = told.difference(&open).cloned().collect();
    let new: Vec<_> = open.difference(&told).cloned().collect();
    tx.flag_tell_unreleased(&gone, &new, now).await?;
    tx.commit().await
}
