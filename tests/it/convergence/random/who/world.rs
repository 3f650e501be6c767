//! Accounts, customers, and what an admin did with them, as people know it who saw it happen.

use super::rules::{Node, Side};
use crate::convergence::random::who::CAST;

/// Why an account is tied to a row, whatever else is known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// It was to stay where it was when something else changed, or its customer was deleted.
    Kept,
    Linked,
    Parted,
}

/// A billing account.
#[derive(Clone, Debug, Default)]
pub(super) struct Account {
    /// When it was first heard of.
    pub(super) opened: Option<i64>,
    /// Each address that it had, in lower case, and since when; the first one first.
    pub(super) addresses: Vec<(String, i64)>,
    /// Its address as it is written now.
    pub(super) email: Option<String>,
    pub(super) seller_id: Option<&'static str>,
    /// The status of its subscription.
    pub(super) status: Option<&'static str>,
    /// The row that it is tied to.
    pub(super) pin: Option<(usize, By)>,
    /// True if it exists: something named it, or an admin did.
    pub(super) is_known: bool,
}

impl Account {
    /// Its first address.
    pub(super) fn first_email(&self) -> Option<&str> {
        self.addresses.first().map(|(email, _)| email.as_str())
    }

    /// When it took its first address, and when it left it.
    pub(super) fn held(&self) -> Option<(i64, Option<i64>)> {
        let since = self.addresses.first()?.1;
        Some((since, self.addresses.get(1).map(|(_, at)| *at)))
    }
}

/// A row of the list of customers. Several rows can be one customer.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    pub(super) email: Option<&'static str>,
    pub(super) external_id: Option<&'static str>,
    pub(super) user_id: Option<&'static str>,
    pub(super) is_deleted: bool,
    /// The account that it was made for; none if an admin made it.
    pub(super) home: Option<usize>,
    /// The account that it came along with, when an admin linked that one to another customer.
    pub(super) bound: Option<usize>,
}

impl Row {
    pub(super) fn goes_with(&self) -> Option<usize> {
        self.bound.or(self.home)
    }
}

/// One customer: its rows, the shown one first, and its accounts, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) rows: Vec<usize>,
    pub(super) accounts: Vec<usize>,
}

/// Everything.
#[derive(Clone, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is something of its own that is so"
)]
pub(super) struct World {
    pub(super) now: i64,
    pub(super) accounts: Vec<Account>,
    /// In the order in which they were made.
    pub(super) rows: Vec<Row>,
    pub(super) on_same_email: &'static str,
    /// The app links by the seller's ids.
    pub(super) has_seller_ids: bool,
    /// Its endpoint is for events of any mode.
    pub(super) of_any_mode: bool,
    /// And has had a live one.
    pub(super) is_live: bool,
    pub(super) has_met_stranger: bool,
    /// Something is tied to one of several rows that look alike, and which one it was is chance.
    pub(super) is_chance: bool,
}

impl World {
    pub(super) fn counts(&self, account: usize) -> bool {
        let side = CAST[account].0;
        let is_off = side == Side::Test && self.of_any_mode && self.is_live;
        side != Side::Stranger && !is_off
    }

    /// True if its customer was deleted.
    pub(super) fn is_gone(&self, account: usize) -> bool {
        let pin = self.accounts[account].pin;
        pin.is_some_and(|(row, _)| self.rows[row].is_deleted)
    }

    /// All customers: whoever follows somebody is one with him, and rows are where their account is.
    pub(super) fn groups(&self) -> Vec<Group> {
        let known = (0..self.accounts.len()).filter(|it| self.accounts[*it].is_known);
        let mut sets: Vec<Vec<Node>> = known.clone().map(|it| vec![Node::Account(it)]).collect();
        sets.extend((0..self.rows.len()).map(|row| vec![Node::Row(row)]));
        let mut unite = |a: Node, b: Node| {
            let place = |sets: &[Vec<Node>], it| sets.iter().position(|set| set.contains(&it));
            if let (Some(a), Some(b)) = (place(&sets, a), place(&sets, b))
                && a != b
            {
                let moved = std::mem::take(&mut sets[a]);
                sets[b].extend(moved);
            }
        };
        for account in known {
            if let Some(other) = self.followed(account) {
                unite(Node::Account(account), other);
            }
        }
        for (index, row) in self.rows.iter().enumerate() {
            if let (Some(account), false) = (row.goes_with(), row.is_deleted) {
                unite(Node::Row(index), Node::Account(account));
            }
        }
        let sets = sets.into_iter().filter(|set| !set.is_empty());
        sets.map(|set| self.arranged(&set)).collect()
    }

