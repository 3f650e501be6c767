//! A customer's payments: what they were for, what was given back, and what counts.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::domain::billing::fact::Line;
use crate::domain::id::Provider;
use crate::http::api::list::{List, Paging, PagingQuery};
use crate::http::api::{customer_id, time};
use crate::http::openapi::{self, words};
use crate::http::{Admin, ApiError, AppState, ValidPath};
use crate::pipeline::payments::{self, ListedPayment};

/// Most lines of a payment that are shown.
const MAX_LINES: usize = 100;

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default().routes(routes!(list));
    openapi::resource("payments", "Payments of customers, by document.", routes)
}

/// A payment. Amounts are in the smallest unit of its currency.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Payment)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "answers to different questions; no two of them make one state"
)]
pub(super) struct PaymentView {
    /// The document: an invoice, a transaction, or what a Checkout session was paid by.
    #[schema(examples("in_1Q2w3e4R5t6Y7u8I"))]
    id: String,
    #[schema(schema_with = words::provider)]
    provider: Provider,
    livemode: bool,
    /// The id of the billing account that paid.
    account: Option<String>,
    /// The subscription that it is about.
    subscription_id: Option<String>,
    /// The provider's word for why it was billed.
    #[schema(examples("subscription_cycle"))]
    reason: Option<String>,
    /// The time of the payment; null while it is not paid.
    #[schema(format = DateTime)]
    paid_at: Option<String>,
    /// The money that was paid.
    amount_paid: Option<i64>,
    /// The amount that it was for. A credit balance may have paid a part of it.
    cost: Option<i64>,
    /// The newest time at which a try to collect it failed.
    #[schema(format = DateTime)]
    failed_at: Option<String>,
    /// The time of the next try.
    #[schema(format = DateTime)]
    next_attempt: Option<String>,
    /// The time from which it will not be collected.
    #[schema(format = DateTime)]
    void_at: Option<String>,
    /// The amount that was given back.
    amount_refunded: i64,
    /// True if all of it was given back.
    refunded: bool,
    /// True if a dispute about it was lost.
    dispute_lost: bool,
    /// True if it was paid for something that costs anything, and the money is still yours.
    counts: bool,
    /// Its refunds, and the charges that count them.
    refunds: Vec<String>,
    /// The disputes about it.
    disputes: Vec<String>,
    lines: Vec<LineView>,
    /// True if it has more lines than are listed.
    lines_truncated: bool,
}

/// A line of a payment.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PaymentLine)]
struct LineView {
    price: String,
    product: Option<String>,
    /// After discounts; below 0 for a credit.
    amount: i64,
    /// The start of the period that it pays for.
    #[schema(format = DateTime)]
    start: Option<String>,
    /// The end of that period.
    #[schema(format = DateTime)]
    end: Option<String>,
    /// True for something bought once.
    once: bool,
}

impl From<Line> for LineView {
    fn from(line: Line) -> Self {
        Self {
            price: line.price,
            product: line.product,
            amount: line.amount,
            start: time(line.start),
            end: time(line.end),
            once: line.once,
        }
    }
}

impl From<ListedPayment> for PaymentView {
    fn from(it: ListedPayment) -> Self {
        let history = it.history;
        let cut = history.lines.is_some_and(|lines| lines.incomplete);
        Self {
            provider: it.key.scope.provider,
            livemode: it.key.scope.livemode,
            id: it.key.id,
            account: history.account.map(|(_, key)| key.id),
            subscription_id: history.subscription.map(|(_, key)| key.id),
            reason: history.reason.map(|(_, reason)| reason),
            paid_at: time(history.paid.map(|paid| paid.at)),
            amount_paid: history.paid.map(|paid| paid.money),
            cost: history.paid.map(|paid| paid.cost),
            failed_at: time(history.failed.map(|failed| failed.last)),
            next_attempt: time(
                history
                    .failed
                    .filter(|_| history.void_at.is_none())
                    .and_then(|failed| failed.next_attempt),
            ),
            void_at: time(history.void_at),
            amount_refunded: it.given_back,
            refunded: it.is_given_back,
            dispute_lost: it.is_lost,
            counts: it.counts,
            refunds: it.refunds,
            disputes: it.disputes,
            lines_truncated: cut || it.lines.len() > MAX_LINES,
            lines: it
                .lines
                .into_iter()
                .take(MAX_LINES)
                .map(LineView::from)
                .collect(),
        }
    }
}

/// Lists a customer's payments.
///
/// Every document that billing has told of, paid or not.
#[utoipa::path(
    get,
    path = "/customers/{id}/payments",
    params(PagingQuery),
    responses((status = 200, description = "Payments, the newest first.", body = List<PaymentView>))
)]
async fn list(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
    paging: Paging,
) -> Result<Json<List<PaymentView>>, ApiError> {
    let app = admin.app_or_default();
    let found = payments::list_of(&state.store, &app, &customer_id(&id)?).await?;
    paging.cut(found, ListedPayment::position, PaymentView::from)
}
