//! Locks, for engines whose writers run beside each other.
//!
//! Two kinds of work change an app's customers. Batches of events are many, and most of them
//! meet on no customer: they share the app's *gate* and lock what they touch by name. Everything
//! else, what admins do and what is due, is rare and short: it has the gate alone, so that it
//! behaves as on an engine with one writer, uniqueness of addresses included.
//!
//! **Names.** A row is found by the ids and addresses that stand in it: its key, the account it
//! belongs to, an address, a row it is merged into. Each is a name, and so is each id of an
//! event. Whoever reads by a name holds it, whether there is such a row or not, and whoever
//! writes a row holds all names of the row before and after. Two batches of which one writes
//! what the other reads therefore share a name, and one of them sees the other's work as a
//! whole.
//!
//! **No deadlock.** A transaction takes its gates, ordered by app; then the names of its
//! events, in order; then, app by app, the names that its events speak of, in order. All
//! waiting happens here, and always for a lock behind all that are waited for by others who
//! wait for us. Loading finds more names, in an order that nobody can know before: these are
//! taken only if they are free. If one is not, the batch gives up, having changed nothing
//! ([`StoreError::Contended`]), and begins again with the gates alone, where no name is needed.
//! So it waits at most twice, and never in a circle.
//!
//! Refused: `SELECT … FOR UPDATE` on the rows, which cannot lock a customer who is not there
//! yet; waiting for names as they are found, which needs the server's deadlock detection and
//! costs a second each time; one lock an app for everything, which lets the workers queue up
//! behind each other.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use super::{StoreError, Tx};
use crate::domain::apply::lookup_keys::{LookupKeys, external_ids};
use crate::domain::apply::working_set::WorkingSet;
use crate::domain::customer::row::Customer;
use crate::domain::email::fold_email;
use crate::domain::event::EventKey;
use crate::domain::id::{AppSlug, ObjectKey};

/// Most names of one transaction. The server has one table of locks for all, with room for
/// 6,400 as installed; several workers' batches must fit into it.
const MOST_NAMES: usize = 1_024;

/// How a transaction shares an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockMode {
    /// Beside others, with a lock for each name. May end in [`StoreError::Contended`].
    Shared,
    /// As the only one to change the app.
    Exclusive,
}

/// The locks of a transaction.
#[derive(Debug, Default)]
pub(super) struct Held {
    gates: BTreeMap<AppSlug, LockMode>,
    names: BTreeSet<i64>,
}

impl Held {
    /// Those of some names that are not held yet.
    fn missing(
        &self,
        app: &AppSlug,
        names: impl IntoIterator<Item = String>,
    ) -> Result<Vec<i64>, StoreError> {
        let missing: BTreeSet<i64> = names
            .into_iter()
            .map(|name| number("name", app, &name))
            .filter(|name| !self.names.contains(name))
            .collect();
        if self.names.len() + missing.len() > MOST_NAMES {
            return Err(StoreError::Contended);
        }
        Ok(missing.into_iter().collect())
    }

    fn is_beside(&self, app: &AppSlug) -> bool {
        self.gates.get(app) == Some(&LockMode::Shared)
    }
}

