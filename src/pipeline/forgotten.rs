//! Keeps nothing about people who were erased, whatever comes later: webhooks, retries, replays.
//!
//! What names an account says by that whose it is. All else, such as a dispute that names a charge,
//! is known by the ids that it names: those of the account's payments when its customer was
//! deleted, and those that came since with one that was known, and without the account of anybody
//! else.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::apply::change::IgnoreCode;
use crate::domain::event::{EventError, EventOutcome};
use crate::domain::id::{AppSlug, ObjectKey, Provider, Scope};
use crate::provider;
use crate::store::{ErasedObject, LedgerEntry, StoreError, Tx};

/// The ids that an event names.
#[derive(Clone, Copy)]
pub(super) struct Names<'a> {
    /// Whose ids.
    pub(super) provider: Provider,
    /// The ids.
    pub(super) ids: &'a [String],
    /// Within what its account has one of them, if it says so.
    pub(super) scope: Option<&'a Scope>,
}

impl Names<'_> {
    /// The ids of accounts, and all others.
    fn parts(&self) -> (Vec<&str>, Vec<&str>) {
        let spec = provider::spec(self.provider);
        let ids = self.ids.iter().map(String::as_str);
        ids.partition(|id| spec.is_some_and(|spec| spec.is_account(id)))
    }

    /// Reports whether an account can be one of these.
    fn can_be(&self, account: &ObjectKey) -> bool {
        self.scope.is_none_or(|scope| account.scope == *scope)
    }
}

/// Takes the payloads from entries that are about somebody who was erased, as their ids tell, or
/// the facts in them (`forgotten`): nothing about that person comes back by a later webhook, a
/// retry or a replay. Without a payload a failed event could not be replayed, so it is ignored
/// instead.
///
/// # Errors
/// When the store failed.
pub(super) async fn without_persons(
    tx: &mut Tx,
    entries: &mut [LedgerEntry],
) -> Result<(), StoreError> {
    let apps: BTreeSet<AppSlug> = entries.iter().map(|it| it.key.app.clone()).collect();
    for app in apps {
        let of_app = entries.iter().filter(|entry| entry.key.app == app);
        let named: Vec<Names<'_>> = of_app
            .map(|entry| Names {
                provider: entry.key.provider,
                ids: &entry.named,
                scope: entry.account.as_ref().map(|key| &key.scope),
            })
            .collect();
        let owners = learned_owners(tx, &app, &named).await?;
        let of_app = entries.iter_mut().filter(|entry| entry.key.app == app);
        for (entry, owners) in of_app.zip(owners) {
            if !owners.is_empty() {
                entry.payload = None;
            }
            if entry.payload.is_none() && entry.outcome == EventOutcome::Failed {
                entry.outcome = EventOutcome::Ignored;
                entry.error = Some(customer_deleted());
                entry.account = None;
            }
        }
    }
    Ok(())
}

/// Returns the erased accounts that events are of, for each, and keeps that whatever else these
/// events name is of them too, unless they also name an account of somebody who was not erased.
///
/// # Errors
/// When the store failed.
pub(super) async fn learned_owners(
    tx: &mut Tx,
    app: &AppSlug,
    named: &[Names<'_>],
) -> Result<Vec<BTreeSet<ObjectKey>>, StoreError> {
    let ids = named.iter().flat_map(|it| it.ids.iter());
    let known = tx.erased_owners(app, ids.map(String::as_str)).await?;
    let owners = named.iter().map(|it| owners_of(it, &known));
    let owners: Vec<BTreeSet<ObjectKey>> = owners.collect();
    let of_erased = named.iter().zip(&owners);
    let of_erased = of_erased.filter(|(_, owners)| !owners.is_empty());
    let of_erased: Vec<(&Names<'_>, &BTreeSet<ObjectKey>)> = of_erased.collect();
    let strangers = of_erased.iter().flat_map(|(it, _)| it.parts().0);
    let strangers = strangers.filter(|id| !known.contains_key(id));
    let living = tx.account_owners(app, strangers).await?;
    let mut learned = BTreeSet::new();
    for (it, owners) in of_erased {
        let (accounts, others) = it.parts();
        let is_living = |key: &ObjectKey| it.can_be(key) && accounts.contains(&key.id.as_str());
        if living.iter().any(|(key, _)| is_living(key)) {
            continue;
        }
        let spec = provider::spec(it.provider);
        let theirs = others.into_iter();
        let theirs = theirs.filter(|id| !spec.is_some_and(|spec| spec.is_shared(id)));
        let pairs = theirs.flat_map(|id| owners.iter().map(move |account| (id, account)));
        let is_known = |id: &str, account| known.get(id).is_some_and(|it| it.contains(account));
        let new = pairs.filter(|(id, account)| !is_known(id, account));
        learned.extend(new.map(|(id, account)| ErasedObject {
            id: id.to_owned(),
            account: account.clone(),
        }));
    }
    tx.erased_objects_learn(app, &learned).await?;
    Ok(owners)
}

/// Returns the erased accounts that an event is of: those that it names, else those of what it
/// names.
fn owners_of(it: &Names<'_>, known: &BTreeMap<&str, BTreeSet<ObjectKey>>) -> BTreeSet<ObjectKey> {
    let (accounts, others) = it.parts();
    let telling = if accounts.is_empty() {
        others
    } else {
        accounts
    };
    let owners = telling.iter().filter_map(|id| known.get(id)).flatten();
    owners.filter(|key| it.can_be(key)).cloned().collect()
}

/// Says why an event of a deleted customer changed nothing.
pub(super) fn customer_deleted() -> EventError {
    EventError {
        code: IgnoreCode::CustomerDeleted.as_str().to_owned(),
        detail: "the customer of this billing account was deleted here; nothing was applied"
            .to_owned(),
    }
}