    fn arranged(&self, set: &[Node]) -> Group {
        let mut group = Group::default();
        for node in set {
            match node {
                Node::Account(it) => group.accounts.push(*it),
                Node::Row(it) => group.rows.push(*it),
            }
        }
        let opened = |it: &usize| self.accounts[*it].opened.unwrap_or(i64::MAX);
        group.accounts.sort_by_key(|it| (opened(it), *it));
        let is_target = |row: usize| {
            let mut accounts = group.accounts.iter();
            accounts.any(|it| self.accounts[*it].pin == Some((row, By::Linked)))
        };
        let mut rows = group.rows.clone();
        rows.sort_by_key(|row| (self.rows[*row].home.is_some(), !is_target(*row), *row));
        Group { rows, ..group }
    }

    /// True if nobody sees the customer: webhooks alone made it, and none of them count.
    pub(super) fn is_hidden(&self, group: &Group) -> bool {
        let counts = group.accounts.iter().any(|it| self.counts(*it));
        let by_admin = group.rows.iter().any(|row| self.rows[*row].home.is_none());
        !group.accounts.is_empty() && !counts && !by_admin
    }

    pub(super) fn group_of(&self, account: usize) -> Option<Group> {
        let mut groups = self.groups().into_iter();
        groups.find(|group| group.accounts.contains(&account))
    }

    /// The row that is shown for an account.
    fn shown(groups: &[Group], account: usize) -> Option<usize> {
        let mut groups = groups.iter();
        let group = groups.find(|group| group.accounts.contains(&account))?;
        group.rows.first().copied()
    }

    /// Whoever counts and has no row gets one.
    pub(super) fn settle(&mut self) {
        for group in self.groups() {
            if group.rows.is_empty() && !self.is_hidden(&group) {
                self.rows.push(Row {
                    home: group.accounts.first().copied(),
                    ..Row::default()
                });
            }
        }
    }

    /// Changes something. Accounts that would move because of it stay where they are, but for those
    /// that are meant to move. `before` is how everything was.
    pub(super) fn keep(
        &mut self,
        before: &[Group],
        moved: &[usize],
        change: impl FnOnce(&mut Self),
    ) {
        change(self);
        // Whoever is tied takes others along, who are tied in their turn.
        loop {
            let after = self.groups();
            let all = 0..self.accounts.len();
            let leaving = all.filter(|it| !moved.contains(it)).filter_map(|it| {
                let row = Self::shown(before, it)?;
                (!self.stays((before, &after), (it, row), moved)).then_some((it, row))
            });
            let leaving: Vec<_> = leaving.collect();
            if leaving.is_empty() {
                break;
            }
            for (account, row) in leaving {
                self.tie(before, account, (row, By::Kept));
            }
        }
    }

    /// True if an account stays with its customer, of which this row was shown: nobody of another
    /// customer is whom it follows now.
    fn stays(
        &self,
        (before, after): (&[Group], &[Group]),
        (account, row): (usize, usize),
        moved: &[usize],
    ) -> bool {
        let pin = self.accounts[account].pin;
        let mut groups = after.iter();
        let is_there = groups.any(|it| it.accounts.contains(&account) && it.rows.contains(&row));
        let was_of = |node: Node| {
            before.iter().any(|group| {
                group.rows.contains(&row)
                    && match node {
                        Node::Account(it) => group.accounts.contains(&it),
                        Node::Row(it) => group.rows.contains(&it),
                    }
            })
        };
        let follows_own = match self.followed(account) {
            Some(Node::Account(it)) if moved.contains(&it) => match self.followed(it) {
                Some(Node::Row(to)) => was_of(Node::Row(to)),
                Some(Node::Account(_)) | None => Self::shown(after, account) == Some(row),
            },
            Some(node) => was_of(node),
            None => true,
        };
        is_there && follows_own || pin.is_some_and(|(tied_to, by)| tied_to == row && by == By::Kept)
    }

    /// Ties an account to a row.
    pub(super) fn tie(&mut self, before: &[Group], account: usize, pin: (usize, By)) {
        let mut groups = before.iter();
        let of = groups.find(|group| group.rows.contains(&pin.0));
        let is_alike = of.is_some_and(|group| group.accounts.len() > 1);
        self.is_chance |= is_alike && self.rows[pin.0].home.is_some();
        self.accounts[account].pin = Some(pin);
    }

    /// The shown row of a customer stays with those who are left.
    pub(super) fn leave_behind(&mut self, group: &Group, leaving: &[usize]) {
        let Some(row) = group.rows.first() else {
            return;
        };
        let mut left = group.accounts.iter().filter(|it| !leaving.contains(it));
        let heir = left.next().copied();
        let leaves = |it: &mut usize| leaving.contains(it);
        let row = &mut self.rows[*row];
        row.bound.take_if(leaves);
        if row.home.take_if(leaves).is_some() {
            row.home = heir;
        }
    }
}
