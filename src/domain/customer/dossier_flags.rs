//! The flags of a customer, derived from its dossier.

use std::collections::BTreeSet;

use crate::domain::apply::working_set::{Account, Subscription};
use crate::domain::billing::assessment::Assessment;
use crate::domain::billing::fact::DisputeStage;
use crate::domain::customer::dossier::Dossier;
use crate::domain::customer::flag::{Flag, FlagKind};
use crate::domain::policy::OnFullRefund;

impl Dossier<'_> {
    pub(super) fn flags(&self) -> BTreeSet<Flag> {
        let mut flags = BTreeSet::new();
        for (subscription, assessment) in &self.subscriptions {
            flags.extend(subscription_flags(subscription, assessment));
        }
        for dispute in &self.disputes {
            let (at, stage) = dispute.history.stage;
            let open = match stage {
                DisputeStage::Warning | DisputeStage::Open => true,
                DisputeStage::Won | DisputeStage::Lost => false,
            };
            let id = &dispute.key.id;
            flags.extend(open.then(|| Flag::new(FlagKind::OpenDispute, id, at)));
            let several = dispute.history.accounts.len() > 1;
            flags.extend(several.then(|| Flag::new(FlagKind::Ambiguous, id, at)));
        }
        for refund in &self.refunds {
            let Some(at) = refund.history.newest() else {
                continue;
            };
            let id = &refund.key.id;
            let flags_it = self.policy.on_full_refund == OnFullRefund::Flag;
            let flagged = flags_it && refund.history.is_full();
            flags.extend(flagged.then(|| Flag::new(FlagKind::FullRefund, id, at)));
            let several = refund.history.accounts.len() > 1;
            flags.extend(several.then(|| Flag::new(FlagKind::Ambiguous, id, at)));
        }
        newest(self.without_cleared(flags))
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
    ambiguous.into_iter().chain(unknown).chain(cut).collect()
}
