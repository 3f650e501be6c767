//! Customers as the admin API and the dialect of apps show them, and how they are asked for.

use axum::Json;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::external_id::{spellings, with_plus};
use super::flag::{FlagView, flags};
use super::list::{Filters, Paging};
use super::{customer_id, cut, is_whole, time};
use crate::domain::access::check::{Holder, frozen_versions};
use crate::domain::billing::fact::Address;
use crate::domain::customer::profile::ProfileChange;
use crate::domain::customer::row::{Customer, PackageVersion, Status};
use crate::domain::id::AppSlug;
use crate::domain::time::Timestamp;
use crate::domain::validate::FieldError;
use crate::http::field_errors::{FieldErrors, instant, yes_or_no};
use crate::http::location::Location;
use crate::http::openapi::words;
use crate::http::precondition::{Tag, Tagged};
use crate::http::{ApiError, AppState};
use crate::offload;
use crate::pipeline::customers::{self, Acted, Created, CustomerPage, GotOrCreated, Named};
use crate::pipeline::order::Order;
use crate::store::{CustomerFilter, Granted, Listed};

/// Longest text that is searched for, in bytes: the longest e-mail address of a provider.
const MAX_SEARCH: usize = 512;

/// A customer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Customer)]
pub(in crate::http) struct CustomerView {
    #[schema(examples("cust_01939f1bf0007cc8a4d0b1c2d3e4f506"))]
    pub(in crate::http) id: String,
    #[schema(examples("default"))]
    app: String,
    #[schema(examples("default"))]
    organization_id: String,
    #[schema(examples("Acme Inc"))]
    name: Option<String>,
    #[schema(examples("billing@acme.example"))]
    email: Option<String>,
    #[schema(examples("crm-1042"))]
    external_id: Option<String>,
    user_id: Option<String>,
    phone: Option<String>,
    billing_address_line1: Option<String>,
    billing_address_line2: Option<String>,
    billing_address_city: Option<String>,
    billing_address_state: Option<String>,
    billing_address_postal_code: Option<String>,
    billing_address_country: Option<String>,
    tax_id: Option<String>,
    #[schema(value_type = Object)]
    metadata: Map<String, Value>,
    #[schema(schema_with = words::status)]
    status: &'static str,
    status_reason: Option<String>,
    #[schema(format = DateTime)]
    status_since: String,
    /// The reasons why the customer is held; empty for active customers.
    #[schema(schema_with = words::holds)]
    holds: Vec<&'static str>,
    /// The open flags, at most 100.
    flags: Vec<FlagView>,
    /// There are more flags: `GET /api/v1/flags?customer_id=…` lists them all. Missing otherwise.
    #[serde(skip_serializing_if = "is_whole")]
    flags_truncated: bool,
    #[schema(format = DateTime)]
    frozen_at: Option<String>,
    frozen_versions: Option<Vec<PackageVersion>>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
    #[schema(format = DateTime)]
    deleted_at: Option<String>,
}

impl CustomerView {
    /// A customer of an app, with everything that is granted to it.
    pub(in crate::http) fn of(app: &AppSlug, customer: Customer, granted: &Granted) -> Self {
        let grants = granted.of(&customer);
        let holder = Holder {
            token: None,
            derived: &customer.derived,
            grants: &grants,
            releases: &granted.releases,
            schemes: &granted.schemes,
        };
        let frozen_versions = frozen_versions(holder);
        let (flags, flags_truncated) = cut(flags(&customer, granted));
        let Customer {
            id,
            profile,
            derived: shown,
            ..
        } = customer;
        let contact = shown.contact;
        let Address {
            line1,
            line2,
            city,
            state,
            postal_code,
            country,
        } = contact.address.unwrap_or_default();
        Self {
            id: id.into(),
            app: app.to_string(),
            organization_id: app.to_string(),
            name: contact.name,
            email: contact.email,
            external_id: shown.external_id,
            user_id: profile.user_id,
            phone: contact.phone,
            billing_address_line1: line1,
            billing_address_line2: line2,
            billing_address_city: city,
            billing_address_state: state,
            billing_address_postal_code: postal_code,
            billing_address_country: country,
            tax_id: profile.tax_id,
            metadata: profile.metadata,
            status: shown.status.as_str(),
            status_reason: shown.reason,
            status_since: customer.status_since.to_string(),
            holds: shown.holds.iter().map(|hold| hold.as_str()).collect(),
            flags,
            flags_truncated,
            frozen_at: time(shown.frozen_at),
            frozen_versions,
            created_at: customer.made_at.to_string(),
            updated_at: customer.updated_at.to_string(),
            deleted_at: time(customer.deleted_at),
        }
    }
}

