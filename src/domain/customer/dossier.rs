//! The dossier of a customer, and the state derived from it: from histories, admin acts and the
//! policy.
//!
//! The derivation never reads what was derived before. That makes the result independent of the
//! order of events.

use std::collections::BTreeSet;

use crate::domain::access::plan::Entitlement;
use crate::domain::apply::lookup_keys::external_ids;
use crate::domain::apply::working_set::{Account, Dispute, Refund, Subscription, WorkingSet};
use crate::domain::billing::assessment::{Assessment, Standing, Verdict, assessment};
use crate::domain::billing::fact::{Contact, DisputeStage};
use crate::domain::customer::row::{
    AdminHold, Courtesy, Customer, Derived, Hold, PackageVersion, Status,
};
use crate::domain::id::ObjectKey;
use crate::domain::identity::links::Group;
use crate::domain::policy::{OnDisputeLost, OnDisputeOpened, OnEnd, OnFullRefund, OnPause, Policy};
use crate::domain::time::Timestamp;

/// One customer with everything that belongs to it.
pub struct Dossier<'a> {
    pub(super) policy: &'a Policy,
    /// The rows, the shown one first.
    pub(super) rows: Vec<&'a Customer>,
    /// The accounts, sorted by oldest provider time, then key.
    pub(super) accounts: Vec<&'a Account>,
    pub(super) subscriptions: Vec<(&'a Subscription, Assessment)>,
    pub(super) disputes: Vec<&'a Dispute>,
    pub(super) refunds: Vec<&'a Refund>,
}

/// A hold, the status that it leads to, and its reason.
pub(super) struct Held {
    pub(super) hold: Hold,
    pub(super) status: Status,
    pub(super) reason: Option<String>,
    /// The dispute or refund behind it.
    pub(super) subject: Option<ObjectKey>,
    /// The start: provider time; for an admin's hold the local clock.
    pub(super) since: Option<Timestamp>,
}

