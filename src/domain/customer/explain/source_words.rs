//! The sentences about sources of access.

use super::explanation::Uncounted;
use super::words::{list, since, when};
use crate::domain::access::hand_grant::{GrantBilling, HandGrant};
use crate::domain::billing::assessment::{Assessment, Gift, Standing, Verdict};
use crate::domain::billing::fact::SubscriptionStatus;
use crate::domain::billing::standing::{Pause, pause};
use crate::domain::customer::dossier::Dossier;
use crate::domain::customer::holds::Acting;
use crate::domain::customer::row::Hold;
use crate::domain::customer::source::Source;
use crate::domain::policy::{OnCollectionPause, OnEnd, OnEndUnpaid, OnPaymentFailed, Policy};
use crate::domain::time::Timestamp;

/// Returns the sentence about the assessment of a subscription.
pub(super) fn subscription(
    id: &str,
    it: &Assessment,
    removed_at: Option<Timestamp>,
    source: &Source,
    dossier: &Dossier<'_>,
) -> String {
    let policy = dossier.policy;
    let told = match it.standing {
        Standing::Good => good(it, policy),
        Standing::Failing => failing(it, source, policy),
        Standing::Paused => paused(it, source),
        Standing::Pending => {
            "waits for its first payment: it grants nothing and takes nothing away".to_owned()
        }
        Standing::Ended => {
            let ended = ended(it, removed_at, policy);
            let left = left(it, source, dossier);
            format!("{ended}{left}")
        }
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
    if let Some(last) = it.ended_at {
        return format!(
            "was ended before what was paid for has run out, and counts as good until {last} \
             (early_end: paid_until)"
        );
    }
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
    let silent = it.silent_since.map(|end| {
        format!("; its period ended on {end}, and nothing has been heard of it since (overdue)")
    });
    let scheduled = state.and_then(|state| state.cancel_at);
    let scheduled = scheduled.map(|at| format!("; it is scheduled to end on {at}"));
    let (silent, scheduled) = (silent.unwrap_or_default(), scheduled.unwrap_or_default());
    format!("is good{paid}{kept}{silent}{scheduled}")
}

fn failing(it: &Assessment, source: &Source, policy: &Policy) -> String {
    match (it.reason, it.silent_since) {
        (Some("collection_paused"), _) => {
            return "gives nothing while its collection is paused (on_collection_pause: suspend)"
                .to_owned();
        }
        (_, Some(end)) => {
            return format!(
                "gives nothing: its period ended on {end}, and nothing has been heard of it since \
                 (silence_after: {}, on_silence: suspend)",
                policy.silence_after
            );
        }
        _ => {}
    }
    let Some(start) = it.failing_since else {
        return "is failing".to_owned();
    };
    let state = it.state.as_ref();
    let given_up = match state.map(|state| &state.status) {
        Some(SubscriptionStatus::Paused) => {
            Some("has no grace, for nobody paid and the provider has paused it")
        }
        Some(SubscriptionStatus::Unpaid) => {
            Some("has no grace, for the provider has given up collecting")
        }
        _ => None,
    };
    let counts = match it.verdict {
        Some(Verdict::Good) if policy.on_payment_failed == OnPaymentFailed::Keep => {
            "counts as good all the same (on_payment_failed: keep)".to_owned()
        }
        Some(Verdict::Good) => {
            let (grace, span) = (policy.suspend_after.after(start), policy.suspend_after);
            format!("counts as good until {grace} (suspend_after: {span})")
        }
        _ => given_up.map_or_else(
            || {
                format!(
                    "has no grace left (suspend_after: {})",
                    policy.suspend_after
                )
            },
            str::to_owned,
        ),
    };
    let kept = match it.verdict {
        Some(Verdict::Kept) => {
            let kept = kept_prices(source, &it.gives);
            format!(", keeps what was paid for: {kept} (on_payment_failed: freeze)")
        }
        _ => String::new(),
    };
    format!(
        "has been failing since {start}, {counts}{kept}, and ends on {} unless it recovers \
         (end_after: {})",
        policy.end_after.after(start),
        policy.end_after
    )
}

fn paused(it: &Assessment, source: &Source) -> String {
    let start = since(it.paused_since);
    if it
        .state
        .as_ref()
        .is_some_and(|state| pause(state) == Pause::TrialEnded)
    {
        return format!(
            "has been paused{start}, when its trial ended without a payment method: it gives \
             nothing until it is resumed"
        );
    }
    match it.verdict {
        Some(Verdict::Good) => {
            format!("has been paused{start}, and counts as good (on_pause: keep)")
        }
        Some(Verdict::Kept) => {
            let kept = kept_prices(source, &it.gives);
            format!(
                "has been paused{start}, and what was paid for stays: {kept} (on_pause: freeze)"
            )
        }
        _ => format!("has been paused{start}"),
    }
}

fn ended(it: &Assessment, removed_at: Option<Timestamp>, policy: &Policy) -> String {
    let at = when(it.ended_at);
    let state = it.state.as_ref();
    let terminal = state.is_some_and(|state| state.status.is_terminal());
    let scheduled = state.and_then(|state| state.cancel_at);
    let given_up = it.failing_since.map(|start| policy.end_after.after(start));
    if removed_at.is_some() && removed_at == it.ended_at {
        format!("ended{at}, when the provider deleted its account")
    } else if given_up.is_some() && given_up == it.ended_at {
        let start = since(it.failing_since);
        format!(
            "ended{at}, having been failing{start} (end_after: {})",
            policy.end_after
        )
    } else if terminal || scheduled.is_none() || scheduled != it.ended_at {
        format!("ended{at}")
    } else {
        format!("ended{at} as it was scheduled to")
    }
}

/// Returns what an ended subscription leaves, as the rest of its sentence.
fn left(it: &Assessment, source: &Source, dossier: &Dossier<'_>) -> String {
    let policy = dossier.policy;
    match it.verdict {
        Some(Verdict::Kept) if it.never_paid => {
            let kept = kept_prices(source, &it.gives);
            format!(
                "; nobody ever paid for it, and what it had stays: {kept} (on_end_unpaid: freeze)"
            )
        }
        Some(Verdict::Kept) => {
            let kept = kept_prices(source, &it.gives);
            format!(", and what was paid for stays: {kept}")
        }
        Some(_) if policy.on_end == OnEnd::Expire => {
            ", and leaves nothing (on_end: expire)".to_owned()
        }
        Some(_)
            if it.never_paid && policy.on_end_unpaid == OnEndUnpaid::Expire && !it.given_back =>
        {
            ", and leaves nothing, because nobody ever paid for it (on_end_unpaid: expire)"
                .to_owned()
        }
        Some(_) if it.never_paid => {
            ", and leaves nothing, because its money was given back or lost".to_owned()
        }
        Some(_) if !policy.freeze_after.is_zero() => {
            let least = policy.freeze_after;
            format!(", and leaves nothing, because less was paid for than freeze_after: {least}")
        }
        Some(_) => ", and leaves nothing".to_owned(),
        None if it.is_foreign => String::new(),
        None => " without ever having begun: it takes nothing away".to_owned(),
    }
}

/// Tells what stays of each price that buys anything.
fn kept_prices(source: &Source, gives: &[Gift]) -> String {
    let provider = source.key.as_ref().map(|key| key.scope.provider);
    let unmapped = |gift: &&Gift| source.unmapped.iter().all(|price| *price != gift.price);
    let told = gives.iter().filter(|_| provider.is_some()).filter(unmapped);
    list(told.map(|gift| {
        let until = gift.until.map(|until| format!(" until {until}"));
        format!("{}{}", gift.price.price, until.unwrap_or_default())
    }))
}

/// Returns the sentence about something that was bought once.
pub(super) fn purchase(id: &str, source: &Source) -> String {
    let price = source.as_if_good.first().map(|gift| &gift.price.price);
    let price = price.or_else(|| source.unmapped.first().map(|price| &price.price));
    let price = price.filter(|price| *price != id);
    let price = price.map(|price| format!(" ({price})")).unwrap_or_default();
    let paid = when(source.began);
    let told = match (source.own, source.due_at) {
        (Some(Verdict::Good), None) => " and is for ever".to_owned(),
        (Some(Verdict::Good), Some(end)) => format!(" and is good, with new versions until {end}"),
        (Some(Verdict::Kept), _) => {
            let end = when(source.since);
            format!("; its new versions ended{end}, and what was released until then stays")
        }
        (Some(_), _) => format!(
            ", was refunded in full{} and leaves nothing",
            when(source.since)
        ),
        (None, _) => String::new(),
    };
    format!("Purchase {id}{price} was paid{paid}{told}.")
}

/// Returns the sentences about what holds a source, and about why it does not count.
pub(super) fn besides(source: &Source, acting: &[&Acting], uncounted: Option<Uncounted>) -> String {
    let told = acting.iter().map(|it| {
        let (id, at) = (&it.subject.id, when(Some(it.since)));
        let effect = if it.expires() {
            "so it leaves nothing"
        } else {
            "which holds it"
        };
        match (it.hold, it.reason) {
            (Hold::Refund, _) => format!(" All of {id} was refunded{at}, {effect}."),
            (_, "dispute_open") => format!(" Dispute {id} was opened{at}, {effect}."),
            _ => format!(" Dispute {id} was lost{at}, {effect}."),
        }
    });
    let mut told: String = told.take(super::words::MOST_TOLD).collect();
    let unmapped = || list(source.unmapped.iter().map(|price| price.price.clone()));
    match uncounted {
        Some(Uncounted::Foreign) => {
            told += " It does not count: nothing here is bought by its prices.";
        }
        Some(Uncounted::UnmappedPrice) => {
            told += " It does not count until there is a plan for ";
            told += &unmapped();
            told += ".";
        }
        Some(Uncounted::NeverPaid) => {
            told += " It does not count: nobody ever paid for it, and the customer has packages \
                     that were granted by hand.";
        }
        Some(Uncounted::Refunded) => {
            told += " It does not count: the customer has packages that were granted by hand.";
        }
        Some(
            Uncounted::UnknownStatus
            | Uncounted::Pending
            | Uncounted::NeverBegan
            | Uncounted::FollowsBilling
            | Uncounted::RanOut,
        )
        | None => {}
    }
    told
}

/// Returns the sentence about a grant by hand.
pub(super) fn grant(it: &HandGrant, is_live: bool, frozen_at: Option<Timestamp>) -> String {
    let package = &it.grant.package;
    if !is_live {
        return format!(
            "The grant of {package} by hand ran out{}.",
            when(it.expires_at)
        );
    }
    let end = it.expires_at.map(|at| format!(", and runs out on {at}"));
    let end = end.unwrap_or_default();
    match it.billing {
        GrantBilling::Ignore => format!(
            "The grant of {package} by hand counts whatever billing says (billing: ignore){end}."
        ),
        GrantBilling::Follow => {
            let reach = frozen_at.map(|at| format!(": it reaches to {at}"));
            format!(
                "The grant of {package} by hand follows billing{}{end}.",
                reach.unwrap_or_default()
            )
        }
    }
}
