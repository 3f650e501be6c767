//! The traffic of all lives together, and the differences that lost events explain.

use std::collections::{BTreeMap, BTreeSet};

use super::delivery::Delivery;
use super::life::{MONTH, Span, Webhook, live};
use super::model::{self, Picture};
use super::person::{Form, Person, SameEmail};
use super::provider::Provider;
use crate::domain::time::Timestamp;

/// Everybody's life, and all webhooks in their true order.
pub(super) struct Traffic {
    pub(super) people: Vec<Person>,
    pub(super) webhooks: Vec<Webhook>,
    /// What the app does about accounts of one address.
    pub(super) same_email: SameEmail,
}

impl Traffic {
    /// The same seed, number, length and end make the same traffic, byte for byte.
    pub(super) fn draw(seed: u64, customers: u32, months: u32, until: i64) -> Self {
        let span = Span {
            from: until - i64::from(months) * MONTH,
            until,
        };
        let lives = (0..customers as usize).map(|index| live(seed, index, span));
        let (people, webhooks): (Vec<Person>, Vec<Vec<Webhook>>) = lives.unzip();
        let mut webhooks: Vec<Webhook> = webhooks.into_iter().flatten().collect();
        // Stable: what happened to one person in one instant stays in its order.
        webhooks.sort_by_key(|webhook| webhook.at);
        Self {
            people,
            webhooks,
            same_email: SameEmail::of(seed),
        }
    }

    /// Counts the webhooks by kind.
    pub(super) fn kinds(&self) -> BTreeMap<String, usize> {
        let mut kinds = BTreeMap::new();
        for webhook in &self.webhooks {
            let form = if webhook.body.contains(Form::Acacia.version()) {
                Form::Acacia.version()
            } else {
                Form::Clover.version()
            };
            let kind = match webhook.provider {
                Provider::Stripe => format!("Stripe {form}"),
                Provider::Paddle => "Paddle".to_owned(),
            };
            *kinds.entry(kind).or_default() += 1;
        }
        kinds
    }

    /// Returns the expected state of all customers, by external id.
    pub(super) fn expected(&self, now: Timestamp) -> BTreeMap<String, Picture> {
        let people = self.people.iter();
        let expect = |it| model::expect(&self.people, it, self.same_email, now);
        let pictures = people.flat_map(expect);
        pictures.map(|it| (it.external_id.clone(), it)).collect()
    }

    /// Returns the person behind an external id.
    pub(super) fn person_of(&self, external_id: &str) -> Option<usize> {
        let bare = external_id
            .strip_prefix("stripe_")
            .or(external_id.strip_prefix("paddle_"));
        let id = bare.unwrap_or(external_id);
        let has = |person: &&Person| person.accounts.iter().any(|account| account.id == id);
        self.people.iter().find(has).map(|person| person.index)
    }

    /// Returns the people whose customers may differ because of lost events: those whose events were
    /// lost, and those whose address one of them ever took. If the first webhooks of an account are
    /// lost, a later address is the first that is known.
    pub(super) fn changed_by_loss(&self, delivery: &Delivery) -> BTreeSet<usize> {
        let lost = delivery.dropped.iter();
        let mut people: BTreeSet<usize> = lost.map(|event| self.webhooks[*event].person).collect();
        let addresses: BTreeSet<&String> = people
            .iter()
            .flat_map(|person| &self.people[*person].addresses_taken)
            .collect();
        let holds = |person: &&Person| {
            let accounts = person.accounts.iter();
            accounts
                .flat_map(|account| [&account.first_email, &account.email])
                .chain(&person.addresses_taken)
                .any(|email| addresses.contains(email))
        };
        let changed: Vec<usize> = self
            .people
            .iter()
            .filter(holds)
            .map(|person| person.index)
            .collect();
        people.extend(changed);
        people
    }
}
