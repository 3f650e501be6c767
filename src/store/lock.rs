//! Locks, for engines whose writers run beside each other.
//!
//! Two kinds of work change an app's customers. Batches of events are many, and most of them
//! have no customer in common: they share the *app lock* and lock what they touch by *keys*.
//! Everything else, the acts of admins and the timers, is rare and short: it takes the app lock
//! exclusively, so that it behaves as on an engine with one writer, uniqueness of addresses
//! included.
//!
//! **Keys.** A row is found by the ids and addresses that stand in it: its own key, the account it
//! belongs to, an address, a row it is merged into. Each of these is a lock key, and so is each
//! id of an event. A transaction that reads by a key holds it, whether there is such a row or
//! not, and one that writes a row holds all keys of the row before and after. Two batches of
//! which one writes what the other reads therefore have a key in common, and one of them sees
//! the other's work as a whole.
//!
//! **No deadlock.** Locks are always taken in one global order, so waits cannot form a cycle: the
//! locks of the apps, ordered by app; then the keys of the events, in order; then, app by app,
//! the keys that the events name, in order. Loading finds more keys, in an order that cannot be
//! known before. These are never waited for: if one is not free, the batch gives up, having
//! changed nothing ([`StoreError::Contended`]), and begins again with the app locks alone, where
//! no key is needed. So a batch waits at most twice.
//!
//! Refused: `SELECT … FOR UPDATE` on the rows, which cannot lock a customer who is not there
//! yet; waiting for keys as they are found, which needs the server's deadlock detection and
//! costs a second each time; one lock an app for everything, which lets the workers queue up
//! behind each other.

use std::collections::BTreeSet;

use super::held::{LockMode, number};
use super::{StoreError, Tx};
use crate::domain::apply::lookup_keys::{LookupKeys, external_ids};
use crate::domain::apply::working_set::{Account, Payment, WorkingSet};
use crate::domain::customer::row::Customer;
use crate::domain::event::EventKey;
use crate::domain::id::{AppSlug, ObjectKey};

impl Tx {
    /// Takes the locks of some apps; to be called once, before anything is read that the
    /// transaction's writes depend on.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn lock_apps(
        &mut self,
        apps: impl IntoIterator<Item = &AppSlug> + Send,
        mode: LockMode,
    ) -> Result<(), StoreError> {
        if self.held.is_none() {
            return Ok(());
        }
        let apps: BTreeSet<AppSlug> = apps.into_iter().cloned().collect();
        for app in apps {
            let key = number("app", &app, "");
            self.session
                .lock_app(key, mode == LockMode::Exclusive)
                .await?;
            if let Some(held) = &mut self.held {
                held.apps.insert(app, mode);
            }
        }
        Ok(())
    }

    /// Takes the lock of a kind of upkeep without waiting. Returns false if another worker has it.
    pub(crate) async fn lock_upkeep(&mut self, kind: &str) -> Result<bool, StoreError> {
        if self.held.is_none() {
            return Ok(true);
        }
        let key = number("upkeep", &AppSlug::default_app(), kind);
        self.session.lock_if_free(&[key]).await
    }

    /// Locks events, so that of two workers with the same event the second finds the first one's
    /// outcome.
    pub(crate) async fn lock_events(
        &mut self,
        keys: impl IntoIterator<Item = &EventKey> + Send,
    ) -> Result<(), StoreError> {
        let Some(held) = &mut self.held else {
            return Ok(());
        };
        let keys: BTreeSet<i64> = keys
            .into_iter()
            .filter(|key| held.is_shared(&key.app))
            .map(|key| number(key.provider.as_str(), &key.app, &key.id))
            .collect();
        let keys: Vec<i64> = keys.into_iter().collect();
        self.session.lock_in_order(&keys).await?;
        held.keys.extend(keys);
        Ok(())
    }

    /// Locks all keys that some facts name.
    pub(super) async fn lock_lookup_keys(
        &mut self,
        app: &AppSlug,
        lookup_keys: &LookupKeys,
    ) -> Result<(), StoreError> {
        let Some(held) = &mut self.held else {
            return Ok(());
        };
        if !held.is_shared(app) {
            debug_assert!(held.apps.contains_key(app), "the app has not been locked");
            return Ok(());
        }
        let missing = held.missing(app, lock_keys_of_facts(lookup_keys))?;
        self.session.lock_in_order(&missing).await?;
        held.keys.extend(missing);
        Ok(())
    }

    /// Locks keys that loading has found, without waiting. Returns true if any was new.
    pub(super) async fn lock_found(
        &mut self,
        app: &AppSlug,
        keys: impl IntoIterator<Item = String> + Send,
    ) -> Result<bool, StoreError> {
        let Some(held) = self.held.as_mut().filter(|held| held.is_shared(app)) else {
            return Ok(false);
        };
        let missing = held.missing(app, keys)?;
        if missing.is_empty() {
            return Ok(false);
        }
        if !self.session.lock_if_free(&missing).await? {
            return Err(StoreError::Contended);
        }
        held.keys.extend(missing);
        Ok(true)
    }

    /// Refuses to write rows with keys that are not held: another batch may be reading them.
    pub(super) fn lock_covers(
        &mut self,
        app: &AppSlug,
        working_set: &WorkingSet,
    ) -> Result<(), StoreError> {
        let Some(held) = self.held.as_mut().filter(|held| held.is_shared(app)) else {
            return Ok(());
        };
        if held
            .missing(app, lock_keys_of_changed(working_set))?
            .is_empty()
        {
            Ok(())
        } else {
            Err(StoreError::Contended)
        }
    }
}

