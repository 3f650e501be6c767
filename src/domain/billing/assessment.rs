//! The assessment of one subscription: its state, its standing, and the times that follow from it.
//!
//! All times here are the provider's; only timers are compared with the local `now`. A timer
//! results in its due time, never in the time at which it ran, so it does not matter if a worker
//! was away.

use serde::{Deserialize, Serialize};

use crate::domain::billing::fact::{Item, SubscriptionState, SubscriptionStatus};
use crate::domain::billing::history::{Mark, SubscriptionHistory};
use crate::domain::id::ObjectKey;
use crate::domain::policy::{OnCollectionPause, OnPause, OnPaymentFailed, Policy};
use crate::domain::time::Timestamp;
use crate::domain::words::words;

/// The assessment of one subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assessment {
    /// The state that its newest facts result in; `None` while no known status was seen.
    pub state: Option<SubscriptionState>,
    /// The instant of these facts.
    pub decided_at: Option<Timestamp>,
    /// True if the facts allow another state too; the one with the least access was chosen.
    pub ambiguous: bool,
    /// The standing: good, failing, paused, pending or ended.
    pub standing: Standing,
    /// The verdict for its customer under the policy; `None` if the subscription does not count.
    pub verdict: Option<Verdict>,
    /// The start of the current failure.
    pub failing_since: Option<Timestamp>,
    /// The start of the current pause.
    pub paused_since: Option<Timestamp>,
    /// The time of its end.
    pub ended_at: Option<Timestamp>,
    /// The newest instant at which it was known to be good.
    pub good_moment: Option<Timestamp>,
    /// The next time at which a timer changes the assessment, if no event comes before.
    pub due_at: Option<Timestamp>,
}

/// The class of a subscription: where it stands with billing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Running and paid.
    Good,
    /// A payment failed; the subscription may still be within its grace.
    Failing,
    /// The subscription is paused.
    Paused,
    /// The first payment is outstanding: it grants nothing and takes nothing away.
    Pending,
    /// The subscription has ended.
    Ended,
    /// Only payments were seen, or only statuses that this version does not know: it does not
    /// count.
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

/// The result of billing for a subscription or a customer, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Access as bought.
    Good,
    /// A payment failed, and the grace is over.
    Failing,
    /// The subscription is paused.
    Paused,
    /// The subscription has ended.
    Ended,
}

words!(Verdict, all {
    Good = "good",
    Failing = "failing",
    Paused = "paused",
    Ended = "ended",
});

/// Assesses a subscription. `removed_at` is the time at which the provider deleted its account,
/// even if the subscription became known only later.
pub fn assessment(
    history: &SubscriptionHistory,
    removed_at: Option<Timestamp>,
    policy: &Policy,
    now: Timestamp,
) -> Assessment {
    let run = Run::along(history);
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
    if let Some((state, ended_at, at)) = terminal(history) {
        assessment.end(removed_at.map_or(ended_at, |removed| removed.min(ended_at)));
        assessment.decided_at = Some(at);
        assessment.state = Some(state);
    } else if let Some(decision) = history.recent.decide() {
        assessment.decided_at = Some(decision.at);
        assessment.ambiguous = decision.ambiguous;
        match removed_at {
            Some(removed) => assessment.end(removed),
            None => assessment.judge(&decision.state, decision.at, &run, policy, now),
        }
        assessment.state = Some(decision.state);
    }
    if assessment.standing == Standing::Ended && !ever_began(history, assessment.state.as_ref()) {
        assessment.verdict = None;
    }
    assessment
}

/// Returns the terminal state, the time of the end, and the instant that decided it.
fn terminal(history: &SubscriptionHistory) -> Option<(SubscriptionState, Timestamp, Timestamp)> {
    use crate::domain::billing::tie_break::TieBreak as _;
    let terminal = history.terminal.as_ref()?;
    let (state, _) = terminal.states.iter().min_by(|a, b| a.0.by_access(&b.0))?;
    let same = terminal.states.iter().filter(|(other, _)| other == state);
    let ended_at = same.filter_map(|(_, ended_at)| *ended_at).min();
    Some((state.clone(), ended_at.unwrap_or(terminal.at), terminal.at))
}

/// Returns the account that pays: that of the deciding fact, or else that of the newest fact that
/// names one.
pub fn payer(history: &SubscriptionHistory) -> Option<ObjectKey> {
    let deciding = match terminal(history) {
        Some((state, _, _)) => Some(state),
        None => history.recent.decide().map(|decision| decision.state),
    };
    let named = || history.payer.as_ref().map(|(_, account)| account.clone());
    deciding.and_then(|state| state.account).or_else(named)
}

/// Reports whether an ended subscription had ever begun. One whose first payment never came takes
/// nothing away by ending; a cancellation without any other known fact does.
fn ever_began(history: &SubscriptionHistory, state: Option<&SubscriptionState>) -> bool {
    let expired = state.is_some_and(|s| s.status == SubscriptionStatus::IncompleteExpired);
    !expired && (history.seen_access || !history.seen_pending)
}

/// The summary of the trail: payments and statuses since the subscription was last good.
#[derive(Default)]
struct Run {
    failing_since: Option<Timestamp>,
    paused_since: Option<Timestamp>,
    last_success: Option<Timestamp>,
    good_moment: Option<Timestamp>,
}

impl Run {
    fn along(history: &SubscriptionHistory) -> Self {
        let mut run = Self {
            good_moment: history.good_at,
            ..Self::default()
        };
        let mut given_up = false;
        for (at, mark) in &history.trail {
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

    /// Sets standing and times of a subscription that has not ended by its status.
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

    /// Sets a failing subscription: good until the grace is over, unless the provider has given up;
    /// ended when the failure has lasted too long.
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
        // A subscription that ended as scheduled while it was good stays ended when the grace is
        // over.
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

    /// Sets a subscription that is good until its scheduled end.
    fn good_until(&mut self, cancel_at: Option<Timestamp>, now: Timestamp) {
        match cancel_at {
            Some(cancel) if cancel <= now => self.end(cancel),
            due => {
                self.verdict = Some(Verdict::Good);
                self.due_at = due;
            }
        }
    }

    /// Returns the bought items; none while no state is known.
    pub fn items(&self) -> &[Item] {
        self.state.as_ref().map_or(&[], |state| &state.items)
    }
}

/// A subscription as it is shown and compared: what its customer or an admin would notice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionView {
    /// The account that pays.
    pub account: Option<ObjectKey>,
    /// The provider's status; `None` while no known status was seen.
    pub status: Option<SubscriptionStatus>,
    /// The standing of the subscription.
    #[serde(rename = "class")]
    pub standing: Standing,
    /// The bought items.
    pub items: Vec<Item>,
    /// End of the paid period.
    #[serde(default, with = "crate::domain::time::rfc3339::option")]
    pub period_end: Option<Timestamp>,
    /// The time of its scheduled end.
    #[serde(default, with = "crate::domain::time::rfc3339::option")]
    pub cancel_at: Option<Timestamp>,
    /// True if the collection of payments is paused.
    pub collection_paused: bool,
    /// The start of the current failure.
    #[serde(default, with = "crate::domain::time::rfc3339::option")]
    pub failing_since: Option<Timestamp>,
    /// The time of its end.
    #[serde(default, with = "crate::domain::time::rfc3339::option")]
    pub ended_at: Option<Timestamp>,
}

impl SubscriptionView {
    /// Makes the view of an assessment.
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
