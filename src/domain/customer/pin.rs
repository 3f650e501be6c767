//! Pins: accounts that an admin, or an admin act that must move nobody, tied to a customer.

use std::collections::BTreeSet;

use crate::domain::apply::change::{Change, Operation};
use crate::domain::apply::lookup_keys::external_ids;
use crate::domain::apply::working_set::{Account, WorkingSet};
use crate::domain::customer::act::ActError;
use crate::domain::customer::row::{Customer, Profile};
use crate::domain::id::{CustomerId, ObjectKey};
use crate::domain::identity::account::{AccountHistory, PinnedBy};
use crate::domain::identity::group::Group;
use crate::domain::identity::link::is_led_by_row;
use crate::domain::identity::links::{groups, movers, stored_groups};
use crate::domain::time::Timestamp;

impl WorkingSet {
    /// Links a billing account to a customer by hand, whatever the facts say and whatever customer
    /// it has, a deleted one too. An account that no event has named yet is known from now on.
    ///
    /// If it was the only account of its customer, that one's rows come along, with everything that
    /// was given to them; else they stay with the other accounts.
    ///
    /// # Errors
    /// As [`WorkingSet::shown_row`].
    pub fn link_account(
        &mut self,
        account: &ObjectKey,
        id: &CustomerId,
        now: Timestamp,
    ) -> Result<Vec<Change>, ActError> {
        self.shown_row(id)?;
        let known = self.accounts.entry(account.clone());
        let known = known.or_insert_with(|| Account::new(account, Timestamp::MAX));
        let linked = known.history.pinned_by == PinnedBy::Linked;
        if linked && known.history.pin.as_ref() == Some(id) {
            return Ok(Vec::new());
        }
        // One that no event has named is where its first event would bring it.
        let before = self.group_of(account).or_else(|| {
            let mut groups = groups(self).into_iter();
            groups.find(|it| it.accounts.contains(account))
        });
        if let Some(before) = before.filter(|it| !it.rows.contains(id) && !it.gone) {
            if before.accounts.len() > 1 {
                self.leave_row_behind(&before, &BTreeSet::from([account.clone()]), now);
            } else {
                self.bind_rows(&before, account, now);
            }
        }
        Ok(self.move_account(account, (id, PinnedBy::Linked), None, now))
    }

    /// Parts a billing account from a customer. It gets the rows back that it brought along, else a
    /// row of its own, with the id from `fresh_id`; no link of the facts brings it back.
    ///
    /// # Errors
    /// As [`WorkingSet::shown_row`], and when the account is not one of the customer's.
    pub fn part_account(
        &mut self,
        account: &ObjectKey,
        id: &CustomerId,
        now: Timestamp,
        fresh_id: &mut dyn FnMut() -> CustomerId,
    ) -> Result<Vec<Change>, ActError> {
        self.shown_row(id)?;
        let group = self.group_of(account);
        let group = group.filter(|group| group.rows.first() == Some(id));
        let group = group.ok_or(ActError::UnknownAccount)?;
        let own = group.rows.iter().skip(1);
        let mut own = own.filter_map(|row| self.customers.get(row));
        let own = own.find(|row| row.goes_with() == Some(account));
        let own = own.map(|row| row.id.clone());
        let made = own.is_none().then(fresh_id);
        if let Some(id) = &made {
            let row = Customer::new(id.clone(), Some(account.clone()), now);
            self.customers.insert(id.clone(), row);
        }
        self.leave_row_behind(&group, &BTreeSet::from([account.clone()]), now);
        let own = own.or(made.clone()).ok_or(ActError::Unknown)?;
        let pin = (&own, PinnedBy::Parted);
        Ok(self.move_account(account, pin, made.as_ref(), now))
    }

    /// Pins an account, keeps all others where they are, and rederives whom that concerns. `made` is
    /// a row that is new.
    fn move_account(
        &mut self,
        account: &ObjectKey,
        (id, by): (&CustomerId, PinnedBy),
        made: Option<&CustomerId>,
        now: Timestamp,
    ) -> Vec<Change> {
        let known = self.accounts.get(account);
        let rows = known.and_then(|known| known.customer.clone());
        let rows = rows.into_iter().chain([id.clone()]).collect();
        let moved = BTreeSet::from([account.clone()]);
        let mut changes = Vec::new();
        let pins = self.keeping_links(&moved, |working_set| {
            changes.extend(working_set.set_pin(account, id, by));
        });
        changes.extend(pins);
        changes.extend(self.rederive_moved(rows, made, &moved, now));
        changes
    }

    /// Rederives the customers of some rows, those that gained or lost an account, and those that
    /// have an address of the accounts that moved.
    pub(super) fn rederive_moved(
        &mut self,
        rows: BTreeSet<CustomerId>,
        made: Option<&CustomerId>,
        moved: &BTreeSet<ObjectKey>,
        now: Timestamp,
    ) -> Vec<Change> {
        let mut changes = Vec::new();
        for group in self.changed_groups(groups(self), rows) {
            changes.extend(self.rederive_rows(group, now, made));
        }
        let moved = moved.iter().filter_map(|key| self.accounts.get(key));
        let emails = moved.flat_map(Account::addresses).cloned().collect();
        changes.extend(self.rederive_sharing(&emails, now));
        changes
    }