/// A customer that was just created, with its first token, which is shown only once.
#[derive(Serialize, ToSchema)]
#[schema(as = CreatedCustomer)]
pub(in crate::http) struct CreatedView {
    #[serde(flatten)]
    customer: CustomerView,
    /// Its first access token, which is shown only here.
    token: String,
}

/// A customer after an operation.
#[derive(Serialize, ToSchema)]
#[schema(as = ChangedCustomer)]
pub(in crate::http) struct ActedView {
    #[serde(flatten)]
    customer: CustomerView,
    /// False if the customer was like this before.
    changed: bool,
}

impl ActedView {
    /// A customer as an act left it, with its tag.
    pub(in crate::http) fn tagged(app: &AppSlug, acted: Acted) -> Tagged<Self> {
        let tag = Tag(acted.customer.state_tag());
        (tag, Json(Self::of(app, acted)))
    }

    /// A customer as an act left it.
    pub(in crate::http) fn of(app: &AppSlug, acted: Acted) -> Self {
        Self {
            customer: CustomerView::of(app, acted.customer, &acted.granted),
            changed: acted.changed,
        }
    }
}

impl CreatedView {
    /// A customer that was just made.
    pub(in crate::http) fn of(app: &AppSlug, created: Created) -> Self {
        Self {
            customer: CustomerView::of(app, created.customer, &created.granted),
            token: created.token.expose().to_owned(),
        }
    }
}

/// A customer that was found, or one that was created.
#[derive(Serialize)]
#[serde(untagged)]
pub(in crate::http) enum FoundOrMade {
    Found(Box<CustomerView>),
    Made(Box<CreatedView>),
}

/// The answer with one of these.
pub(in crate::http) type FoundOrMadeAnswer = (StatusCode, Option<Location>, Tag, Json<FoundOrMade>);

/// Finds or creates a customer. One that was created is found below `collection`.
pub(in crate::http) async fn found_or_made(
    state: &AppState,
    order: &Order,
    change: &ProfileChange,
    collection: String,
) -> Result<FoundOrMadeAnswer, ApiError> {
    let got = customers::get_or_create(&state.store, order, change).await?;
    Ok(match got {
        GotOrCreated::Got(found) => {
            let tag = Tag(found.customer.state_tag());
            let customer = CustomerView::of(&order.app, found.customer, &found.granted);
            let customer = FoundOrMade::Found(Box::new(customer));
            (StatusCode::OK, None, tag, Json(customer))
        }
        GotOrCreated::Created(made) => {
            let tag = Tag(made.customer.state_tag());
            let location = Location::below(collection, [made.customer.id.as_str()]);
            let made = FoundOrMade::Made(Box::new(CreatedView::of(&order.app, *made)));
            (StatusCode::CREATED, Some(location), tag, Json(made))
        }
    })
}

/// Finds a customer by its id.
pub(in crate::http) async fn by_id(
    state: &AppState,
    app: &AppSlug,
    id: &str,
) -> Result<Tagged<CustomerView>, ApiError> {
    found(state, app, Named::Id(&customer_id(id)?)).await
}

/// Finds a customer by its e-mail address.
pub(in crate::http) async fn by_email(
    state: &AppState,
    app: &AppSlug,
    email: &str,
) -> Result<Tagged<CustomerView>, ApiError> {
    // A `+` that was not encoded arrives as a blank, and no address has one.
    let email = email.trim().replace(' ', "+");
    found(state, app, Named::Email(&email)).await
}

/// Finds a customer.
pub(in crate::http) async fn found(
    state: &AppState,
    app: &AppSlug,
    named: Named<'_>,
) -> Result<Tagged<CustomerView>, ApiError> {
    let found = customers::find(&state.store, app, named, state.clock.now()).await?;
    let tag = Tag(found.customer.state_tag());
    let app = app.clone();
    let comparisons = found.granted.comparisons([&found.customer]);
    let view = move || CustomerView::of(&app, found.customer, &found.granted);
    Ok((tag, Json(offload::run(comparisons, view).await)))
}

