//! Whom an account follows, and what is shown of a customer, as the rules are written for people.

use std::collections::{BTreeMap, BTreeSet};

use super::world::{By, Group, World};
use crate::convergence::random::who::CAST;

/// Whose account it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Paddle,
    Stripe,
    /// In test mode.
    Test,
    /// At a connected account that the app names.
    First,
    Second,
    /// At one that it does not.
    Stranger,
}

impl Side {
    pub(super) const fn connected(self) -> Option<&'static str> {
        match self {
            Self::First => Some("acct_1"),
            Self::Second => Some("acct_2"),
            Self::Stranger => Some("acct_evil"),
            Self::Paddle | Self::Stripe | Self::Test => None,
        }
    }

    /// True if accounts of both may be one customer because they say the same.
    fn meets(self, other: Self) -> bool {
        let is_test = |it| it == Self::Test;
        is_test(self) == is_test(other) && self.connected() == other.connected()
    }
}

/// An account or a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Account(usize),
    Row(usize),
}

/// The names of an account, of which the first counts more.
pub(super) fn names(account: usize) -> [String; 2] {
    let (side, id) = CAST[account];
    let bare = match side.connected() {
        Some(connected) => format!("{connected}/{id}"),
        None => id.to_owned(),
    };
    let provider = if side == Side::Paddle {
        "paddle"
    } else {
        "stripe"
    };
    [format!("{provider}_{bare}"), bare]
}

/// What is seen of a customer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Picture {
    pub(super) accounts: BTreeSet<usize>,
    pub(super) external_id: Option<String>,
    pub(super) email: Option<String>,
    pub(super) status: String,
    /// The accounts that share an address with it, and since when.
    pub(super) shared: BTreeMap<String, i64>,
}

impl World {
    fn is_test(account: usize) -> bool {
        CAST[account].0 == Side::Test
    }

    /// The first living row of which this is true.
    fn row(&self, is_it: impl Fn(&super::world::Row) -> bool) -> Option<Node> {
        let row = self.rows.iter().position(|it| !it.is_deleted && is_it(it));
        row.map(Node::Row)
    }

    /// True if others can follow an account.
    fn leads(&self, account: usize) -> bool {
        let pin = self.accounts[account].pin;
        let is_parted = pin.is_some_and(|(_, by)| by == By::Parted);
        !is_parted && !self.is_gone(account) && self.counts(account)
    }

    /// True if a live account of which this is true was not deleted here: a row has no mode, and
    /// must not bring test and live together.
    fn is_of_live(&self, is_it: impl Fn(usize) -> bool) -> bool {
        let mut all = 0..self.accounts.len();
        all.any(|it| !Self::is_test(it) && is_it(it) && !self.is_gone(it))
    }

    /// Whom an account follows.
    pub(super) fn followed(&self, account: usize) -> Option<Node> {
        if let Some((row, _)) = self.accounts[account].pin {
            return Some(Node::Row(row));
        }
        for name in names(account) {
            let row = self.row(|row| row.external_id == Some(name.as_str()));
            if row.is_some() {
                return row;
            }
        }
        let by_seller_id = self.followed_by_seller_id(account);
        let joins = self.on_same_email == "join";
        by_seller_id.or_else(|| self.followed_by_address(account).filter(|_| joins))
    }

