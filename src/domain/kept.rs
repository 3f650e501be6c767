//! What is kept of billing accounts, subscriptions, disputes and refunds.
//!
//! Each part is a join: a set, a map of minima or maxima, or the facts of the newest instants.
//! Putting a fact in commutes with every other and repeats harmlessly, so what is kept depends
//! on which facts came and not on when or how often. Nothing here judges; `standing`,
//! `identity` and `derive` read it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use self::money::{KeptDispute, KeptRefund, RefundPart};
pub use self::subscription::{KeptSubscription, Mark, Terminal};
use super::fact::{Contact, ContactFact, ContactSource};
use super::id::CustomerId;
use super::tie::{Decision, TieState, decide};
use super::time::Timestamp;

mod money;
mod subscription;

/// What one event showed of an object, apart from when.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Observation<S> {
    /// The state that it shows.
    pub state: S,
    /// The state before the change, where it says so.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub before: Option<S>,
    /// The event created or imported the object.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub born: bool,
    /// The request behind the event: tells two events of one change from two changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
}

/// Serde's `default` would ask that `S` has one.
const fn none<S>() -> Option<S> {
    None
}

/// The observations of the two newest instants. The second newest tells where the walk of the
/// newest began, if that is a circle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Newest<S: Ord>(BTreeMap<Timestamp, BTreeSet<Observation<S>>>);

impl<S: Ord> Default for Newest<S> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<S: TieState> Newest<S> {
    fn join(&mut self, at: Timestamp, observation: Observation<S>) {
        self.0.entry(at).or_default().insert(observation);
        while self.0.len() > 2 {
            self.0.pop_first();
        }
    }

    /// Nothing was observed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The newest instant.
    pub fn newest(&self) -> Option<Timestamp> {
        self.0.keys().next_back().copied()
    }

    /// The state that the newest instant ended in.
    pub fn decide(&self) -> Option<Decision<S>> {
        let mut instants = self.0.iter().rev();
        let (at, facts) = instants.next()?;
        let older = instants
            .next()
            .and_then(|(at, facts)| decide(*at, facts, None));
        let older = older.filter(|decision| !decision.ambiguous);
        decide(*at, facts, older.map(|decision| decision.state).as_ref())
    }
}

/// What is kept of a billing account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptAccount {
    /// Oldest instant of any fact that names it.
    pub first_at: Timestamp,
    /// Contacts shown by events about the account itself.
    #[serde(default, skip_serializing_if = "Newest::is_empty")]
    pub contacts: Newest<Contact>,
    /// Contacts shown by Checkout sessions and invoices.
    #[serde(default, skip_serializing_if = "Newest::is_empty")]
    pub secondary: Newest<Contact>,
    /// Addresses (lower case) that events about the account showed, and since when.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub emails: BTreeMap<String, HeldSince>,
    /// The same of Checkout sessions and invoices: counts only while `emails` is empty.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secondary_emails: BTreeMap<String, HeldSince>,
    /// Oldest instant at which the provider deleted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed_at: Option<Timestamp>,
    /// Admin act: the row that the account belongs to, whatever the facts say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<CustomerId>,
    /// Newest event that came after the customer was deleted here, and so changed nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignored_at: Option<Timestamp>,
}

/// The oldest instant at which an account is known to have held an address, and how it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HeldSince {
    /// Provider time.
    pub at: Timestamp,
    /// Orders addresses of one instant.
    pub rank: EmailRank,
}

/// How early within its instant an address was held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EmailRank {
    /// The account was created with it.
    Created,
    /// The address before a change.
    Before,
    /// Any other.
    Shown,
}

/// The form in which addresses are compared; `None` for an empty one.
///
/// The Kelvin sign, whose lower case is the letter k, stays as it is: it makes another address,
/// which must not be taken for that of somebody else.
pub fn fold_email(address: &str) -> Option<String> {
    let parts = address.trim().split('\u{212a}').map(str::to_lowercase);
    let folded = parts.collect::<Vec<_>>().join("\u{212a}");
    (!folded.is_empty()).then_some(folded)
}

