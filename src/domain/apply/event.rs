//! Applies one event to a working set: its facts are joined to the histories, the affected
//! customers are rederived, and the difference is the effect of the event.

use std::collections::BTreeSet;

use super::join::Disturbed;
use crate::domain::apply::change::{Change, Effect, IgnoreCode, Operation, Outcome};
use crate::domain::apply::working_set::WorkingSet;
use crate::domain::billing::fact::{Fact, Occurrence};
use crate::domain::billing::subscription_view::SubscriptionView;
use crate::domain::id::{CustomerId, Kind, ObjectKey};
use crate::domain::identity::links::stored_groups;
use crate::domain::identity::test_trace::Origin;
use crate::domain::time::Timestamp;

impl WorkingSet {
    /// Applies one event to the working set. `now` is the local clock, which decides the timers;
    /// `fresh_id` makes the ids of new rows. Repeating an event changes nothing, and the order of
    /// events does not matter, except for ids and local times.
    pub fn apply(
        &mut self,
        occurrence: &Occurrence,
        now: Timestamp,
        fresh_id: &mut dyn FnMut() -> CustomerId,
    ) -> Effect {
        self.apply_from(Origin::default(), occurrence, now, fresh_id)
    }

    /// Applies one event that came in some way, see [`apply`](Self::apply).
    pub fn apply_from(
        &mut self,
        origin: Origin,
        occurrence: &Occurrence,
        now: Timestamp,
        fresh_id: &mut dyn FnMut() -> CustomerId,
    ) -> Effect {
        if occurrence.facts.is_empty() {
            return Effect::ignored(IgnoreCode::NoFacts);
        }
        let lookup_keys = occurrence.lookup_keys();
        if self.note_unnamed(&lookup_keys, occurrence.at) {
            return Effect::ignored(IgnoreCode::UnknownConnectedAccount);
        }
        let only_named = |fact: &Fact| matches!(fact, Fact::Unfetched { .. });
        if occurrence.facts.iter().all(only_named) {
            if self.is_of_wrong_mode(&lookup_keys, origin) {
                return Effect::ignored(IgnoreCode::WrongMode);
            }
            let asked = |fact: &Fact| matches!(fact, Fact::Unfetched { object } if self.is_asked_for(object));
            if occurrence.facts.iter().all(asked) {
                return Effect::ignored(IgnoreCode::FetchedInstead);
            }
            for fact in &occurrence.facts {
                self.join(occurrence.at, fact, &mut Disturbed::default());
            }
            return Effect::ignored(IgnoreCode::ApiKeyNeeded);
        }
        let mut gone = self.named_accounts(occurrence);
        gone.retain(|account| self.is_gone(account));
        let known_newest = self.newest_of_main(occurrence);
        let before = self.subscription_views(occurrence, now);
        let mut disturbed = Disturbed::default();
        for fact in &occurrence.facts {
            if !self.is_forgotten(fact) {
                self.join(occurrence.at, fact, &mut disturbed);
            }
        }
        // Only those that the event itself names: whether a subscription is known by now depends on
        // which event came first.
        for account in gone.intersection(&lookup_keys.accounts) {
            self.join_account(account, occurrence.at, &mut disturbed, |history| {
                history.join_ignored(occurrence.at);
            });
        }
        self.join_test(occurrence.at, origin, &mut disturbed);
        if disturbed.disputes {
            disturbed.accounts.extend(self.relink_disputes());
        }
        if disturbed.links {
            disturbed.accounts.extend(self.owners_by_links());
        }
        let of_money = self.accounts_of_money(occurrence);
        let forgotten = gone.iter().chain(&of_money).any(|it| self.is_erased(it));
        let of_deleted = !gone.is_empty() || of_money.iter().any(|account| self.is_gone(account));
        let unlinked = disturbed.money && of_money.is_empty() && self.needs_a_look(occurrence);
        disturbed.accounts.extend(of_money);
        let mut changes = self.rederive_disturbed(&disturbed, now, fresh_id);
        changes.extend(self.subscription_changes(before, now));
        // Nobody's: a flag without a customer.
        let exposed = |fact: &Fact| matches!(fact, Fact::KeyExposed { .. });
        let exposed = occurrence.facts.iter().any(exposed) && !self.changed.unfetched.is_empty();
        let shows = !changes.is_empty() || unlinked || exposed;
        let only_background = occurrence.facts.iter().all(Fact::is_background);
        let outcome = match (shows, only_background) {
            _ if self.is_of_wrong_mode(&lookup_keys, origin) => {
                Outcome::Ignored(IgnoreCode::WrongMode)
            }
            _ if of_deleted => Outcome::Ignored(IgnoreCode::CustomerDeleted),
            (true, _) => Outcome::Applied,
            (false, true) => Outcome::Ignored(IgnoreCode::ReferencesOnly),
            (false, false) if Some(occurrence.at) < known_newest => Outcome::Superseded,
            (false, false) => Outcome::Unchanged,
        };
        Effect {
            outcome,
            customer: self.main_customer(occurrence),
            changes,
            forgotten,
        }
    }

