//! The locks that a transaction holds; see `store/lock.rs` for how they are taken.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sha2::{Digest, Sha256};

use super::error::StoreError;
use crate::domain::id::AppSlug;

/// Most keys of one transaction. The server has one table of locks for all, with room for
/// 6,400 as installed; several workers' batches must fit into it.
const MOST_KEYS: usize = 1_024;

/// How a transaction holds the lock of an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockMode {
    /// Together with others; each locks the keys that it touches. May end in
    /// [`StoreError::Contended`].
    Shared,
    /// As the only one to change the app.
    Exclusive,
}

/// The locks of a transaction.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) apps: BTreeMap<AppSlug, LockMode>,
    pub(super) keys: BTreeSet<i64>,
    /// The numbers of the keys that were asked about so far: each step of a batch asks about the same
    /// ones again, and a digest costs more than a look.
    numbers: BTreeMap<AppSlug, HashMap<String, i64>>,
}

impl Held {
    /// Those of some keys that are not held yet.
    pub(super) fn missing(
        &mut self,
        app: &AppSlug,
        keys: impl IntoIterator<Item = String>,
    ) -> Result<Vec<i64>, StoreError> {
        let numbers = self.numbers.entry(app.clone()).or_default();
        let numbers = keys.into_iter().map(|key| {
            let number_of = |key: &String| number("key", app, key);
            *numbers.entry(key).or_insert_with_key(number_of)
        });
        let missing = numbers.filter(|number| !self.keys.contains(number));
        let missing: BTreeSet<i64> = missing.collect();
        if self.keys.len() + missing.len() > MOST_KEYS {
            return Err(StoreError::Contended);
        }
        Ok(missing.into_iter().collect())
    }

    pub(super) fn is_shared(&self, app: &AppSlug) -> bool {
        self.apps.get(app) == Some(&LockMode::Shared)
    }
}

/// The number of a lock. The same in every process and version, and different enough from what
/// other programs lock on the same server.
pub(super) fn number(kind: &str, app: &AppSlug, key: &str) -> i64 {
    let digest = Sha256::digest(format!("tollgate\0{kind}\0{app}\0{key}"));
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest[..8]);
    i64::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_locks_differ_by_kind_app_and_key() {
        let (one, other): (AppSlug, AppSlug) = ("one".parse().unwrap(), "other".parse().unwrap());
        let numbers = BTreeSet::from([
            number("key", &one, "a"),
            number("key", &one, "b"),
            number("key", &other, "a"),
            number("stripe", &one, "a"),
            number("app", &one, ""),
        ]);
        assert_eq!(numbers.len(), 5);
    }

    #[test]
    fn a_transaction_with_too_many_keys_gives_up() {
        let app = AppSlug::default_app();
        let keys = |count: usize| (0..count).map(|n| n.to_string());
        let mut held = Held::default();
        let all = held.missing(&app, keys(MOST_KEYS)).unwrap();
        held.keys.extend(all);
        let known = held.missing(&app, keys(MOST_KEYS)).unwrap();
        assert!(known.is_empty());
        let more = held.missing(&app, keys(MOST_KEYS + 1));
        assert!(matches!(more, Err(StoreError::Contended)), "{more:?}");
    }
}
