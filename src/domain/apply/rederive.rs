//! Rederives customers: updates links, the choice of the shown row, and the derived state after
//! histories have changed.

use std::collections::{BTreeMap, BTreeSet};

use super::join::Disturbed;
use crate::domain::access::hand_grant::HandGrant;
use crate::domain::apply::change::{Change, Operation, difference};
use crate::domain::apply::working_set::WorkingSet;
use crate::domain::customer::dossier::Dossier;
use crate::domain::customer::flag::FlagKind;
use crate::domain::customer::row::{Customer, Derived};
use crate::domain::id::{CustomerId, ObjectKey};
use crate::domain::identity::addresses::{Owners, Sharers};
use crate::domain::identity::group::Group;
use crate::domain::identity::links::{groups_near, stored_groups};
use crate::domain::time::Timestamp;

impl WorkingSet {
    /// Rederives the customers that joined facts have disturbed.
    pub(super) fn rederive_disturbed(
        &mut self,
        disturbed: &Disturbed,
        now: Timestamp,
        fresh_id: &mut dyn FnMut() -> CustomerId,
    ) -> Vec<Change> {
        let shown_for = |key: &ObjectKey| self.accounts.get(key)?.customer.clone();
        let disturbed_rows: BTreeSet<_> = disturbed.accounts.iter().filter_map(shown_for).collect();
        let mut groups = Vec::new();
        if !disturbed.relinked.is_empty() {
            let near = groups_near(self, &disturbed.relinked, &disturbed.words);
            groups = self.changed_groups(near, disturbed_rows.clone());
        }
        // Customers that are not near the relinked accounts keep their stored links.
        let regrouped: BTreeSet<_> = groups.iter().flat_map(|group| &group.rows).collect();
        let others = disturbed_rows
            .iter()
            .filter(|row| !regrouped.contains(row))
            .cloned();
        let others = stored_groups(self, &others.collect());
        groups.extend(others);
        let mut changes = Vec::new();
        for group in groups {
            changes.extend(self.rederive(group, now, Some(fresh_id)));
        }
        changes.extend(self.rederive_sharing(&disturbed.words.emails, now));
        changes
    }

    /// Rederives the customers who have some of these addresses, if they are shown with another
    /// address now or share theirs with others.
    pub(crate) fn rederive_sharing(
        &mut self,
        emails: &BTreeSet<String>,
        now: Timestamp,
    ) -> Vec<Change> {
        if emails.is_empty() {
            // Most events say nothing of addresses.
            return Vec::new();
        }
        let is_one = |row: &Customer| {
            row.profile
                .folded_email()
                .is_some_and(|it| emails.contains(&it))
        };
        let accounts = self.accounts.values();
        let accounts = accounts.filter(|it| it.addresses().any(|email| emails.contains(email)));
        let rows = self.customers.values();
        let rows = rows.filter(|row| is_one(row));
        let rows = rows.map(|row| row.merged_into.as_ref().unwrap_or(&row.id));
        let accounts = accounts.filter_map(|account| account.customer.as_ref());
        let sharing: BTreeSet<CustomerId> = accounts.chain(rows).cloned().collect();
        let mut groups = stored_groups(self, &sharing);
        groups.retain(|group| !group.gone);
        let (sharers, owners) = (Sharers::of(self, &groups), Owners::of(self, &groups));
        let differ: Vec<bool> = groups
            .iter()
            .map(|group| self.shares_differently(group, &sharers, &owners))
            .collect();
        // None of them changes who shares with another.
        let mut differ = differ.into_iter();
        groups.retain(|_| differ.next().unwrap_or_default());
        let mut changes = Vec::new();
        for group in groups {
            changes.extend(self.rederive(group, now, None));
        }
        changes
    }

    fn shares_differently(
        &self,
        group: &Group,
        sharers: &Sharers<'_>,
        owners: &Owners<'_>,
    ) -> bool {
        let shown = group.rows.first().and_then(|id| self.customers.get(id));
        let Some(shown) = shown else { return false };
        let rows = group.rows.iter();
        let rows: Vec<&Customer> = rows.filter_map(|id| self.customers.get(id)).collect();
        let by_admin = rows.iter().any(|row| row.profile.email.is_some());
        let mut flags = sharers.flags(group);
        flags.retain(|flag| !rows.iter().any(|row| row.cleared.contains(flag)));
        let flagged = shown.derived.flags.iter();
        let flagged = flagged.filter(|flag| flag.kind == FlagKind::SameEmail);
        !flagged.eq(&flags) || !by_admin && shown.derived.contact.email != owners.shown(group)
    }