    /// Rederives every customer of this working set, for timers and changed policies.
    pub fn tick(&mut self, now: Timestamp) -> Vec<Change> {
        let shown = self
            .customers
            .values()
            .filter(|row| row.merged_into.is_none());
        let shown = shown.map(|row| row.id.clone()).collect();
        let mut changes = Vec::new();
        for group in stored_groups(self, &shown) {
            changes.extend(self.rederive(group, now, None));
        }
        changes
    }

    /// Reports whether a fact says who somebody is whose customer was deleted here for good: that
    /// was to be forgotten. What was bought is kept, for an admin can link the account again.
    fn is_forgotten(&self, fact: &Fact) -> bool {
        let account = match fact {
            Fact::Contact(contact) => &contact.account,
            Fact::SellerId(fact) => &fact.account,
            _ => return false,
        };
        self.is_erased(account)
    }

    /// Returns the accounts that the event names, directly or through a known subscription.
    fn named_accounts(&self, occurrence: &Occurrence) -> BTreeSet<ObjectKey> {
        let lookup_keys = occurrence.lookup_keys();
        let known = lookup_keys
            .subscriptions
            .iter()
            .filter_map(|key| self.subscriptions.get(key));
        let known = known.filter_map(|subscription| subscription.account.clone());
        lookup_keys.accounts.into_iter().chain(known).collect()
    }

    /// Reports whether a person should look at the event's dispute or refund.
    fn needs_a_look(&self, occurrence: &Occurrence) -> bool {
        let mut of_money = occurrence.facts.iter().filter_map(|fact| match fact {
            Fact::Disputed { dispute, .. } => {
                Some(self.disputes.get(dispute)?.history.needs_a_look())
            }
            _ => Some(self.refunds.get(refund_of(fact)?)?.history.stands()),
        });
        of_money.any(|needs| needs)
    }

    /// Returns the accounts of the event's disputes and refunds.
    fn accounts_of_money(&self, occurrence: &Occurrence) -> BTreeSet<ObjectKey> {
        let account = |fact: &Fact| match fact {
            Fact::Disputed { dispute, .. } => self.disputes.get(dispute)?.account.clone(),
            _ => self.refunds.get(refund_of(fact)?)?.account.clone(),
        };
        let known = |key: &ObjectKey| self.accounts.contains_key(key);
        occurrence
            .facts
            .iter()
            .filter_map(account)
            .filter(known)
            .collect()
    }

    /// Returns the newest instant known of the object that the event is about.
    fn newest_of_main(&self, occurrence: &Occurrence) -> Option<Timestamp> {
        let newest = |fact: &Fact| match fact {
            Fact::Contact(contact) => self.accounts.get(&contact.account)?.history.newest(),
            Fact::SellerId(fact) => self.accounts.get(&fact.account)?.history.newest(),
            Fact::AccountNamed { account } | Fact::AccountRemoved { account } => {
                self.accounts.get(account)?.history.newest()
            }
            Fact::Subscription(fact) => {
                self.subscriptions.get(&fact.subscription)?.history.newest()
            }
            Fact::Features(fact) => self.accounts.get(&fact.account)?.history.features.newest(),
            Fact::Payment(fact) => Some(self.payments.get(&fact.document)?.history.newest),
            Fact::Disputed { dispute, .. } => Some(self.disputes.get(dispute)?.history.stage.0),
            Fact::Refunded(_) | Fact::ChargeRefunded { .. } => {
                self.refunds.get(refund_of(fact)?)?.history.newest()
            }
            Fact::PaymentLink { .. } | Fact::Unfetched { .. } | Fact::KeyExposed { .. } => None,
        };
        newest(main_fact(occurrence)?)
    }

