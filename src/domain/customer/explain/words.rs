//! The sentences of an explanation.

use super::explanation::{AccountCause, CourtesyCause, Explanation, HoldCause, SourceCause, Step};
use crate::domain::billing::assessment::Verdict;
use crate::domain::customer::row::{Hold, Status};
use crate::domain::customer::source::SourceKind;
use crate::domain::identity::register::Tie;
use crate::domain::time::Timestamp;

/// Maximum number of sources, accounts, steps and ids told one by one; the data has all of them.
pub(super) const MOST_TOLD: usize = 10;

/// Returns all sentences, the deciding one first.
pub(super) fn summary(it: &Explanation, status: Status, by_list: bool) -> Vec<String> {
    let mut sentences = vec![headline(it)];
    sentences.extend(kept_access(status, by_list));
    let others = it.holds.iter().filter(|hold| !hold.decides);
    sentences.extend(others.map(also));
    if !it.waived.is_empty() {
        let waived = list(it.waived.iter().cloned());
        sentences.push(format!(
            "An admin waived {waived}, which no longer holds the customer."
        ));
    }
    if !it.paid_though_held.is_empty() {
        let paid = list(it.paid_though_held.iter().cloned());
        sentences.push(format!(
            "Nothing is held because of {paid}: the subscription was paid again later \
             (paid_though_held)."
        ));
    }
    for (kind, what) in [
        (SourceKind::Subscription, "subscriptions"),
        (SourceKind::Purchase, "purchases"),
        (SourceKind::Grant, "grants"),
    ] {
        let sources = it.sources.iter().filter(|source| source.kind == kind);
        let count = sources.clone().count();
        sentences.extend(some(sources.map(|it| it.because.clone()), count, what));
    }
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
        return decided(hold);
    }
    if let Some(courtesy) = &it.courtesy {
        return by_courtesy(courtesy);
    }
    let good = it
        .sources
        .iter()
        .filter(|source| source.verdict == Some(Verdict::Good));
    let good: Vec<String> = good.map(named).collect();
    let follows = |source: &SourceCause| source.kind == SourceKind::Grant;
    match good.as_slice() {
        [] if it.sources.iter().all(follows) => {
            "The customer is active: nothing was bought, and nothing holds it.".to_owned()
        }
        [] => "The customer is active: nothing that was bought counts, and nothing holds it."
            .to_owned(),
        [one] => format!("The customer is active, because {one} counts as good."),
        _ => {
            let names = list(good.into_iter());
            format!("The customer is active, because {names} count as good.")
        }
    }
}

fn named(source: &SourceCause) -> String {
    match source.kind {
        SourceKind::Subscription => source.id.clone(),
        SourceKind::Purchase => format!("purchase {}", source.id),
        SourceKind::Grant => format!("the grant of {}", source.id),
    }
}

fn decided(hold: &HoldCause) -> String {
    let status = hold.status;
    match hold.hold {
        Hold::Billing => {
            let best = described(hold.verdict, hold.reason.as_deref());
            format!(
                "The customer is {status} by billing: no source of access counts as good, and the \
                 best {best}. That ends when one counts as good."
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
                "The customer is {status}, because {what}. That ends when an admin waives it, when \
                 the dispute is won, or, of a subscription, when a later payment of it counts."
            )
        }
        Hold::Refund => {
            let what = money(hold);
            format!(
                "The customer is {status}, because {what}. That ends when an admin waives it, or \
                 when a later payment of the subscription counts."
            )
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
    let (best, at) = (described(Some(courtesy.verdict), None), courtesy.since);
    format!(
        "An admin reactivated the customer on {at}, although no source of access counts as \
         good, and the best {best}. That lasts until billing says something else."
    )
}

fn described(verdict: Option<Verdict>, reason: Option<&str>) -> &'static str {
    match (verdict, reason) {
        (Some(Verdict::Good), _) => "is good",
        (Some(Verdict::Kept), _) => "leaves what was paid for",
        (Some(Verdict::Failing), Some("collection_paused")) => "is not collected",
        (Some(Verdict::Failing), Some("overdue")) => "is overdue",
        (Some(Verdict::Failing), _) => "has a failed payment",
        (Some(Verdict::Held), _) => "is held by a dispute",
        (Some(Verdict::Paused), _) => "is paused",
        (Some(Verdict::Ended), _) => "leaves nothing",
        (None, _) => "does not count",
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

fn account(it: &AccountCause) -> String {
    let id = &it.id;
    let linked = match &it.tie {
        Tie::Admin => "was linked to the customer by an admin".to_owned(),
        Tie::ExternalId => "belongs to the customer by its external id".to_owned(),
        Tie::SellerId { id, follows: None } => {
            format!("belongs to the customer by the seller's own id, {id}")
        }
        Tie::SellerId {
            id,
            follows: Some(other),
        } => {
            format!("belongs to the customer by the seller's own id, {id}, which {other} has too")
        }
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
    let features = features(it);
    format!(
        "Account {id} {linked}{}.{features}",
        removed.unwrap_or_default()
    )
}

/// Returns the sentence about the features of an account, if it has any.
fn features(it: &AccountCause) -> String {
    if it.features.is_empty() {
        return String::new();
    }
    let told = list(it.features.iter().map(|feature| {
        let name = feature.lookup_key.as_ref().unwrap_or(&feature.id);
        match &feature.plan {
            Some(plan) if plan == name => name.clone(),
            Some(plan) => format!("{name} (plan {plan})"),
            None => format!("{name} (which has no plan)"),
        }
    }));
    let more = if it.features_incomplete {
        ", and more that the provider did not list"
    } else {
        ""
    };
    format!(" Its subscriptions include the features {told}{more}.")
}

fn step(it: &Step, before: &str) -> String {
    let (at, status) = (it.at, it.status);
    if status == before && it.sources.is_empty() {
        let ids = list(it.overdue.iter().cloned());
        return format!(
            "On {at} {ids} will be overdue if nothing has been heard of it by then, and the \
             customer stays {status}."
        );
    }
    if status == before {
        let ids = list(it.sources.iter().cloned());
        return format!("On {at} {ids} will stand otherwise, and the customer stays {status}.");
    }
    let reason = it.reason.as_ref().map(|reason| format!(" ({reason})"));
    format!(
        "On {at} the customer becomes {status}{}, unless billing says something else before.",
        reason.unwrap_or_default()
    )
}

pub(super) fn when(at: Option<Timestamp>) -> String {
    at.map(|at| format!(" on {at}")).unwrap_or_default()
}

pub(super) fn since(at: Option<Timestamp>) -> String {
    at.map(|at| format!(" since {at}")).unwrap_or_default()
}

/// Joins names as `a`, `a and b`, or `a, b and c`; of many only the first.
pub(super) fn list(names: impl Iterator<Item = String>) -> String {
    let mut names: Vec<String> = names.collect();
    if names.len() > MOST_TOLD {
        let left = names.len() - MOST_TOLD;
        names.truncate(MOST_TOLD);
        names.push(format!("{left} more"));
    }
    match names.split_last() {
        None => "nothing".to_owned(),
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}
