//! Packages of a customer: grants by hand, and those from its plans.

use std::borrow::Cow;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::package_orders::{read_all, read_grant, refuse_many};
use crate::domain::access::hand_grant::{GrantBilling, HandGrant};
use crate::domain::access::versions::Schemes;
use crate::domain::time::Timestamp;
use crate::http::api::list::{List, Paging, PagingQuery};
use crate::http::api::package::{PackageView, packages_of};
use crate::http::api::{customer_id, order_of};
use crate::http::field_errors::{FieldErrors, checked, end};
use crate::http::location::Location;
use crate::http::openapi::{self, words};
use crate::http::reason::{ReasonQuery, Reasoned};
use crate::http::{Admin, ApiError, AppState, ValidJson, ValidPath};
use crate::pipeline::grants::{self as hand_grants, Given, GrantError};
use crate::pipeline::package_texts::schemes;

pub(super) fn router() -> OpenApiRouter<AppState> {
    // `vendor%2Fname` is one part of the path, `vendor/name` two; so with `@scope/name`.
    let routes = OpenApiRouter::default()
        .routes(routes!(list, grant, replace))
        .routes(routes!(revoke))
        .routes(routes!(revoke_in_two_parts));
    openapi::resource("packages", "Packages that customers may have.", routes)
}

impl From<GrantError> for ApiError {
    fn from(error: GrantError) -> Self {
        match error {
            GrantError::Customer(error) => error.into(),
            GrantError::NotFound => {
                let detail = "the customer has no grant by hand for this package; what its plans \
                              give ends with them";
                Self::not_found("grant_not_found", detail)
            }
            GrantError::Package(error) => error.into(),
            GrantError::TooMany => Self::conflict("packages_too_many", error.to_string()),
            GrantError::Store(error) => error.into(),
        }
    }
}

/// Lists the packages that a customer may have, by hand and by its plans.
#[utoipa::path(
    get,
    path = "/customers/{id}/packages",
    params(PagingQuery),
    responses((status = 200, description = "Packages, by name.", body = List<PackageView>))
)]
async fn list(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
    paging: Paging,
) -> Result<Json<List<PackageView>>, ApiError> {
    let app = admin.app_or_default();
    let found =
        hand_grants::list(&state.store, &app, &customer_id(&id)?, state.clock.now()).await?;
    let packages = packages_of(&found.customer, &found.granted);
    paging.cut(packages, PackageView::key, |view| view)
}

/// A package that is granted by hand.
#[derive(Deserialize, ToSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "an object with `package` and perhaps `constraint`, `billing` and `expires_at`"
)]
struct HandGrantBody {
    /// `vendor/package` in lower case; of a package that is declared `versions: semver` also `name`
    /// or `@scope/name`.
    #[schema(examples("acme/tool"))]
    package: String,
    /// A version constraint, as Composer writes it, or Cargo if the package is declared so; `*` by
    /// default.
    #[schema(examples("^2.0"))]
    constraint: Option<String>,
    /// `follow`, the default: it counts while billing lets the customer in. `ignore`: it counts
    /// whatever billing says, as if it were paid for.
    #[schema(schema_with = words::grant_billing)]
    billing: Option<String>,
    /// The time at which it runs out; never by default.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// The same, in a request of its own.
#[derive(Deserialize)]
#[serde(transparent)]
struct NewHandGrantBody(HandGrantBody);

impl PartialSchema for NewHandGrantBody {
    fn schema() -> RefOr<Schema> {
        HandGrantBody::schema()
    }
}

impl ToSchema for NewHandGrantBody {
    fn name() -> Cow<'static, str> {
        "NewHandGrant".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        HandGrantBody::schemas(schemas);
    }
}

/// The same, and why.
type HandGrantWithReason = Reasoned<NewHandGrantBody>;

impl HandGrantBody {
    fn check(
        self,
        field_errors: &mut FieldErrors,
        at: &str,
        schemes: &Schemes,
        now: Timestamp,
    ) -> Option<HandGrant> {
        let Self {
            package,
            constraint,
            billing,
            expires_at,
        } = self;
        let billing = billing.map_or(Ok(GrantBilling::Follow), |word| {
            let parsed: Result<GrantBilling, _> = word.parse();
            parsed.map_err(|_| "must be `follow` or `ignore`".to_owned())
        });
        let billing = field_errors.note(checked(&format!("{at}billing"), billing));
        let expires_at = end(&format!("{at}expires_at"), expires_at.as_deref(), now);
        let expires_at = field_errors.note(expires_at);
        let places = [format!("{at}package"), format!("{at}constraint")];
        let grant = read_grant(field_errors, places, schemes, &package, constraint);
        Some(HandGrant {
            grant: grant?,
            billing: billing?,
            expires_at: expires_at?,
        })
    }
}

