//! The rows and accounts that are one customer.

use std::collections::BTreeSet;

use crate::domain::apply::working_set::WorkingSet;
use crate::domain::id::{CustomerId, ObjectKey};
use crate::domain::identity::account::PinnedBy;

/// One customer: its rows and accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// The rows, the shown one first: an admin-made one, else the one that an admin linked an
    /// account to, else the one created first here. Empty for accounts that have none yet.
    pub rows: Vec<CustomerId>,
    /// The accounts, sorted by oldest provider time, then key.
    pub accounts: Vec<ObjectKey>,
    /// True if the customer was deleted here: events change nothing.
    pub gone: bool,
}

impl Group {
    /// Sorts rows and accounts, and determines whether the customer is gone.
    pub(super) fn arrange(&mut self, working_set: &WorkingSet) {
        let accounts = self.accounts.iter();
        let accounts = accounts.filter_map(|key| working_set.accounts.get(key));
        let linked_to: BTreeSet<&CustomerId> = accounts
            .filter(|account| account.history.pinned_by == PinnedBy::Linked)
            .filter_map(|account| account.history.pin.as_ref())
            .collect();
        let sort_key = |id: &CustomerId| {
            let row = working_set.customers.get(id);
            row.map(|row| {
                let is_target = linked_to.contains(&row.id);
                (
                    !row.is_admin_made(),
                    !is_target,
                    row.made_at,
                    row.id.clone(),
                )
            })
        };
        self.rows.sort_by_cached_key(sort_key);
        let first_at = |key: &ObjectKey| working_set.accounts.get(key).map(|a| a.history.first_at);
        self.accounts
            .sort_by_cached_key(|key| (first_at(key), key.clone()));
        let shown = self
            .rows
            .first()
            .and_then(|id| working_set.customers.get(id));
        self.gone = shown.is_some_and(|row| row.deleted_at.is_some())
            || self.accounts.iter().any(|key| working_set.is_gone(key));
    }
}