/// The lock of the process that serves the built-in queue.
pub(super) fn queue() -> i64 {
    number("queue", &AppSlug::default_app(), "")
}

/// The lock key of an object. An account and the forms in which an admin may write its id have
/// one key; so have some other ids, such as those of live and test mode, which does no harm.
pub(super) fn lock_key_of_object(key: &ObjectKey) -> String {
    lock_key_of_external_id(&key.id)
}

/// The lock key of an external id: the part behind its last underscore, so that `stripe_cus_1`,
/// `cus_1` and the account itself have the same.
pub(super) fn lock_key_of_external_id(external_id: &str) -> String {
    let tail = external_id.rsplit('_').next();
    tail.unwrap_or(external_id).to_owned()
}

fn lock_keys_of_facts(lookup_keys: &LookupKeys) -> impl Iterator<Item = String> {
    let objects = lookup_keys
        .accounts
        .iter()
        .chain(&lookup_keys.subscriptions)
        .chain(&lookup_keys.disputes)
        .chain(&lookup_keys.refunds)
        .chain(&lookup_keys.payments)
        .chain(&lookup_keys.payment_links)
        .chain(&lookup_keys.unfetched);
    let external_ids = lookup_keys.external_ids.iter();
    let external_ids = external_ids.map(|id| lock_key_of_external_id(id));
    let customers = lookup_keys.customers.iter().map(ToString::to_string);
    objects
        .map(lock_key_of_object)
        .chain(external_ids)
        .chain(lookup_keys.emails.iter().cloned())
        .chain(customers)
}

/// The keys by which an account and its customers are found.
pub(super) fn lock_keys_of_account(key: &ObjectKey) -> impl Iterator<Item = String> + use<> {
    let forms = external_ids(key).map(|form| lock_key_of_external_id(&form));
    forms.into_iter().chain([lock_key_of_object(key)])
}

/// The keys of the words by which an account can share a customer with others.
fn lock_keys_of_words(account: &Account) -> impl Iterator<Item = String> {
    let seller_id = account.history.seller_id.as_ref();
    let seller_id = seller_id.map(|(_, id)| lock_key_of_external_id(id));
    account.addresses().cloned().chain(seller_id)
}

/// The keys of a row, but for its id.
fn lock_keys_of_customer(row: &Customer) -> impl Iterator<Item = String> + use<> {
    let email = row.profile.folded_email();
    let ids = [&row.profile.external_id, &row.profile.user_id];
    let ids = ids.map(|id| id.as_deref().map(lock_key_of_external_id));
    let goes_with = [&row.home, &row.bound_to];
    let goes_with = goes_with.map(|key| key.as_ref().map(lock_key_of_object));
    let keys = [email].into_iter().chain(ids).chain(goes_with);
    keys.flatten()
}

