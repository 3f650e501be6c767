//! The flags of a customer, derived from its dossier.

use std::collections::BTreeSet;

use crate::domain::apply::working_set::{Account, Dispute, Subscription};
use crate::domain::billing::assessment::Assessment;
use crate::domain::billing::fact::DisputeStage;
use crate::domain::billing::payment::Payment;
use crate::domain::billing::trace::{Traced, TracedTo};
use crate::domain::customer::dossier::Dossier;
use crate::domain::customer::flag::{Flag, FlagKind};
use crate::domain::identity::addresses::Sharers;
use crate::domain::policy::{OnDisputeLost, OnDisputeOpened, OnFullRefund};

impl Dossier<'_> {
    pub(super) fn flags(&self) -> BTreeSet<Flag> {
        let mut flags = self.actions.flags.clone();
        flags.extend(Sharers::of(self.working_set, [&self.group]).flags(&self.group));
        for (subscription, assessment) in &self.subscriptions {
            flags.extend(subscription_flags(subscription, assessment));
        }
        flags.extend(self.accounts.iter().flat_map(|it| self.feature_flags(it)));
        flags.extend(self.accounts.iter().filter_map(|it| self.seller_flag(it)));
        for (dispute, traced) in &self.payments.disputes {
            flags.extend(self.dispute_flags(dispute, traced.as_ref()));
        }
        for (refund, traced) in &self.payments.refunds {
            let Some(at) = refund.history.newest() else {
                continue;
            };
            let id = &refund.key.id;
            let is_traced = matches!(traced.as_ref().map(|it| &it.to), Some(TracedTo::Payment(_)));
            let lost = refund.history.stands() && !is_traced;
            flags.extend(lost.then(|| Flag::new(FlagKind::RefundUnlinked, id, at)));
            let several = traced.as_ref().is_some_and(|it| it.ambiguous);
            flags.extend(several.then(|| Flag::new(FlagKind::Ambiguous, id, at)));
        }
        for payment in self.payments.all.values() {
            flags.extend(self.payment_flags(payment));
        }
        let events = self.rows.iter().flat_map(|row| &row.other_bodies);
        flags.extend(events.flat_map(|(id, bodies)| bodies.flags(id)));
        newest(self.without_cleared(flags))
    }

    /// Returns the flag of an account whose subscriptions say that they are of different buyers: all of
    /// them are with the one that was named last. Decided when the latest of them began, so that
    /// later events of them do not raise it again.
    fn seller_flag(&self, account: &Account) -> Option<Flag> {
        if !self.working_set.settings.identity.is_on() {
            return None;
        }
        let counting = self.subscriptions.iter();
        let counting = counting.filter(|(_, assessment)| assessment.verdict.is_some());
        let living = counting.filter(|(it, _)| {
            it.account.as_ref() == Some(&account.key) && it.history.terminal.is_none()
        });
        let named = living.filter_map(|(it, _)| {
            let (_, id) = it.history.seller_id.as_ref()?;
            Some((id, it.history.began?))
        });
        let ids: BTreeSet<&String> = named.clone().map(|(id, _)| id).collect();
        let began = named.map(|(_, began)| began).max();
        began
            .filter(|_| ids.len() > 1)
            .map(|at| Flag::new(FlagKind::SellerIdsDiffer, &account.key.id, at))
    }

    /// Returns the flags of an account's list of features; none where packages have nothing to do with
    /// its features.
    fn feature_flags(&self, account: &Account) -> Vec<Flag> {
        let Some(current) = account.history.features.current() else {
            return Vec::new();
        };
        let matter = account.has_planned_features(self.plans);
        let kinds = [
            (current.ambiguous, FlagKind::Ambiguous),
            (current.state.incomplete, FlagKind::ItemsIncomplete),
        ];
        let kinds = kinds.into_iter().filter(|(is_open, _)| matter && *is_open);
        kinds
            .map(|(_, kind)| Flag::new(kind, &account.key.id, current.at))
            .collect()
    }

    fn dispute_flags(&self, dispute: &Dispute, traced: Option<&Traced>) -> Vec<Flag> {
        let (at, stage) = dispute.history.stage;
        let id = &dispute.key.id;
        let kind = match stage {
            DisputeStage::FraudWarning => Some(FlagKind::FraudWarning),
            DisputeStage::Warning => Some(FlagKind::OpenDispute),
            DisputeStage::Open => (self.policy.on_dispute_opened != OnDisputeOpened::Keep)
                .then_some(FlagKind::OpenDispute),
            DisputeStage::Lost => (self.policy.on_dispute_lost == OnDisputeLost::Flag)
                .then_some(FlagKind::LostDispute),
            DisputeStage::Won => None,
        };
        let several = traced
            .filter(|it| it.ambiguous)
            .map(|_| FlagKind::Ambiguous);
        let kinds = kind.into_iter().chain(several);
        kinds.map(|kind| Flag::new(kind, id, at)).collect()
    }

    fn payment_flags(&self, payment: &Payment<'_>) -> Vec<Flag> {
        let id = &payment.key.id;
        let flagged = self.policy.on_full_refund == OnFullRefund::Flag && payment.is_given_back();
        let refunded = payment.given_back_at().filter(|_| flagged);
        let refunded = refunded.map(|at| Flag::new(FlagKind::FullRefund, id, at));
        let lines = payment.history.newest;
        let cut = payment.lines_incomplete;
        let cut = cut.then(|| Flag::new(FlagKind::ItemsIncomplete, id, lines));
        refunded.into_iter().chain(cut).collect()
    }

    /// Returns the flags of a deleted customer: the usual ones, and one for each account that
    /// billing still sends events about.
    pub fn flags_of_deleted(&self) -> BTreeSet<Flag> {
        let flag = |account: &&Account| {
            let at = account.history.ignored_at?;
            Some(Flag::new(FlagKind::AccountDeleted, &account.key.id, at))
        };
        let deleted = self.accounts.iter().filter_map(flag).collect();
        let mut flags = self.without_cleared(deleted);
        flags.extend(self.flags());
        // It shares its address with nobody any more.
        flags.retain(|flag| flag.kind != FlagKind::SameEmail);
        newest(flags)
    }

    fn without_cleared(&self, mut flags: BTreeSet<Flag>) -> BTreeSet<Flag> {
        flags.retain(|flag| !self.rows.iter().any(|row| row.cleared.contains(flag)));
        flags
    }
}

