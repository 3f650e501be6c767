//! Explaining a customer's status, in one call.

mod view;

use axum::Json;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

<<<<<<< HEAD
use crate::domain::billing::assessment::Verdict;
use crate::domain::customer::explain::{AccountCause, CourtesyCause, HoldCause, Step};
use crate::domain::customer::row::{Customer, Hold};
use crate::domain::id::Provider;
use crate::domain::identity::links::Tie;
use crate::http::api::flag::{FlagView, flags};
use crate::http::api::{customer_id, time};
use crate::http::openapi::{self, words};
use crate::http::{Admin, ApiError, AppState, ValidPath};
use crate::pipeline::explain::{Explained, explain};
use crate::store::EventRecord;
=======
use crate::http::api::customer_id;
use crate::http::api::flag::flags;
use crate::http::{Admin, ApiError, AppState, ValidPath, openapi};
use crate::pipeline::explain::explain;
use view::{ExplanationView, of_deleted, of_living};
>>>>>>> money

mod source;
mod subscription;

use source::SourceView;
use subscription::{DecidingEvent, SubscriptionView, events_of, subscription};

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default().routes(routes!(show));
    openapi::resource(
        "explanations",
        "Explanations of a customer's status.",
        routes,
    )
}

<<<<<<< HEAD
/// An explanation of a customer's status.
#[derive(Serialize, ToSchema)]
#[schema(as = Explanation)]
struct ExplanationView {
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
    /// All holds of the customer.
    holds: Vec<HoldView>,
    /// A reactivation by an admin that outweighs the verdict of billing.
    courtesy: Option<CourtesyView>,
    /// The disputes and refunds that an admin waived.
    waived: Vec<String>,
    /// The disputes and refunded payments that hold nothing, because the subscription was paid again
    /// later.
    paid_though_held: Vec<String>,
    billing: BillingView,
    accounts: Vec<AccountView>,
    flags: Vec<FlagView>,
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
    /// The dispute, or the document of the payment that was refunded: the invoice, payment intent,
    /// Checkout session or transaction.
    subject: Option<String>,
    /// The refunds behind a hold by a refund.
    refunds: Vec<String>,
    /// The subscriptions that a billing hold rests on, or that a dispute or refund acts on.
    subscriptions: Vec<String>,
    /// The same with purchases, these by the document of their payment.
    sources: Vec<String>,
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
    /// Everything that access comes from: subscriptions, purchases, and grants by hand.
    sources: Vec<SourceView>,
    /// The subscriptions as billing sees them.
    subscriptions: Vec<SubscriptionView>,
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
    /// The subscriptions that count or give differently from then on.
    subscriptions: Vec<String>,
    /// The same, with purchases and the packages of grants by hand that run out.
    sources: Vec<String>,
    /// The subscriptions that are overdue from then on: their period has ended, and nothing was
    /// heard of them.
    overdue: Vec<String>,
}

=======
>>>>>>> money
/// Explains a customer's status.
///
/// In sentences and as data: every hold with its cause, its events and who set it; how each
/// subscription, purchase and grant by hand counts under the policy and what it gives; how each billing account was linked; the next steps of
/// the timers.
#[utoipa::path(
    get,
    path = "/customers/{id}/explain",
    responses((status = 200, description = "The explanation.", body = ExplanationView))
)]
async fn show(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
) -> Result<Json<ExplanationView>, ApiError> {
    let app = admin.app_or_default();
    let id = customer_id(&id)?;
    let found = explain(&state.store, &app, &id, state.clock.now()).await?;
    let customer = found.details.customer;
    let flags = flags(&customer, &found.details.granted);
    let view = match found.explained {
        Some(explained) => of_living(customer, explained, flags),
        None => of_deleted(customer, flags),
    };
    Ok(Json(view))
}
<<<<<<< HEAD

fn of_living(customer: Customer, explained: Explained, flags: Vec<FlagView>) -> ExplanationView {
    let Explained {
        explanation,
        events,
        held_by,
    } = explained;
    let subscriptions = explanation.subscriptions.into_iter();
    let holds = explanation.holds.into_iter();
    ExplanationView {
        customer_id: customer.id.into(),
        status: explanation.status,
        status_reason: explanation.reason,
        status_since: customer.status_since.to_string(),
        frozen_at: time(explanation.frozen_at),
        deleted_at: None,
        summary: explanation.summary,
        holds: holds
            .map(|it| hold(it, &events, held_by.as_ref()))
            .collect(),
        courtesy: explanation.courtesy.map(CourtesyView::from),
        waived: explanation.waived,
        paid_though_held: explanation.paid_though_held,
        billing: BillingView {
            verdict: explanation.verdict.map(Verdict::as_str),
            sources: explanation
                .sources
                .into_iter()
                .map(SourceView::from)
                .collect(),
            subscriptions: subscriptions.map(|it| subscription(it, &events)).collect(),
        },
        accounts: explanation
            .accounts
            .into_iter()
            .map(AccountView::from)
            .collect(),
        flags,
        due_at: time(explanation.next.first().map(|step| step.at)),
        next: explanation.next.into_iter().map(StepView::from).collect(),
    }
}

/// Explains a deleted customer: it shows what was shown at its deletion.
fn of_deleted(customer: Customer, flags: Vec<FlagView>) -> ExplanationView {
    let deleted_at = time(customer.deleted_at);
    let on = deleted_at.as_ref().map(|at| format!(" on {at}"));
    let summary = format!(
        "The customer was deleted{}. It shows what it showed then, and events of its billing \
         accounts change nothing.",
        on.unwrap_or_default()
    );
    let shown = customer.derived;
    ExplanationView {
        customer_id: customer.id.into(),
        status: shown.status.as_str(),
        status_reason: shown.reason,
        status_since: customer.status_since.to_string(),
        frozen_at: time(shown.frozen_at),
        deleted_at,
        summary: vec![summary],
        holds: Vec::new(),
        courtesy: None,
        waived: Vec::new(),
        paid_though_held: Vec::new(),
        billing: BillingView::default(),
        accounts: Vec::new(),
        flags,
        due_at: None,
        next: Vec::new(),
    }
}

fn hold(
    it: HoldCause,
    events: &BTreeMap<String, Vec<EventRecord>>,
    held_by: Option<&String>,
) -> HoldView {
    HoldView {
        hold: it.hold.as_str(),
        status: it.status,
        reason: it.reason,
        decides: it.decides,
        since: time(it.since),
        subscriptions: it.subscriptions,
        sources: it.sources,
        by: held_by.filter(|_| it.hold == Hold::Manual).cloned(),
        events: it
            .refunds
            .iter()
            .chain(&it.subject)
            .find(|id| events.contains_key(*id))
            .map_or_else(Vec::new, |id| events_of(events, id)),
        refunds: it.refunds,
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
        Self {
            at: it.at.to_string(),
            status: it.status,
            reason: it.reason,
            subscriptions: it.subscriptions,
            sources: it.sources,
            overdue: it.overdue,
        }
    }
}
=======
>>>>>>> money
