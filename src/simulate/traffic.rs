//! The traffic of all lives together, and the differences that lost events explain.

use std::collections::{BTreeMap, BTreeSet};

use super::delivery::Delivery;
use super::life::{MONTH, Span, Webhook, live};
use super::model::{self, Picture};
use super::person::{Account, ActKind, Form, Person, SameEmail};
use super::provider::{Provider, Side};
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

    /// Returns the flags of what should have no customer, by kind and subject: accounts of
    /// strangers, and accounts in test mode.
    pub(super) fn nobodys(&self) -> BTreeSet<(String, String)> {
        let accounts = self.people.iter().flat_map(|person| &person.accounts);
        let open = accounts.filter(|it| it.opened.is_some());
        let flags = open.filter_map(|it| match it.side {
            Side::Own | Side::Connected => None,
            Side::Stranger => Some(("unknown_connected_account", it.side.connected()?)),
            Side::Test => Some(("wrong_mode", it.id.as_str())),
        });
        let own = |(kind, subject): (&str, &str)| (kind.to_owned(), subject.to_owned());
        flags.map(own).collect()
    }

    /// What an admin does before the first webhook, or between webhooks: the account, the act, and
    /// the external id of the customer.
    pub(super) fn acts(&self, early: bool) -> impl Iterator<Item = (&Account, ActKind, String)> {
        self.people.iter().flat_map(move |person| {
            let acts = person.acts.iter().filter(move |act| act.is_early == early);
            acts.filter_map(|act| {
                let made = person.admin_made.as_ref();
                let external_id = match act.kind {
                    ActKind::LinkToFirst => person.accounts[0].external_id(),
                    ActKind::LinkToMade | ActKind::Part => made?.external_id.clone(),
                };
                Some((&person.accounts[act.account], act.kind, external_id))
            })
        })
    }

    /// Leaves out the acts that are not possible, because the first account of somebody was never
    /// heard of.
    pub(super) fn leave_out(&mut self, delivery: &Delivery) {
        for index in 0..self.people.len() {
            let is_heard_of = self.first_post(delivery, index).is_some();
            let acts = &mut self.people[index].acts;
            acts.retain(|act| act.kind != ActKind::LinkToFirst || is_heard_of);
        }
    }

    /// Moves half of what is not real to the front of the posts: whoever sets up an endpoint tries
    /// it first. Returns how many that are.
    pub(super) fn try_first(&self, delivery: &mut Delivery) -> usize {
        let is_tried = |event: &usize| {
            let webhook = &self.webhooks[*event];
            let side = self.people[webhook.person].accounts[webhook.account].side;
            let is_simulated = webhook.id.starts_with("ntfsimevt_");
            event.is_multiple_of(2) && (side == Side::Test || is_simulated)
        };
        let posts = std::mem::take(&mut delivery.posts);
        let (tried, others): (Vec<usize>, Vec<usize>) = posts.into_iter().partition(is_tried);
        let count = tried.len();
        delivery.posts = [tried, others].concat();
        count
    }

    /// How many webhooks are posted before an admin acts: half of them, or more if somebody is not
    /// heard of before.
    pub(super) fn half(&self, delivery: &Delivery) -> usize {
        let linked = self.people.iter().filter(|person| {
            let mut acts = person.acts.iter();
            acts.any(|act| act.kind == ActKind::LinkToFirst)
        });
        let heard = linked.filter_map(|person| self.first_post(delivery, person.index));
        let half = delivery.posts.len() / 2;
        heard.map(|place| place + 1).fold(half, usize::max)
    }

    /// The place of the first post about the first account of a person.
    fn first_post(&self, delivery: &Delivery, person: usize) -> Option<usize> {
        let is_first = |event: &usize| {
            let webhook = &self.webhooks[*event];
            webhook.person == person && webhook.account == 0
        };
        delivery.posts.iter().position(is_first)
    }

    /// Returns the person behind an external id.
    pub(super) fn person_of(&self, external_id: &str) -> Option<usize> {
        let is_it = |person: &&Person| {
            let made = person.admin_made.as_ref();
            let mut accounts = person.accounts.iter();
            made.is_some_and(|it| it.external_id == external_id)
                || accounts.any(|it| {
                    let names = [it.external_id(), it.place(&it.id)];
                    names.iter().any(|name| name == external_id)
                        || it.seller_id.as_deref() == Some(external_id)
                })
        };
        self.people.iter().find(is_it).map(|person| person.index)
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