/// A grant by hand after a request.
#[derive(Serialize, ToSchema)]
#[schema(as = ChangedCustomerPackage)]
struct GrantedView {
    #[serde(flatten)]
    package: PackageView,
    changed: bool,
}

/// Grants a package by hand.
///
/// It replaces earlier grants by hand for the same package.
#[utoipa::path(
    post,
    path = "/customers/{id}/packages",
    request_body = HandGrantWithReason,
    responses(
        (status = 200, description = "The grant, which was there before or had another constraint.", body = GrantedView),
        (status = 201, description = "The new grant.", body = GrantedView),
        (status = 409, description = "`customer_deleted`: it takes no changes; `packages_too_many`: it has a thousand."),
    )
)]
async fn grant(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
    ValidJson(Reasoned {
        body: NewHandGrantBody(body),
        reason,
    }): ValidJson<HandGrantWithReason>,
) -> Result<(StatusCode, Option<Location>, Json<GrantedView>), ApiError> {
    let mut field_errors = FieldErrors::default();
    let order = order_of(&admin, &state).because(reason);
    let names = std::iter::once(body.package.as_str());
    let schemes = schemes(&state.store, &order.app, names).await?;
    let grant = body.check(&mut field_errors, "", &schemes, order.now);
    let grant = field_errors.finish(grant)?;
    let customer = customer_id(&id)?;
    let given = hand_grants::grant(&state.store, &order, &customer, grant).await?;
    let Given {
        grant,
        is_new,
        changed,
    } = given;
    let (status, location) = if is_new {
        let parts = ["customers", customer.as_str(), "packages"];
        (StatusCode::CREATED, Some(Location::of(parts)))
    } else {
        (StatusCode::OK, None)
    };
    let package = PackageView::from(grant);
    Ok((status, location, Json(GrantedView { package, changed })))
}

/// All grants by hand.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PackagesBody {
    #[schema(max_items = 1_000)]
    packages: Vec<HandGrantBody>,
}

/// The same, and why.
type PackagesWithReason = Reasoned<PackagesBody>;

/// All packages of a customer after its grants were replaced.
#[derive(Serialize, ToSchema)]
#[schema(as = ChangedCustomerPackages)]
struct ReplacedView {
    data: Vec<PackageView>,
    changed: bool,
}

/// Replaces all grants by hand of a customer.
#[utoipa::path(
    put,
    path = "/customers/{id}/packages",
    request_body = PackagesWithReason,
    responses(
        (status = 200, description = "The packages that the customer may have now.", body = ReplacedView),
        (status = 409, description = "`customer_deleted`: it takes no changes."),
    )
)]
async fn replace(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
    ValidJson(Reasoned { body, reason }): ValidJson<PackagesWithReason>,
) -> Result<Json<ReplacedView>, ApiError> {
    let order = order_of(&admin, &state).because(reason);
    refuse_many(body.packages.len())?;
    let names = body.packages.iter().map(|body| body.package.as_str());
    let schemes = schemes(&state.store, &order.app, names).await?;
    let wanted = read_all(
        body.packages,
        |body, field_errors, at| body.check(field_errors, &format!("{at}."), &schemes, order.now),
        |_, at| format!("{at}.package"),
        |it| &it.grant.package,
    )?;
    let id = customer_id(&id)?;
    let replaced = hand_grants::replace(&state.store, &order, &id, &wanted).await?;
    let details = replaced.details;
    Ok(Json(ReplacedView {
        data: packages_of(&details.customer, &details.granted),
        changed: replaced.changed,
    }))
}

/// Revokes a grant by hand.
#[utoipa::path(
    delete,
    path = "/customers/{id}/packages/{package}",
    params(ReasonQuery),
    responses(
        (status = 204, description = "Deleted."),
        (status = 409, description = "`customer_deleted`: it takes no changes."),
    )
)]
async fn revoke(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath((id, package)): ValidPath<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let order = order_of(&admin, &state);
    hand_grants::revoke(&state.store, &order, &customer_id(&id)?, &package).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Revokes a grant by hand; the package is written with a slash.
#[utoipa::path(
    delete,
    path = "/customers/{id}/packages/{vendor}/{name}",
    params(ReasonQuery),
    responses(
        (status = 204, description = "Deleted."),
        (status = 409, description = "`customer_deleted`: it takes no changes."),
    )
)]
async fn revoke_in_two_parts(
    state: State<AppState>,
    admin: Admin,
    ValidPath((id, vendor, name)): ValidPath<(String, String, String)>,
) -> Result<StatusCode, ApiError> {
    revoke(state, admin, ValidPath((id, format!("{vendor}/{name}")))).await
}
