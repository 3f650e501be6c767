//! Spontaneous acts of people and sellers: changing plans, cancelling, pausing, moving, leaving.

use super::{DAY, HOUR, Life, Step};
use crate::simulate::person::{Account, Form, Phase};
use crate::simulate::provider::Provider;
use crate::simulate::shop;
use crate::simulate::wire::{Entry, Turn, paddle, previous, stripe};

impl Life {
    /// Perhaps plans an act for the subscription before its period ends.
    pub(super) fn maybe_whim(&mut self, subscription: usize, chance: f64) {
        let now = self.second();
        let end = self.subscription(subscription).period.1;
        if self.draw.chance(chance) && end > now + 2 * HOUR {
            let at = self.draw.between(now + 60, end - HOUR);
            self.plan_for(at, subscription, Step::Whim);
        }
    }

    pub(super) fn whim(&mut self, subscription: usize) {
        let it = self.subscription(subscription);
        let provider = self.provider_of(subscription);
        let is_live = matches!(it.phase, Phase::Active | Phase::Trialing | Phase::PastDue);
        if !is_live {
            return;
        }
        let is_plain = it.cancel_at.is_none() && it.pause_at.is_none();
        let is_active = it.phase == Phase::Active && is_plain;
        match (self.draw.index(24), provider) {
            (0, _) => self.change_plan(subscription),
            (1 | 2 | 18 | 19, _) => self.move_plan(subscription),
            (20 | 21, _) => self.bill_beside(subscription),
            (22, _) => self.change_card(subscription),
            (3, _) => self.change_quantity(subscription),
            (4, _) => self.change_items(subscription),
            (5..8, _) if is_plain => self.cancel_at_period_end(subscription),
            (8, _) => self.cancel(subscription, None),
            (9, Provider::Paddle) if is_active => self.pause(subscription, None),
            (10, Provider::Paddle) if is_active => self.pause_at_period_end(subscription),
            (9 | 10, Provider::Stripe) if is_active => self.pause_collection(subscription),
            (11 | 12, Provider::Stripe) if is_plain => self.hesitate(subscription),
            (13 | 14, Provider::Stripe) => self.try_plan(subscription),
            (15, Provider::Stripe) => {
                self.change_plan(subscription);
                self.change_quantity(subscription);
                self.change_plan(subscription);
            }
            _ => {}
        }
        self.maybe_whim(subscription, 0.2);
    }

    fn change_quantity(&mut self, subscription: usize) {
        // Nobody can buy none of something at Paddle.
        let none = self.provider_of(subscription) == Provider::Stripe && self.draw.chance(0.1);
        let quantity = if none { 0 } else { self.draw.between(1, 20) };
        self.turn(subscription, Turn::Asked, |it, _| {
            it.items[0].quantity = quantity;
        });
    }

    /// Adds or removes the add-on.
    fn change_items(&mut self, subscription: usize) {
        let provider = self.provider_of(subscription);
        let item = self.item(&shop::prices(provider)[shop::BESIDE]);
        self.turn(subscription, Turn::Asked, |it, _| {
            if it.items.len() > 1 {
                it.items.truncate(1);
            } else {
                it.items.push(item);
            }
        });
    }

    fn cancel_at_period_end(&mut self, subscription: usize) {
        let end = self.subscription(subscription).period.1;
        if self.span.is_edge(end) {
            return;
        }
        self.schedule_cancel(subscription);
        if self.draw.chance(0.4) {
            let at = self.draw.between(self.second() + 1, end - 60);
            self.plan_for(at, subscription, Step::Uncancel);
        }
    }

    fn schedule_cancel(&mut self, subscription: usize) {
        self.turn(subscription, Turn::Asked, |it, at| {
            it.cancel_at = Some(it.period.1);
            it.asked_to_cancel_at = Some(at.seconds());
        });
    }

    pub(super) fn uncancel(&mut self, subscription: usize) {
        if self.subscription(subscription).cancel_at.is_none() {
            return;
        }
        self.turn(subscription, Turn::Asked, |it, _| {
            it.cancel_at = None;
            it.asked_to_cancel_at = None;
        });
    }

    /// Cancels and undoes it, often within a second; then perhaps cancels after all.
    ///
    /// Never twice in direct succession: from two such circles of one second each nobody can tell
    /// where they began, and the server rightly flags them instead of guessing.
    fn hesitate(&mut self, subscription: usize) {
        let it = self.subscription(subscription);
        if it.has_circled || self.span.is_edge(it.period.1) {
            return;
        }
        let circles = self.draw.between(1, 4);
        self.schedule_cancel(subscription);
        let began = self.second();
        self.uncancel(subscription);
        for _ in 1..circles {
            self.schedule_cancel(subscription);
            // Taken back too, this would be a circle of the next second.
            if self.second() != began {
                break;
            }
            self.uncancel(subscription);
        }
        if self.subscription(subscription).cancel_at.is_none() && self.draw.chance(0.3) {
            self.schedule_cancel(subscription);
        }
        self.person.subscriptions[subscription].has_circled = true;
    }

