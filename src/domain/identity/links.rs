//! Links accounts and rows that are one customer.
//!
//! Links are a pure function of the histories, the rows that admins made or changed, the policy and
//! the app's settings; what one account follows is in [`register`](super::register).

use std::collections::{BTreeMap, BTreeSet};

use super::group::Group;
use super::link::Link;
use super::register::Register;
use crate::domain::apply::working_set::{Account, WorkingSet};
use crate::domain::customer::row::Customer;
use crate::domain::id::{CustomerId, ObjectKey};
use crate::domain::policy::OnSameEmail;

/// The words by which accounts follow others, before and after a change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// Addresses, as they are compared.
    pub emails: BTreeSet<String>,
    /// The seller's own ids.
    pub seller_ids: BTreeSet<String>,
}

impl Words {
    fn lead(&self, account: &Account) -> bool {
        let email = account.linking_email.as_ref();
        let seller_id = account.history.seller_id.as_ref();
        email.is_some_and(|email| self.emails.contains(email))
            || seller_id.is_some_and(|(_, id)| self.seller_ids.contains(id))
    }
}

/// Groups all accounts and rows of a working set into customers, from the histories alone.
pub fn groups(working_set: &WorkingSet) -> Vec<Group> {
    let mut register = Register::new(working_set);
    register.enter(working_set.accounts.values().collect());
    let rows = working_set.customers.values().collect();
    Forest::grown(&register, rows).groups(working_set)
}

/// Returns the accounts that would leave their customers by what they follow now, each with the
/// customer that it has. `moved` are meant to, and take along who follows them.
///
/// Of two accounts that become one customer the follower would leave, whichever has the older row:
/// whose was made first here is chance.
pub(crate) fn movers(
    working_set: &WorkingSet,
    moved: &BTreeSet<ObjectKey>,
) -> Vec<(ObjectKey, CustomerId)> {
    let mut register = Register::new(working_set);
    register.enter(working_set.accounts.values().collect());
    let rows = working_set.customers.values().collect();
    let customer_of = |key: &ObjectKey| working_set.accounts.get(key)?.customer.as_ref();
    let link_of = |key| Some(register.link(working_set.accounts.get(key)?));
    let shown_for = |id| {
        let row = working_set.customers.get(id);
        row.and_then(|row| row.merged_into.as_ref()).unwrap_or(id)
    };
    let mut movers = Vec::new();
    for group in Forest::grown(&register, rows).groups(working_set) {
        let others = group.accounts.iter().filter(|key| !moved.contains(*key));
        for account in others.filter_map(|key| working_set.accounts.get(key)) {
            let Some(customer) = account.customer.as_ref() else {
                continue;
            };
            let stays = match register.link(account) {
                Link::Row(row) => shown_for(row) == customer,
                Link::Account(key) if moved.contains(key) => match link_of(key) {
                    Some(Link::Row(row)) => shown_for(row) == customer,
                    Some(Link::Account(_) | Link::Nobody) | None => {
                        group.rows.first() == Some(customer)
                    }
                },
                Link::Account(key) => customer_of(key) == Some(customer),
                Link::Nobody => true,
            };
            if !(stays && group.rows.contains(customer)) {
                movers.push((account.key.clone(), customer.clone()));
            }
        }
    }
    movers
}

/// Groups only the customers that can have changed because the accounts `changed` are new or follow
/// others, where `words` are those by which they did and do. The derived links of all other accounts
/// must be current.
pub fn groups_near(
    working_set: &WorkingSet,
    changed: &BTreeSet<ObjectKey>,
    words: &Words,
) -> Vec<Group> {
    let mut register = Register::new(working_set);
    let accounts = || working_set.accounts.values();
    let mut words = words.clone();
    if working_set.policy.on_same_email == OnSameEmail::Join {
        // Who has lost the first account of his seller's id follows his address instead.
        let relinked = accounts().filter(|it| words.lead(it) || changed.contains(&it.key));
        let emails = relinked.filter_map(|it| it.linking_email.clone());
        words.emails.extend(emails.collect::<Vec<_>>());
    }
    let follows = |account: &&Account| words.lead(account) || changed.contains(&account.key);
    // Any account with such a word may follow a different one now.
    let affected: Vec<_> = accounts().filter(follows).collect();
    register.enter(affected.clone());
    let mut shown = BTreeSet::new();
    for account in &affected {
        shown.extend(&account.customer);
        if let Link::Row(row) = register.link(account) {
            let into = working_set
                .customers
                .get(row)
                .and_then(|row| row.merged_into.as_ref());
            shown.insert(into.unwrap_or(row));
        }
    }
    // The other accounts of the customers that they leave and join are affected too.
    let near = |account: &&Account| {
        follows(account)
            || account
                .customer
                .as_ref()
                .is_some_and(|id| shown.contains(id))
    };
    register.enter(accounts().filter(near).collect());
    let rows = working_set.customers.values().filter(|row| {
        let is_home = row.goes_with().is_some_and(|account| register.has(account));
        // One that was merged stands alone again when nobody follows it any more.
        is_home || shown.contains(row.merged_into.as_ref().unwrap_or(&row.id))
    });
    Forest::grown(&register, rows.collect()).groups(working_set)
}

