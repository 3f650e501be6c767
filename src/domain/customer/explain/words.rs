//! The sentences of an explanation.

use super::explanation::{AccountCause, CourtesyCause, Explanation, HoldCause, Step};
use crate::domain::billing::assessment::{Assessment, Standing, Verdict};
use crate::domain::billing::fact::SubscriptionStatus;
use crate::domain::customer::row::{Hold, Status};
use crate::domain::identity::links::Tie;
use crate::domain::policy::{OnCollectionPause, OnPaymentFailed, Policy};
use crate::domain::time::Timestamp;

/// Maximum number of subscriptions, accounts and steps told one by one; the data has all of them.
const MOST_TOLD: usize = 10;

/// Returns all sentences, the deciding one first.
pub(super) fn summary(it: &Explanation, status: Status, by_list: bool) -> Vec<String> {
    let mut sentences = vec![headline(it)];
    sentences.extend(kept_access(status, by_list));
    let others = it.holds.iter().filter(|hold| !hold.decides);
    sentences.extend(others.map(also));
    if !it.waived.is_empty() {
        let waived = list(it.waived.iter().map(String::as_str));
        sentences.push(format!(
            "An admin waived {waived}, which no longer holds the customer."
        ));
    }
    let subscriptions = it.subscriptions.iter().map(|it| it.because.clone());
    sentences.extend(some(subscriptions, it.subscriptions.len(), "subscriptions"));
    sentences.extend(some(
        it.accounts.iter().map(account),
        it.accounts.len(),
        "accounts",
    ));
    let mut before = it.status;
    let steps = it.next.iter().map(|next| {
        let sentence = step(next, before);
        before = next.status;
        sentence
    });
    sentences.extend(some(steps, it.next.len(), "steps"));
    sentences
}

fn some(
    sentences: impl Iterator<Item = String>,
    count: usize,
    what: &str,
) -> impl Iterator<Item = String> {
    let left = count.saturating_sub(MOST_TOLD);
    let more = (left > 0).then(|| format!("There are {left} more {what}."));
    sentences.take(MOST_TOLD).chain(more)
}

/// Returns the sentence about the reason of the status.
fn headline(it: &Explanation) -> String {
    if let Some(hold) = it.holds.iter().find(|hold| hold.decides) {
        return decided(hold, it.verdict);
    }
    if let Some(courtesy) = &it.courtesy {
        return by_courtesy(courtesy);
    }
    let good = it
        .subscriptions
        .iter()
        .filter(|s| s.verdict == Some(Verdict::Good));
    let good: Vec<&str> = good.map(|it| it.id.as_str()).collect();
    match (good.as_slice(), it.subscriptions.len()) {
        ([], 0) => {
            "The customer is active: there is no subscription, and nothing holds it.".to_owned()
        }
        ([], _) => {
            "The customer is active: no subscription counts, and nothing holds it.".to_owned()
        }
        ([one], _) => format!("The customer is active, because {one} counts as good."),
        (several, _) => {
            let ids = list(several.iter().copied());
            format!("The customer is active, because {ids} count as good.")
        }
    }
}

fn decided(hold: &HoldCause, verdict: Option<Verdict>) -> String {
    let status = hold.status;
    match hold.hold {
        Hold::Billing => {
            let best = described(verdict);
            format!(
                "The customer is {status} by billing: no subscription counts as good, and the best \
                 {best}. That ends when one counts as good."
            )
        }
        Hold::Manual => {
            let reason = hold
                .reason
                .as_ref()
                .map(|reason| format!(": \u{201c}{reason}\u{201d}"));
            let (at, reason) = (when(hold.since), reason.unwrap_or_default());
            format!("An admin made the customer {status}{at}{reason}. Only an admin lifts this.")
        }
        Hold::Dispute => {
            let what = money(hold);
            format!(
                "The customer is {status}, because {what}. An admin lifts this, or the dispute \
                 when it is won."
            )
        }
        Hold::Refund => {
            let what = money(hold);
            format!("The customer is {status}, because {what}. Only an admin lifts this.")
        }
    }
}