/// Finds a customer by an external id of a query, in which a `+` that was not encoded arrives as a
/// blank. Ids may have blanks, so the id as it arrived counts first.
pub(in crate::http) async fn by_external_id(
    state: &AppState,
    app: &AppSlug,
    ExternalIdQuery { external_id }: ExternalIdQuery,
) -> Result<Tagged<CustomerView>, ApiError> {
    let found_first = found(state, app, Named::External(&external_id)).await;
    match (found_first, with_plus(&external_id)) {
        (Err(ApiError::NotFound { .. }), Some(meant)) => {
            found(state, app, Named::External(&meant)).await
        }
        (found, _) => found,
    }
}

/// Lists part of an app's customers.
pub(in crate::http) async fn listed(
    state: &AppState,
    app: &AppSlug,
    filter: &CustomerFilter,
    paging: &Paging,
) -> Result<Listed<CustomerView>, ApiError> {
    let page =
        customers::list(&state.store, app, filter, &paging.window, state.clock.now()).await?;
    let CustomerPage { part, granted } = page;
    let app = app.clone();
    let comparisons = granted.comparisons(&part.rows);
    let views = move || {
        let view = |customer| CustomerView::of(&app, customer, &granted);
        super::list::map(part, view)
    };
    Ok(offload::run(comparisons, views).await)
}

/// The external id to look up.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct ExternalIdQuery {
    /// An external id, as in the path of `by-external`.
    pub(in crate::http) external_id: String,
}

/// The e-mail address to look up.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct EmailQuery {
    /// The whole address.
    pub(in crate::http) email: String,
}

/// The filters of the list. All are texts, so that each fault gets its own message.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct ListQuery {
    /// A part of the e-mail address.
    #[param(max_length = 512)]
    email: Option<String>,
    /// The whole external id or the id of a billing account, in any spelling that
    /// `/customers/by-external` takes.
    external_id: Option<String>,
    /// The whole id of the user.
    user_id: Option<String>,
    #[param(schema_with = words::status)]
    status: Option<String>,
    /// A part of a name, an address or an id.
    #[param(max_length = 512)]
    q: Option<String>,
    /// Only customers that were created after this time. Ignored if empty.
    #[param(example = "2026-01-31T09:30:00Z")]
    created_after: Option<String>,
    /// Only customers with an access token, or only those without.
    #[param(value_type = Option<bool>)]
    has_token: Option<String>,
    /// Also those that were deleted softly.
    #[param(value_type = Option<bool>)]
    include_deleted: Option<String>,
}

/// `?email=` is what a form sends that leaves a field empty.
fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// A text that is searched for.
fn searched(field: &str, text: Option<String>) -> Result<Option<String>, FieldError> {
    // Engines refuse patterns beyond some length, and nothing that is searched is longer.
    match text {
        Some(text) if text.len() > MAX_SEARCH => {
            let message = format!("must be at most {MAX_SEARCH} bytes long");
            Err(FieldError::new(field, message))
        }
        text => Ok(filled(text)),
    }
}

fn status(text: Option<String>) -> Result<Option<String>, FieldError> {
    match filled(text) {
        Some(word) if !Status::WORDS.contains(&word.as_str()) => {
            let message = "must be active, suspended, frozen or expired";
            Err(FieldError::new("status", message))
        }
        word => Ok(word),
    }
}

impl Filters for ListQuery {
    type Filter = CustomerFilter;

    fn filter(self, _: Timestamp, field_errors: &mut FieldErrors) -> CustomerFilter {
        let external_id = filled(self.external_id);
        let created_after = filled(self.created_after);
        let created_after = created_after.map(|text| instant("created_after", &text));
        let has_token = yes_or_no("has_token", self.has_token.as_deref());
        let include_deleted = yes_or_no("include_deleted", self.include_deleted.as_deref());
        CustomerFilter {
            email: field_errors.note(searched("email", self.email)).flatten(),
            other_spellings: external_id.as_deref().map_or_else(Vec::new, spellings),
            external_id,
            user_id: filled(self.user_id),
            status: field_errors.note(status(self.status)).flatten(),
            text: field_errors.note(searched("q", self.q)).flatten(),
            created_after: created_after.and_then(|it| field_errors.note(it)),
            has_token: field_errors.note(has_token).flatten(),
            include_deleted: field_errors
                .note(include_deleted)
                .flatten()
                .unwrap_or_default(),
        }
    }
}