impl<'a> Dossier<'a> {
    /// Collects what belongs to a customer, with its timers as of `now`.
    pub fn new(working_set: &'a WorkingSet, group: &Group, now: Timestamp) -> Self {
        let rows = group
            .rows
            .iter()
            .filter_map(|id| working_set.customers.get(id))
            .collect();
        let accounts: Vec<_> = group
            .accounts
            .iter()
            .filter_map(|key| working_set.accounts.get(key))
            .collect();
        let find = |key: &Option<ObjectKey>| {
            let key = key.as_ref()?;
            accounts.iter().find(|account| account.key == *key)
        };
        let assess = |subscription: &'a Subscription| {
            let account = find(&subscription.account)?;
            let removed_at = account.history.removed_at;
            Some((
                subscription,
                assessment(&subscription.history, removed_at, &working_set.policy, now),
            ))
        };
        let subscriptions = working_set
            .subscriptions
            .values()
            .filter_map(assess)
            .collect();
        let disputes = working_set
            .disputes
            .values()
            .filter(|d| find(&d.account).is_some())
            .collect();
        let refunds = working_set
            .refunds
            .values()
            .filter(|r| find(&r.account).is_some())
            .collect();
        Self {
            policy: &working_set.policy,
            rows,
            accounts,
            subscriptions,
            disputes,
            refunds,
        }
    }

    /// Derives the state that is shown of the customer.
    pub fn derive(&self) -> Derived {
        let verdict = self.verdict();
        let courtesy = verdict.and_then(|verdict| self.courtesy_against(verdict));
        let courtesy = courtesy.is_some();
        let held = self.held(verdict.filter(|_| !courtesy));
        let deciding = deciding(&held);
        let status = deciding.map_or(Status::Active, |held| held.status);
        let frozen_at = match status {
            Status::Frozen { at } => Some(at),
            Status::Active | Status::Suspended | Status::Expired => None,
        };
        Derived {
            status,
            reason: deciding.and_then(|held| held.reason.clone()),
            contact: self.contact(),
            external_id: self.external_id(),
            holds: held.iter().map(|held| held.hold).collect(),
            flags: self.flags(),
            frozen_at,
            frozen_versions: frozen_at.and_then(|_| self.frozen_versions()),
            entitlements: self.entitlements(verdict, frozen_at.is_some() || courtesy),
            due_at: self.assessments().filter_map(|s| s.due_at).min(),
            verdict,
            failing_since: self
                .assessments()
                .filter_map(Assessment::failing_since_if_failing)
                .min(),
            ended_at: self.ended_at(verdict),
            courtesy,
        }
    }

    /// Returns the disputes and the parts of refunds that hold the customer now. A transaction of
    /// Paddle's can be both disputed and refunded, so a refund is named by its adjustments.
    pub fn held_by(&self) -> BTreeSet<ObjectKey> {
        let disputes = self
            .disputes
            .iter()
            .filter(|d| self.dispute_hold(d).is_some());
        let refunds = self
            .refunds
            .iter()
            .filter(|r| self.refund_hold(r).is_some());
        let disputes = disputes.map(|dispute| dispute.key.clone());
        disputes
            .chain(refunds.flat_map(|refund| refund.history.parts.keys().cloned()))
            .collect()
    }

    /// Returns the courtesy that a reactivation at `since` (local clock) would be; `None` if
    /// billing finds the customer good.
    pub fn courtesy(&self, since: Timestamp) -> Option<Courtesy> {
        let verdict = self.verdict().filter(|verdict| *verdict != Verdict::Good)?;
        let newest = self
            .subscriptions
            .iter()
            .filter_map(|(s, _)| s.history.newest())
            .max()?;
        Some(Courtesy {
            verdict,
            newest,
            since,
        })
    }

    pub(super) fn assessments(&self) -> impl Iterator<Item = &Assessment> {
        self.subscriptions.iter().map(|(_, assessment)| assessment)
    }

    /// Returns the best verdict of the subscriptions that count.
    pub(super) fn verdict(&self) -> Option<Verdict> {
        self.assessments()
            .filter_map(|assessment| assessment.verdict)
            .min()
    }

    /// Returns the admin's courtesy that is in effect against a verdict.
    pub(super) fn courtesy_against(&self, verdict: Verdict) -> Option<&'a Courtesy> {
        let good_moment = self
            .assessments()
            .filter_map(|assessment| assessment.good_moment)
            .max();
        let in_effect = |courtesy: &&Courtesy| {
            courtesy.verdict == verdict && good_moment <= Some(courtesy.newest)
        };
        let mut given = self.rows.iter().filter_map(|row| row.courtesy.as_ref());
        given.find(in_effect).filter(|_| verdict != Verdict::Good)
    }

    /// Returns the admin's hold: the last of those on the customer's rows, and the strictest of one
    /// moment.
    pub(super) fn admin_hold(&self) -> Option<&'a AdminHold> {
        let holds = self.rows.iter().filter_map(|row| row.hold.as_ref());
        holds.max_by_key(|hold| (hold.since(), manual(hold).status))
    }

    /// Returns everything that holds the customer.
    pub(super) fn held(&self, verdict: Option<Verdict>) -> Vec<Held> {
        let mut held: Vec<Held> = self.admin_hold().map(manual).into_iter().collect();
        held.extend(verdict.and_then(|verdict| self.billing_hold(verdict)));
        held.extend(
            self.disputes
                .iter()
                .filter_map(|dispute| self.dispute_hold(dispute)),
        );
        held.extend(
            self.refunds
                .iter()
                .filter_map(|refund| self.refund_hold(refund)),
        );
        held
    }

    fn billing_hold(&self, verdict: Verdict) -> Option<Held> {
        let paused = self
            .assessments()
            .filter(|s| s.verdict == Some(Verdict::Paused));
        let paused_since = paused.filter_map(|s| s.paused_since).max();
        let failing = self
            .assessments()
            .filter(|s| s.verdict == Some(Verdict::Failing));
        let failing_since = failing.filter_map(|s| s.failing_since).min();
        let ended_at = self.ended_at(Some(verdict));
        let (status, reason, since) = match (verdict, self.policy.on_pause, self.policy.on_end) {
            (Verdict::Good, _, _) => return None,
            (Verdict::Failing, _, _) => (Status::Suspended, "payment_failed", failing_since),
            (Verdict::Paused, OnPause::Freeze, _) => {
                let status = Status::Frozen { at: paused_since? };
                (status, "subscription_paused", paused_since)
            }
            (Verdict::Paused, OnPause::Suspend | OnPause::Keep, _) => {
                (Status::Suspended, "subscription_paused", paused_since)
            }
            (Verdict::Ended, _, OnEnd::Freeze) => {
                let status = Status::Frozen { at: ended_at? };
                (status, "subscription_ended", ended_at)
            }
            (Verdict::Ended, _, OnEnd::Expire) => (Status::Expired, "subscription_ended", ended_at),
        };
        Some(Held {
            hold: Hold::Billing,
            status,
            reason: Some(reason.to_owned()),
            subject: None,
            since,
        })
    }

    fn dispute_hold(&self, dispute: &Dispute) -> Option<Held> {
        let (status, reason) = match dispute.history.stage.1 {
            DisputeStage::Open => match self.policy.on_dispute_opened {
                OnDisputeOpened::Suspend => (Status::Suspended, "dispute_open"),
                OnDisputeOpened::Flag => return None,
            },
            DisputeStage::Lost => match self.policy.on_dispute_lost {
                OnDisputeLost::Suspend => (Status::Suspended, "dispute_lost"),
                OnDisputeLost::Expire => (Status::Expired, "dispute_lost"),
                OnDisputeLost::Keep => return None,
            },
            DisputeStage::Warning | DisputeStage::Won => return None,
        };
        let held = Held {
            hold: Hold::Dispute,
            status,
            reason: Some(reason.to_owned()),
            subject: Some(dispute.key.clone()),
            since: Some(dispute.history.stage.0),
        };
        (!self.is_waived(&dispute.key)).then_some(held)
    }

    fn refund_hold(&self, refund: &Refund) -> Option<Held> {
        let expires = match self.policy.on_full_refund {
            OnFullRefund::Expire => refund.history.is_full(),
            OnFullRefund::Flag | OnFullRefund::Keep => false,
        };
        let reason = Some("full_refund".to_owned());
        let held = Held {
            hold: Hold::Refund,
            status: Status::Expired,
            reason,
            subject: Some(refund.key.clone()),
            since: refund.history.newest(),
        };
        let waived = refund.history.parts.keys().all(|part| self.is_waived(part));
        (expires && !waived).then_some(held)
    }

    fn is_waived(&self, key: &ObjectKey) -> bool {
        self.rows.iter().any(|row| row.waivers.contains(key))
    }

    /// Returns the time at which the last subscription ended, if that is the verdict.
    fn ended_at(&self, verdict: Option<Verdict>) -> Option<Timestamp> {
        let ended = self
            .assessments()
            .filter(|assessment| assessment.verdict == Some(Verdict::Ended));
        (verdict == Some(Verdict::Ended)).then(|| ended.filter_map(|s| s.ended_at).max())?
    }

    fn frozen_versions(&self) -> Option<Vec<PackageVersion>> {
        match self.admin_hold()? {
            AdminHold::Frozen { versions, .. } => versions.clone(),
            AdminHold::Suspended { .. } | AdminHold::Expired { .. } => None,
        }
    }

    /// Returns the prices that count: those of the good subscriptions. For a customer that is
    /// frozen or has a courtesy, and has no good subscription, those of the best ones.
    fn entitlements(
        &self,
        verdict: Option<Verdict>,
        though_not_good: bool,
    ) -> BTreeSet<Entitlement> {
        let counts = verdict.filter(|verdict| *verdict == Verdict::Good || though_not_good);
        let counting = |(_, assessment): &&(&Subscription, Assessment)| {
            counts.is_some() && assessment.verdict == counts
        };
        let mut entitlements = BTreeSet::new();
        for (subscription, assessment) in self.subscriptions.iter().filter(counting) {
            for item in assessment.items() {
                entitlements.insert(Entitlement {
                    provider: subscription.key.scope.provider,
                    price: item.price.clone(),
                    product: item.product.clone(),
                    subscription: subscription.key.clone(),
                });
            }
        }
        entitlements
    }

    /// Returns the contact: each field as the admin set it, else from the first account that has
    /// it.
    fn contact(&self) -> Contact {
        let contacts: Vec<Contact> = self.accounts.iter().map(|a| a.history.contact()).collect();
        let mut shown = Contact::default();
        for profile in self.rows.iter().map(|row| &row.profile) {
            shown.email = shown.email.or_else(|| profile.email.clone());
            shown.name = shown.name.or_else(|| profile.name.clone());
            shown.phone = shown.phone.or_else(|| profile.phone.clone());
            shown.address = shown.address.or_else(|| profile.address.clone());
        }
        for contact in contacts {
            shown.email = shown.email.or(contact.email);
            shown.name = shown.name.or(contact.name);
            shown.phone = shown.phone.or(contact.phone);
            shown.address = shown.address.or(contact.address);
        }
        shown
    }

    fn external_id(&self) -> Option<String> {
        let admins = self
            .rows
            .iter()
            .find_map(|row| row.profile.external_id.clone());
        let account = self
            .accounts
            .first()
            .map(|account| external_ids(&account.key));
        admins.or_else(|| account.map(|[prefixed, _]| prefixed))
    }
}

/// Returns the hold that an admin's hold amounts to.
fn manual(hold: &AdminHold) -> Held {
    let (status, reason) = match hold {
        AdminHold::Suspended { reason, .. } => (Status::Suspended, reason.clone()),
        AdminHold::Expired { reason, .. } => (Status::Expired, reason.clone()),
        AdminHold::Frozen { at, .. } => (Status::Frozen { at: *at }, None),
    };
    Held {
        hold: Hold::Manual,
        status,
        reason,
        subject: None,
        since: Some(hold.since()),
    }
}

/// Returns the hold that decides the status: the admin's, else the strictest.
pub(super) fn deciding(held: &[Held]) -> Option<&Held> {
    let manual = held.iter().find(|held| held.hold == Hold::Manual);
    let reason = |held: &Held| std::cmp::Reverse(held.reason.clone());
    manual.or_else(|| held.iter().max_by_key(|held| (held.status, reason(held))))
}

impl Assessment {
    /// Returns the start of the failure of a subscription that is failing and has not ended.
    fn failing_since_if_failing(&self) -> Option<Timestamp> {
        self.failing_since
            .filter(|_| self.standing == Standing::Failing)
    }
}
