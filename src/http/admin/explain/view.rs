//! An explanation as the API shows it.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::billing::assessment::Verdict;
use crate::domain::customer::explain::{
    AccountCause, CourtesyCause, HoldCause, Step, SubscriptionCause,
};
use crate::domain::customer::row::{Customer, Hold};
use crate::domain::id::Provider;
use crate::domain::identity::links::Tie;
use crate::http::api::flag::FlagView;
use crate::http::api::{cut, is_whole, time};
use crate::http::openapi::words;
use crate::pipeline::explain::Explained;
use crate::store::EventRecord;

/// An explanation of a customer's status.
#[derive(Serialize, ToSchema)]
#[schema(as = Explanation)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says of one list whether it is whole"
)]
pub(super) struct ExplanationView {
    customer_id: String,
    #[schema(schema_with = words::status)]
    status: &'static str,
    status_reason: Option<String>,
    /// The time at which Tollgate gave it this status.
    #[schema(format = DateTime)]
    status_since: String,
    #[schema(format = DateTime)]
    frozen_at: Option<String>,
    #[schema(format = DateTime)]
    deleted_at: Option<String>,
    /// The explanation in sentences, the deciding ones first.
    summary: Vec<String>,
    /// The holds of the customer, at most 100.
    holds: Vec<HoldView>,
    /// There are more. Missing otherwise.
    #[serde(skip_serializing_if = "is_whole")]
    holds_truncated: bool,
    /// A reactivation by an admin that outweighs the verdict of billing.
    courtesy: Option<CourtesyView>,
    /// The disputes and refunds that an admin waived, at most 100.
    waived: Vec<String>,
    /// There are more. Missing otherwise.
    #[serde(skip_serializing_if = "is_whole")]
    waived_truncated: bool,
    billing: BillingView,
    /// The billing accounts, at most 100.
    accounts: Vec<AccountView>,
    /// There are more. Missing otherwise.
    #[serde(skip_serializing_if = "is_whole")]
    accounts_truncated: bool,
    /// The open flags, at most 100.
    flags: Vec<FlagView>,
    /// There are more: `GET /api/v1/flags?customer_id=…` lists them all. Missing otherwise.
    #[serde(skip_serializing_if = "is_whole")]
    flags_truncated: bool,
    /// The time of the first of `next`.
    #[schema(format = DateTime)]
    due_at: Option<String>,
    /// The next steps of the timers, in order, if nothing happens before.
    next: Vec<StepView>,
}

/// A hold and its cause.
#[derive(Serialize, ToSchema)]
#[schema(as = HoldCause)]
struct HoldView {
    #[schema(schema_with = words::hold)]
    hold: &'static str,
    /// The status that this hold would give by itself.
    #[schema(schema_with = words::status)]
    status: &'static str,
    reason: Option<String>,
    /// True if this hold decides the status: a manual one comes first, then the strictest.
    decides: bool,
    /// The provider's time; for a manual hold, Tollgate's.
    #[schema(format = DateTime)]
    since: Option<String>,
    /// The dispute, or the charge or adjustment of a refund.
    subject: Option<String>,
    /// The subscriptions that a billing hold rests on, at most 100.
    subscriptions: Vec<String>,
    /// There are more. Missing otherwise.
    #[serde(skip_serializing_if = "is_whole")]
    subscriptions_truncated: bool,
    /// The admin who set a manual hold.
    by: Option<String>,
    /// The newest events of a dispute or refund that changed something.
    events: Vec<DecidingEvent>,
}

/// A reactivation by an admin that outweighs the verdict of billing.
#[derive(Serialize, ToSchema)]
#[schema(as = CourtesyCause)]
struct CourtesyView {
    #[schema(format = DateTime)]
    since: String,
    /// The verdict of billing; the courtesy lasts while it stays.
    #[schema(schema_with = words::verdict)]
    verdict: &'static str,
    /// It also ends once a subscription is good at a later instant of the provider's time than
    /// this.
    #[schema(format = DateTime)]
    until_good_after: String,
}

/// Billing's view of the customer.
#[derive(Default, Serialize, ToSchema)]
#[schema(as = BillingCause)]
struct BillingView {
    /// The best verdict of the subscriptions that count; null if none counts.
    #[schema(schema_with = words::verdict)]
    verdict: Option<&'static str>,
    /// The subscriptions, at most 100.
    subscriptions: Vec<SubscriptionView>,
    /// There are more: `GET /api/v1/customers/{id}/subscriptions` lists them all. Missing otherwise.
    #[serde(skip_serializing_if = "is_whole")]
    subscriptions_truncated: bool,
}

