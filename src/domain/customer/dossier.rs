//! The dossier of a customer, and the state derived from it: from histories, admin acts and the
//! policy.
//!
//! The derivation never reads what was derived before. That makes the result independent of the
//! order of events.

use std::collections::{BTreeMap, BTreeSet};

use super::holds::{self, Actions};
use crate::domain::access::hand_grant::HandGrant;
use crate::domain::access::plan::{Entitlement, Plans, Price};
use crate::domain::apply::payments::Payments;
use crate::domain::apply::working_set::{Account, Subscription, WorkingSet};
use crate::domain::billing::assessment::{Assessment, Gift, Standing, Terms, Verdict, assessment};
use crate::domain::billing::payment::Payment;
use crate::domain::customer::row::{
    AdminHold, Courtesy, Customer, Derived, Hold, PackageVersion, Status,
};
use crate::domain::customer::source::Source;
use crate::domain::id::ObjectKey;
use crate::domain::identity::group::Group;
use crate::domain::policy::Policy;
use crate::domain::time::Timestamp;

/// One customer with everything that belongs to it.
pub struct Dossier<'a> {
    pub(super) working_set: &'a WorkingSet,
    pub(super) group: Group,
    pub(super) policy: &'a Policy,
    pub(super) plans: &'a Plans,
    /// The rows, the shown one first.
    pub(super) rows: Vec<&'a Customer>,
    /// The accounts that count, sorted by oldest provider time, then key.
    pub(super) accounts: Vec<&'a Account>,
    pub(super) subscriptions: Vec<(&'a Subscription, Assessment)>,
    pub(super) payments: Payments<'a>,
    pub(super) sources: Vec<Source>,
    pub(super) actions: Actions,
    pub(super) grants: Vec<&'a HandGrant>,
    now: Timestamp,
}

impl<'a> Dossier<'a> {
    /// Collects what belongs to a customer, with its timers as of `now`.
    pub fn new(working_set: &'a WorkingSet, group: &Group, now: Timestamp) -> Self {
        let rows: Vec<_> = group
            .rows
            .iter()
            .filter_map(|id| working_set.customers.get(id))
            .collect();
        let accounts: Vec<_> = group
            .accounts
            .iter()
            .filter_map(|key| working_set.accounts.get(key))
            .filter(|account| working_set.counts(account))
            .collect();
        let keys = accounts.iter().map(|account| &account.key).collect();
        let payments = Payments::of(working_set, &keys);
        let grants: Vec<_> = rows
            .iter()
            .filter_map(|row| working_set.hand_grants.get(&row.id))
            .flatten()
            .collect();
        let mut dossier = Self {
            working_set,
            group: group.clone(),
            policy: &working_set.policy,
            plans: &working_set.plans,
            rows,
            accounts,
            subscriptions: Vec::new(),
            payments,
            sources: Vec::new(),
            actions: Actions::default(),
            grants,
            now,
        };
        dossier.assess(working_set);
        dossier.add_purchases_and_grants();
        dossier.act();
        dossier
    }

    /// Assesses the subscriptions of its accounts, among all of the working set: a batch has hundreds,
    /// and each of its events asks.
    fn assess(&mut self, working_set: &'a WorkingSet) {
        let terms = Terms {
            policy: self.policy,
            plans: self.plans,
            now: self.now,
        };
        let accounts = self.accounts.iter();
        let accounts = accounts.map(|account| (by_id(&account.key), *account));
        let accounts: BTreeMap<(&str, &ObjectKey), &Account> = accounts.collect();
        for it in working_set.subscriptions.values() {
            let account = it.account.as_ref();
            let Some(account) = account.and_then(|key| accounts.get(&by_id(key))) else {
                continue;
            };
            let payments: Vec<&Payment<'_>> = self.payments.of_subscription(&it.key).collect();
            let assess = |though_lost| {
                assessment(
                    &it.key,
                    &it.history,
                    &payments,
                    account.terms(),
                    terms,
                    though_lost,
                )
            };
            let assessed = assess(false);
            let though_lost = if payments.iter().any(|payment| payment.is_lost()) {
                assess(true).verdict
            } else {
                assessed.verdict
            };
            let source = Source::subscription(it, &assessed, though_lost, self.plans);
            self.sources.push(source);
            self.subscriptions.push((it, assessed));
        }
    }

