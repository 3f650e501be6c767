//! Addresses: whose one is when several say it is theirs.
//!
//! An account is linked by the first address that it ever had, by provider time. Refused: the
//! current one, because billing portals let anybody set any address, so linking by it would merge a
//! stranger into the owner's customer. Refused too: deciding by which account was seen first here,
//! because that is chance.

use std::collections::{BTreeMap, BTreeSet};

use super::account::{HeldSince, Linking, linking};
use super::group::Group;
use super::link::{Link, Scoped, leads, scoped};
use crate::domain::apply::lookup_keys::external_ids;
use crate::domain::apply::working_set::{Account, WorkingSet};
use crate::domain::customer::flag::{Flag, FlagKind};
use crate::domain::customer::row::Customer;
use crate::domain::id::{CustomerId, ObjectKey};
use crate::domain::policy::OnSameEmail;
use crate::domain::time::Timestamp;

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

/// Who follows whom by addresses that customers share. Worked out once for all of them: thousands can
/// have one address, and each event of one of them asks for all.
pub(crate) struct Sharers<'a> {
    /// What each account follows, and since when it has the address.
    follows: BTreeMap<&'a ObjectKey, (Timestamp, Link<'a>)>,
    of_rows: BTreeMap<&'a CustomerId, Vec<Taken<'a>>>,
    of_accounts: BTreeMap<&'a ObjectKey, Vec<Taken<'a>>>,
}

/// When an account took an address.
type Taken<'a> = (Timestamp, &'a ObjectKey);

impl<'a> Sharers<'a> {
    /// Looks at everybody who has an address of these customers.
    pub(crate) fn of<'g>(
        working_set: &'a WorkingSet,
        groups: impl IntoIterator<Item = &'g Group>,
    ) -> Self {
        let mut all = Self {
            follows: BTreeMap::new(),
            of_rows: BTreeMap::new(),
            of_accounts: BTreeMap::new(),
        };
        if working_set.policy.on_same_email != OnSameEmail::Flag {
            return all;
        }
        let mut emails: BTreeSet<String> = BTreeSet::new();
        for group in groups {
            let own = |key: &ObjectKey| working_set.accounts.get(key)?.linking_email.clone();
            emails.extend(group.accounts.iter().filter_map(own));
            let rows = group.rows.iter();
            let rows = rows.filter_map(|id| working_set.customers.get(id));
            emails.extend(rows.filter_map(|row| row.profile.folded_email()));
        }
        if emails.is_empty() {
            return all;
        }
        let has_one = |account: &&Account| {
            let email = account.linking_email.as_ref();
            email.is_some_and(|email| emails.contains(email)) && working_set.counts(account)
        };
        let accounts: Vec<&Account> = working_set.accounts.values().filter(has_one).collect();
        let rows = working_set.customers.values();
        let rows = rows.filter(|row| {
            let email = row.profile.folded_email();
            email.is_some_and(|email| emails.contains(&email))
        });
        let book = AddressBook::new(working_set, accounts.iter().copied(), rows);
        // Of the others an admin has said where they belong.
        let undecided = accounts.into_iter().filter(|account| {
            account.history.pinned_by.is_kept() && !working_set.is_gone(&account.key)
        });
        for account in undecided {
            let Some(mine) = linking(&account.history) else {
                continue;
            };
            let (taken, link) = ((mine.since, &account.key), book.link(account));
            match link {
                Link::Row(id) => all.of_rows.entry(id).or_default().push(taken),
                Link::Account(key) => all.of_accounts.entry(key).or_default().push(taken),
                Link::Nobody => continue,
            }
            all.follows.insert(&account.key, (mine.since, link));
        }
        all
    }

    /// Returns the flags of a customer about others who have an address of its accounts or rows, and
    /// would be one customer with it under a policy that joins. The subject is the account that came
    /// later, and the instant that at which it took the address.
    pub(crate) fn flags(&self, group: &Group) -> BTreeSet<Flag> {
        let leads_to_own = |link: &Link<'_>| match link {
            Link::Row(id) => group.rows.contains(id),
            Link::Account(key) => group.accounts.contains(key),
            Link::Nobody => false,
        };
        let own = group.accounts.iter();
        let own = own.filter_map(|key| self.follows.get_key_value(key));
        let leaving = own.filter(|(_, (_, link))| !leads_to_own(link));
        let leaving = leaving.map(|(key, (since, _))| (*since, *key));
        let to_rows = group.rows.iter().filter_map(|id| self.of_rows.get(id));
        let to_accounts = group.accounts.iter();
        let to_accounts = to_accounts.filter_map(|key| self.of_accounts.get(key));
        let coming = to_rows.chain(to_accounts).flatten().copied();
        let coming = coming.filter(|(_, key)| !group.accounts.contains(key));
        let mut shared: Vec<Taken<'_>> = leaving.chain(coming).collect();
        shared.sort();
        let flag = |(since, key): &Taken<'_>| {
            let [prefixed, _] = external_ids(key);
            Flag::new(FlagKind::SameEmail, &prefixed, *since)
        };
        shared.iter().take(MOST_FLAGGED).map(flag).collect()
    }
}

