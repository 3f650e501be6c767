//! What events leave open, so that the provider should be asked.

use std::collections::BTreeMap;

use super::working_set::WorkingSet;
use crate::domain::billing::fact::{Contact, Fact, Occurrence, PaymentFact};
use crate::domain::billing::feature::FeaturesFact;
use crate::domain::customer::flag::FlagKind;
use crate::domain::id::{Kind, ObjectKey};
use crate::domain::refetch::{Refetch, RefetchReason};

/// Objects to ask for, and why.
pub type Doubts = BTreeMap<ObjectKey, RefetchReason>;

impl WorkingSet {
    /// True if the provider of an object can be asked about it, and the app wants that.
    pub fn asks(&self, object: &ObjectKey) -> bool {
        self.settings.refetch != Refetch::Never && self.asks.contains(&object.scope.provider)
    }

    /// True of an object that is asked for when an event only names it.
    pub(super) fn is_asked_for(&self, object: &ObjectKey) -> bool {
        is_fetchable(object) && self.asks(object)
    }

    /// Finds what is open after these events were applied, or after a timer if there are none.
    /// `told`: events that the provider sent; what it was asked about says no more if asked again.
    /// `all`: these and the others.
    pub fn doubts<'a>(
        &self,
        told: impl Iterator<Item = &'a Occurrence>,
        all: impl Iterator<Item = &'a Occurrence>,
    ) -> Doubts {
        let mut doubts = Doubts::new();
        if self.settings.refetch == Refetch::Never || self.asks.is_empty() {
            return doubts;
        }
        for occurrence in told {
            for fact in &occurrence.facts {
                self.add_doubts(fact, &mut doubts);
            }
            doubts.extend(self.unlisted_session(occurrence));
        }
        self.add_nameless(&mut doubts);
        let named = all.flat_map(|occurrence| &occurrence.facts);
        let named: Vec<&str> = named
            .filter_map(|fact| match fact {
                Fact::Subscription(fact) => Some(fact.subscription.id.as_str()),
                _ => None,
            })
            .collect();
        self.add_flagged(&named, &mut doubts);
        doubts.retain(|object, _| self.asks(object));
        doubts
    }

    fn add_doubts(&self, fact: &Fact, doubts: &mut Doubts) {
        match fact {
            Fact::Unfetched { object } if is_fetchable(object) => {
                doubts.insert(object.clone(), RefetchReason::ThinEvent);
            }
            Fact::Subscription(fact) => {
                let object = &fact.subscription;
                if fact.state.items_incomplete {
                    doubts.insert(object.clone(), RefetchReason::ItemsIncomplete);
                } else if self.settings.refetch == Refetch::Always {
                    let doubt = doubts.entry(object.clone());
                    doubt.or_insert(RefetchReason::Always);
                }
            }
            Fact::Features(fact) => doubts.extend(self.unsure_features(fact)),
            Fact::Payment(fact) => doubts.extend(unlisted(fact)),
            Fact::Disputed { dispute, ids, .. } => {
                let known = self.disputes.get(dispute);
                if known.is_some_and(|it| it.account.is_none()) {
                    doubts.extend(payment_among(ids.iter()));
                }
            }
            Fact::Refunded(fact) => {
                let known = self.refunds.get(&fact.refund);
                if known.is_some_and(|it| it.account.is_none()) {
                    doubts.extend(payment_among(fact.ids.iter()));
                }
            }
            Fact::ChargeRefunded { charge, ids, .. } => {
                let known = self.refunds.get(charge);
                if known.is_some_and(|it| it.account.is_none()) {
                    doubts.extend(payment_among([charge].into_iter().chain(ids)));
                }
            }
            Fact::Contact(_)
            | Fact::SellerId(_)
            | Fact::AccountNamed { .. }
            | Fact::AccountRemoved { .. }
            | Fact::PaymentLink { .. }
            | Fact::Unfetched { .. }
            | Fact::KeyExposed { .. } => {}
        }
    }

    /// The features of an account, if packages depend on them, and an event lists only some of them or
    /// events do not say which list is the last. A key that may not read features stays of use to who
    /// sells without them: a provider's refusal would let it rest.
    fn unsure_features(&self, fact: &FeaturesFact) -> Option<(ObjectKey, RefetchReason)> {
        let ObjectKey { scope, id, .. } = &fact.account;
        let account = self.accounts.get(&fact.account)?;
        let current = account.history.features.current()?;
        let reason = if !account.has_planned_features(&self.plans) {
            return None;
        } else if fact.list.incomplete {
            RefetchReason::ItemsIncomplete
        } else if current.ambiguous {
            RefetchReason::Ambiguous
        } else {
            return None;
        };
        Some((scope.key(Kind::FeatureList, id), reason))
    }

    /// The checkout whose lines an event did not show, unless a plan says what all of it buys.
    fn unlisted_session(&self, occurrence: &Occurrence) -> Option<(ObjectKey, RefetchReason)> {
        let facts = occurrence.facts.iter();
        let payments = facts.filter_map(|fact| match fact {
            Fact::Payment(fact) => Some(fact),
            _ => None,
        });
        let mut lines = payments.flat_map(|fact| &fact.lines);
        let session = lines.find_map(|line| {
            let id = line.id.as_ref()?;
            let session = sessions(occurrence).find(|it| it.id == *id)?;
            let plan = (session.scope.provider, line.price.clone());
            (!self.plans.contains_key(&plan)).then_some(session)
        })?;
        Some((session.clone(), RefetchReason::LineItems))
    }

    /// Accounts that events have named and none has shown.
    fn add_nameless(&self, doubts: &mut Doubts) {
        let changed = self.changed.accounts.iter();
        for key in changed.filter(|key| key.kind == Kind::Account) {
            let Some(account) = self.accounts.get(key) else {
                continue;
            };
            let history = &account.history;
            let is_known = history.removed_at.is_some() || history.contact() != Contact::default();
            let is_gone = self.is_gone(key);
            if !is_known && !is_gone && account.customer.is_some() {
                doubts
                    .entry(key.clone())
                    .or_insert(RefetchReason::NoContact);
            }
        }
    }

    /// Subscriptions that are flagged: ambiguous ones that these events name, and whatever was not
    /// flagged before.
    fn add_flagged(&self, named: &[&str], doubts: &mut Doubts) {
        for (id, row) in &self.customers {
            if row.merged_into.is_some() {
                continue;
            }
            let before = self.loaded.get(id);
            for flag in &row.derived.flags {
                let reason = match flag.kind {
                    FlagKind::Ambiguous => RefetchReason::Ambiguous,
                    FlagKind::Overdue => RefetchReason::Overdue,
                    _ => continue,
                };
                let known = before.is_some_and(|it| it.flags.iter().any(|it| it.flag == *flag));
                let is_named = named.contains(&flag.subject.as_str());
                if known && !(is_named && reason == RefetchReason::Ambiguous) {
                    continue;
                }
                let subscriptions = self.subscriptions.keys();
                for object in subscriptions.filter(|it| it.id == flag.subject) {
                    doubts.insert(object.clone(), reason);
                }
            }
        }
    }
}

