//! The history of a billing account.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::billing::fact::{Contact, ContactFact, ContactSource};
use crate::domain::billing::history::FeatureHistory;
use crate::domain::billing::newest::Newest;
use crate::domain::billing::tie_break::Observation;
use crate::domain::email::fold_email;
use crate::domain::id::CustomerId;
use crate::domain::identity::test_trace::TestTrace;
use crate::domain::time::Timestamp;

/// The history of a billing account: a join, like those in
/// [`history`](crate::domain::billing::history).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountHistory {
    /// The oldest instant of any fact that names it.
    pub first_at: Timestamp,
    /// The features that its subscriptions include.
    #[serde(default, skip_serializing_if = "FeatureHistory::is_empty")]
    pub features: FeatureHistory,
    /// The contacts shown by events about the account itself.
    #[serde(default, skip_serializing_if = "Newest::is_empty")]
    pub contacts: Newest<Contact>,
    /// The contacts shown by Checkout sessions and invoices.
    #[serde(default, skip_serializing_if = "Newest::is_empty")]
    pub secondary: Newest<Contact>,
    /// The addresses, as they are compared, that events about the account showed, and since when.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub emails: BTreeMap<String, HeldSince>,
    /// The same for Checkout sessions and invoices: counts only while `emails` is empty.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secondary_emails: BTreeMap<String, HeldSince>,
    /// The oldest instant at which the provider deleted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed_at: Option<Timestamp>,
    /// The seller's own id of it: of the newest instant that showed one, the greatest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seller_id: Option<(Timestamp, String)>,
    /// Admin act: the row that the account belongs to, whatever the facts say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<CustomerId>,
    /// The act that pinned it.
    #[serde(default, skip_serializing_if = "PinnedBy::is_kept")]
    pub pinned_by: PinnedBy,
    /// The newest event that came after the customer was deleted here, and so changed nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignored_at: Option<Timestamp>,
    /// The newest such event that an admin has cleared the flag of, where no row is left to remember
    /// it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignored_cleared_at: Option<Timestamp>,
    /// What is remembered of an account in test mode.
    #[serde(default, skip_serializing_if = "TestTrace::is_empty")]
    pub test: TestTrace,
}

/// The act of an admin that pinned an account to a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PinnedBy {
    /// An act about something else, which was to move nobody, or the deletion of the customer.
    #[default]
    Kept,
    /// It was linked to the row by hand.
    Linked,
    /// It was parted from another customer by hand: it leads no other account to its own either.
    Parted,
}

impl PinnedBy {
    /// True for a pin that nobody asked for.
    pub const fn is_kept(&self) -> bool {
        matches!(self, Self::Kept)
    }
}

/// The oldest instant at which an account is known to have had an address, and how it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HeldSince {
    /// Provider time.
    pub at: Timestamp,
    /// Sorts addresses of one instant.
    pub rank: EmailRank,
}

/// The rank of an address among those of one instant, earliest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EmailRank {
    /// The account was created with it.
    Created,
    /// The address before a change.
    Before,
    /// Any other address.
    Derived,
}

impl AccountHistory {
    /// Creates the history of an account that a fact of this instant names.
    pub fn new(at: Timestamp) -> Self {
        Self {
            first_at: at,
            features: FeatureHistory::default(),
            contacts: Newest::default(),
            secondary: Newest::default(),
            emails: BTreeMap::new(),
            secondary_emails: BTreeMap::new(),
            removed_at: None,
            seller_id: None,
            pin: None,
            pinned_by: PinnedBy::Kept,
            ignored_at: None,
            test: TestTrace::default(),
            ignored_cleared_at: None,
        }
    }

    /// Merges a fact that names the account.
    pub fn join_named(&mut self, at: Timestamp) {
        self.first_at = self.first_at.min(at);
    }

    /// Merges the deletion of the account at the provider.
    pub fn join_removed(&mut self, at: Timestamp) {
        self.removed_at = Some(self.removed_at.map_or(at, |known| known.min(at)));
    }

    /// Merges an event that came after the customer was deleted here.
    pub fn join_ignored(&mut self, at: Timestamp) {
        self.ignored_at = self.ignored_at.max(Some(at));
    }

    /// Merges an event that shows the seller's own id.
    pub fn join_seller_id(&mut self, at: Timestamp, id: &str) {
        let shown = Some((at, id.to_owned()));
        if shown > self.seller_id {
            self.seller_id = shown;
        }
    }

    /// Merges an event that shows a contact.
    pub fn join_contact(&mut self, at: Timestamp, fact: &ContactFact) {
        let (contacts, emails, rank) = match fact.source {
            ContactSource::Created => (&mut self.contacts, &mut self.emails, EmailRank::Created),
            ContactSource::Updated => (&mut self.contacts, &mut self.emails, EmailRank::Derived),
            ContactSource::Secondary => (
                &mut self.secondary,
                &mut self.secondary_emails,
                EmailRank::Derived,
            ),
        };
        note_address(emails, fact.contact.email.as_deref(), at, rank);
        let before = fact.before.as_ref().map(|contact| &contact.email);
        if let Some(email) = before.filter(|email| **email != fact.contact.email) {
            note_address(emails, email.as_deref(), at, EmailRank::Before);
        }
        let observation = Observation {
            state: fact.contact.clone(),
            before: fact.before.clone(),
            created: fact.source == ContactSource::Created,
            request: fact.request.clone(),
        };
        contacts.join(at, observation);
    }

    /// Returns the newest instant of anything in the history that has one.
    pub fn newest(&self) -> Option<Timestamp> {
        self.contacts
            .newest()
            .max(self.secondary.newest())
            .max(self.removed_at)
    }

    /// Returns the current contact: what events about the account show, and for fields that they
    /// leave empty, what sessions and invoices show. The addresses of the latter count only while
    /// the account never had one of its own.
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

    /// Returns the current address, as addresses are compared, and since when the account has had it.
    pub fn address(&self) -> Option<(String, HeldSince)> {
        let email = self.contact().email.as_deref().and_then(fold_email)?;
        let since = self.emails.get(&email);
        let since = since.or_else(|| self.secondary_emails.get(&email)).copied();
        // Whatever is shown has been noted.
        Some((email, since?))
    }
}

fn note_address(
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

/// The address by which an account is linked to its customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Linking<'a> {
    /// As addresses are compared.
    pub email: &'a str,
    /// Provider time: the oldest instant at which the account had it.
    pub since: Timestamp,
    /// Provider time: the oldest instant of another address.
    pub until: Option<Timestamp>,
}

/// Returns the first address that an account had: the smallest by instant, rank and text.
pub fn linking(history: &AccountHistory) -> Option<Linking<'_>> {
    let own = !history.emails.is_empty();
    let emails = if own {
        &history.emails
    } else {
        &history.secondary_emails
    };
    let (email, since) = emails
        .iter()
        .min_by_key(|(email, since)| (**since, *email))?;
    let others = emails.iter().filter(|(other, _)| *other != email);
    Some(Linking {
        email,
        since: since.at,
        until: others.map(|(_, since)| since.at).min(),
    })
}