    fn add_purchases_and_grants(&mut self) {
        for payment in self.payments.all.values() {
            let account = payment.account();
            let purchases = Source::purchases(payment, account, self.plans, self.now);
            self.sources.extend(purchases);
        }
        let grants = self.grants.iter();
        let grants: Vec<_> = grants
            .filter_map(|it| Source::grant(it, self.now))
            .collect();
        self.sources.extend(grants);
    }

    fn act(&mut self) {
        let rows = &self.rows;
        let is_waived = |key: &ObjectKey| rows.iter().any(|row| row.waivers.contains(key));
        self.actions = holds::act(
            &mut self.sources,
            &self.payments,
            self.policy,
            is_waived,
            self.now,
        );
        // What nobody ever paid for takes nothing away that an admin gave.
        if self.grants.iter().any(|grant| grant.is_live(self.now)) {
            for source in &mut self.sources {
                if source.spares_grants && source.verdict != Some(Verdict::Good) {
                    source.verdict = None;
                }
            }
        }
    }

    /// Derives the state that is shown of the customer.
    pub fn derive(&self) -> Derived {
        let verdict = self.verdict();
        let courtesy = verdict.and_then(|verdict| self.courtesy_against(verdict));
        let courtesy = courtesy.is_some();
        let held = self.held(verdict.filter(|_| !courtesy));
        let deciding = Self::deciding(&held);
        let status = deciding.map_or(Status::Active, |held| held.status);
        let by_admin = deciding.is_some_and(|held| held.hold == Hold::Manual);
        let frozen_at = match status {
            Status::Frozen { at } => Some(at),
            Status::Active | Status::Suspended | Status::Expired => None,
        };
        let as_if_good = courtesy || by_admin && frozen_at.is_some();
        Derived {
            status,
            reason: deciding.and_then(|held| held.reason.clone()),
            contact: self.contact(),
            external_id: self.external_id(),
            holds: held.iter().map(|held| held.hold).collect(),
            flags: self.flags(),
            frozen_at,
            frozen_versions: frozen_at.and_then(|_| self.frozen_versions()),
            entitlements: self.entitlements(status, verdict.filter(|_| as_if_good)),
            due_at: self.due_at(),
            verdict,
            failing_since: self
                .assessments()
                .filter_map(Assessment::failing_since_if_failing)
                .min(),
            ended_at: self.ended_at(verdict),
            courtesy,
        }
    }

    /// Returns the disputes and refunds that hold the customer now.
    pub fn held_by(&self) -> BTreeSet<ObjectKey> {
        let mut keys: BTreeSet<ObjectKey> = BTreeSet::new();
        for it in &self.actions.acting {
            if it.hold == Hold::Refund {
                // By the refunds' own keys: a later one of the payment may hold it again, and the payment's
                // key is that of Paddle's dispute.
                let payment = self.payments.all.get(&it.subject);
                let refunds = payment.into_iter().flat_map(|payment| &payment.refunds);
                keys.extend(refunds.map(|refund| refund.key.clone()));
            } else {
                keys.insert(it.subject.clone());
            }
        }
        keys
    }

    /// Returns the courtesy that a reactivation at `since` (local clock) would be; `None` if
    /// billing finds the customer good.
    pub fn courtesy(&self, since: Timestamp) -> Option<Courtesy> {
        let verdict = self.verdict().filter(|verdict| *verdict != Verdict::Good)?;
        let subscriptions = self.subscriptions.iter();
        let newest = subscriptions.filter_map(|(s, _)| s.history.newest());
        let payments = self.payments.all.values().map(|it| it.history.newest);
        Some(Courtesy {
            verdict,
            newest: newest.chain(payments).max()?,
            since,
        })
    }