/// Whose addresses are: the row to which an admin gave one, else the account for which it is the first,
/// else whoever took it first. Live accounts come before those of test mode. Worked out once, as
/// [`Sharers`] are.
pub(crate) struct Owners<'a> {
    working_set: &'a WorkingSet,
    rows: BTreeMap<String, Vec<&'a CustomerId>>,
    accounts: BTreeMap<&'a str, Claim<'a>>,
}

/// The order of claims to an address, the better one first: of test mode, not the account's first
/// address, since when, and the account.
type Claim<'a> = (bool, bool, Option<HeldSince>, &'a ObjectKey);

impl<'a> Owners<'a> {
    /// Looks at everybody who has an address of these customers' accounts.
    pub(crate) fn of<'g>(
        working_set: &'a WorkingSet,
        groups: impl IntoIterator<Item = &'g Group>,
    ) -> Self {
        let accounts = groups.into_iter().flat_map(|group| &group.accounts);
        let accounts = accounts.filter_map(|key| working_set.accounts.get(key));
        let emails: BTreeSet<&str> = accounts.filter_map(|it| it.email.as_deref()).collect();
        let mut all = Self {
            working_set,
            rows: BTreeMap::new(),
            accounts: BTreeMap::new(),
        };
        if emails.is_empty() {
            return all;
        }
        for row in working_set.customers.values() {
            let email = row.profile.folded_email();
            if let Some(email) = email.filter(|it| emails.contains(it.as_str()))
                && row.deleted_at.is_none()
            {
                all.rows.entry(email).or_default().push(&row.id);
            }
        }
        for account in working_set.accounts.values() {
            let Some(email) = account.email.as_deref().filter(|it| emails.contains(it)) else {
                continue;
            };
            if working_set.is_gone(&account.key) || !working_set.counts(account) {
                continue;
            }
            let since = account.history.address().map(|(_, since)| since);
            let is_first = account.linking_email.as_deref() == Some(email);
            let claim = (!account.key.scope.livemode, !is_first, since, &account.key);
            let best = all.accounts.entry(email).or_insert(claim);
            *best = claim.min(*best);
        }
        all
    }

    /// Returns the address that is shown of a customer to whom no admin gave one: the first of its
    /// accounts' current addresses that is nobody else's.
    pub(crate) fn shown(&self, group: &Group) -> Option<String> {
        let accounts = group.accounts.iter();
        let accounts = accounts.filter_map(|key| self.working_set.accounts.get(key));
        let mut accounts = accounts.filter(|account| self.working_set.counts(account));
        let owned = accounts.find(|account| {
            let email = account.email.as_deref();
            email.is_some_and(|email| self.owns(group, email))
        });
        owned?.history.contact().email
    }

    fn owns(&self, group: &Group, email: &str) -> bool {
        let mut rows = self.rows.get(email).into_iter().flatten();
        let owner = self.accounts.get(email);
        !rows.any(|id| !group.rows.contains(id))
            && owner.is_some_and(|(.., key)| group.accounts.contains(key))
    }
}