    /// Returns, of these customers, those with a disturbed row and those that gained or lost an
    /// account or a row.
    pub(crate) fn changed_groups(
        &self,
        groups: Vec<Group>,
        mut rows: BTreeSet<CustomerId>,
    ) -> Vec<Group> {
        let mut moved = BTreeSet::new();
        for (i, group) in groups.iter().enumerate() {
            let shown = group.rows.first();
            let accounts = group
                .accounts
                .iter()
                .filter_map(|key| self.accounts.get(key));
            let movers = accounts.filter(|account| account.customer.as_ref() != shown);
            let old: Vec<_> = movers.map(|account| account.customer.clone()).collect();
            let merged = group.rows.iter().filter_map(|id| self.customers.get(id));
            let mut merged = merged.map(|row| row.merged_into.as_ref().unwrap_or(&row.id));
            let is_apart = merged.any(|id| Some(id) != shown);
            if shown.is_none() || !old.is_empty() || is_apart {
                rows.extend(old.into_iter().flatten());
                moved.insert(i);
            }
        }
        let concerned = |(i, group): &(usize, Group)| {
            moved.contains(i) || group.rows.iter().any(|row| rows.contains(row))
        };
        groups
            .into_iter()
            .enumerate()
            .filter(concerned)
            .map(|(_, group)| group)
            .collect()
    }