/// True of the kinds that a provider can be asked for by id.
fn is_fetchable(object: &ObjectKey) -> bool {
    match object.kind {
        Kind::Account
        | Kind::Subscription
        | Kind::FeatureList
        | Kind::Invoice
        | Kind::Charge
        | Kind::PaymentIntent
        | Kind::Session
        | Kind::Transaction
        | Kind::Dispute
        | Kind::Refund
        | Kind::Adjustment => true,
        Kind::Event | Kind::ApiKey | Kind::ConnectedAccount | Kind::Endpoint | Kind::Other => false,
    }
}

/// The document of which an event lists only a part.
fn unlisted(fact: &PaymentFact) -> Option<(ObjectKey, RefetchReason)> {
    let document = &fact.document;
    let has_lines = matches!(document.kind, Kind::Invoice | Kind::Transaction);
    let is_cut = fact.lines_incomplete && has_lines;
    is_cut.then(|| (document.clone(), RefetchReason::ItemsIncomplete))
}

/// The checkouts that an event names.
fn sessions(occurrence: &Occurrence) -> impl Iterator<Item = &ObjectKey> {
    let facts = occurrence.facts.iter();
    let named = facts.flat_map(|fact| match fact {
        Fact::PaymentLink { ids } => ids.iter().collect(),
        Fact::Payment(fact) => vec![&fact.document],
        _ => Vec::new(),
    });
    named.filter(|it| it.kind == Kind::Session)
}

/// The payment among the ids of a dispute or refund that leads to an account most directly.
fn payment_among<'a>(
    ids: impl Iterator<Item = &'a ObjectKey>,
) -> Option<(ObjectKey, RefetchReason)> {
    let rank = |object: &&ObjectKey| match object.kind {
        Kind::Charge => Some(0),
        Kind::Transaction => Some(1),
        Kind::Invoice => Some(2),
        Kind::PaymentIntent => Some(3),
        _ => None,
    };
    let ranked = ids.filter_map(|object| Some((rank(&object)?, object)));
    let (_, object) = ranked.min()?;
    Some((object.clone(), RefetchReason::Unlinked))
}