impl KeptAccount {
    /// What is kept of an account that a fact of this instant names.
    pub fn new(at: Timestamp) -> Self {
        Self {
            first_at: at,
            contacts: Newest::default(),
            secondary: Newest::default(),
            emails: BTreeMap::new(),
            secondary_emails: BTreeMap::new(),
            removed_at: None,
            pin: None,
            ignored_at: None,
        }
    }

    /// A fact of this instant names the account.
    pub fn join_named(&mut self, at: Timestamp) {
        self.first_at = self.first_at.min(at);
    }

    /// The provider deleted the account.
    pub fn join_removed(&mut self, at: Timestamp) {
        self.removed_at = Some(self.removed_at.map_or(at, |known| known.min(at)));
    }

    /// An event of this instant came after the customer was deleted here.
    pub fn join_ignored(&mut self, at: Timestamp) {
        self.ignored_at = self.ignored_at.max(Some(at));
    }

    /// An event shows a contact.
    pub fn join_contact(&mut self, at: Timestamp, fact: &ContactFact) {
        let (contacts, emails, rank) = match fact.source {
            ContactSource::Created => (&mut self.contacts, &mut self.emails, EmailRank::Created),
            ContactSource::Updated => (&mut self.contacts, &mut self.emails, EmailRank::Shown),
            ContactSource::Secondary => (
                &mut self.secondary,
                &mut self.secondary_emails,
                EmailRank::Shown,
            ),
        };
        hold(emails, fact.contact.email.as_deref(), at, rank);
        let before = fact.before.as_ref().map(|contact| &contact.email);
        if let Some(email) = before.filter(|email| **email != fact.contact.email) {
            hold(emails, email.as_deref(), at, EmailRank::Before);
        }
        let observation = Observation {
            state: fact.contact.clone(),
            before: fact.before.clone(),
            born: fact.source == ContactSource::Created,
            request: fact.request.clone(),
        };
        contacts.join(at, observation);
    }

    /// The newest instant of anything kept that has one.
    pub fn newest(&self) -> Option<Timestamp> {
        self.contacts
            .newest()
            .max(self.secondary.newest())
            .max(self.removed_at)
    }

    /// The contact as it stands: what events about the account show, and where they leave a
    /// field empty, what sessions and invoices show. Their addresses count only while the
    /// account never had one of its own.
    pub fn contact(&self) -> Contact {
        let state = |newest: &Newest<Contact>| newest.decide().map(|decision| decision.state);
        let own = state(&self.contacts).unwrap_or_default();
        let other = state(&self.secondary).unwrap_or_default();
        let other_email = other.email.filter(|_| self.emails.is_empty());
        Contact {
            email: own.email.or(other_email),
            name: own.name.or(other.name),
            phone: own.phone.or(other.phone),
            address: own.address.or(other.address),
        }
    }
}

fn hold(
    emails: &mut BTreeMap<String, HeldSince>,
    address: Option<&str>,
    at: Timestamp,
    rank: EmailRank,
) {
    if let Some(email) = address.and_then(fold_email) {
        let since = HeldSince { at, rank };
        emails
            .entry(email)
            .and_modify(|known| *known = (*known).min(since))
            .or_insert(since);
    }
}

/// What is kept of an object that events only named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptUnfetched {
    /// Newest instant of such an event.
    pub at: Timestamp,
    /// Admin act: newest of these instants whose flag was cleared.
    pub cleared_at: Option<Timestamp>,
}

impl KeptUnfetched {
    /// An object that an event of this instant names.
    pub const fn new(at: Timestamp) -> Self {
        Self {
            at,
            cleared_at: None,
        }
    }

    /// Another event names the object.
    pub fn join(&mut self, at: Timestamp) {
        self.at = self.at.max(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_compared_in_lower_case_and_look_alikes_stay_apart() {
        let cases = [
            ("Mike@Acme.com", Some("mike@acme.com")),
            (" post@MÜLLER.example ", Some("post@müller.example")),
            ("mi\u{212a}e@acme.com", Some("mi\u{212a}e@acme.com")),
            ("  ", None),
        ];
        for (address, expected) in cases {
            assert_eq!(fold_email(address).as_deref(), expected, "{address:?}");
        }
    }
}
