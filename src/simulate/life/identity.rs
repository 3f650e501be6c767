//! Who somebody is: the seller's own ids of buyers, accounts that are not the seller's or not real,
//! and what an admin does with accounts by hand.

use std::collections::BTreeMap;

use serde_json::json;

use super::{DAY, HOUR, Life, MONTH, Step};
use crate::simulate::person::{Account, Act, ActKind, AdminMade, Form, Phase};
use crate::simulate::provider::{Provider, Side};
use crate::simulate::wire::{Entry, paddle, previous, stripe};

/// The first address of a person.
fn address(index: usize) -> String {
    format!("customer{index}@simulation.example")
}

impl Life {
    /// Draws an account that will be opened, with its id, so that an admin can know it.
    pub(super) fn expect_account(&mut self, provider: Provider, side: Side, at: i64) {
        let mut own = self.person.accounts.iter();
        let twin = own.find(|it| it.provider == provider && side != Side::Own);
        // Of another connected account and in test mode, an id can be one that is known already.
        let twin = twin.map(|it| it.id.clone());
        let twin = twin.filter(|_| self.draw.chance(0.5));
        let id = match provider {
            Provider::Stripe => self.draw.id("cus_", 14),
            Provider::Paddle => self.draw.id("ctm_01", 24),
        };
        let id = twin.unwrap_or(id);
        let mut email = address(self.person.index);
        if !self.person.accounts.is_empty() && self.draw.chance(0.2) {
            email = email.to_uppercase();
        }
        let account = self.person.accounts.len();
        self.person.accounts.push(Account {
            provider,
            side,
            form: self.draw.pick(Form::Acacia, &[Form::Clover]),
            id,
            opened: None,
            is_imported: false,
            seller_id: None,
            first_email: email.clone(),
            email,
            name: format!("Customer {}", self.person.index),
            street: None,
            has_left_first_email: false,
            follows: None,
            addresses: BTreeMap::new(),
            is_removed: false,
            credit: 0,
        });
        self.plan(at, Step::Open(account));
    }

    pub(super) fn be_made_by_an_admin(&mut self) {
        let account = &self.person.accounts[0];
        let bare = account.id.clone();
        let prefixed = account.external_id();
        let seller_id = self.first_seller_id();
        let (external_id, user_id) = match (self.draw.index(4), seller_id) {
            (0, Some(id)) => (id, None),
            (1, Some(id)) => (format!("erp-{}", self.person.index), Some(id)),
            (0 | 2, _) => (bare, None),
            _ => (prefixed, None),
        };
        self.person.admin_made = Some(AdminMade {
            external_id,
            user_id,
            email: address(self.person.index),
            name: format!("Known customer {}", self.person.index),
        });
    }

    /// Draws accounts of the same person at connected accounts and in test mode.
    pub(super) fn expect_others(&mut self, start: i64) {
        for side in [Side::Connected, Side::Stranger, Side::Test] {
            if self.draw.chance(0.08) {
                let at = start + self.draw.between(-DAY, 2 * MONTH);
                self.expect_account(Provider::Stripe, side, at.max(self.span.from));
            }
        }
    }

    /// The shop knows some buyers, and writes its id of them into what it makes: from the beginning,
    /// or later, when they sign in. Of a connected account it makes nothing. True if it knows any of
    /// this person's accounts.
    pub(super) fn be_identified(&mut self) -> bool {
        if !self.draw.chance(0.5) {
            return false;
        }
        for account in 0..self.person.accounts.len() {
            let side = self.person.accounts[account].side;
            if side == Side::Connected || side == Side::Own && self.draw.chance(0.15) {
                continue;
            }
            if side != Side::Own || self.draw.chance(0.7) {
                self.person.accounts[account].seller_id = Some(self.seller_id());
            } else {
                let at = self.span.from + self.draw.between(0, self.span.until - self.span.from);
                self.plan(at, Step::Identify(account));
            }
        }
        true
    }

    fn seller_id(&self) -> String {
        format!("shop-{}", self.person.index)
    }

    /// The seller's id of the first account, if it has one from the beginning.
    pub(super) fn first_seller_id(&self) -> Option<String> {
        self.person.accounts[0].seller_id.clone()
    }

    /// The shop learns who somebody is.
    pub(super) fn identify(&mut self, account: usize) {
        let it = &self.person.accounts[account];
        // What was imported says where it came from, and that is not changed.
        if it.opened.is_none() || it.is_removed || it.is_imported {
            return;
        }
        // In a second of its own: of one second the greatest id would count.
        self.now = self.now.plus(std::time::Duration::from_secs(2));
        let id = self.seller_id();
        let it = &mut self.person.accounts[account];
        let before = stripe::customer(it);
        it.seller_id = Some(id);
        let entry = match it.provider {
            Provider::Stripe => {
                let after = stripe::customer(it);
                let mut entry = Entry::called("customer.updated", after.clone());
                entry.previous = Some(previous(&before, &after));
                entry
            }
            Provider::Paddle => Entry::new("customer.updated", paddle::customer(it)),
        };
        self.say(account, entry);
    }

    /// An admin has linked some accounts by hand, and parted some again.
    pub(super) fn plan_acts(&mut self, is_identified: bool) {
        let all = 0..self.person.accounts.len();
        let own: Vec<usize> = all
            .filter(|it| self.person.accounts[*it].side.counts())
            .collect();
        let Some(account) = own.last().copied() else {
            return;
        };
        let mut act = |kind, is_early| {
            self.person.acts.push(Act {
                account,
                kind,
                is_early,
            });
        };
        // Between webhooks only what no later word about the buyer can change: an admin decides on
        // what is known until then.
        let is_sure = !is_identified && !self.joins;
        if self.person.admin_made.is_some() {
            if self.draw.chance(0.4) {
                let is_early = !is_sure || self.draw.chance(0.3);
                act(ActKind::LinkToMade, is_early);
                // Where the customer is called as the account is, the account would have no name.
                let is_named = self.person.admin_made.as_ref().is_some_and(|made| {
                    let it = &self.person.accounts[account];
                    [it.external_id(), it.place(&it.id)].contains(&made.external_id)
                });
                if !is_named && self.draw.chance(0.6) {
                    act(ActKind::Part, is_early);
                }
            }
        } else if own.len() > 1 && is_sure && self.draw.chance(0.3) {
            act(ActKind::LinkToFirst, false);
        }
    }

    /// Somebody tries Paddle's simulator with the ids of a real subscription, and cancels it there.
    pub(super) fn simulate_end(&mut self, subscription: usize) {
        let mut it = self.subscription(subscription).clone();
        let account = it.account;
        if self.provider(account) == Provider::Stripe {
            return;
        }
        let at = self.pass(Provider::Paddle);
        it.phase = Phase::Canceled;
        it.ended_at = Some(at);
        let object = paddle::subscription(&self.person.accounts[account], &it);
        let mut entry = Entry::new("subscription.canceled", object);
        entry.object["transaction_id"] = json!(null);
        let id = self.draw.id("ntfsimevt_01", 24);
        self.post_as(account, at, id, entry);
    }

    /// Perhaps plans a try of the simulator.
    pub(super) fn maybe_simulate(&mut self, subscription: usize) {
        if self.draw.chance(0.05) {
            let at = self.second() + self.draw.between(HOUR, 20 * DAY);
            self.plan_for(at, subscription, Step::Simulate);
        }
    }
}
