//! Addresses: whose one is when several say it is theirs.
//!
//! An account is linked by the first address that it ever had, by provider time. Refused: the
//! current one, because billing portals let anybody set any address, so linking by it would merge a
//! stranger into the owner's customer. Refused too: deciding by which account was seen first here,
//! because that is chance.

use std::collections::{BTreeMap, BTreeSet};

use super::account::{Linking, linking};
use super::group::Group;
use super::link::{Link, Scoped, leads, scoped};
use crate::domain::apply::lookup_keys::external_ids;
use crate::domain::apply::working_set::{Account, WorkingSet};
use crate::domain::customer::flag::{Flag, FlagKind};
use crate::domain::customer::row::Customer;
use crate::domain::id::ObjectKey;
use crate::domain::policy::OnSameEmail;

/// Most flags about other accounts with the address of a customer. Thousands of accounts can have
/// one address, and nobody looks at each.
const MOST_FLAGGED: usize = 100;

/// The rows and accounts that have an address first, from which others follow.
#[derive(Default)]
pub(super) struct AddressBook<'a> {
    working_set: Option<&'a WorkingSet>,
    /// The first row that an admin gave each address.
    rows: BTreeMap<String, &'a Customer>,
    /// Accounts by their first address, sorted by the time at which they took it.
    holders: BTreeMap<Scoped<'a>, Vec<(Linking<'a>, &'a ObjectKey)>>,
}

impl<'a> AddressBook<'a> {
    pub(super) fn new(
        working_set: &'a WorkingSet,
        accounts: impl Iterator<Item = &'a Account>,
        rows: impl Iterator<Item = &'a Customer>,
    ) -> Self {
        let mut book = Self {
            working_set: Some(working_set),
            ..Self::default()
        };
        for row in rows.filter(|row| row.deleted_at.is_none()) {
            if let Some(email) = row.profile.folded_email() {
                let first = book.rows.entry(email).or_insert(row);
                if (row.made_at, &row.id) < (first.made_at, &first.id) {
                    *first = row;
                }
            }
        }
        for account in accounts.filter(|account| leads(working_set, account)) {
            if let Some(linking) = linking(&account.history) {
                let holders = book.holders.entry(scoped(&account.key, linking.email));
                holders.or_default().push((linking, &account.key));
            }
        }
        for holders in book.holders.values_mut() {
            holders.sort_by_key(|(linking, key)| (linking.since, *key));
        }
        book
    }