/// Returns the sentence about a hold that does not decide.
fn also(hold: &HoldCause) -> String {
    let status = hold.status;
    match hold.hold {
        Hold::Billing => format!(
            "Billing by itself would make it {status}{}.",
            since(hold.since)
        ),
        Hold::Manual => format!("An admin made it {status}{}.", when(hold.since)),
        Hold::Dispute | Hold::Refund => {
            format!("It would be {status} also because {}.", money(hold))
        }
    }
}

fn money(hold: &HoldCause) -> String {
    let subject = hold.subject.as_deref().unwrap_or_default();
    let at = when(hold.since);
    match hold.reason.as_deref() {
        Some("dispute_lost") => format!("dispute {subject} was lost{at}"),
        Some("dispute_open") => format!("dispute {subject} is open{}", since(hold.since)),
        _ => format!("all of {subject} was refunded{at}"),
    }
}

fn by_courtesy(courtesy: &CourtesyCause) -> String {
    let (best, at) = (described(Some(courtesy.verdict)), courtesy.since);
    format!(
        "An admin reactivated the customer on {at}, although no subscription counts as good, and \
         the best {best}. That lasts until billing says something else."
    )
}

const fn described(verdict: Option<Verdict>) -> &'static str {
    match verdict {
        Some(Verdict::Good) => "is good",
        Some(Verdict::Kept) => "has ended and leaves what was paid for",
        Some(Verdict::Failing) => "has a failed payment",
        Some(Verdict::Held) => "is held by a dispute",
        Some(Verdict::Paused) => "is paused",
        Some(Verdict::Ended) => "has ended and leaves nothing",
        None => "does not count",
    }
}

/// Returns the sentence about what a frozen customer keeps.
fn kept_access(status: Status, by_list: bool) -> Option<String> {
    match status {
        Status::Frozen { .. } if by_list => {
            Some("It keeps exactly the versions that the admin listed.".to_owned())
        }
        Status::Frozen { at } => Some(format!("It keeps what was released until {at}.")),
        Status::Active | Status::Suspended | Status::Expired => None,
    }
}

/// Returns the sentence about the assessment of a subscription.
pub(super) fn subscription(
    id: &str,
    it: &Assessment,
    removed_at: Option<Timestamp>,
    policy: &Policy,
) -> String {
    let told = match it.standing {
        Standing::Good => good(it, policy),
        Standing::Failing => failing(it, policy),
        Standing::Paused => paused(it),
        Standing::Pending => {
            "waits for its first payment: it grants nothing and takes nothing away".to_owned()
        }
        Standing::Ended => ended(it, removed_at, policy),
        Standing::Unknown => {
            "has no status that is known here: it grants nothing and takes nothing away".to_owned()
        }
    };
    let status = it
        .state
        .as_ref()
        .map(|state| format!(" ({})", state.status.as_str()));
    let status = status.unwrap_or_default();
    let doubt = if it.ambiguous {
        " Its events do not say which status came last; the one with least access was taken."
    } else {
        ""
    };
    format!("Subscription {id}{status} {told}.{doubt}")
}

fn good(it: &Assessment, policy: &Policy) -> String {
    let state = it.state.as_ref();
    let behind = state.is_some_and(|state| state.status == SubscriptionStatus::PastDue);
    let uncollected = state.is_some_and(|state| state.collection_paused)
        && policy.on_collection_pause == OnCollectionPause::Keep;
    let paid = if behind {
        ": it was paid after it fell behind"
    } else {
        ""
    };
    let kept = if uncollected {
        "; that its collection is paused changes nothing (on_collection_pause: keep)"
    } else {
        ""
    };
    let scheduled = state.and_then(|state| state.cancel_at);
    let scheduled = scheduled.map(|at| format!("; it is scheduled to end on {at}"));
    format!("is good{paid}{kept}{}", scheduled.unwrap_or_default())
}

