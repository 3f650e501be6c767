//! Pins: accounts that an admin, or an admin act that must move nobody, tied to a customer.

use std::collections::BTreeMap;

use crate::domain::apply::change::{Change, Operation};
use crate::domain::apply::working_set::WorkingSet;
use crate::domain::customer::act::ActError;
use crate::domain::id::{CustomerId, ObjectKey};
use crate::domain::identity::links::groups;
use crate::domain::time::Timestamp;

impl WorkingSet {
    /// Pins a billing account to a customer, regardless of the facts. Accounts that it leaves
    /// behind without a row get one, with an id from `fresh_id`.
    ///
    /// # Errors
    /// As [`WorkingSet::shown_row`], and when the account does not exist.
    pub fn pin_account(
        &mut self,
        account: &ObjectKey,
        id: &CustomerId,
        now: Timestamp,
        fresh_id: &mut dyn FnMut() -> CustomerId,
    ) -> Result<Vec<Change>, ActError> {
        self.shown_row(id)?;
        let known = self.accounts.get(account).ok_or(ActError::UnknownAccount)?;
        if known.history.pin.as_ref() == Some(id) {
            return Ok(Vec::new());
        }
        let rows = known.customer.iter().chain([id]).cloned().collect();
        let mut changes: Vec<_> = self.set_pin(account, id).into_iter().collect();
        for group in self.changed_groups(groups(self), rows) {
            changes.extend(self.rederive(group, now, Some(&mut *fresh_id)));
        }
        Ok(changes)
    }

    /// Makes a change that affects linking, and pins accounts that would then follow another
    /// customer, or nothing, to their present one.
    pub(super) fn keeping_links(&mut self, change: impl FnOnce(&mut Self)) -> Vec<Change> {
        change(self);
        let mut shown_for: BTreeMap<ObjectKey, CustomerId> = BTreeMap::new();
        for group in groups(self) {
            for key in group.accounts {
                if let Some(row) = group.rows.first() {
                    shown_for.insert(key, row.clone());
                }
            }
        }
        let relinked = |(key, customer): (&ObjectKey, &CustomerId)| {
            (shown_for.get(key) != Some(customer)).then(|| (key.clone(), customer.clone()))
        };
        let linked = self.accounts.values();
        let linked = linked.filter_map(|a| a.customer.as_ref().map(|c| (&a.key, c)));
        let relinked: Vec<_> = linked.filter_map(relinked).collect();
        relinked
            .iter()
            .filter_map(|(key, customer)| self.set_pin(key, customer))
            .collect()
    }

    /// Pins an account. Returns the change unless it was pinned to this customer already.
    pub(super) fn set_pin(&mut self, account: &ObjectKey, id: &CustomerId) -> Option<Change> {
        let known = self.accounts.get_mut(account)?;
        if known.history.pin.as_ref() == Some(id) {
            return None;
        }
        known.history.pin = Some(id.clone());
        self.changed.accounts.insert(account.clone());
        let operation = Operation::PinAccount {
            account: account.clone(),
        };
        Some(Change {
            customer: id.clone(),
            operation,
        })
    }
}
