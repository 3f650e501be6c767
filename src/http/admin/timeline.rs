//! A customer's timeline.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::openapi::schema::Object;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::domain::shown_times::shown;
use crate::domain::time::Timestamp;
use crate::http::api::customer_id;
use crate::http::api::list::{Filters, List, Listing, PagingQuery};
use crate::http::field_errors::{FieldErrors, instant, word_of};
use crate::http::openapi::{self, words};
use crate::http::{Admin, ApiError, AppState, ValidPath};
use crate::pipeline::timeline::{self, TimelineEntry, TimelineFilter, TimelineKind};

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default().routes(routes!(list));
    openapi::resource(
        "timeline",
        "What happened to customers, in one list.",
        routes,
    )
}

fn kind() -> Object {
    words::one_of(TimelineKind::WORDS)
}

/// Something that happened to a customer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TimelineEntry)]
struct EntryView {
    id: String,
    /// Of webhooks, changes, acts, timers and flags the time here; of payments and refunds the
    /// provider's.
    #[schema(format = DateTime)]
    at: String,
    #[schema(schema_with = kind)]
    kind: &'static str,
    /// The event's type, the operation, or what happened to a payment.
    #[schema(examples("invoice.paid", "suspend", "refunded"))]
    title: String,
    /// The provider's id of the event or of the payment.
    subject: Option<String>,
    /// The author of a change, as in the audit.
    actor: Option<String>,
    /// Of a webhook its outcome, of a change the state before and after; never a secret.
    #[schema(value_type = Object)]
    details: Value,
}

impl From<TimelineEntry> for EntryView {
    fn from(entry: TimelineEntry) -> Self {
        Self {
            id: entry.id,
            at: entry.at.to_string(),
            kind: entry.kind.as_str(),
            title: entry.title,
            subject: entry.subject,
            actor: entry.actor,
            details: shown(entry.details),
        }
    }
}

/// The filters of the list. All are texts, so that each fault gets its own message.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct TimelineQuery {
    /// `webhook`, `change`, `act`, `timer`, `flag`, `payment` or `refund`.
    #[param(example = "payment")]
    kind: Option<String>,
    /// At this time or later.
    #[param(format = DateTime)]
    since: Option<String>,
    /// Before this time.
    #[param(format = DateTime)]
    until: Option<String>,
}

impl Filters for TimelineQuery {
    type Filter = TimelineFilter;

    fn filter(self, _: Timestamp, field_errors: &mut FieldErrors) -> TimelineFilter {
        let since = self.since.map(|text| instant("since", &text));
        let until = self.until.map(|text| instant("until", &text));
        TimelineFilter {
            kind: field_errors.note(word_of("kind", self.kind)).flatten(),
            since: since.and_then(|it| field_errors.note(it)),
            until: until.and_then(|it| field_errors.note(it)),
        }
    }
}

/// Lists what happened to a customer.
///
/// Webhooks and what they changed, acts of admins, timers, flags, payments and refunds. The newest
/// 1,000 webhooks and the newest 1,000 changes within `since` and `until` are looked at.
#[utoipa::path(
    get,
    path = "/customers/{id}/timeline",
    params(PagingQuery, TimelineQuery),
    responses((status = 200, description = "Entries, the newest first.", body = List<EntryView>))
)]
async fn list(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
    Listing { paging, filter }: Listing<TimelineQuery>,
) -> Result<Json<List<EntryView>>, ApiError> {
    let app = admin.app_or_default();
    let found = timeline::list_of(&state.store, &app, &customer_id(&id)?, &filter).await?;
    paging.cut(found, TimelineEntry::position, EntryView::from)
}
