//! Links accounts and rows that are one customer.
//!
//! Links are a pure function of the histories, the rows that admins made, and the policy. An
//! account follows, in this order: an admin's pin; an admin-made row whose `external_id` is the
//! account's id; by e-mail, an admin-made row with the address, else the earliest account that
//! still had the address when this one took it; else nothing.
//!
//! The address is the first that the account ever had, by provider time. Refused: the current one,
//! because billing portals let anybody set any address, so linking by it would merge a stranger
//! into the owner's customer. Refused too: deciding by which account was seen first here, because
//! that is chance.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::apply::lookup_keys::external_ids;
use crate::domain::apply::working_set::{Account, WorkingSet};
use crate::domain::customer::row::Customer;
use crate::domain::email::fold_email;
use crate::domain::id::{CustomerId, ObjectKey};
use crate::domain::identity::account::{Linking, linking};
use crate::domain::words::words;

/// One customer: its rows and accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// The rows, the shown one first: the admin-made one, else the one created first here. Empty
    /// for accounts that have none yet.
    pub rows: Vec<CustomerId>,
    /// The accounts, sorted by oldest provider time, then key.
    pub accounts: Vec<ObjectKey>,
    /// True if the customer was deleted here: events change nothing.
    pub gone: bool,
}

/// The row or account that an account follows.
enum Link<'a> {
    Row(&'a CustomerId),
    Account(&'a ObjectKey),
    Nobody,
}

/// Groups all accounts and rows of a working set into customers, from the histories alone.
pub fn groups(working_set: &WorkingSet) -> Vec<Group> {
    let mut register = Register::new(working_set);
    register.enter(working_set.accounts.values().collect());
    let rows = working_set.customers.values().collect();
    Forest::grown(&register, rows).groups(working_set)
}

/// Groups only the customers that can have changed because the accounts `changed` are new or have a
/// different linking address, where `emails` are the linking addresses before and after. The
/// derived links of all other accounts must be current.
pub fn groups_near(
    working_set: &WorkingSet,
    changed: &BTreeSet<ObjectKey>,
    emails: &BTreeSet<String>,
) -> Vec<Group> {
    let mut register = Register::new(working_set);
    let follows = |account: &&Account| {
        account
            .linking_email
            .as_ref()
            .is_some_and(|email| emails.contains(email))
            || changed.contains(&account.key)
    };
    // Any account with such an address may follow a different one now.
    let affected: Vec<_> = working_set.accounts.values().filter(follows).collect();
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
    register.enter(working_set.accounts.values().filter(near).collect());
    let rows = working_set.customers.values().filter(|row| {
        let is_home = row.home.as_ref().is_some_and(|home| register.has(home));
        is_home || shown.contains(&row.id)
    });
    Forest::grown(&register, rows.collect()).groups(working_set)
}

/// Returns the customers with these shown rows according to the stored links. Needs only their own
/// rows and accounts, whereas [`groups`] needs all accounts of the same addresses.
pub fn stored_groups(working_set: &WorkingSet, shown: &BTreeSet<CustomerId>) -> Vec<Group> {
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

impl Group {
    /// Sorts rows and accounts, and determines whether the customer is gone.
    fn arrange(&mut self, working_set: &WorkingSet) {
        let sort_key = |id: &CustomerId| {
            let row = working_set.customers.get(id);
            row.map(|row| (!row.is_admin_made(), row.made_at, row.id.clone()))
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

/// An address and the scope in which it links: accounts of live and test mode, or of two connected
/// accounts, are never one customer because of an address. Providers are not separated.
type AddressScope<'a> = (bool, Option<&'a str>, &'a str);

/// The indexes for looking up links.
struct Register<'a> {
    working_set: &'a WorkingSet,
    by_external_id: BTreeMap<&'a str, &'a Customer>,
    by_email: BTreeMap<String, &'a Customer>,
    /// The accounts to be linked, and with each all that had its address before it.
    accounts: BTreeMap<&'a ObjectKey, &'a Account>,
    /// The same by their linking address, sorted by the time at which they took it.
    holders: BTreeMap<AddressScope<'a>, Vec<(Linking<'a>, &'a ObjectKey)>>,
}

impl<'a> Register<'a> {
    fn new(working_set: &'a WorkingSet) -> Self {
        let mut register = Self {
            working_set,
            by_external_id: BTreeMap::new(),
            by_email: BTreeMap::new(),
            accounts: BTreeMap::new(),
            holders: BTreeMap::new(),
        };
        register.enter_rows();
        register
    }

    fn has(&self, account: &ObjectKey) -> bool {
        self.accounts.contains_key(account)
    }

    fn enter_rows(&mut self) {
        let rows = self.working_set.customers.values();
        let usable = |row: &&Customer| row.is_admin_made() && row.deleted_at.is_none();
        let mut rows: Vec<_> = rows.filter(usable).collect();
        rows.sort_by_key(|row| (row.made_at, &row.id));
        for row in rows {
            if let Some(id) = &row.profile.external_id {
                self.by_external_id.entry(id).or_insert(row);
            }
            if let Some(email) = row.profile.email.as_deref().and_then(fold_email) {
                self.by_email.entry(email).or_insert(row);
            }
        }
    }

    /// Replaces the accounts.
    fn enter(&mut self, accounts: Vec<&'a Account>) {
        self.accounts = accounts
            .into_iter()
            .map(|account| (&account.key, account))
            .collect();
        self.holders.clear();
        for account in self.accounts.values() {
            // The address of a deleted customer is free again.
            if self.working_set.is_gone(&account.key) {
                continue;
            }
            if let Some(linking) = linking(&account.history) {
                let holders = self
                    .holders
                    .entry(address_scope(&account.key, linking.email));
                holders.or_default().push((linking, &account.key));
            }
        }
        for holders in self.holders.values_mut() {
            holders.sort_by_key(|(linking, key)| (linking.since, *key));
        }
    }

    fn link(&self, account: &'a Account) -> Link<'a> {
        if let Some(pin) = &account.history.pin {
            return Link::Row(pin);
        }
        let forms = external_ids(&account.key);
        if let Some(row) = forms
            .iter()
            .find_map(|id| self.by_external_id.get(id.as_str()))
        {
            return Link::Row(&row.id);
        }
        let address = linking(&account.history).filter(|_| self.working_set.policy.match_by_email);
        let Some(mine) = address else {
            return Link::Nobody;
        };
        if let Some(row) = self.by_email.get(mine.email)
            && (account.key.scope.livemode || !self.has_live_holder(mine.email))
        {
            return Link::Row(&row.id);
        }
        let scope = address_scope(&account.key, mine.email);
        let holders = self.holders.get(&scope).into_iter().flatten();
        let mut before = holders.take_while(|(_, key)| **key != account.key);
        // An account that left the address in the very instant in which this one took it does not
        // count.
        let still = |(other, _): &&(Linking, _)| other.until.is_none_or(|u| u > mine.since);
        before
            .find(still)
            .map_or(Link::Nobody, |(_, key)| Link::Account(key))
    }

    fn tie(&self, account: &'a Account) -> Tie {
        if account.history.pin.is_some() {
            return Tie::Pin;
        }
        let forms = external_ids(&account.key);
        if forms
            .iter()
            .any(|id| self.by_external_id.contains_key(id.as_str()))
        {
            return Tie::ExternalId;
        }
        let follows = match self.link(account) {
            Link::Nobody => return Tie::Own,
            Link::Row(_) => None,
            Link::Account(other) => Some(other.id.clone()),
        };
        let address = linking(&account.history).map(|linking| linking.email);
        Tie::Email {
            email: address.unwrap_or_default().to_owned(),
            follows,
        }
    }

    /// Reports whether a live account has the address. An admin-made row has no mode, and must not
    /// link a test account to a live one.
    fn has_live_holder(&self, email: &str) -> bool {
        let mut accounts = self.working_set.accounts.values();
        accounts.any(|account| {
            account.key.scope.livemode
                && account.linking_email.as_deref() == Some(email)
                && !self.working_set.is_gone(&account.key)
        })
    }
}

fn address_scope<'a>(account: &'a ObjectKey, email: &'a str) -> AddressScope<'a> {
    let scope = &account.scope;
    (scope.livemode, scope.connected.as_deref(), email)
}

/// The way in which an account was linked to its customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tie {
    /// An admin pinned it, or an admin act did so to keep it with its customer.
    Pin,
    /// An admin gave the customer its id as `external_id`.
    ExternalId,
    /// By the first address that it had.
    Email {
        /// Lower case.
        email: String,
        /// The account that had it before; `None` if an admin gave the customer the address.
        follows: Option<String>,
    },
    /// It follows nothing and is a customer of its own.
    Own,
}

words!(&Tie {
    Pin = "pin",
    ExternalId = "external_id",
    Email = "email",
    Own = "own",
});

/// Returns how these accounts were linked to their customers. The working set must contain all
/// accounts whose first addresses are those of these accounts, and all rows that could match.
pub fn ties(working_set: &WorkingSet, accounts: &[ObjectKey]) -> BTreeMap<ObjectKey, Tie> {
    let mut register = Register::new(working_set);
    register.enter(working_set.accounts.values().collect());
    let accounts = accounts
        .iter()
        .filter_map(|key| working_set.accounts.get(key));
    accounts
        .map(|account| (account.key.clone(), register.tie(account)))
        .collect()
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
        let accounts = register.accounts.len();
        let mut forest = Self {
            accounts: register.accounts.keys().copied().zip(0..).collect(),
            rows: rows.iter().map(|row| &row.id).zip(accounts..).collect(),
            parents: (0..accounts + rows.len()).collect(),
        };
        for account in register.accounts.values() {
            match register.link(account) {
                Link::Row(row) => forest.join_row(&account.key, row),
                Link::Account(other) => forest.join(&account.key, other),
                Link::Nobody => {}
            }
        }
        for row in rows {
            if let Some(home) = &row.home {
                forest.join_row(home, &row.id);
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
