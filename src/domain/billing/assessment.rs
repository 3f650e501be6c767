//! How one subscription stands: its state, its class, and the times that follow from it.
//!
//! All times here are the provider's, except that `now` runs the timers. A timer gives its due
//! time, never the time at which it ran, so a worker that was away changes nothing.

use serde::{Deserialize, Serialize};

use crate::domain::billing::fact::{Item, SubscriptionState, SubscriptionStatus};
use crate::domain::billing::history::{Mark, SubscriptionHistory};
use crate::domain::id::ObjectKey;
use crate::domain::policy::{OnCollectionPause, OnPause, OnPaymentFailed, Policy};
use crate::domain::time::Timestamp;
use crate::domain::words::words;

/// How one subscription stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assessment {
    /// The state that its newest facts ended in; `None` while no known status was seen.
    pub state: Option<SubscriptionState>,
    /// The instant of these facts.
    pub decided_at: Option<Timestamp>,
    /// The facts allowed another state too; the one with least access was taken.
    pub ambiguous: bool,
    /// What kind of standing it is.
    pub standing: Standing,
    /// How it counts for its customer under the policy; `None` if it does not.
    pub verdict: Option<Verdict>,
    /// When the failure began that has not been healed.
    pub failing_since: Option<Timestamp>,
    /// When it was paused, if it is.
    pub paused_since: Option<Timestamp>,
    /// When it ended, if it has.
    pub ended_at: Option<Timestamp>,
    /// The newest moment at which it was known to be good.
    pub good_moment: Option<Timestamp>,
    /// When a timer changes this, if nothing happens before.
    pub due_at: Option<Timestamp>,
}

/// Kinds of standing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Running and paid.
    Good,
    /// A payment failed; may still be within its grace.
    Failing,
    /// Paused.
    Paused,
    /// The first payment is outstanding: grants nothing, harms nothing.
    Pending,
    /// Over.
    Ended,
    /// Only payments, or only statuses that this version does not know: counts for nothing.
    Unknown,
}

words!(Standing, all {
    Good = "good",
    Failing = "failing",
    Paused = "paused",
    Pending = "pending",
    Ended = "ended",
    Unknown = "unknown",
});

/// What billing says of a subscription or of a customer, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Access.
    Good,
    /// A payment failed, and there is no grace left.
    Failing,
    /// Paused.
    Paused,
    /// Over.
    Ended,
}

words!(Verdict, all {
    Good = "good",
    Failing = "failing",
    Paused = "paused",
    Ended = "ended",
});

/// Works out how a subscription stands. `removed_at` is when its account was deleted at the
/// provider, whether the subscription was known by then or not.
pub fn assessment(
    kept: &SubscriptionHistory,
    removed_at: Option<Timestamp>,
    policy: &Policy,
    now: Timestamp,
) -> Assessment {
    let run = Run::along(kept);
    let mut assessment = Assessment {
        state: None,
        decided_at: None,
        ambiguous: false,
        standing: Standing::Unknown,
        verdict: None,
        failing_since: None,
        paused_since: None,
        ended_at: None,
        good_moment: run.good_moment,
        due_at: None,
    };
    if let Some((state, ended_at, at)) = terminal(kept) {
        assessment.end(removed_at.map_or(ended_at, |removed| removed.min(ended_at)));
        assessment.decided_at = Some(at);
        assessment.state = Some(state);
    } else if let Some(decision) = kept.recent.decide() {
        assessment.decided_at = Some(decision.at);
        assessment.ambiguous = decision.ambiguous;
        match removed_at {
            Some(removed) => assessment.end(removed),
            None => assessment.judge(&decision.state, decision.at, &run, policy, now),
        }
        assessment.state = Some(decision.state);
    }
    if assessment.standing == Standing::Ended && !ever_began(kept, assessment.state.as_ref()) {
        assessment.verdict = None;
    }
    assessment
}