/// Returns the customers with these shown rows according to the stored links. Needs only their own
/// rows and accounts, whereas [`groups`] needs all accounts of the same addresses.
pub fn stored_groups(working_set: &WorkingSet, shown: &BTreeSet<CustomerId>) -> Vec<Group> {
    if shown.is_empty() {
        return Vec::new();
    }
    let mut groups: BTreeMap<&CustomerId, Group> =
        shown.iter().map(|id| (id, Group::default())).collect();
    for row in working_set.customers.values() {
        let id = row.merged_into.as_ref().unwrap_or(&row.id);
        if let Some(group) = groups.get_mut(id) {
            group.rows.push(row.id.clone());
        }
    }
    for account in working_set.accounts.values() {
        if let Some(group) = account.customer.as_ref().and_then(|id| groups.get_mut(id)) {
            group.accounts.push(account.key.clone());
        }
    }
    let mut groups: Vec<_> = groups
        .into_values()
        .filter(|g| !g.rows.is_empty())
        .collect();
    for group in &mut groups {
        group.arrange(working_set);
    }
    groups
}

/// A union-find over accounts and rows; each tree is a customer.
struct Forest<'a> {
    accounts: BTreeMap<&'a ObjectKey, usize>,
    rows: BTreeMap<&'a CustomerId, usize>,
    parents: Vec<usize>,
}

impl<'a> Forest<'a> {
    /// Unites the accounts of a register and these rows by their links.
    fn grown(register: &Register<'a>, rows: Vec<&'a Customer>) -> Self {
        let accounts = register.accounts().len();
        let mut forest = Self {
            accounts: register.accounts().map(|it| &it.key).zip(0..).collect(),
            rows: rows.iter().map(|row| &row.id).zip(accounts..).collect(),
            parents: (0..accounts + rows.len()).collect(),
        };
        for account in register.accounts() {
            match register.link(account) {
                Link::Row(row) => forest.join_row(&account.key, row),
                Link::Account(other) => forest.join(&account.key, other),
                Link::Nobody => {}
            }
        }
        // A deleted row keeps the accounts that are pinned to it, and follows none of them away.
        for row in rows.into_iter().filter(|row| row.deleted_at.is_none()) {
            if let Some(account) = row.goes_with() {
                forest.join_row(account, &row.id);
            }
        }
        forest
    }

    fn root(&self, mut node: usize) -> usize {
        while self.parents[node] != node {
            node = self.parents[node];
        }
        node
    }

    fn unite(&mut self, a: Option<usize>, b: Option<usize>) {
        if let (Some(a), Some(b)) = (a, b) {
            let (a, b) = (self.root(a), self.root(b));
            self.parents[a] = b;
        }
    }

    fn join(&mut self, a: &ObjectKey, b: &ObjectKey) {
        self.unite(self.accounts.get(a).copied(), self.accounts.get(b).copied());
    }

    fn join_row(&mut self, account: &ObjectKey, row: &CustomerId) {
        self.unite(
            self.accounts.get(account).copied(),
            self.rows.get(row).copied(),
        );
    }

    fn groups(&self, working_set: &WorkingSet) -> Vec<Group> {
        let mut groups: BTreeMap<usize, Group> = BTreeMap::new();
        for (account, node) in &self.accounts {
            let group = groups.entry(self.root(*node)).or_default();
            group.accounts.push((*account).clone());
        }
        for (row, node) in &self.rows {
            groups
                .entry(self.root(*node))
                .or_default()
                .rows
                .push((*row).clone());
        }
        let mut groups: Vec<_> = groups.into_values().collect();
        for group in &mut groups {
            group.arrange(working_set);
        }
        groups
    }
}
