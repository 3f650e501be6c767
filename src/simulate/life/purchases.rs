//! What is bought once: for good, for a while, or nothing that buys anything here.

use super::{DAY, Life};
use crate::domain::time::Timestamp;
use crate::simulate::person::{Document, Line};
use crate::simulate::provider::Provider;
use crate::simulate::shop::{self, Price};
use crate::simulate::wire::stripe_money::Standing;
use crate::simulate::wire::{Entry, stripe};

impl Life {
    pub(super) fn purchase(&mut self, account: usize) {
        if self.person.accounts[account].is_removed {
            return;
        }
        let provider = self.provider(account);
        match (provider, self.draw.index(10)) {
            (Provider::Paddle, _) => self.buy_once(account),
            (Provider::Stripe, 0..4) => self.buy_with_invoice(account),
            (Provider::Stripe, 4..7) => self.buy_by_link(account, shop::link(), Document::Intent),
            (Provider::Stripe, 7 | 8) => self.buy_by_link(account, shop::link(), Document::Session),
            (Provider::Stripe, _) => {
                let unmapped = &shop::prices(provider)[shop::SURPRISE];
                self.buy_by_link(account, unmapped, Document::Intent);
            }
        }
    }

    /// Picks something that is bought once.
    pub(super) fn pick_once(&mut self, provider: Provider) -> &'static Price {
        let prices = shop::prices(provider);
        let updates_end = self.second() + 90 * DAY;
        match self.draw.index(6) {
            0 => &prices[shop::COURSE],
            1 => &prices[shop::SURPRISE],
            2 | 3 if !self.span.is_edge(updates_end) => &prices[shop::MAPS],
            _ => &prices[shop::FOREVER],
        }
    }

    pub(super) fn once(&mut self, form: Document, price: &'static Price) -> Line {
        Line {
            id: self.line_id(form),
            price,
            quantity: 1,
            amount: price.amount,
            period: None,
            is_proration: false,
            item: None,
        }
    }

    fn buy_once(&mut self, account: usize) {
        let price = self.pick_once(Provider::Paddle);
        let line = self.once(Document::Transaction, price);
        let bill = self.bill(account, None, Document::Transaction, "web", vec![line]);
        self.start_transaction(bill);
        self.complete(bill, false);
    }

    /// Checkout that makes an invoice of a purchase.
    fn buy_with_invoice(&mut self, account: usize) {
        let price = self.pick_once(Provider::Stripe);
        let line = self.once(Document::Invoice, price);
        let bill = self.bill(account, None, Document::Invoice, "manual", vec![line]);
        self.pay(bill);
        self.say_session(bill, "checkout.session.completed", "paid");
    }

    /// Checkout without an invoice: by a payment link, with a code that makes it free, or without a
    /// link, so that nobody can tell what was bought. Some ways to pay take a while.
    fn buy_by_link(&mut self, account: usize, price: &'static Price, form: Document) {
        let mut line = self.once(form, price);
        if form == Document::Session {
            line.amount = 0;
        }
        let bill = self.bill(account, None, form, "", vec![line]);
        if form == Document::Intent && self.draw.chance(0.1) {
            self.say_session(bill, "checkout.session.completed", "unpaid");
            self.say_session(bill, "checkout.session.async_payment_failed", "unpaid");
        } else {
            self.pay(bill);
        }
    }

    pub(super) fn pay_session(&mut self, bill: usize) -> Timestamp {
        if self.person.bills[bill].form == Document::Session {
            return self.say_session(bill, "checkout.session.completed", "no_payment_required");
        }
        if self.draw.chance(0.2) {
            self.say_session(bill, "checkout.session.completed", "unpaid");
            self.collect(bill);
            return self.say_session(bill, "checkout.session.async_payment_succeeded", "paid");
        }
        self.collect(bill);
        self.say_session(bill, "checkout.session.completed", "paid")
    }

    fn say_session(
        &mut self,
        bill: usize,
        event_type: &'static str,
        payment_status: &str,
    ) -> Timestamp {
        let it = &self.person.bills[bill];
        let account = it.account;
        let object = stripe::purchase(&self.person.accounts[account], it, payment_status);
        self.say(account, Entry::new(event_type, object))
    }

    /// Something beside the subscription is billed: it fails or is paid, and changes nothing of it.
    pub(super) fn bill_beside(&mut self, subscription: usize) {
        let account = self.subscription(subscription).account;
        let provider = self.provider(account);
        let price = self.pick_once(provider);
        let is_paid = self.draw.chance(0.4);
        let (form, reason) = match provider {
            Provider::Stripe => (Document::Invoice, "manual"),
            Provider::Paddle => (Document::Transaction, "subscription_charge"),
        };
        let line = self.once(form, price);
        let bill = self.bill(account, Some(subscription), form, reason, vec![line]);
        if provider == Provider::Paddle {
            self.start_billed(bill);
        }
        if is_paid {
            self.pay(bill);
            return;
        }
        self.fails(bill, 1, true);
        if provider == Provider::Stripe {
            let given_up = self
                .draw
                .pick("invoice.voided", &["invoice.marked_uncollectible"]);
            self.say_invoice(bill, given_up, Standing::default());
        }
    }

    /// Another card is tried: it is declined or taken, and changes nothing.
    pub(super) fn change_card(&mut self, subscription: usize) {
        let account = self.subscription(subscription).account;
        if self.provider(account) == Provider::Stripe {
            let object = stripe::noise(&self.person.accounts[account]);
            self.say(account, Entry::called("setup_intent.setup_failed", object));
            return;
        }
        let period = self.subscription(subscription).period;
        let reason = "subscription_payment_method_change";
        let bill = self.bill_period(subscription, reason, period, true);
        self.start_billed(bill);
        if self.draw.chance(0.5) {
            self.fails(bill, 1, true);
        } else {
            self.pay(bill);
        }
    }
}
