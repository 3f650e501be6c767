//! Disputes and refunds: how they act on the sources whose money they are about.

use std::collections::BTreeSet;

use crate::domain::apply::payments::Payments;
use crate::domain::billing::assessment::Verdict;
use crate::domain::billing::fact::DisputeStage;
use crate::domain::billing::payment::Payment;
use crate::domain::billing::trace::{Traced, TracedTo};
use crate::domain::customer::flag::{Flag, FlagKind};
use crate::domain::customer::row::Hold;
use crate::domain::customer::source::{Source, SourceKind};
use crate::domain::id::ObjectKey;
use crate::domain::policy::{OnDisputeLost, OnDisputeOpened, OnFullRefund, Policy};
use crate::domain::time::Timestamp;

/// A dispute or refund that acts on a source.
#[derive(Clone, Debug)]
pub(super) struct Acting {
    /// The source, by its place in the dossier.
    pub(super) source: usize,
    pub(super) hold: Hold,
    pub(super) reason: &'static str,
    /// The dispute, or the document of the payment that was refunded.
    pub(super) subject: ObjectKey,
    /// The instant that decided it.
    pub(super) since: Timestamp,
    effect: Effect,
}

impl Acting {
    /// Returns the verdict that it leads to by itself.
    pub(super) fn verdict(&self) -> Verdict {
        match self.effect {
            Effect::Suspend => Verdict::Held,
            Effect::Expire => Verdict::Ended,
        }
    }