/// The terminal state, when it ended, and the instant that decided it.
fn terminal(kept: &SubscriptionHistory) -> Option<(SubscriptionState, Timestamp, Timestamp)> {
    use crate::domain::billing::tie_break::TieBreak as _;
    let terminal = kept.terminal.as_ref()?;
    let (state, _) = terminal.states.iter().min_by(|a, b| a.0.by_access(&b.0))?;
    let same = terminal.states.iter().filter(|(other, _)| other == state);
    let ended_at = same.filter_map(|(_, ended_at)| *ended_at).min();
    Some((state.clone(), ended_at.unwrap_or(terminal.at), terminal.at))
}

/// Who pays: the account of the deciding fact, else the one that the newest fact names which
/// names any.
pub fn payer(kept: &SubscriptionHistory) -> Option<ObjectKey> {
    let deciding = match terminal(kept) {
        Some((state, _, _)) => Some(state),
        None => kept.recent.decide().map(|decision| decision.state),
    };
    let named = || kept.payer.as_ref().map(|(_, account)| account.clone());
    deciding.and_then(|state| state.account).or_else(named)
}

/// Whether an ended subscription had ever begun. One whose first payment never came takes
/// nothing away by ending; a cancellation that nothing else is known of does.
fn ever_began(kept: &SubscriptionHistory, state: Option<&SubscriptionState>) -> bool {
    let expired = state.is_some_and(|s| s.status == SubscriptionStatus::IncompleteExpired);
    !expired && (kept.seen_access || !kept.seen_pending)
}

/// What the trail says: a walk over payments and statuses since the subscription was last good.
#[derive(Default)]
struct Run {
    failing_since: Option<Timestamp>,
    paused_since: Option<Timestamp>,
    last_success: Option<Timestamp>,
    good_moment: Option<Timestamp>,
}

impl Run {
    fn along(kept: &SubscriptionHistory) -> Self {
        let mut run = Self {
            good_moment: kept.good_at,
            ..Self::default()
        };
        let mut given_up = false;
        for (at, mark) in &kept.trail {
            match mark {
                Mark::Failure => run.fail(*at),
                Mark::Success => {
                    run.last_success = Some(*at);
                    if !given_up {
                        run.failing_since = None;
                        run.good_moment = run.good_moment.max(Some(*at));
                    }
                }
                Mark::PastDue => {
                    given_up = false;
                    run.paused_since = None;
                    run.fail(*at);
                }
                Mark::Unpaid => {
                    given_up = true;
                    run.paused_since = None;
                    run.fail(*at);
                }
                Mark::Paused => {
                    given_up = false;
                    run.paused_since = run.paused_since.or(Some(*at));
                }
            }
        }
        run
    }

    fn fail(&mut self, at: Timestamp) {
        self.failing_since = self.failing_since.or(Some(at));
    }
}

impl Assessment {
    fn end(&mut self, at: Timestamp) {
        self.standing = Standing::Ended;
        self.verdict = Some(Verdict::Ended);
        self.ended_at = Some(at);
        self.due_at = None;
    }

    /// Class and times of a subscription that is not over by its status.
    fn judge(
        &mut self,
        state: &SubscriptionState,
        at: Timestamp,
        run: &Run,
        policy: &Policy,
        now: Timestamp,
    ) {
        let collection_paused =
            state.collection_paused && policy.on_collection_pause == OnCollectionPause::Suspend;
        let unpaid = state.status == SubscriptionStatus::Unpaid;
        let overdue = state.status == SubscriptionStatus::PastDue && run.last_success <= Some(at);
        if state.status == SubscriptionStatus::Incomplete {
            self.standing = Standing::Pending;
        } else if state.status == SubscriptionStatus::Paused || collection_paused {
            self.pause(run.paused_since.unwrap_or(at), policy);
        } else if unpaid || overdue || run.failing_since.is_some() {
            let since = run.failing_since.unwrap_or(at);
            self.fail(since, unpaid, state.cancel_at, policy, now);
        } else {
            self.standing = Standing::Good;
            self.good_until(state.cancel_at, now);
        }
    }

