//! Keeps nothing about people who were erased, whatever comes later: webhooks, retries, replays.
//!
//! What names an account says by that whose it is. All else, such as a dispute that names a charge, is
//! known by the ids that it names: those of the account's payments when its customer was deleted, and
//! those that came since with one that was known.

use std::collections::BTreeSet;

use crate::domain::apply::change::IgnoreCode;
use crate::domain::event::{EventError, EventOutcome};
use crate::domain::id::{AppSlug, ObjectKey, Provider};
use crate::provider::{self, Spec};
use crate::store::{ErasedObject, LedgerEntry, StoreError, Tx};

/// The ids that an event names.
pub(super) type Ids<'a> = (Provider, &'a [String]);

/// Takes the payloads from entries that are about somebody who was erased, as their ids tell, or the
/// facts in them (`forgotten`): nothing about that person comes back by a later webhook, a retry or a
/// replay. Without a payload a failed event could not be replayed, so it is ignored instead.
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
        let named: Vec<Ids<'_>> = of_app
            .map(|entry| (entry.key.provider, entry.named.as_slice()))
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

/// Returns the erased accounts that events are of, for each, and keeps that whatever else these events
/// name is of them too.
///
/// # Errors
/// When the store failed.
pub(super) async fn learned_owners(
    tx: &mut Tx,
    app: &AppSlug,
    named: &[Ids<'_>],
) -> Result<Vec<BTreeSet<ObjectKey>>, StoreError> {
    let ids = named.iter().flat_map(|(_, ids)| ids.iter());
    let known = tx.erased_owners(app, ids.map(String::as_str)).await?;
    let mut learned = BTreeSet::new();
    let mut all = Vec::with_capacity(named.len());
    for (provider, ids) in named {
        let spec = provider::ALL.iter().find(|spec| spec.name == *provider);
        let is = |form: fn(&Spec, &str) -> bool, id: &str| spec.is_some_and(|spec| form(spec, id));
        let (accounts, others): (Vec<&String>, Vec<&String>) =
            ids.iter().partition(|id| is(Spec::is_account, id));
        let telling = if accounts.is_empty() {
            &others
        } else {
            &accounts
        };
        let owners = telling.iter().filter_map(|id| known.get(id.as_str()));
        let owners: BTreeSet<ObjectKey> = owners.flatten().cloned().collect();
        let theirs = others.iter().filter(|id| !is(Spec::is_shared, id));
        learned.extend(theirs.flat_map(|id| {
            owners.iter().map(|account| ErasedObject {
                id: (*id).clone(),
                account: account.clone(),
            })
        }));
        all.push(owners);
    }
    tx.erased_objects_learn(app, &learned).await?;
    Ok(all)
}

/// Says why an event of a deleted customer changed nothing.
pub(super) fn customer_deleted() -> EventError {
    EventError {
        code: IgnoreCode::CustomerDeleted.as_str().to_owned(),
        detail: "the customer of this billing account was deleted here; nothing was applied"
            .to_owned(),
    }
}
