//! What happens in a story: what webhooks tell, and what an admin does in between.

use super::rules::{Side, names};
use super::world::{By, Group, Row, World};
use crate::convergence::random::who::CAST;

/// The addresses of all accounts and customers, in two spellings.
pub(super) const EMAILS: [&str; 4] = ["x@e.com", "X@e.com", "y@e.com", "z@e.com"];

/// The seller's own ids.
pub(super) const SELLER_IDS: [&str; 2] = ["user_1", "user_2"];

/// What an admin gives a customer as external id.
const EXTERNAL_IDS: [&str; 9] = [
    "user_1",
    "user_2",
    "cus_1",
    "stripe_cus_1",
    "stripe_cus_2",
    "ctm_1",
    "acct_1/cus_1",
    "stripe_acct_2/cus_1",
    "cus_4",
];

/// What an admin does, with what is chosen among what is possible.
#[derive(Clone, Debug)]
pub(super) enum Act {
    Make(Row),
    /// An account, and the row of the customer that it is linked to.
    Link(usize, usize),
    /// An account, and the row of the customer that it is parted from.
    Part(usize, usize),
    Delete(usize),
    SetEmail(usize, Option<&'static str>),
    SetPolicy(&'static str),
}

fn one<T: Copy>(of: &[T], by: u8) -> T {
    of[usize::from(by) % of.len()]
}

impl World {
    /// What an admin does now, if it is possible.
    pub(super) fn act(&mut self, [op, a, b, c]: [u8; 4]) -> Option<Act> {
        match op % 8 {
            0 | 1 => Some(self.make(a, b, c)),
            2 | 3 => self.link(a, b),
            4 | 5 => self.part(a),
            6 => match a % 3 {
                0 => self.delete(b),
                _ => self.set_email(b, c),
            },
            _ => {
                let word = one(&["flag", "join", "ignore"], a);
                let before = self.groups();
                self.keep(&before, &[], |world| world.on_same_email = word);
                Some(Act::SetPolicy(word))
            }
        }
    }

    /// The customers that an admin sees, by their shown rows.
    fn visible(&self) -> Vec<Group> {
        let groups = self.groups().into_iter();
        let groups = groups.filter(|group| {
            let is_deleted = group.rows.iter().any(|row| self.rows[*row].is_deleted);
            let is_gone = group.accounts.iter().any(|it| self.is_gone(*it));
            !group.rows.is_empty() && !is_deleted && !is_gone && !self.is_hidden(group)
        });
        groups.collect()
    }

    fn is_free_email(&self, email: &str) -> bool {
        let mut rows = self.rows.iter().filter(|row| !row.is_deleted);
        rows.all(|row| row.email.is_none_or(|it| !it.eq_ignore_ascii_case(email)))
    }

    fn make(&mut self, a: u8, b: u8, c: u8) -> Act {
        let email = (!a.is_multiple_of(3)).then(|| one(&EMAILS, a / 3));
        let email = email.filter(|email| self.is_free_email(email));
        let user_id = c.is_multiple_of(4).then(|| one(&SELLER_IDS, c / 4));
        let external_id = (!b.is_multiple_of(5)).then(|| one(&EXTERNAL_IDS, b / 5));
        let rest = |id: &str| id.trim_start_matches("stripe_").to_owned();
        // Taken in any spelling, or the id of an account that has a customer.
        let external_id = external_id.filter(|id| {
            let mut rows = self.rows.iter().filter(|row| !row.is_deleted);
            let is_free = rows.all(|row| row.external_id.is_none_or(|it| rest(it) != rest(id)));
            let mut all = 0..self.accounts.len();
            is_free
                && all.all(|it| {
                    let is_it = self.accounts[it].is_known && names(it).iter().any(|n| n == id);
                    !is_it || self.is_gone(it)
                })
        });
        let row = Row {
            email,
            external_id,
            user_id,
            ..Row::default()
        };
        let before = self.groups();
        let new = self.rows.len();
        let claimed = |it: &usize| {
            let id = self.accounts[*it].seller_id.filter(|_| self.has_seller_ids);
            let by_name = external_id.is_some_and(|id| names(*it).iter().any(|name| name == id));
            let by_seller = id.is_some() && (id == external_id || id == user_id);
            let by_seller = by_seller && !self.is_kept_from_rows(*it);
            self.accounts[*it].is_known && (by_name || by_seller)
        };
        let claimed: Vec<usize> = (0..self.accounts.len()).filter(claimed).collect();
        for group in &before {
            let is_left = group.accounts.iter().any(|it| !claimed.contains(it));
            let is_gone = group.accounts.iter().any(|it| self.is_gone(*it));
            if is_left && !is_gone && group.accounts.iter().any(|it| claimed.contains(it)) {
                self.leave_behind(group, &claimed);
            }
        }
        for it in &claimed {
            if self.accounts[*it].pin.is_some() {
                self.accounts[*it].pin = Some((new, By::Kept));
            }
        }
        let made = row.clone();
        self.keep(&before, &claimed, |world| world.rows.push(row));
        Act::Make(made)
    }

    fn link(&mut self, a: u8, b: u8) -> Option<Act> {
        let account = usize::from(a) % CAST.len();
        if matches!(CAST[account].0, Side::Test | Side::Stranger) {
            return None;
        }
        let customers = self.visible();
        let to = customers.get(usize::from(b) % customers.len().max(1))?;
        let row = *to.rows.first()?;
        if self.accounts[account].pin == Some((row, By::Linked)) {
            return None;
        }
        self.accounts[account].is_known = true;
        let before = self.groups();
        let from = self.group_of(account)?;
        if !from.rows.contains(&row) && !from.rows.is_empty() && !self.is_gone(account) {
            if from.accounts.len() > 1 {
                self.leave_behind(&from, &[account]);
            } else {
                for row in &from.rows {
                    let row = &mut self.rows[*row];
                    if row.home.is_none() {
                        row.bound = Some(account);
                    }
                }
            }
        }
        self.keep(&before, &[account], |world| {
            world.tie(&before, account, (row, By::Linked));
        });
        Some(Act::Link(account, row))
    }

    fn part(&mut self, a: u8) -> Option<Act> {
        let customers = self.visible();
        let all: Vec<(usize, &Group)> = customers
            .iter()
            .flat_map(|group| group.accounts.iter().map(move |it| (*it, group)))
            .filter(|(it, _)| self.counts(*it))
            .collect();
        let (account, from) = *all.get(usize::from(a) % all.len().max(1))?;
        let shown = *from.rows.first()?;
        let before = self.groups();
        let mut own = from.rows.iter().skip(1).copied();
        let own = own.find(|row| self.rows[*row].goes_with() == Some(account));
        let own = own.unwrap_or_else(|| {
            self.rows.push(Row {
                home: Some(account),
                ..Row::default()
            });
            self.rows.len() - 1
        });
        self.leave_behind(from, &[account]);
        self.keep(&before, &[account], |world| {
            world.accounts[account].pin = Some((own, By::Parted));
        });
        Some(Act::Part(account, shown))
    }

    fn delete(&mut self, b: u8) -> Option<Act> {
        let customers = self.visible();
        let group = customers.get(usize::from(b) % customers.len().max(1))?;
        let shown = *group.rows.first()?;
        let before = self.groups();
        for it in &group.accounts {
            self.accounts[*it].pin = Some((shown, By::Kept));
        }
        self.keep(&before, &[], |world| {
            for row in &group.rows {
                world.rows[*row].is_deleted = true;
            }
        });
        Some(Act::Delete(shown))
    }

    /// Gives a customer of an admin's another address, or none.
    fn set_email(&mut self, b: u8, c: u8) -> Option<Act> {
        let by_admin = |group: &Group| self.rows[group.rows[0]].home.is_none();
        let customers: Vec<Group> = self.visible().into_iter().filter(by_admin).collect();
        let group = customers.get(usize::from(b) % customers.len().max(1))?;
        let row = group.rows[0];
        let email = (!c.is_multiple_of(3)).then(|| one(&EMAILS, c / 3));
        if email.is_some_and(|email| !self.is_free_email(email)) || self.rows[row].email == email {
            return None;
        }
        let before = self.groups();
        self.keep(&before, &[], |world| world.rows[row].email = email);
        Some(Act::SetEmail(row, email))
    }
}