/// Folds the flags of one kind and subject into the newest: the same id in two connected accounts
/// is one thing to look at.
fn newest(flags: BTreeSet<Flag>) -> BTreeSet<Flag> {
    let mut folded = BTreeSet::new();
    let mut last: Option<Flag> = None;
    // Sorted by kind, subject and instant.
    for flag in flags {
        if let Some(last) = last.take_if(|it| (it.kind, &it.subject) != (flag.kind, &flag.subject))
        {
            folded.insert(last);
        }
        last = Some(flag);
    }
    folded.extend(last);
    folded
}

fn subscription_flags(subscription: &Subscription, assessment: &Assessment) -> Vec<Flag> {
    let id = &subscription.key.id;
    let decided = assessment.decided_at.filter(|_| assessment.ambiguous);
    let ambiguous = decided.map(|at| Flag::new(FlagKind::Ambiguous, id, at));
    let unknown = subscription.history.unknown.as_ref().map(|(at, _)| *at);
    let newest = unknown.filter(|at| Some(*at) >= subscription.history.newest_known());
    let unknown = newest.map(|at| Flag::new(FlagKind::UnknownStatus, id, at));
    let state = assessment.state.as_ref();
    let cut = assessment
        .decided_at
        .filter(|_| state.is_some_and(|state| state.items_incomplete));
    let cut = cut.map(|at| Flag::new(FlagKind::ItemsIncomplete, id, at));
    let silent = assessment.silent_since.filter(|_| !assessment.is_foreign);
    let silent = silent.map(|at| Flag::new(FlagKind::Overdue, id, at));
    ambiguous
        .into_iter()
        .chain(unknown)
        .chain(cut)
        .chain(silent)
        .collect()
}