    /// Switches to another plan and back.
    fn try_plan(&mut self, subscription: usize) {
        let it = self.subscription(subscription);
        if it.has_circled {
            return;
        }
        let price = it.items[0].price;
        self.change_plan(subscription);
        self.turn(subscription, Turn::Asked, |it, _| it.items[0].price = price);
        self.person.subscriptions[subscription].has_circled = true;
    }

    fn pause_at_period_end(&mut self, subscription: usize) {
        self.turn(subscription, Turn::Asked, |it, _| {
            it.pause_at = Some(it.period.1);
        });
    }

    fn pause_collection(&mut self, subscription: usize) {
        if self.subscription(subscription).is_collection_paused {
            return;
        }
        self.turn(subscription, Turn::Asked, |it, _| {
            it.is_collection_paused = true;
        });
        if self.draw.chance(0.7) {
            let at = self.second() + self.draw.between(DAY, 50 * DAY);
            self.plan_for(at, subscription, Step::ResumeCollection);
        }
    }

    pub(super) fn resume_collection(&mut self, subscription: usize) {
        self.turn(subscription, Turn::Asked, |it, _| {
            it.is_collection_paused = false;
        });
    }

    pub(super) fn change_contact(&mut self, account: usize) {
        if self.person.accounts[account].is_removed {
            return;
        }
        match self.draw.index(5) {
            0..3 => {
                // Billing portals let anybody set any address, that of another customer too.
                let number = self.draw.between(0, 1_000_000);
                let email = if self.draw.chance(0.15) {
                    format!("customer{}@simulation.example", number % 50)
                } else {
                    format!("moved{number}@elsewhere.example")
                };
                self.person.addresses_taken.push(email.clone());
                self.change_account(account, |it| it.email = email);
            }
            3 => {
                let name = format!("Renamed {}", self.draw.between(0, 1_000_000));
                self.change_account(account, |it| it.name = name);
            }
            _ => self.move_house(account),
        }
    }

    pub(super) fn move_house(&mut self, account: usize) {
        let street = format!("{} rue Exemple", self.draw.between(1, 200));
        self.change_account(account, |it| it.street = Some(street));
    }

    fn change_account(&mut self, account: usize, change: impl FnOnce(&mut Account)) {
        let second = self.second();
        let it = &mut self.person.accounts[account];
        let before = stripe::customer(it);
        change(it);
        it.addresses
            .entry(it.email.to_lowercase())
            .or_insert(second);
        let has_moved = it.email.to_lowercase() != it.first_email.to_lowercase();
        it.has_left_first_email |= has_moved;
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

    /// The seller deletes the customer at Stripe: its subscriptions end with it.
    pub(super) fn remove(&mut self, account: usize) {
        let all = self.person.subscriptions.iter().enumerate();
        let live: Vec<usize> = all
            .filter(|(_, it)| it.account == account && !it.phase.is_over())
            .map(|(index, _)| index)
            .collect();
        for subscription in live {
            self.cancel(subscription, None);
        }
        let it = &mut self.person.accounts[account];
        it.is_removed = true;
        let entry = Entry::called("customer.deleted", stripe::customer(it));
        let at = self.say(account, entry);
        let ended = self.person.subscriptions.iter_mut();
        for it in ended.filter(|it| it.account == account) {
            it.ended_at = it.ended_at.map(|ended| ended.min(at));
        }
    }

    /// Posts events of types without a meaning for access, both known and future ones.
    pub(super) fn noise(&mut self, account: usize) {
        let provider = self.provider(account);
        if self.draw.chance(0.1) {
            // Somebody raised the version of the endpoint.
            self.person.accounts[account].form = Form::Clover;
        }
        let kind = match provider {
            Provider::Stripe => self.draw.pick(
                "invoice.upcoming",
                &[
                    "payment_method.attached",
                    "customer.tax_id.created",
                    "billing_portal.session.created",
                    "loyalty.points.granted",
                ],
            ),
            Provider::Paddle => self.draw.pick(
                "payment_method.saved",
                &["address.updated", "discount.updated", "loyalty.granted"],
            ),
        };
        let shown = &self.person.accounts[account];
        let object = match provider {
            Provider::Stripe => stripe::noise(shown),
            Provider::Paddle => paddle::address(shown),
        };
        self.say(account, Entry::new(kind, object));
    }
}