    fn pause(&mut self, since: Timestamp, policy: &Policy) {
        self.standing = Standing::Paused;
        self.paused_since = Some(since);
        self.verdict = Some(match policy.on_pause {
            OnPause::Keep => Verdict::Good,
            OnPause::Suspend | OnPause::Freeze => Verdict::Paused,
        });
    }

    /// Good until the grace is over, unless the provider has given up; ended when the failure
    /// has lasted too long.
    fn fail(
        &mut self,
        since: Timestamp,
        given_up: bool,
        cancel_at: Option<Timestamp>,
        policy: &Policy,
        now: Timestamp,
    ) {
        self.failing_since = Some(since);
        let end = policy.end_after.after(since);
        if policy.end_after.has_passed(since, now) {
            return self.end(end);
        }
        let grace_end = if given_up {
            since
        } else {
            policy.suspend_after.after(since)
        };
        let in_grace = !given_up && !policy.suspend_after.has_passed(since, now);
        // What ended as scheduled while it was good stays ended when the grace is over.
        self.good_until(cancel_at.filter(|cancel| *cancel < grace_end), now);
        if self.standing == Standing::Ended {
            return;
        }
        self.standing = Standing::Failing;
        let keep = policy.on_payment_failed == OnPaymentFailed::Keep;
        self.verdict = Some(if in_grace || keep {
            Verdict::Good
        } else {
            Verdict::Failing
        });
        let grace_due = Some(grace_end).filter(|_| in_grace);
        self.due_at = [self.due_at, grace_due, Some(end)]
            .into_iter()
            .flatten()
            .min();
    }

    /// Good until the scheduled end.
    fn good_until(&mut self, cancel_at: Option<Timestamp>, now: Timestamp) {
        match cancel_at {
            Some(cancel) if cancel <= now => self.end(cancel),
            due => {
                self.verdict = Some(Verdict::Good);
                self.due_at = due;
            }
        }
    }

    /// The bought items; none while no state is known.
    pub fn items(&self) -> &[Item] {
        self.state.as_ref().map_or(&[], |state| &state.items)
    }
}

/// A subscription as it is shown and compared: what its customer or an admin would notice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionView {
    /// The account that pays.
    pub account: Option<ObjectKey>,
    /// The provider's word; `None` while no known status was seen.
    pub status: Option<SubscriptionStatus>,
    /// How it stands.
    #[serde(rename = "class")]
    pub standing: Standing,
    /// What is bought.
    pub items: Vec<Item>,
    /// End of the paid period.
    #[serde(default, with = "crate::domain::time::rfc3339::option")]
    pub period_end: Option<Timestamp>,
    /// When it is scheduled to end.
    #[serde(default, with = "crate::domain::time::rfc3339::option")]
    pub cancel_at: Option<Timestamp>,
    /// Collection of payments is paused.
    pub collection_paused: bool,
    /// When the failure began that has not been healed.
    #[serde(default, with = "crate::domain::time::rfc3339::option")]
    pub failing_since: Option<Timestamp>,
    /// When it ended.
    #[serde(default, with = "crate::domain::time::rfc3339::option")]
    pub ended_at: Option<Timestamp>,
}

impl SubscriptionView {
    /// The view of a standing.
    pub fn new(assessment: &Assessment, account: Option<&ObjectKey>) -> Self {
        let state = assessment.state.as_ref();
        Self {
            account: account.cloned(),
            status: state.map(|s| s.status.clone()),
            standing: assessment.standing,
            items: assessment.items().to_vec(),
            period_end: state.and_then(|s| s.period_end),
            cancel_at: state.and_then(|s| s.cancel_at),
            collection_paused: state.is_some_and(|s| s.collection_paused),
            failing_since: assessment.failing_since,
            ended_at: assessment.ended_at,
        }
    }
}