    /// Has the shown row of a group stay with the accounts that are left when some go.
    fn leave_row_behind(&mut self, group: &Group, leaving: &BTreeSet<ObjectKey>, now: Timestamp) {
        let mut left = group.accounts.iter().filter(|key| !leaving.contains(*key));
        let heir = left.next().cloned();
        let Some(shown) = group.rows.first() else {
            return;
        };
        self.write_row(shown, false, now, |row| {
            row.bound_to.take_if(|key| leaving.contains(key));
            if row.home.as_ref().is_some_and(|key| leaving.contains(key)) {
                row.home = heir;
            }
        });
    }

    /// Has the rows of an admin go along with the last account of their customer.
    fn bind_rows(&mut self, group: &Group, account: &ObjectKey, now: Timestamp) {
        for id in &group.rows {
            self.write_row(id, false, now, |row| {
                if row.is_admin_made() {
                    row.bound_to = Some(account.clone());
                }
            });
        }
    }

    /// Rederives the customers of the accounts that these external ids mean, which an admin gave to
    /// another customer, or took from one.
    pub(super) fn rederive_named(&mut self, ids: &BTreeSet<String>, now: Timestamp) -> Vec<Change> {
        let is_on = self.settings.identity.is_on();
        let is_named = |account: &&Account| {
            let seller_id = account.history.seller_id.as_ref().filter(|_| is_on);
            let mut forms = external_ids(&account.key).into_iter();
            seller_id.is_some_and(|(_, id)| ids.contains(id)) || forms.any(|it| ids.contains(&it))
        };
        let named = self.accounts.values().filter(is_named);
        let rows: BTreeSet<CustomerId> = named.filter_map(|it| it.customer.clone()).collect();
        let mut changes = Vec::new();
        for group in stored_groups(self, &rows) {
            changes.extend(self.rederive(group, now, None));
        }
        changes
    }

    fn group_of(&self, account: &ObjectKey) -> Option<Group> {
        let shown = self.accounts.get(account)?.customer.clone()?;
        stored_groups(self, &BTreeSet::from([shown])).pop()
    }

    /// Returns the accounts that a new `external_id` or `user_id` of a row claims: those whose id or
    /// seller's id it is. Pins of theirs no longer count: the later act does.
    pub(super) fn claim(
        &mut self,
        id: &CustomerId,
        before: &Profile,
        after: &Profile,
        now: Timestamp,
    ) -> (BTreeSet<ObjectKey>, Vec<Change>) {
        let external_id = after.external_id.as_ref();
        let external_id = external_id.filter(|_| before.external_id != after.external_id);
        let user_id = after.user_id.as_ref();
        let user_id = user_id.filter(|_| before.user_id != after.user_id);
        let is_on = self.settings.identity.is_on();
        let is_claimed = |key: &ObjectKey, history: &AccountHistory| {
            let seller_id = history.seller_id.as_ref().filter(|_| is_on);
            let seller_id = seller_id.map(|(_, id)| id);
            let by_own_id = external_id.is_some_and(|id| external_ids(key).contains(id));
            let by_seller_id = seller_id
                .filter(|id| Some(*id) == external_id || Some(*id) == user_id)
                .is_some_and(|id| is_led_by_row(self, key, id));
            by_own_id || by_seller_id
        };
        let accounts = self.accounts.values();
        let claimed = accounts.filter(|account| is_claimed(&account.key, &account.history));
        let claimed: BTreeSet<ObjectKey> = claimed.map(|it| it.key.clone()).collect();
        for group in claimed
            .iter()
            .filter_map(|key| self.group_of(key))
            .collect::<Vec<_>>()
        {
            let stays = |key: &ObjectKey| !claimed.contains(key);
            if !group.gone && !group.rows.contains(id) && group.accounts.iter().any(stays) {
                self.leave_row_behind(&group, &claimed, now);
            }
        }
        let pinned = |key: &&ObjectKey| {
            let known = self.accounts.get(*key);
            known.is_some_and(|it| it.history.pin.is_some())
        };
        let pinned: Vec<ObjectKey> = claimed.iter().filter(pinned).cloned().collect();
        let pins = pinned.iter();
        let changes = pins.filter_map(|key| self.set_pin(key, id, PinnedBy::Kept));
        let changes = changes.collect();
        (claimed, changes)
    }

    /// Makes a change that affects linking, and pins accounts that would then follow another
    /// customer, or nothing, to their present one; but not those that are meant to move.
    pub(super) fn keeping_links(
        &mut self,
        moved: &BTreeSet<ObjectKey>,
        change: impl FnOnce(&mut Self),
    ) -> Vec<Change> {
        change(self);
        let mut changes = Vec::new();
        // A pinned account can lead others, so that one who was right before would move now.
        loop {
            let movers = movers(self, moved);
            let pins = movers.iter();
            let pins = pins.filter_map(|(key, id)| self.set_pin(key, id, PinnedBy::Kept));
            let pins: Vec<Change> = pins.collect();
            if pins.is_empty() {
                return changes;
            }
            changes.extend(pins);
        }
    }

    /// Pins an account. Returns the change unless it was pinned to this customer already.
    pub(super) fn set_pin(
        &mut self,
        account: &ObjectKey,
        id: &CustomerId,
        by: PinnedBy,
    ) -> Option<Change> {
        let known = self.accounts.get_mut(account)?;
        let kept = &mut known.history;
        if kept.pin.as_ref() == Some(id) && kept.pinned_by == by {
            return None;
        }
        kept.pin = Some(id.clone());
        kept.pinned_by = by;
        self.changed.accounts.insert(account.clone());
        let operation = Operation::PinAccount {
            account: account.clone(),
            by,
            from: known.customer.clone(),
        };
        Some(Change {
            customer: id.clone(),
            operation,
        })
    }
}
