//! An explanation as the API shows it.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::super::events::FailureView;
use super::account::AccountView;
use super::failures::summary;
use super::source::SourceView;
use super::subscription::{DecidingEvent, SubscriptionView, events_of, subscription};
use crate::domain::billing::assessment::Verdict;
use crate::domain::customer::explain::{CourtesyCause, HoldCause, Step};
use crate::domain::customer::row::{Customer, Hold};
use crate::http::api::flag::FlagView;
use crate::http::api::{cut, is_whole, time};
use crate::http::openapi::words;
use crate::pipeline::explain::Explained;
use crate::store::{EventRecord, WaitingRefetch};

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
    /// The disputes and refunded payments that hold nothing, because the subscription was paid again
    /// later, at most 100.
    paid_though_held: Vec<String>,
    /// There are more. Missing otherwise.
    #[serde(skip_serializing_if = "is_whole")]
    paid_though_held_truncated: bool,
    billing: BillingView,
    /// The billing accounts, at most 100.
    accounts: Vec<AccountView>,
    /// There are more. Missing otherwise.
    #[serde(skip_serializing_if = "is_whole")]
    accounts_truncated: bool,
    /// The events of its accounts that failed, by reason and type: what is shown may be out of date by
    /// them.
    failed_events: Vec<FailureView>,
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
#[expect(
    clippy::struct_excessive_bools,
    reason = "answers to different questions; no two of them make one state"
)]
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
    /// The dispute, or the document of the payment that was refunded: the invoice, payment intent,
    /// Checkout session or transaction.
    subject: Option<String>,
    /// The refunds behind a hold by a refund, at most 100.
    refunds: Vec<String>,
    /// There are more. Missing otherwise.
    #[serde(skip_serializing_if = "is_whole")]
    refunds_truncated: bool,
    /// The subscriptions that a billing hold rests on, or that a dispute or refund acts on, at most
    /// 100.
    subscriptions: Vec<String>,
    /// There are more. Missing otherwise.
    #[serde(skip_serializing_if = "is_whole")]
    subscriptions_truncated: bool,
    /// The same with purchases, these by the document of their payment, at most 100.
    sources: Vec<String>,
    /// There are more. Missing otherwise.
    #[serde(skip_serializing_if = "is_whole")]
    sources_truncated: bool,
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
    /// It also ends once a source is good at a later instant of the provider's time than
    /// this.
    #[schema(format = DateTime)]
    until_good_after: String,
}

/// Billing's view of the customer.
#[derive(Default, Serialize, ToSchema)]
#[schema(as = BillingCause)]
struct BillingView {
    /// The best verdict of the sources that count; null if none counts.
    #[schema(schema_with = words::verdict)]
    verdict: Option<&'static str>,
    /// Everything that access comes from, at most 100: subscriptions, purchases, and grants by hand.
    sources: Vec<SourceView>,
    /// There are more. Missing otherwise.
    #[serde(skip_serializing_if = "is_whole")]
    sources_truncated: bool,
    /// The subscriptions as billing sees them, at most 100.
    subscriptions: Vec<SubscriptionView>,
    /// There are more: `GET /api/v1/customers/{id}/subscriptions` lists them all. Missing otherwise.
    #[serde(skip_serializing_if = "is_whole")]
    subscriptions_truncated: bool,
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
    /// The subscriptions that count or give differently from then on, at most 100.
    subscriptions: Vec<String>,
    /// There are more. Missing otherwise.
    #[serde(skip_serializing_if = "is_whole")]
    subscriptions_truncated: bool,
    /// The same, with purchases and the packages of grants by hand that run out, at most 100.
    sources: Vec<String>,
    /// There are more. Missing otherwise.
    #[serde(skip_serializing_if = "is_whole")]
    sources_truncated: bool,
    /// The subscriptions that are overdue from then on, at most 100: their period has ended, and
    /// nothing was heard of them.
    overdue: Vec<String>,
    /// There are more. Missing otherwise.
    #[serde(skip_serializing_if = "is_whole")]
    overdue_truncated: bool,
}

/// Most questions to providers that an explanation names; `/refetches` lists all.
const MOST_WAITING: usize = 10;

/// A sentence about a question that a provider is still to answer.
fn awaited(question: &WaitingRefetch) -> String {
    let name = question.key.scope.provider.to_string();
    let (first, rest) = name.split_at(name.len().min(1));
    let name = first.to_uppercase() + rest;
    let (id, since) = (&question.key.id, question.since);
    format!("Waiting for {name}'s word about `{id}` since {since}.")
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
        failures,
        waiting,
    } = explained;
    let mut summary = summary(explanation.summary, &failures);
    summary.extend(waiting.iter().take(MOST_WAITING).map(awaited));
    let (subscriptions, subscriptions_truncated) = cut(explanation.subscriptions);
    let (holds, holds_truncated) = cut(explanation.holds);
    let (waived, waived_truncated) = cut(explanation.waived);
    let (paid_though_held, paid_though_held_truncated) = cut(explanation.paid_though_held);
    let (sources, sources_truncated) = cut(explanation.sources);
    let (accounts, accounts_truncated) = cut(explanation.accounts);
    let (flags, flags_truncated) = cut(flags);
    ExplanationView {
        customer_id: customer.id.into(),
        status: explanation.status,
        status_reason: explanation.reason,
        status_since: customer.status_since.to_string(),
        frozen_at: time(explanation.frozen_at),
        deleted_at: None,
        summary,
        holds: holds
            .into_iter()
            .map(|it| hold(it, &events, held_by.as_ref()))
            .collect(),
        holds_truncated,
        courtesy: explanation.courtesy.map(CourtesyView::from),
        waived,
        waived_truncated,
        paid_though_held,
        paid_though_held_truncated,
        billing: BillingView {
            verdict: explanation.verdict.map(Verdict::as_str),
            sources: sources.into_iter().map(SourceView::from).collect(),
            sources_truncated,
            subscriptions: subscriptions
                .into_iter()
                .map(|it| subscription(it, &events))
                .collect(),
            subscriptions_truncated,
        },
        accounts: accounts.into_iter().map(AccountView::from).collect(),
        accounts_truncated,
        failed_events: failures.into_iter().map(FailureView::from).collect(),
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
        paid_though_held: Vec::new(),
        paid_though_held_truncated: false,
        billing: BillingView::default(),
        accounts: Vec::new(),
        accounts_truncated: false,
        failed_events: Vec::new(),
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
    let (sources, sources_truncated) = cut(it.sources);
    let (refunds, refunds_truncated) = cut(it.refunds.clone());
    HoldView {
        hold: it.hold.as_str(),
        status: it.status,
        reason: it.reason,
        decides: it.decides,
        since: time(it.since),
        subscriptions,
        subscriptions_truncated,
        sources,
        sources_truncated,
        by: held_by.filter(|_| it.hold == Hold::Manual).cloned(),
        events: it
            .refunds
            .iter()
            .chain(&it.subject)
            .find(|id| events.contains_key(*id))
            .map_or_else(Vec::new, |id| events_of(events, id)),
        refunds,
        refunds_truncated,
        subject: it.subject,
    }
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

impl From<Step> for StepView {
    fn from(it: Step) -> Self {
        let (subscriptions, subscriptions_truncated) = cut(it.subscriptions);
        let (overdue, overdue_truncated) = cut(it.overdue);
        let (sources, sources_truncated) = cut(it.sources);
        Self {
            at: it.at.to_string(),
            status: it.status,
            reason: it.reason,
            subscriptions,
            subscriptions_truncated,
            sources,
            sources_truncated,
            overdue,
            overdue_truncated,
        }
    }
}