    /// True if it ends its source; otherwise it holds it.
    pub(super) fn expires(&self) -> bool {
        self.effect == Effect::Expire
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Suspend,
    Expire,
}

/// What acts, and what no longer does.
#[derive(Default)]
pub(super) struct Actions {
    pub(super) acting: Vec<Acting>,
    /// Flags of holds that ended because a later payment counts.
    pub(super) flags: BTreeSet<Flag>,
}

/// Lets disputes and refunds act on the sources that they are about, except for those that an admin
/// waived.
pub(super) fn act(
    sources: &mut [Source],
    payments: &Payments<'_>,
    policy: &Policy,
    is_waived: impl Fn(&ObjectKey) -> bool,
    now: Timestamp,
) -> Actions {
    let mut actions = Actions::default();
    for (dispute, traced) in &payments.disputes {
        let (since, stage) = dispute.history.stage;
        let Some((effect, reason)) = effect_of_dispute(stage, policy) else {
            continue;
        };
        if is_waived(&dispute.key) {
            continue;
        }
        let about = about(sources, payments, traced.as_ref(), dispute.history.oldest);
        let is_mapped = |place: &usize| sources[*place].verdict.is_some();
        let takes_nothing = traced.is_some() && !about.iter().any(is_mapped);
        if takes_nothing && stage == DisputeStage::Lost {
            // The money of something that gives nothing here: nothing can be taken, but it was lost.
            let flag = Flag::new(FlagKind::LostDispute, &dispute.key.id, since);
            actions.flags.insert(flag);
        }
        for source in about {
            if sources[source].paid_at > Some(dispute.history.oldest) {
                let kind = FlagKind::PaidThoughHeld;
                actions
                    .flags
                    .insert(Flag::new(kind, &dispute.key.id, since));
                continue;
            }
            actions.acting.push(Acting {
                source,
                hold: Hold::Dispute,
                reason,
                subject: dispute.key.clone(),
                since,
                effect,
            });
        }
    }
    for payment in payments.all.values().filter(|it| it.is_given_back()) {
        if !payment.refunds.iter().all(|refund| is_waived(refund.key)) {
            act_on_refund(&mut actions, sources, payments, payment, policy, now);
        }
    }
    // What ends a source comes last: nothing holds it then.
    for effect in [Effect::Suspend, Effect::Expire] {
        actions.acting.retain(|it| {
            it.effect != effect
                || match effect {
                    Effect::Suspend => sources[it.source].hold(),
                    Effect::Expire => sources[it.source].expire(),
                }
        });
    }
    actions
}

fn effect_of_dispute(stage: DisputeStage, policy: &Policy) -> Option<(Effect, &'static str)> {
    match stage {
        DisputeStage::Open => match policy.on_dispute_opened {
            OnDisputeOpened::Suspend => Some((Effect::Suspend, "dispute_open")),
            OnDisputeOpened::Expire => Some((Effect::Expire, "dispute_open")),
            OnDisputeOpened::Flag | OnDisputeOpened::Keep => None,
        },
        DisputeStage::Lost => match policy.on_dispute_lost {
            OnDisputeLost::Suspend => Some((Effect::Suspend, "dispute_lost")),
            OnDisputeLost::Expire => Some((Effect::Expire, "dispute_lost")),
            OnDisputeLost::Flag | OnDisputeLost::Keep => None,
        },
        DisputeStage::FraudWarning | DisputeStage::Warning | DisputeStage::Won => None,
    }
}

/// Ends the subscription of a payment that was refunded in full, if the policy says so, no later
/// payment of it counts, and none covers today. A purchase has ended by itself.
///
/// The caller leaves out those whose refunds are waived, by the refunds' own keys: Paddle's dispute has the
/// key of its payment, and whoever waived that has not waived what is given back later.
fn act_on_refund(
    actions: &mut Actions,
    sources: &mut [Source],
    payments: &Payments<'_>,
    payment: &Payment<'_>,
    policy: &Policy,
    now: Timestamp,
) {
    let (Some(paid), Some(refunded_at)) = (payment.paid(), payment.given_back_at()) else {
        return;
    };
    if policy.on_full_refund != OnFullRefund::Expire {
        return;
    }
    let traced = Traced {
        to: TracedTo::Payment(payment.key.clone()),
        ambiguous: false,
    };
    for place in about(sources, payments, Some(&traced), refunded_at) {
        let source = &mut sources[place];
        if source.kind != SourceKind::Subscription {
            continue;
        }
        // An old month that was given back as a goodwill gesture expires nobody, and neither does an extra
        // while what another payment covers goes on, and its renewal may still come.
        let covered = source.paid_until.filter(|until| *until > refunded_at);
        let renewed_by = covered.map(|until| policy.silence_after.after(until));
        let kind = if source.paid_at > Some(refunded_at) {
            FlagKind::PaidThoughHeld
        } else if source.paid_at > Some(paid.at) {
            FlagKind::FullRefund
        } else if let Some(end) = renewed_by.filter(|end| *end > now) {
            source.due_at = source.due_at.into_iter().chain([end]).min();
            FlagKind::FullRefund
        } else {
            actions.acting.push(Acting {
                source: place,
                hold: Hold::Refund,
                reason: "full_refund",
                subject: payment.key.clone(),
                since: renewed_by.unwrap_or(refunded_at),
                effect: Effect::Expire,
            });
            continue;
        };
        let flag = Flag::new(kind, &payment.key.id, refunded_at);
        actions.flags.insert(flag);
    }
}

/// Returns the places of the sources that a dispute or refund is about: those of its payment, else
/// the subscription that it names, else all of its account that are older than it. Never those of
/// another account, although it may be the same customer's: whoever buys under somebody's address
/// and disputes takes nothing of theirs.
fn about(
    sources: &[Source],
    payments: &Payments<'_>,
    traced: Option<&Traced>,
    oldest: Timestamp,
) -> Vec<usize> {
    let is_about = |source: &Source| match traced.map(|it| &it.to) {
        Some(TracedTo::Payment(key)) => match source.kind {
            SourceKind::Purchase => source.key.as_ref() == Some(key),
            SourceKind::Subscription => payments.all.get(key).is_some_and(|payment| {
                payment.pays_for_subscription() && payment.subscription() == source.key.as_ref()
            }),
            SourceKind::Grant => false,
        },
        Some(TracedTo::Subscription(key)) => source.key.as_ref() == Some(key),
        Some(TracedTo::Account(key)) => {
            source.account.as_ref() == Some(key) && source.began < Some(oldest)
        }
        None => false,
    };
    let all = sources.iter().enumerate();
    all.filter(|(_, source)| is_about(source) && source.key.is_some())
        .map(|(place, _)| place)
        .collect()
}