    /// Returns what an account follows by its address: the row that an admin gave it, else the
    /// earliest account that still had it when this one took it.
    pub(super) fn link(&self, account: &'a Account) -> Link<'a> {
        let Some(mine) = linking(&account.history) else {
            return Link::Nobody;
        };
        if let Some(row) = self.rows.get(mine.email)
            && (account.key.scope.livemode || !self.has_live_holder(mine.email))
        {
            return Link::Row(&row.id);
        }
        let holders = self.holders.get(&scoped(&account.key, mine.email));
        let before = holders.into_iter().flatten();
        let mut before = before.take_while(|(it, key)| {
            (it.since, *key) < (mine.since, &account.key) && **key != account.key
        });
        // An account that left the address in the very instant in which this one took it does not
        // count.
        let still = |(other, _): &&(Linking<'_>, _)| other.until.is_none_or(|u| u > mine.since);
        before
            .find(still)
            .map_or(Link::Nobody, |(_, key)| Link::Account(key))
    }

    /// Reports whether a live account has the address. A row has no mode, and must not link a test
    /// account to a live one.
    fn has_live_holder(&self, email: &str) -> bool {
        self.working_set.is_some_and(|working_set| {
            working_set.accounts.values().any(|account| {
                account.key.scope.livemode
                    && account.linking_email.as_deref() == Some(email)
                    && !working_set.is_gone(&account.key)
            })
        })
    }
}

/// Returns the flags of a customer about others who have an address of its accounts or rows, and
/// would be one customer with it under a policy that joins. The subject is the account that came
/// later, and the instant that at which it took the address.
pub(crate) fn same_email(working_set: &WorkingSet, group: &Group) -> BTreeSet<Flag> {
    if working_set.policy.on_same_email != OnSameEmail::Flag {
        return BTreeSet::new();
    }
    let counts = |account: &&Account| working_set.counts(account);
    let own = |key: &ObjectKey| working_set.accounts.get(key).filter(counts);
    let mut emails: BTreeSet<String> = group
        .accounts
        .iter()
        .filter_map(|key| own(key)?.linking_email.clone())
        .collect();
    let rows = group.rows.iter();
    let rows = rows.filter_map(|id| working_set.customers.get(id));
    emails.extend(rows.filter_map(|row| row.profile.folded_email()));
    if emails.is_empty() {
        return BTreeSet::new();
    }
    let has_one = |account: &&Account| {
        let email = account.linking_email.as_ref();
        email.is_some_and(|email| emails.contains(email))
    };
    let others = working_set.accounts.values().filter(has_one);
    let others = others.filter(counts);
    let others: Vec<&Account> = others.collect();
    let rows = working_set.customers.values();
    let rows = rows.filter(|row| {
        row.profile
            .folded_email()
            .is_some_and(|email| emails.contains(&email))
    });
    let book = AddressBook::new(working_set, others.iter().copied(), rows);
    // An admin has said where these belong.
    let undecided = |account: &&&Account| {
        account.history.pinned_by.is_kept()
            && !working_set.is_gone(&account.key)
            && working_set.counts(account)
    };
    let mut shared = Vec::new();
    for account in others.iter().filter(undecided) {
        let is_own = group.accounts.contains(&account.key);
        let leads_to_own = match book.link(account) {
            Link::Row(id) => group.rows.contains(id),
            Link::Account(key) => group.accounts.contains(key),
            Link::Nobody => continue,
        };
        if let (true, Some(mine)) = (is_own != leads_to_own, linking(&account.history)) {
            shared.push((mine.since, &account.key));
        }
    }
    shared.sort();
    let flag = |(since, key): &(_, &ObjectKey)| {
        let [prefixed, _] = external_ids(key);
        Flag::new(FlagKind::SameEmail, &prefixed, *since)
    };
    shared.iter().take(MOST_FLAGGED).map(flag).collect()
}

/// Returns the address that is shown of a customer to whom no admin gave one: the first of its
/// accounts' current addresses that is nobody else's. An address that an admin gave another customer
/// is that one's; else it belongs to the account for which it is the first, else to whoever took it
/// first. Live accounts come before those of test mode.
pub(crate) fn shown_address(working_set: &WorkingSet, group: &Group) -> Option<String> {
    let accounts = group.accounts.iter();
    let accounts = accounts.filter_map(|key| working_set.accounts.get(key));
    let mut accounts = accounts.filter(|account| working_set.counts(account));
    let owned = accounts.find(|account| {
        let email = account.email.as_deref();
        email.is_some_and(|email| owns(working_set, group, email))
    });
    owned?.history.contact().email
}

fn owns(working_set: &WorkingSet, group: &Group, email: &str) -> bool {
    let mut rows = working_set.customers.values();
    let taken = rows.any(|row| {
        row.deleted_at.is_none()
            && !group.rows.contains(&row.id)
            && row.profile.folded_email().as_deref() == Some(email)
    });
    if taken {
        return false;
    }
    let claims = working_set.accounts.values();
    let claims = claims.filter(|account| {
        account.email.as_deref() == Some(email)
            && !working_set.is_gone(&account.key)
            && working_set.counts(account)
    });
    let place = |account: &&Account| {
        let since = account.history.address().map(|(_, since)| since);
        let is_first = account.linking_email.as_deref() == Some(email);
        (
            !account.key.scope.livemode,
            !is_first,
            since,
            account.key.clone(),
        )
    };
    claims
        .min_by_key(place)
        .is_some_and(|owner| group.accounts.contains(&owner.key))
}