/// The keys of the rows that were loaded, and of the rows that are shown for them.
pub(super) fn lock_keys_of_rows(working_set: &WorkingSet) -> impl Iterator<Item = String> {
    let rows = working_set.customers.values();
    let ids = rows
        .clone()
        .flat_map(|row| [Some(&row.id), row.merged_into.as_ref()]);
    let ids = ids.flatten().map(ToString::to_string);
    ids.chain(rows.flat_map(lock_keys_of_customer))
}

/// The keys of everything that was loaded.
pub(super) fn lock_keys_of_loaded(working_set: &WorkingSet) -> Vec<String> {
    let accounts = working_set.accounts.values();
    let words = accounts.flat_map(lock_keys_of_words);
    let objects = (working_set.subscriptions.keys())
        .chain(working_set.disputes.keys())
        .chain(working_set.refunds.keys())
        .chain(working_set.payments.values().map(lock_object_of_payment))
        .chain(working_set.owners());
    let linked = working_set.linked_rows().map(ToString::to_string);
    words
        .chain(objects.map(lock_key_of_object))
        .chain(linked)
        .chain(lock_keys_of_rows(working_set))
        .collect()
}

/// The object whose lock covers a payment: its account, of which there may be a hundred payments;
/// its own document while no account is known.
fn lock_object_of_payment(payment: &Payment) -> &ObjectKey {
    payment.account.as_ref().unwrap_or(&payment.key)
}

/// The keys of what will be written. Ids of rows are left out: those of rows that were loaded
/// are held since then, and no other transaction can know the id of a new row.
fn lock_keys_of_changed(working_set: &WorkingSet) -> BTreeSet<String> {
    let changed = &working_set.changed;
    let mut keys = BTreeSet::new();
    let accounts = changed.accounts.iter();
    for account in accounts.filter_map(|it| working_set.accounts.get(it)) {
        keys.insert(lock_key_of_object(&account.key));
        keys.extend(lock_keys_of_words(account));
    }
    let subscriptions = changed.subscriptions.iter();
    let subscriptions =
        subscriptions.filter_map(|it| working_set.subscriptions.get(it)?.account.as_ref());
    let disputes = changed.disputes.iter();
    let disputes = disputes.filter_map(|it| working_set.disputes.get(it)?.account.as_ref());
    let refunds = changed.refunds.iter();
    let refunds = refunds.filter_map(|it| working_set.refunds.get(it)?.account.as_ref());
    let payments = changed.payments.iter();
    let payments = payments.filter_map(|it| working_set.payments.get(it));
    let links = changed.payment_links.iter();
    let objects = (changed.subscriptions.iter())
        .chain(&changed.disputes)
        .chain(&changed.refunds)
        .chain(&changed.unfetched)
        .chain(&changed.other_bodies)
        .chain(subscriptions.chain(disputes).chain(refunds))
        .chain(payments.map(lock_object_of_payment))
        .chain(links.flat_map(|(one, other)| [one, other]));
    keys.extend(objects.map(lock_key_of_object));
    let rows = changed.customers.iter();
    let rows = rows.filter_map(|it| working_set.customers.get(it));
    keys.extend(rows.flat_map(lock_keys_of_customer));
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(id: &str) -> ObjectKey {
        let scope = crate::domain::id::Scope {
            provider: "stripe".parse().unwrap(),
            livemode: true,
            connected: None,
        };
        scope.key(crate::domain::id::Kind::Account, id)
    }

    #[test]
    fn an_account_and_the_external_ids_that_mean_it_have_one_key() {
        for (bare, prefixed) in [
            ("cus_1", "stripe_cus_1"),
            ("ctm_1", "paddle_ctm_1"),
            ("2", "invented_2"),
            ("striped", "stripe_striped"),
        ] {
            let key = lock_key_of_external_id(bare);
            assert_eq!(key, lock_key_of_external_id(prefixed));
            let keys: BTreeSet<String> = lock_keys_of_account(&account(bare)).collect();
            assert_eq!(keys, BTreeSet::from([key]));
        }
        let other = lock_key_of_external_id("cus_2");
        assert_ne!(lock_key_of_external_id("cus_1"), other);
    }

    #[test]
    fn an_account_with_an_ambiguous_id_locks_every_key_it_is_looked_up_by() {
        let keys: BTreeSet<String> = lock_keys_of_account(&account("stripe_x")).collect();
        for form in external_ids(&account("stripe_x")) {
            assert!(keys.contains(&lock_key_of_external_id(&form)), "{form}");
        }
    }
}