/// A subscription and how it counts.
#[derive(Serialize, ToSchema)]
#[schema(as = SubscriptionCause)]
struct SubscriptionView {
    #[schema(schema_with = words::provider)]
    provider: Provider,
    id: String,
    livemode: bool,
    /// The billing account that pays.
    account: Option<String>,
    /// The provider's word for its status; null while none that Tollgate knows was seen.
    status: Option<String>,
    #[schema(schema_with = words::class)]
    class: &'static str,
    /// Its verdict under the policy; null if it does not count.
    #[schema(schema_with = words::verdict)]
    verdict: Option<&'static str>,
    /// The instant of the events that decided its status.
    #[schema(format = DateTime)]
    decided_at: Option<String>,
    /// Its events allow another status too; the one with least access was taken.
    ambiguous: bool,
    #[schema(format = DateTime)]
    failing_since: Option<String>,
    #[schema(format = DateTime)]
    paused_since: Option<String>,
    #[schema(format = DateTime)]
    ended_at: Option<String>,
    /// The time at which it is scheduled to end.
    #[schema(format = DateTime)]
    cancel_at: Option<String>,
    /// The time at which a timer changes this.
    #[schema(format = DateTime)]
    due_at: Option<String>,
    /// The reason for this, in a sentence.
    because: String,
    /// Its newest events that changed something.
    events: Vec<DecidingEvent>,
}

/// A billing account and how it was linked.
#[derive(Serialize, ToSchema)]
#[schema(as = AccountCause)]
struct AccountView {
    #[schema(schema_with = words::provider)]
    provider: Provider,
    id: String,
    livemode: bool,
    #[schema(schema_with = words::linked_by)]
    linked_by: &'static str,
    /// The first e-mail address that the account held, if that linked it.
    email: Option<String>,
    /// The account that held the address before it; null if an admin gave it to the customer.
    follows: Option<String>,
    /// The time at which the provider deleted it.
    #[schema(format = DateTime)]
    removed_at: Option<String>,
}

/// A step that a timer will take.
#[derive(Serialize, ToSchema)]
#[schema(as = NextStep)]
struct StepView {
    #[schema(format = DateTime)]
    at: String,
    /// The status from then on; it may be the same.
    #[schema(schema_with = words::status)]
    status: &'static str,
    reason: Option<String>,
    /// The subscriptions that count differently from then on, at most 100.
    subscriptions: Vec<String>,
    /// There are more. Missing otherwise.
    #[serde(skip_serializing_if = "is_whole")]
    subscriptions_truncated: bool,
}

/// An event that decided something.
#[derive(Serialize, ToSchema)]
struct DecidingEvent {
    id: String,
    #[serde(rename = "type")]
    event_type: String,
    #[schema(format = DateTime)]
    occurred_at: Option<String>,
}

/// Explains a customer that was not deleted.
pub(super) fn of_living(
    customer: Customer,
    explained: Explained,
    flags: Vec<FlagView>,
) -> ExplanationView {
    let Explained {
        explanation,
        events,
        held_by,
    } = explained;
    let (subscriptions, subscriptions_truncated) = cut(explanation.subscriptions);
    let (holds, holds_truncated) = cut(explanation.holds);
    let (waived, waived_truncated) = cut(explanation.waived);
    let (accounts, accounts_truncated) = cut(explanation.accounts);
    let (flags, flags_truncated) = cut(flags);
    ExplanationView {
        customer_id: customer.id.into(),
        status: explanation.status,
        status_reason: explanation.reason,
        status_since: customer.status_since.to_string(),
        frozen_at: time(explanation.frozen_at),
        deleted_at: None,
        summary: explanation.summary,
        holds: holds
            .into_iter()
            .map(|it| hold(it, &events, held_by.as_ref()))
            .collect(),
        holds_truncated,
        courtesy: explanation.courtesy.map(CourtesyView::from),
        waived,
        waived_truncated,
        billing: BillingView {
            verdict: explanation.verdict.map(Verdict::as_str),
            subscriptions: subscriptions
                .into_iter()
                .map(|it| subscription(it, &events))
                .collect(),
            subscriptions_truncated,
        },
        accounts: accounts.into_iter().map(AccountView::from).collect(),
        accounts_truncated,
        flags,
        flags_truncated,
        due_at: time(explanation.next.first().map(|step| step.at)),
        next: explanation.next.into_iter().map(StepView::from).collect(),
    }
}