    /// Returns the row shown for the account that the event is about.
    fn main_customer(&self, occurrence: &Occurrence) -> Option<CustomerId> {
        let of_subscription = |key| self.subscriptions.get(key)?.account.clone();
        let account = match main_fact(occurrence)? {
            Fact::Contact(contact) => Some(contact.account.clone()),
            Fact::SellerId(fact) => Some(fact.account.clone()),
            Fact::AccountNamed { account } | Fact::AccountRemoved { account } => {
                Some(account.clone())
            }
            Fact::Subscription(fact) => of_subscription(&fact.subscription),
            Fact::Features(fact) => Some(fact.account.clone()),
            Fact::Payment(fact) => self.payments.get(&fact.document)?.account.clone(),
            Fact::Disputed { dispute, .. } => self.disputes.get(dispute)?.account.clone(),
            Fact::Refunded(_) | Fact::ChargeRefunded { .. } => {
                let refund = main_fact(occurrence).and_then(refund_of)?;
                self.refunds.get(refund)?.account.clone()
            }
            Fact::PaymentLink { ids } => ids.iter().find(|id| id.kind == Kind::Account).cloned(),
            Fact::Unfetched { .. } | Fact::KeyExposed { .. } => None,
        };
        let row = self.accounts.get(&account?)?.customer.clone()?;
        let hidden = self.customers.get(&row).is_some_and(|row| row.hidden);
        (!hidden).then_some(row)
    }

    /// Returns the views of the event's subscriptions.
    fn subscription_views(&self, occurrence: &Occurrence, now: Timestamp) -> Vec<Viewed> {
        let view = |key: ObjectKey| {
            let view = self.subscription_view(&key, now);
            (key, view)
        };
        occurrence
            .lookup_keys()
            .subscriptions
            .into_iter()
            .map(view)
            .collect()
    }

    fn subscription_changes(&self, before: Vec<Viewed>, now: Timestamp) -> Vec<Change> {
        let change = |(key, from): Viewed| {
            let to = self.subscription_view(&key, now)?;
            let customer = self.customer_of(to.account.as_ref()?)?.id.clone();
            let operation = Operation::UpdateSubscription {
                subscription: key,
                from: from.clone().map(Box::new),
                to: Box::new(to.clone()),
            };
            (from != Some(to)).then_some(Change {
                customer,
                operation,
            })
        };
        before.into_iter().filter_map(change).collect()
    }
}

/// A subscription and how it is shown, if it is known.
type Viewed = (ObjectKey, Option<SubscriptionView>);

/// Returns the fact that the event is about: the first that is not background.
fn main_fact(occurrence: &Occurrence) -> Option<&Fact> {
    let facts = &occurrence.facts;
    facts
        .iter()
        .find(|fact| !fact.is_background())
        .or(facts.first())
}

/// Returns the refund, or the charge that counts its refunds, that a fact is about.
const fn refund_of(fact: &Fact) -> Option<&ObjectKey> {
    match fact {
        Fact::Refunded(fact) => Some(&fact.refund),
        Fact::ChargeRefunded { charge, .. } => Some(charge),
        Fact::Contact(_)
        | Fact::SellerId(_)
        | Fact::AccountNamed { .. }
        | Fact::AccountRemoved { .. }
        | Fact::Subscription(_)
        | Fact::Features(_)
        | Fact::Payment(_)
        | Fact::Disputed { .. }
        | Fact::PaymentLink { .. }
        | Fact::Unfetched { .. }
        | Fact::KeyExposed { .. } => None,
    }
}

impl Effect {
    const fn ignored(code: IgnoreCode) -> Self {
        Self {
            outcome: Outcome::Ignored(code),
            customer: None,
            changes: Vec::new(),
            forgotten: false,
        }
    }
}
