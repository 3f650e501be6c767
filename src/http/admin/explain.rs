//! Why a customer's status is what it is, in one call.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

use super::shown_customer;
use super::view::{self, FlagView};
use crate::domain::customer::{Customer, Hold};
use crate::domain::explain::{AccountCause, CourtesyCause, HoldCause, Step, SubscriptionCause};
use crate::domain::id::CustomerId;
use crate::domain::standing::Verdict;
use crate::domain::time::Timestamp;
use crate::http::{Admin, ApiError, AppState, ValidPath};
use crate::pipeline::explain::{Explained, explained};
use crate::store::EventRecord;

pub(super) fn router() -> Router<AppState> {
    Router::new().route("/customers/{id}/explain", get(show))
}

/// Why a customer is shown as it is.
#[derive(Serialize)]
struct ExplanationView {
    customer_id: CustomerId,
    status: &'static str,
    status_reason: Option<String>,
    /// When Tollgate gave it this status.
    status_since: String,
    frozen_at: Option<String>,
    deleted_at: Option<String>,
    /// Sentences, what decides first.
    summary: Vec<String>,
    holds: Vec<HoldView>,
    courtesy: Option<CourtesyCause>,
    /// Disputes and refunds that an admin waived.
    waived: Vec<String>,
    billing: BillingView,
    accounts: Vec<AccountCause>,
    flags: Vec<FlagView>,
    /// When the first of `next` comes.
    due_at: Option<String>,
    /// What timers will do if nothing happens before, in order.
    next: Vec<Step>,
}

#[derive(Serialize)]
struct HoldView {
    #[serde(flatten)]
    cause: HoldCause,
    /// Who set an admin's hold.
    by: Option<String>,
    /// The newest events of a dispute or refund that changed something.
    events: Vec<EventView>,
}

/// What billing says.
#[derive(Default, Serialize)]
struct BillingView {
    /// The best of the subscriptions that count; null if none does.
    verdict: Option<Verdict>,
    subscriptions: Vec<SubscriptionView>,
}

#[derive(Serialize)]
struct SubscriptionView {
    #[serde(flatten)]
    cause: SubscriptionCause,
    /// Its newest events that changed something.
    events: Vec<EventView>,
}

/// An event that decided.
#[derive(Clone, Serialize)]
struct EventView {
    id: String,
    #[serde(rename = "type")]
    event_type: String,
    occurred_at: Option<String>,
}

impl From<&EventRecord> for EventView {
    fn from(event: &EventRecord) -> Self {
        Self {
            id: event.key.id.clone(),
            event_type: event.event_type.clone(),
            occurred_at: event.occurred_at.as_ref().map(Timestamp::to_string),
        }
    }
}

async fn show(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
) -> Result<Json<ExplanationView>, ApiError> {
    let app = admin.app_or_default();
    let mut tx = state.store.read().await?;
    let customer = shown_customer(&mut tx, &app, &id).await?;
    let explained = explained(&mut tx, &app, &customer, state.clock.now()).await?;
    let flags = view::flags(&mut tx, &app, &customer).await?;
    let view = match explained {
        Some(explained) => of_living(customer, explained, flags),
        None => of_deleted(customer, flags),
    };
    Ok(Json(view))
}

fn of_living(customer: Customer, explained: Explained, flags: Vec<FlagView>) -> ExplanationView {
    let Explained {
        explanation,
        events,
        held_by,
    } = explained;
    let hold = |cause: HoldCause| HoldView {
        by: held_by.clone().filter(|_| cause.hold == Hold::Manual),
        events: (cause.subject.as_ref()).map_or_else(Vec::new, |id| events_of(&events, id)),
        cause,
    };
    let subscription = |cause: SubscriptionCause| SubscriptionView {
        events: events_of(&events, &cause.id),
        cause,
    };
    ExplanationView {
        customer_id: customer.id,
        status: explanation.status,
        status_reason: explanation.reason,
        status_since: customer.status_since.to_string(),
        frozen_at: explanation.frozen_at.map(|at| at.to_string()),
        deleted_at: None,
        summary: explanation.summary,
        holds: explanation.holds.into_iter().map(hold).collect(),
        courtesy: explanation.courtesy,
        waived: explanation.waived,
        billing: BillingView {
            verdict: explanation.verdict,
            subscriptions: explanation
                .subscriptions
                .into_iter()
                .map(subscription)
                .collect(),
        },
        accounts: explanation.accounts,
        flags,
        due_at: explanation.next.first().map(|step| step.at.to_string()),
        next: explanation.next,
    }
}

/// What was shown when it was deleted.
fn of_deleted(customer: Customer, flags: Vec<FlagView>) -> ExplanationView {
    let deleted_at = customer.deleted_at.map(|at| at.to_string());
    let on = deleted_at.as_ref().map(|at| format!(" on {at}"));
    let summary = format!(
        "The customer was deleted{}. It shows what it showed then, and events of its billing \
         accounts change nothing.",
        on.unwrap_or_default()
    );
    let shown = customer.shown;
    ExplanationView {
        customer_id: customer.id,
        status: shown.status.as_str(),
        status_reason: shown.reason,
        status_since: customer.status_since.to_string(),
        frozen_at: shown.frozen_at.map(|at| at.to_string()),
        deleted_at,
        summary: vec![summary],
        holds: Vec::new(),
        courtesy: None,
        waived: Vec::new(),
        billing: BillingView::default(),
        accounts: Vec::new(),
        flags,
        due_at: None,
        next: Vec::new(),
    }
}

fn events_of(events: &BTreeMap<String, Vec<EventRecord>>, subject: &str) -> Vec<EventView> {
    let found = events.get(subject).into_iter().flatten();
    found.map(EventView::from).collect()
}