impl Tx {
    /// Takes the gates of some apps; to be called once, before anything is read that the
    /// transaction's writes depend on.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn lock_apps(
        &mut self,
        apps: impl IntoIterator<Item = &AppSlug> + Send,
        way: LockMode,
    ) -> Result<(), StoreError> {
        if self.held.is_none() {
            return Ok(());
        }
        let apps: BTreeSet<AppSlug> = apps.into_iter().cloned().collect();
        for app in apps {
            let gate = number("gate", &app, "");
            self.session
                .lock_gate(gate, way == LockMode::Exclusive)
                .await?;
            if let Some(held) = &mut self.held {
                held.gates.insert(app, way);
            }
        }
        Ok(())
    }

    /// Takes events, so that of two workers with the same one the second finds the first one's
    /// outcome.
    pub(crate) async fn lock_events(
        &mut self,
        keys: impl IntoIterator<Item = &EventKey> + Send,
    ) -> Result<(), StoreError> {
        let Some(held) = &mut self.held else {
            return Ok(());
        };
        let names: BTreeSet<i64> = keys
            .into_iter()
            .filter(|key| held.is_beside(&key.app))
            .map(|key| number(key.provider.as_str(), &key.app, &key.id))
            .collect();
        let names: Vec<i64> = names.into_iter().collect();
        self.session.lock_in_order(&names).await?;
        held.names.extend(names);
        Ok(())
    }

    /// Takes all names that some facts speak of.
    pub(super) async fn lock_reach(
        &mut self,
        app: &AppSlug,
        lookup_keys: &LookupKeys,
    ) -> Result<(), StoreError> {
        let Some(held) = &mut self.held else {
            return Ok(());
        };
        if !held.is_beside(app) {
            debug_assert!(held.gates.contains_key(app), "the app has not been locked");
            return Ok(());
        }
        let missing = held.missing(app, names_of_reach(lookup_keys))?;
        self.session.lock_in_order(&missing).await?;
        held.names.extend(missing);
        Ok(())
    }

    /// Takes names that loading has found; whether any was new.
    pub(super) async fn lock_found(
        &mut self,
        app: &AppSlug,
        names: impl IntoIterator<Item = String> + Send,
    ) -> Result<bool, StoreError> {
        let Some(held) = self.held.as_mut().filter(|held| held.is_beside(app)) else {
            return Ok(false);
        };
        let missing = held.missing(app, names)?;
        if missing.is_empty() {
            return Ok(false);
        }
        if !self.session.lock_if_free(&missing).await? {
            return Err(StoreError::Contended);
        }
        held.names.extend(missing);
        Ok(true)
    }

    /// Refuses to write what reaches beyond the names that are held: somebody else may be
    /// reading it.
    pub(super) fn lock_covers(
        &self,
        app: &AppSlug,
        working_set: &WorkingSet,
    ) -> Result<(), StoreError> {
        let Some(held) = self.held.as_ref().filter(|held| held.is_beside(app)) else {
            return Ok(());
        };
        if held.missing(app, names_of_touched(working_set))?.is_empty() {
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

/// The number of a lock. The same in every process and version, and different enough from what
/// other programs lock on the same server.
fn number(kind: &str, app: &AppSlug, name: &str) -> i64 {
    let digest = Sha256::digest(format!("tollgate\0{kind}\0{app}\0{name}"));
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest[..8]);
    i64::from_be_bytes(bytes)
}

/// The name of an object. An account and the forms in which an admin may write its id are one
/// name; so are some other ids, such as those of live and test mode, which does no harm.
pub(super) fn object_name(key: &ObjectKey) -> String {
    external_name(&key.id)
}

/// The name of an external id: what follows its last underscore, so that `stripe_cus_1`, `cus_1`
/// and the account itself have the same.
pub(super) fn external_name(external_id: &str) -> String {
    let tail = external_id.rsplit('_').next();
    tail.unwrap_or(external_id).to_owned()
}

fn names_of_reach(lookup_keys: &LookupKeys) -> impl Iterator<Item = String> {
    let objects = lookup_keys
        .accounts
        .iter()
        .chain(&lookup_keys.subscriptions)
        .chain(&lookup_keys.disputes)
        .chain(&lookup_keys.refunds)
        .chain(&lookup_keys.payment_links)
        .chain(&lookup_keys.unfetched);
    let external_ids = lookup_keys.external_ids.iter().map(|id| external_name(id));
    let customers = lookup_keys.customers.iter().map(ToString::to_string);
    objects
        .map(object_name)
        .chain(external_ids)
        .chain(lookup_keys.emails.iter().cloned())
        .chain(customers)
}

/// The names by which an account and its customers are found.
pub(super) fn names_of_account(key: &ObjectKey) -> impl Iterator<Item = String> + use<> {
    let forms = external_ids(key).map(|form| external_name(&form));
    forms.into_iter().chain([object_name(key)])
}

/// The names of a row.
pub(super) fn names_of_customer(row: &Customer) -> impl Iterator<Item = String> + use<> {
    let email = row.profile.email.as_deref().and_then(fold_email);
    let external_id = row.profile.external_id.as_deref().map(external_name);
    let home = row.home.as_ref().map(object_name);
    [email, external_id, home].into_iter().flatten()
}

/// The names of what will be written. Ids of rows are left out: those of rows that were loaded
/// are held since then, and of a new row nobody else can know the id.
fn names_of_touched(working_set: &WorkingSet) -> BTreeSet<String> {
    let changed = &working_set.changed;
    let mut names = BTreeSet::new();
    for account in changed
        .accounts
        .iter()
        .filter_map(|it| working_set.accounts.get(it))
    {
        names.insert(object_name(&account.key));
        names.extend(account.linking_email.clone());
    }
    let owners = (changed.subscriptions.iter())
        .filter_map(|it| working_set.subscriptions.get(it)?.account.as_ref())
        .chain(
            (changed.disputes.iter())
                .filter_map(|it| working_set.disputes.get(it)?.account.as_ref()),
        )
        .chain(
            (changed.refunds.iter()).filter_map(|it| working_set.refunds.get(it)?.account.as_ref()),
        );
    let pairs = changed
        .payment_links
        .iter()
        .flat_map(|(one, other)| [one, other]);
    let keys = (changed.subscriptions.iter())
        .chain(&changed.disputes)
        .chain(&changed.refunds)
        .chain(&changed.unfetched);
    names.extend(owners.chain(pairs).chain(keys).map(object_name));
    for row in changed
        .customers
        .iter()
        .filter_map(|it| working_set.customers.get(it))
    {
        names.extend(names_of_customer(row));
    }
    names
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
    fn an_account_and_the_external_ids_that_mean_it_are_one_name() {
        for (bare, prefixed) in [
            ("cus_1", "stripe_cus_1"),
            ("ctm_1", "paddle_ctm_1"),
            ("2", "invented_2"),
            ("striped", "stripe_striped"),
        ] {
            assert_eq!(external_name(bare), external_name(prefixed));
            let names: BTreeSet<String> = names_of_account(&account(bare)).collect();
            assert_eq!(names, BTreeSet::from([external_name(bare)]));
        }
        assert_ne!(external_name("cus_1"), external_name("cus_2"));
    }

    #[test]
    fn an_account_with_an_ambiguous_id_locks_every_key_it_is_looked_up_by() {
        let names: BTreeSet<String> = names_of_account(&account("stripe_x")).collect();
        for form in external_ids(&account("stripe_x")) {
            assert!(names.contains(&external_name(&form)), "{form}");
        }
    }

    #[test]
    fn numbers_of_locks_differ_by_kind_app_and_name() {
        let (one, other): (AppSlug, AppSlug) = ("one".parse().unwrap(), "other".parse().unwrap());
        let numbers = BTreeSet::from([
            number("name", &one, "a"),
            number("name", &one, "b"),
            number("name", &other, "a"),
            number("stripe", &one, "a"),
            number("gate", &one, ""),
        ]);
        assert_eq!(numbers.len(), 5);
    }

    #[test]
    fn a_transaction_with_too_many_names_gives_up() {
        let app = AppSlug::default_app();
        let names = |count: usize| (0..count).map(|n| n.to_string());
        let mut held = Held::default();
        held.names
            .extend(held.missing(&app, names(MOST_NAMES)).unwrap());
        let known = held.missing(&app, names(MOST_NAMES)).unwrap();
        assert!(known.is_empty());
        let more = held.missing(&app, names(MOST_NAMES + 1));
        assert!(matches!(more, Err(StoreError::Contended)), "{more:?}");
    }
}