/// Explains a deleted customer: it shows what was shown at its deletion.
pub(super) fn of_deleted(customer: Customer, flags: Vec<FlagView>) -> ExplanationView {
    let deleted_at = time(customer.deleted_at);
    let on = deleted_at.as_ref().map(|at| format!(" on {at}"));
    let summary = format!(
        "The customer was deleted{}. It shows what it showed then, and events of its billing \
         accounts change nothing.",
        on.unwrap_or_default()
    );
    let shown = customer.derived;
    let (flags, flags_truncated) = cut(flags);
    ExplanationView {
        customer_id: customer.id.into(),
        status: shown.status.as_str(),
        status_reason: shown.reason,
        status_since: customer.status_since.to_string(),
        frozen_at: time(shown.frozen_at),
        deleted_at,
        summary: vec![summary],
        holds: Vec::new(),
        holds_truncated: false,
        courtesy: None,
        waived: Vec::new(),
        waived_truncated: false,
        billing: BillingView::default(),
        accounts: Vec::new(),
        accounts_truncated: false,
        flags,
        flags_truncated,
        due_at: None,
        next: Vec::new(),
    }
}

fn hold(
    it: HoldCause,
    events: &BTreeMap<String, Vec<EventRecord>>,
    held_by: Option<&String>,
) -> HoldView {
    let (subscriptions, subscriptions_truncated) = cut(it.subscriptions);
    HoldView {
        hold: it.hold.as_str(),
        status: it.status,
        reason: it.reason,
        decides: it.decides,
        since: time(it.since),
        subscriptions,
        subscriptions_truncated,
        by: held_by.filter(|_| it.hold == Hold::Manual).cloned(),
        events: it
            .subject
            .as_ref()
            .map_or_else(Vec::new, |id| events_of(events, id)),
        subject: it.subject,
    }
}

fn subscription(
    it: SubscriptionCause,
    events: &BTreeMap<String, Vec<EventRecord>>,
) -> SubscriptionView {
    SubscriptionView {
        provider: it.provider,
        livemode: it.livemode,
        account: it.account,
        status: it.status,
        class: it.standing.as_str(),
        verdict: it.verdict.map(Verdict::as_str),
        decided_at: time(it.decided_at),
        ambiguous: it.ambiguous,
        failing_since: time(it.failing_since),
        paused_since: time(it.paused_since),
        ended_at: time(it.ended_at),
        cancel_at: time(it.cancel_at),
        due_at: time(it.due_at),
        because: it.because,
        events: events_of(events, &it.id),
        id: it.id,
    }
}

fn events_of(events: &BTreeMap<String, Vec<EventRecord>>, subject: &str) -> Vec<DecidingEvent> {
    let found = events.get(subject).into_iter().flatten();
    let event = |event: &EventRecord| DecidingEvent {
        id: event.key.id.clone(),
        event_type: event.event_type.clone(),
        occurred_at: time(event.occurred_at),
    };
    found.map(event).collect()
}

impl From<CourtesyCause> for CourtesyView {
    fn from(it: CourtesyCause) -> Self {
        Self {
            since: it.since.to_string(),
            verdict: it.verdict.as_str(),
            until_good_after: it.until_good_after.to_string(),
        }
    }
}

impl From<AccountCause> for AccountView {
    fn from(it: AccountCause) -> Self {
        let linked_by = it.tie.as_str();
        let (email, follows) = match it.tie {
            Tie::Email { email, follows } => (Some(email), follows),
            Tie::Pin | Tie::ExternalId | Tie::Own => (None, None),
        };
        Self {
            provider: it.provider,
            id: it.id,
            livemode: it.livemode,
            linked_by,
            email,
            follows,
            removed_at: time(it.removed_at),
        }
    }
}

impl From<Step> for StepView {
    fn from(it: Step) -> Self {
        let (subscriptions, subscriptions_truncated) = cut(it.subscriptions);
        Self {
            at: it.at.to_string(),
            status: it.status,
            reason: it.reason,
            subscriptions,
            subscriptions_truncated,
        }
    }
}