    /// Updates links, rows and derived state of one customer, and returns the changes. Without
    /// `fresh_id` no row is created.
    pub(crate) fn rederive(
        &mut self,
        mut group: Group,
        now: Timestamp,
        fresh_id: Option<&mut (dyn FnMut() -> CustomerId + '_)>,
    ) -> Vec<Change> {
        if group.gone {
            return self.rederive_deleted(&group, now);
        }
        let mut made = None;
        if group.rows.is_empty() {
            // What does not count has no customer.
            if self.is_hidden(&group) {
                for key in &group.accounts {
                    if let Some(account) = self.accounts.get_mut(key) {
                        account.customer = None;
                    }
                }
                return Vec::new();
            }
            let Some(fresh_id) = fresh_id else {
                return Vec::new();
            };
            let row = Customer::new(fresh_id(), group.accounts.first().cloned(), now);
            group.rows.push(row.id.clone());
            made = Some(row.id.clone());
            self.customers.insert(row.id.clone(), row);
        }
        self.rederive_rows(group, now, made.as_ref())
    }

    /// Rederives a customer that has rows, of which `made` is new.
    pub(crate) fn rederive_rows(
        &mut self,
        group: Group,
        now: Timestamp,
        made: Option<&CustomerId>,
    ) -> Vec<Change> {
        if group.gone {
            return self.rederive_deleted(&group, now);
        }
        let Some(shown_id) = group.rows.first().cloned() else {
            return Vec::new();
        };
        let hidden = self.is_hidden(&group);
        let shown = if hidden {
            Derived::default()
        } else {
            Dossier::new(self, &group, now).derive()
        };
        let links = self.link_accounts(&group, &shown_id, made);
        let mut changes = Vec::new();
        if !hidden {
            changes.extend(self.expired_grants(&group.rows, &shown_id, now));
        }
        for id in group.rows {
            let merged_into = (id != shown_id).then(|| shown_id.clone());
            let is_new = made == Some(&id);
            // Compared before it is copied: a customer can have thousands of entitlements, and most
            // events change none.
            let same = self.customers.get(&id).is_some_and(|row| {
                row.merged_into == merged_into && row.hidden == hidden && row.derived == shown
            });
            if is_new || !same {
                changes.extend(self.write_row(&id, is_new, now, |row| {
                    row.merged_into = merged_into;
                    row.hidden = hidden;
                    row.derived = shown.clone();
                }));
            }
        }
        changes.extend(links);
        changes
    }

    /// Returns the grants by hand that ran out since their rows were last derived: until then the due time
    /// of a row is at the latest that of the first of them.
    fn expired_grants(
        &self,
        rows: &[CustomerId],
        shown: &CustomerId,
        now: Timestamp,
    ) -> Vec<Change> {
        let rows: Vec<&Customer> = rows
            .iter()
            .filter_map(|row| self.customers.get(row))
            .collect();
        let is_due = |row: &&Customer| row.derived.due_at.is_some_and(|due_at| due_at <= now);
        if !rows.iter().any(is_due) {
            // Most events: a customer can have a thousand grants, which need not be copied for each.
            return Vec::new();
        }
        let mut expired = BTreeSet::new();
        let mut all: BTreeMap<&str, [Vec<HandGrant>; 2]> = BTreeMap::new();
        for row in rows {
            let due_at = row.derived.due_at;
            for grant in self.hand_grants.get(&row.id).into_iter().flatten() {
                let package = grant.grant.package.as_str();
                let [from, to] = all.entry(package).or_default();
                match grant.expires_at.filter(|end| *end <= now) {
                    None => {
                        from.push(grant.clone());
                        to.push(grant.clone());
                    }
                    Some(end) if due_at.is_some_and(|due_at| due_at <= end) => {
                        from.push(grant.clone());
                        expired.insert(package);
                    }
                    // It had ended before.
                    Some(_) => {}
                }
            }
        }
        all.retain(|package, _| expired.contains(package));
        let change = |(package, [from, to]): (&str, [Vec<HandGrant>; 2])| Change {
            customer: shown.clone(),
            operation: Operation::GrantExpire {
                package: package.to_owned(),
                from,
                to,
            },
        };
        all.into_iter().map(change).collect()
    }

    /// Reports whether nobody sees a customer: only facts made it, and none of them count.
    fn is_hidden(&mut self, group: &Group) -> bool {
        let off = self.write_uncounted(group);
        let none_counts = off > 0 && off == group.accounts.len();
        let mut rows = group.rows.iter().filter_map(|id| self.customers.get(id));
        none_counts && !rows.any(Customer::is_admin_made)
    }

    /// Has the accounts of a customer that do not count be written, and with them their flags, and
    /// returns their number.
    fn write_uncounted(&mut self, group: &Group) -> usize {
        let accounts = group.accounts.iter();
        let accounts = accounts.filter_map(|key| self.accounts.get(key));
        let off = accounts.filter(|account| !self.counts(account));
        let off: Vec<ObjectKey> = off.map(|account| account.key.clone()).collect();
        let count = off.len();
        self.changed.accounts.extend(off);
        count
    }

    /// Updates a deleted customer. It keeps the state that it had when it was deleted, except for
    /// its flags: billing that goes on, and disputes.
    fn rederive_deleted(&mut self, group: &Group, now: Timestamp) -> Vec<Change> {
        let Some(id) = group.rows.first() else {
            return Vec::new();
        };
        self.write_uncounted(group);
        let flags = Dossier::new(self, group, now).flags_of_deleted();
        self.write_row(id, false, now, |row| {
            row.derived.flags = flags;
            row.derived.due_at = None;
        })
    }

    fn link_accounts(
        &mut self,
        group: &Group,
        shown: &CustomerId,
        made: Option<&CustomerId>,
    ) -> Vec<Change> {
        let mut changes = Vec::new();
        for key in &group.accounts {
            let Some(account) = self.accounts.get_mut(key) else {
                continue;
            };
            if account.customer.as_ref() == Some(shown) {
                continue;
            }
            let from = account.customer.replace(shown.clone());
            self.changed.accounts.insert(key.clone());
            // For a new row, the link to the account that it was created for is no change of its
            // own.
            if made.is_none() || from.is_some() {
                let operation = Operation::LinkAccount {
                    account: key.clone(),
                    from,
                };
                changes.push(Change {
                    customer: shown.clone(),
                    operation,
                });
            }
        }
        changes
    }

    /// Changes a row, notes the change and its time, and returns the changes that are shown.
    pub(crate) fn write_row(
        &mut self,
        id: &CustomerId,
        is_new: bool,
        now: Timestamp,
        write: impl FnOnce(&mut Customer),
    ) -> Vec<Change> {
        let Some(row) = self.customers.get_mut(id) else {
            return Vec::new();
        };
        let before = row.clone();
        write(row);
        if *row == before && !is_new {
            return Vec::new();
        }
        row.updated_at = now;
        if row.derived.status.as_str() != before.derived.status.as_str() {
            row.status_since = now;
        }
        self.changed.customers.insert(id.clone());
        let before = (!is_new).then_some(&before);
        difference(before, row, &self.plans)
    }
}