    pub(super) fn assessments(&self) -> impl Iterator<Item = &Assessment> {
        self.subscriptions.iter().map(|(_, assessment)| assessment)
    }

    /// Returns the verdict of the best source that counts.
    pub(super) fn verdict(&self) -> Option<Verdict> {
        self.sources
            .iter()
            .filter_map(|source| source.verdict)
            .min()
    }

    /// Returns the admin's courtesy that is in effect against a verdict.
    pub(super) fn courtesy_against(&self, verdict: Verdict) -> Option<&'a Courtesy> {
        // What buys nothing here takes no courtesy away either.
        let counting = self.sources.iter().filter(|source| source.own.is_some());
        let good_moment = counting.filter_map(|source| source.good_moment).max();
        let in_effect = |courtesy: &&Courtesy| {
            courtesy.verdict == verdict && good_moment <= Some(courtesy.newest)
        };
        let mut given = self.rows.iter().filter_map(|row| row.courtesy.as_ref());
        given.find(in_effect).filter(|_| verdict != Verdict::Good)
    }

    /// Returns the time at which the last source ended, if that is the verdict.
    fn ended_at(&self, verdict: Option<Verdict>) -> Option<Timestamp> {
        let has_ended = matches!(verdict, Some(Verdict::Kept | Verdict::Ended));
        let sources = self
            .sources
            .iter()
            .filter(|source| source.verdict == verdict);
        has_ended.then(|| sources.filter_map(|source| source.since).max())?
    }

    fn due_at(&self) -> Option<Timestamp> {
        let sources = self.sources.iter().filter_map(|source| source.due_at);
        let grants = self.grants.iter().filter_map(|grant| grant.expires_at);
        sources.chain(grants.filter(|at| *at > self.now)).min()
    }

    fn frozen_versions(&self) -> Option<Vec<PackageVersion>> {
        match self.admin_hold()? {
            AdminHold::Frozen { versions, .. } => versions.clone(),
            AdminHold::Suspended { .. } | AdminHold::Expired { .. } => None,
        }
    }

    /// Returns the prices that give something: those of good sources, and what ended ones leave.
    /// Sources of the verdict `as_if_good` give as if they were good. Prices without a plan are
    /// among them whatever the status: they grant nothing, and a flag is raised for them.
    fn entitlements(&self, status: Status, as_if_good: Option<Verdict>) -> BTreeSet<Entitlement> {
        let is_open = match status {
            Status::Active | Status::Frozen { .. } => true,
            Status::Suspended | Status::Expired => false,
        };
        let mut entitlements = BTreeSet::new();
        for source in &self.sources {
            let Some(key) = &source.key else { continue };
            let entitlement = |price: &Price, until| Entitlement {
                provider: key.scope.provider,
                price: price.price.clone(),
                plan: (price.plan(&key.scope, self.plans)).map(|(id, _)| id.clone()),
                source: key.clone(),
                until,
            };
            let none: &[Gift] = &[];
            let gives = match source.verdict {
                _ if !is_open => none,
                Some(verdict) if verdict != Verdict::Good && Some(verdict) == as_if_good => {
                    &source.as_if_good
                }
                Some(Verdict::Good | Verdict::Kept) => &source.gives,
                _ => none,
            };
            entitlements.extend(
                gives
                    .iter()
                    .map(|gift| entitlement(&gift.price, gift.until)),
            );
            let unmapped = source.unmapped.iter();
            entitlements.extend(unmapped.map(|price| entitlement(price, None)));
        }
        entitlements
    }
}

impl Assessment {
    /// Returns the start of the failure of a subscription that is failing and has not ended.
    fn failing_since_if_failing(&self) -> Option<Timestamp> {
        self.failing_since
            .filter(|_| self.standing == Standing::Failing)
    }
}

/// Puts an id before the scope that it is unique within: where keys are compared to find few among many,
/// the ids are what differs.
fn by_id(key: &ObjectKey) -> (&str, &ObjectKey) {
    (&key.id, key)
}
