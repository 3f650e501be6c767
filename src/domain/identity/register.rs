//! The link of an account: what it follows, and why.
//!
//! In this order: an admin's pin; a row that an admin gave the account's id as `external_id`, prefixed
//! and then bare; by the seller's own id, a row that has it as `external_id` or `user_id`, else the
//! first account of that id; under a policy that joins, by its first address.

use std::collections::BTreeMap;

use super::addresses::AddressBook;
use super::link::{Link, Scoped, is_led_by_row, leads, scoped};
use crate::domain::apply::lookup_keys::external_ids;
use crate::domain::apply::working_set::{Account, WorkingSet};
use crate::domain::customer::row::{Customer, Profile};
use crate::domain::id::ObjectKey;
use crate::domain::identity::account::{PinnedBy, linking};
use crate::domain::policy::OnSameEmail;
use crate::domain::words::words;

/// The indexes for looking up links.
pub(super) struct Register<'a> {
    working_set: &'a WorkingSet,
    by_external_id: BTreeMap<&'a str, &'a Customer>,
    by_user_id: BTreeMap<&'a str, &'a Customer>,
    /// The accounts to be linked, and with each all that could lead it.
    accounts: BTreeMap<&'a ObjectKey, &'a Account>,
    /// The first account of each seller's id.
    leaders: BTreeMap<Scoped<'a>, &'a Account>,
    addresses: AddressBook<'a>,
}

impl<'a> Register<'a> {
    pub(super) fn new(working_set: &'a WorkingSet) -> Self {
        let living = working_set.customers.values();
        let living = living.filter(|row| row.deleted_at.is_none());
        let mut living: Vec<_> = living.collect();
        living.sort_by_key(|row| (row.made_at, &row.id));
        let by = |field: fn(&Profile) -> &Option<String>| {
            let mut rows = BTreeMap::new();
            for row in &living {
                if let Some(word) = field(&row.profile) {
                    rows.entry(word.as_str()).or_insert(*row);
                }
            }
            rows
        };
        Self {
            working_set,
            by_external_id: by(|profile| &profile.external_id),
            by_user_id: by(|profile| &profile.user_id),
            accounts: BTreeMap::new(),
            leaders: BTreeMap::new(),
            addresses: AddressBook::default(),
        }
    }

    /// Replaces the accounts.
    pub(super) fn enter(&mut self, accounts: Vec<&'a Account>) {
        let rows = self.working_set.customers.values();
        self.addresses = AddressBook::new(self.working_set, accounts.iter().copied(), rows);
        self.leaders.clear();
        for account in &accounts {
            let Some(id) = self.seller_id(account) else {
                continue;
            };
            if !leads(self.working_set, account) {
                continue;
            }
            // A pinned one says where they belong.
            let place = |it: &Account| {
                let kept = &it.history;
                (kept.pin.is_none(), kept.first_at, it.key.clone())
            };
            let leader = self.leaders.entry(scoped(&account.key, id));
            let leader = leader.or_insert(account);
            if place(account) < place(leader) {
                *leader = account;
            }
        }
        self.accounts = accounts.into_iter().map(|it| (&it.key, it)).collect();
    }

    pub(super) fn has(&self, account: &ObjectKey) -> bool {
        self.accounts.contains_key(account)
    }

    pub(super) fn accounts(&self) -> impl ExactSizeIterator<Item = &'a Account> {
        self.accounts.values().copied()
    }

    /// Returns the seller's own id of an account, if the app links by it.
    fn seller_id(&self, account: &'a Account) -> Option<&'a str> {
        let id = account.history.seller_id.as_ref();
        id.filter(|_| self.working_set.settings.identity.is_on())
            .map(|(_, id)| id.as_str())
    }

    pub(super) fn link(&self, account: &'a Account) -> Link<'a> {
        if let Some(pin) = &account.history.pin {
            return Link::Row(pin);
        }
        if let Some(row) = self.row_of_own_id(account) {
            return Link::Row(&row.id);
        }
        match self.link_of_seller_id(account) {
            Link::Nobody => {}
            link => return link,
        }
        if self.working_set.policy.on_same_email == OnSameEmail::Join {
            self.addresses.link(account)
        } else {
            Link::Nobody
        }
    }

    fn row_of_own_id(&self, account: &'a Account) -> Option<&'a Customer> {
        let forms = external_ids(&account.key);
        let row = |id: &String| self.by_external_id.get(id.as_str());
        forms.iter().find_map(row).copied()
    }

    fn link_of_seller_id(&self, account: &'a Account) -> Link<'a> {
        let Some(id) = self.seller_id(account) else {
            return Link::Nobody;
        };
        let row = self.by_external_id.get(id);
        let row = row.or_else(|| self.by_user_id.get(id));
        if let Some(row) = row
            && is_led_by_row(self.working_set, &account.key, id)
        {
            return Link::Row(&row.id);
        }
        let leader = self.leaders.get(&scoped(&account.key, id));
        match leader.filter(|leader| leader.key != account.key) {
            Some(leader) => Link::Account(&leader.key),
            None => Link::Nobody,
        }
    }

    fn tie(&self, account: &'a Account) -> Tie {
        if account.history.pin.is_some() {
            return match account.history.pinned_by {
                PinnedBy::Parted => Tie::Own,
                PinnedBy::Kept | PinnedBy::Linked => Tie::Admin,
            };
        }
        if self.row_of_own_id(account).is_some() {
            return Tie::ExternalId;
        }
        let follows = |link: &Link<'a>| match link {
            Link::Account(other) => Some(other.id.clone()),
            Link::Row(_) | Link::Nobody => None,
        };
        let by_seller_id = self.link_of_seller_id(account);
        if let (false, Some(id)) = (
            matches!(by_seller_id, Link::Nobody),
            self.seller_id(account),
        ) {
            return Tie::SellerId {
                id: id.to_owned(),
                follows: follows(&by_seller_id),
            };
        }
        let link = self.link(account);
        if matches!(link, Link::Nobody) {
            return Tie::Own;
        }
        let address = linking(&account.history).map(|linking| linking.email);
        Tie::Email {
            email: address.unwrap_or_default().to_owned(),
            follows: follows(&link),
        }
    }
}

/// The way in which an account was linked to its customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tie {
    /// An admin linked it, or an admin act kept it with its customer.
    Admin,
    /// An admin gave the customer its id as `external_id`.
    ExternalId,
    /// By the seller's own id of it.
    SellerId {
        /// The id.
        id: String,
        /// The first account of that id; `None` if an admin gave it to the customer.
        follows: Option<String>,
    },
    /// By the first address that it had.
    Email {
        /// As addresses are compared.
        email: String,
        /// The account that had it before; `None` if an admin gave the customer the address.
        follows: Option<String>,
    },
    /// It follows nothing and is a customer of its own.
    Own,
}

words!(&Tie {
    Admin = "admin",
    ExternalId = "external_id",
    SellerId = "seller_id",
    Email = "email",
    Own = "own",
});

/// Returns how these accounts were linked to their customers. The working set must contain all
/// accounts and rows that could lead them.
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