fn failing(it: &Assessment, policy: &Policy) -> String {
    let Some(start) = it.failing_since else {
        return "is failing".to_owned();
    };
    let given_up = it
        .state
        .as_ref()
        .is_some_and(|state| state.status == SubscriptionStatus::Unpaid);
    let end = policy.end_after.after(start);
    let counts = match it.verdict {
        Some(Verdict::Good) if policy.on_payment_failed == OnPaymentFailed::Keep => {
            "counts as good all the same (on_payment_failed: keep)".to_owned()
        }
        Some(Verdict::Good) => {
            let (grace, span) = (policy.suspend_after.after(start), policy.suspend_after);
            format!("counts as good until {grace} (suspend_after: {span})")
        }
        _ if given_up => "has no grace, for the provider has given up collecting".to_owned(),
        _ => format!(
            "has no grace left (suspend_after: {})",
            policy.suspend_after
        ),
    };
    format!(
        "has been failing since {start}, {counts}, and ends on {end} unless it recovers \
         (end_after: {})",
        policy.end_after
    )
}

fn paused(it: &Assessment) -> String {
    let start = since(it.paused_since);
    let uncollected = it
        .state
        .as_ref()
        .is_some_and(|state| state.status != SubscriptionStatus::Paused && state.collection_paused);
    let why = if uncollected {
        ", for its collection is (on_collection_pause: suspend)"
    } else {
        ""
    };
    match it.verdict {
        Some(Verdict::Good) => {
            format!("has been paused{start}{why}, and counts as good (on_pause: keep)")
        }
        _ => format!("has been paused{start}{why}"),
    }
}

fn ended(it: &Assessment, removed_at: Option<Timestamp>, policy: &Policy) -> String {
    let at = when(it.ended_at);
    if it.verdict.is_none() {
        return format!("ended{at} without ever having begun: it takes nothing away");
    }
    let terminal = it
        .state
        .as_ref()
        .is_some_and(|state| state.status.is_terminal());
    let scheduled = it.state.as_ref().and_then(|state| state.cancel_at);
    if removed_at.is_some() && removed_at == it.ended_at {
        format!("ended{at}, when the provider deleted its account")
    } else if terminal {
        format!("ended{at}")
    } else if scheduled.is_some() && scheduled == it.ended_at {
        format!("ended{at} as it was scheduled to")
    } else {
        let start = since(it.failing_since);
        format!(
            "ended{at}, having been failing{start} (end_after: {})",
            policy.end_after
        )
    }
}

fn account(it: &AccountCause) -> String {
    let id = &it.id;
    let linked = match &it.tie {
        Tie::Pin => "is tied to the customer by an admin".to_owned(),
        Tie::ExternalId => "belongs to the customer by its external id".to_owned(),
        Tie::Email {
            email,
            follows: None,
        } => {
            format!("belongs to the customer by the address that it first had, {email}")
        }
        Tie::Email {
            email,
            follows: Some(other),
        } => format!(
            "belongs to the customer by the address that it first had, {email}, which {other} \
             had before it"
        ),
        Tie::Own => "is the customer's own: it follows no other".to_owned(),
    };
    let removed = it
        .removed_at
        .map(|at| format!("; the provider deleted it on {at}"));
    format!("Account {id} {linked}{}.", removed.unwrap_or_default())
}

fn step(it: &Step, before: &str) -> String {
    let (at, status) = (it.at, it.status);
    let ids = list(it.subscriptions.iter().map(String::as_str));
    if status == before {
        return format!("On {at} {ids} will stand otherwise, and the customer stays {status}.");
    }
    let reason = it.reason.as_ref().map(|reason| format!(" ({reason})"));
    format!(
        "On {at} the customer becomes {status}{}, unless billing says something else before.",
        reason.unwrap_or_default()
    )
}

fn when(at: Option<Timestamp>) -> String {
    at.map(|at| format!(" on {at}")).unwrap_or_default()
}

fn since(at: Option<Timestamp>) -> String {
    at.map(|at| format!(" since {at}")).unwrap_or_default()
}

/// Joins ids as `a`, `a and b`, or `a, b and c`.
fn list<'a>(ids: impl Iterator<Item = &'a str>) -> String {
    let mut ids: Vec<&str> = ids.collect();
    let left = ids.len().saturating_sub(MOST_TOLD);
    let more = format!("{left} more");
    if left > 0 {
        ids.truncate(MOST_TOLD);
        ids.push(&more);
    }
    match ids.split_last() {
        None => "nothing".to_owned(),
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}