    fn seller_id(&self, account: usize) -> Option<&'static str> {
        let id = self.accounts[account].seller_id;
        id.filter(|_| self.has_seller_ids)
    }

    /// True if a test account follows no row by its seller's id, because a live one has it.
    pub(super) fn is_kept_from_rows(&self, account: usize) -> bool {
        let id = self.seller_id(account);
        Self::is_test(account) && self.is_of_live(|it| id.is_some() && self.seller_id(it) == id)
    }

    fn followed_by_seller_id(&self, account: usize) -> Option<Node> {
        let id = self.seller_id(account)?;
        let row = self.row(|row| row.external_id == Some(id));
        let row = row.or_else(|| self.row(|row| row.user_id == Some(id)));
        if row.is_some() && !self.is_kept_from_rows(account) {
            return row;
        }
        let all = (0..self.accounts.len()).filter(|it| {
            self.seller_id(*it) == Some(id) && self.leads(*it) && CAST[*it].0.meets(CAST[account].0)
        });
        // Where an admin put one of them, they all are.
        let first = all.min_by_key(|it| {
            let it = &self.accounts[*it];
            (it.pin.is_none(), it.opened.unwrap_or(i64::MAX))
        })?;
        (first != account).then_some(Node::Account(first))
    }

    /// Whom an account would follow by the address that it had first.
    fn followed_by_address(&self, account: usize) -> Option<Node> {
        let email = self.accounts[account].first_email()?;
        let (since, _) = self.accounts[account].held()?;
        let has_it = |it: usize| self.accounts[it].first_email() == Some(email);
        let row = self.row(|row| row.email.is_some_and(|it| it.to_lowercase() == email));
        if row.is_some() && !(Self::is_test(account) && self.is_of_live(has_it)) {
            return row;
        }
        let all = (0..self.accounts.len()).filter(|it| {
            let is_earlier = self.accounts[*it].held().is_some_and(|(from, until)| {
                from < since && until.is_none_or(|until| until > since)
            });
            has_it(*it) && is_earlier && self.leads(*it) && CAST[*it].0.meets(CAST[account].0)
        });
        let first = all.min_by_key(|it| self.accounts[*it].held());
        first.map(Node::Account)
    }

    /// All customers that are there, as they look.
    pub(super) fn pictures(&self) -> Vec<Picture> {
        let groups = self.groups().into_iter();
        let groups = groups.filter(|group| {
            let is_deleted = group.rows.iter().any(|row| self.rows[*row].is_deleted);
            let is_gone = group.accounts.iter().any(|it| self.is_gone(*it));
            !is_deleted && !is_gone && !self.is_hidden(group) && !group.rows.is_empty()
        });
        let mut pictures: Vec<Picture> = groups.map(|group| self.picture(&group)).collect();
        pictures.sort();
        pictures
    }

    fn picture(&self, group: &Group) -> Picture {
        let counting = || group.accounts.iter().copied().filter(|it| self.counts(*it));
        let rows = || group.rows.iter().map(|row| &self.rows[*row]);
        let by_admin = rows().find_map(|row| row.external_id).map(str::to_owned);
        // Whom an admin parted is not the seller's customer of that id.
        let is_parted = |it: &usize| {
            self.accounts[*it]
                .pin
                .is_some_and(|(_, by)| by == By::Parted)
        };
        // What an admin gave to another customer is that one's.
        let is_free = |names: &[&str]| {
            let others = (0..self.rows.len()).filter(|row| !group.rows.contains(row));
            let mut others = others
                .map(|row| &self.rows[row])
                .filter(|it| !it.is_deleted);
            others.all(|it| it.external_id.is_none_or(|id| !names.contains(&id)))
        };
        let by_seller = counting()
            .filter(|it| !is_parted(it))
            .filter_map(|it| self.seller_id(it))
            .find(|id| is_free(&[*id]))
            .map(str::to_owned);
        let by_account = counting().next().map(names);
        let by_account = by_account.filter(|[a, b]| is_free(&[a.as_str(), b.as_str()]));
        let by_account = by_account.map(|[prefixed, _]| prefixed);
        let owned = counting().find(|it| self.owns_address(group, *it));
        let owned = owned.and_then(|it| self.accounts[it].email.clone());
        let statuses: Vec<_> = counting()
            .filter_map(|it| self.accounts[it].status)
            .collect();
        let is_good = statuses.is_empty() || statuses.contains(&"active");
        Picture {
            accounts: counting().collect(),
            external_id: by_admin.or(by_seller).or(by_account),
            email: rows()
                .find_map(|row| row.email)
                .map(str::to_owned)
                .or(owned),
            status: if is_good { "active" } else { "suspended" }.to_owned(),
            shared: self.shared(group),
        }
    }

    /// True if an account's address is its own: no admin gave it to another customer, and nobody
    /// else had it first.
    fn owns_address(&self, group: &Group, account: usize) -> bool {
        let email = |it: usize| self.accounts[it].email.as_ref().map(|it| it.to_lowercase());
        let Some(mine) = email(account) else {
            return false;
        };
        let others = (0..self.rows.len()).filter(|row| !group.rows.contains(row));
        let mut others = others.map(|row| &self.rows[row]);
        if others.any(|row| {
            !row.is_deleted && row.email.is_some_and(|email| email.to_lowercase() == mine)
        }) {
            return false;
        }
        let all = (0..self.accounts.len()).filter(|it| {
            email(*it).as_ref() == Some(&mine) && !self.is_gone(*it) && self.counts(*it)
        });
        let owner = all.min_by_key(|it| {
            let since = self.accounts[*it].addresses.iter();
            let since = since.filter(|(email, _)| *email == mine).map(|(_, at)| *at);
            let is_first = self.accounts[*it].first_email() == Some(mine.as_str());
            (Self::is_test(*it), !is_first, since.min())
        });
        owner.is_some_and(|owner| group.accounts.contains(&owner))
    }

    /// The accounts that have an address with this customer and would be one with it if an address
    /// joined, or are, and would be one with another.
    fn shared(&self, group: &Group) -> BTreeMap<String, i64> {
        let mut shared = BTreeMap::new();
        if self.on_same_email != "flag" {
            return shared;
        }
        for account in 0..self.accounts.len() {
            let pin = self.accounts[account].pin;
            let is_decided = pin.is_some_and(|(_, by)| by != By::Kept);
            let is_there = self.counts(account) && !self.is_gone(account);
            let (Some(leader), Some((since, _))) = (
                self.followed_by_address(account),
                self.accounts[account].held(),
            ) else {
                continue;
            };
            let leads_here = match leader {
                Node::Account(it) => group.accounts.contains(&it),
                Node::Row(it) => group.rows.contains(&it),
            };
            if is_there && !is_decided && leads_here != group.accounts.contains(&account) {
                let since = since.max(*shared.get(&names(account)[0]).unwrap_or(&since));
                shared.insert(names(account)[0].clone(), since);
            }
        }
        shared
    }
}
