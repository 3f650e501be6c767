//! Releases of packages.

use std::cmp::Reverse;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::domain::access::release::{self, Release};
use crate::domain::access::versions::Scheme;
use crate::domain::validate;
use crate::http::api::list::{List, Paging, PagingQuery};
use crate::http::api::order_of;
use crate::http::api::problem::invalid;
use crate::http::field_errors::{FieldErrors, checked, instant};
use crate::http::location::Location;
use crate::http::openapi;
use crate::http::reason::{ReasonQuery, Reasoned};
use crate::http::{Admin, ApiError, AppState, ValidJson, ValidPath};
use crate::pipeline::package_texts::schemes;
use crate::pipeline::releases::{self, Announced, ReleaseError};

/// Most releases of one order.
const MAX_RELEASES: usize = 1_000;

pub(super) fn router() -> OpenApiRouter<AppState> {
    // `vendor%2Fname` is one part of the path, `vendor/name` two; so with `@scope/name`.
    let routes = OpenApiRouter::default()
        .routes(routes!(list, add))
        .routes(routes!(list_in_two_parts, add_in_two_parts))
        .routes(routes!(remove))
        .routes(routes!(remove_in_two_parts));
    openapi::resource(
        "releases",
        "Versions of packages, and when they were released.",
        routes,
    )
}

impl From<ReleaseError> for ApiError {
    fn from(error: ReleaseError) -> Self {
        match error {
            ReleaseError::TooMany => Self::conflict("releases_too_many", error.to_string()),
            ReleaseError::Invalid { errors } => invalid(errors),
            ReleaseError::NotFound => package_not_found(),
            ReleaseError::Unknown => Self::not_found("release_not_found", error.to_string()),
            ReleaseError::Store(error) => error.into(),
        }
    }
}

/// A package's name from a path. What is no name names nothing.
pub(super) fn package_of(name: &str) -> Result<String, ApiError> {
    validate::any_package(name).map_err(|_| package_not_found())
}

pub(super) fn package_not_found() -> ApiError {
    ApiError::not_found("package_not_found", "there is no such package")
}

/// A release.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Release)]
struct ReleaseView {
    #[schema(examples("acme/tool"))]
    package: String,
    #[schema(examples("2.1.0"))]
    version: String,
    #[schema(examples("2.1.0.0"))]
    normalized: String,
    #[schema(format = DateTime)]
    released_at: String,
    /// What its archive is made of, as Composer has it.
    #[schema(examples("5d41402abc4b2a76b9719d911017c592ae1f3c25"))]
    reference: Option<String>,
}

impl From<Release> for ReleaseView {
    fn from(release: Release) -> Self {
        Self {
            package: release.package,
            version: release.version,
            normalized: release.normalized,
            released_at: release.released_at.to_string(),
            reference: release.reference,
        }
    }
}

/// Lists the releases of a package.
#[utoipa::path(
    get,
    path = "/packages/{package}/releases",
    params(PagingQuery),
    responses((status = 200, description = "Releases.", body = List<ReleaseView>))
)]
async fn list(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(name): ValidPath<String>,
    paging: Paging,
) -> Result<Json<List<ReleaseView>>, ApiError> {
    let package = package_of(&name)?;
    let all = releases::list(&state.store, &admin.app_or_default(), package).await?;
    let position = |it: &Release| Reverse((it.released_at, it.normalized.clone()));
    paging.cut(all, position, ReleaseView::from)
}

/// Lists the releases of a package whose name has two parts.
#[utoipa::path(
    get,
    path = "/packages/{vendor}/{name}/releases",
    params(PagingQuery),
    responses((status = 200, description = "Releases.", body = List<ReleaseView>))
)]
async fn list_in_two_parts(
    state: State<AppState>,
    admin: Admin,
    ValidPath((vendor, name)): ValidPath<(String, String)>,
    paging: Paging,
) -> Result<Json<List<ReleaseView>>, ApiError> {
    list(state, admin, ValidPath(format!("{vendor}/{name}")), paging).await
}

/// One release, or several under `releases`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"version": "2.1.0", "released_at": "2026-01-31T09:30:00Z"})))]
struct ReleasesBody {
    #[schema(examples("2.1.0"))]
    version: Option<String>,
    /// Defaults to now.
    #[schema(format = DateTime)]
    released_at: Option<String>,
    /// What its archive is made of, as Composer's `dist` has it: a commit, mostly. Archives may be
    /// named by it, as Satis does.
    #[schema(max_length = 255, examples("5d41402abc4b2a76b9719d911017c592ae1f3c25"))]
    reference: Option<String>,
    /// Several releases, in place of all the others.
    #[schema(max_items = 1_000)]
    releases: Option<Vec<ReleaseBody>>,
}

/// The same, and why.
type ReleasesWithReason = Reasoned<ReleasesBody>;

/// One of several releases.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReleaseBody {
    #[schema(examples("2.1.0"))]
    version: String,
    /// Defaults to now.
    #[schema(format = DateTime)]
    released_at: Option<String>,
    /// What its archive is made of, as Composer's `dist` has it.
    #[schema(max_length = 255)]
    reference: Option<String>,
}

impl ReleaseBody {
    fn check(self, field_errors: &mut FieldErrors, at: &str, scheme: Scheme) -> Option<Announced> {
        let released_at = self
            .released_at
            .as_ref()
            .and_then(|text| field_errors.note(instant(&format!("{at}released_at"), text)));
        let reference = self.reference.as_deref().map(release::reference);
        let reference = checked(&format!("{at}reference"), reference.transpose());
        let reference = field_errors.note(reference).flatten().map(str::to_owned);
        let field = format!("{at}version");
        let parsed = validate::short(&self.version)
            .and_then(|version| scheme.version(version).map_err(|error| error.to_string()));
        field_errors.note(checked(&field, parsed))?;
        Some(Announced {
            field,
            version: self.version,
            released_at,
            reference,
        })
    }
}

/// The outcome of an order: one release flat, several under `data`.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = ChangedReleases)]
enum AddedView {
    One(OneView),
    Several(SeveralView),
}

/// A release after a request.
#[derive(Serialize, ToSchema)]
#[schema(as = ChangedRelease)]
struct OneView {
    #[serde(flatten)]
    release: ReleaseView,
    changed: bool,
}

/// The releases after a request.
#[derive(Serialize, ToSchema)]
#[schema(as = ChangedReleaseList)]
struct SeveralView {
    data: Vec<ReleaseView>,
    changed: bool,
}

/// Announces releases of a package.
///
/// A version that is known keeps its time and its reference if none is given.
#[utoipa::path(
    post,
    path = "/packages/{package}/releases",
    request_body = ReleasesWithReason,
    responses(
        (status = 200, description = "The releases, all of them known before.", body = AddedView),
        (status = 201, description = "The releases, some of them new.", body = AddedView),
        (status = 409, description = "`releases_too_many`: the package has ten thousand."),
    )
)]
async fn add(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(name): ValidPath<String>,
    ValidJson(Reasoned { body, reason }): ValidJson<ReleasesWithReason>,
) -> Result<(StatusCode, Option<Location>, Json<AddedView>), ApiError> {
    let package = package_of(&name)?;
    let order = order_of(&admin, &state).because(reason);
    let names = std::iter::once(package.as_str());
    let scheme = schemes(&state.store, &order.app, names).await?.of(&package);
    let several = body.releases.is_some();
    let announced = releases_of(body, scheme)?;
    let added = releases::add(&state.store, &order, package.clone(), announced).await?;
    let changed = added.changed;
    let (status, location) = if added.any_new {
        let path = ["packages", &package, "releases"];
        (StatusCode::CREATED, Some(Location::of(path)))
    } else {
        (StatusCode::OK, None)
    };
    let mut data: Vec<ReleaseView> = added.releases.into_iter().map(Into::into).collect();
    let view = match (several, data.pop()) {
        (false, Some(release)) => AddedView::One(OneView { release, changed }),
        (_, last) => {
            data.extend(last);
            AddedView::Several(SeveralView { data, changed })
        }
    };
    Ok((status, location, Json(view)))
}

/// Announces releases of a package whose name has two parts.
///
/// See `POST /packages/{package}/releases`.
#[utoipa::path(
    post,
    path = "/packages/{vendor}/{name}/releases",
    request_body = ReleasesWithReason,
    responses(
        (status = 200, description = "The releases, all of them known before.", body = AddedView),
        (status = 201, description = "The releases, some of them new.", body = AddedView),
        (status = 409, description = "`releases_too_many`: the package has ten thousand."),
    )
)]
async fn add_in_two_parts(
    state: State<AppState>,
    admin: Admin,
    ValidPath((vendor, name)): ValidPath<(String, String)>,
    body: ValidJson<ReleasesWithReason>,
) -> Result<(StatusCode, Option<Location>, Json<AddedView>), ApiError> {
    add(state, admin, ValidPath(format!("{vendor}/{name}")), body).await
}

/// Removes a release.
///
/// The version may be spelt in any way. One that cannot be read as the package declares is looked for
/// as it was written, so that releases recorded otherwise can be removed. A release that the app's
/// Composer repository still has is recorded again when that is read the next time. Customers who are
/// frozen lose the version.
#[utoipa::path(
    delete,
    path = "/packages/{package}/releases/{version}",
    params(ReasonQuery),
    responses((status = 204, description = "Removed."))
)]
async fn remove(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath((name, version)): ValidPath<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let package = package_of(&name)?;
    let order = order_of(&admin, &state);
    releases::remove(&state.store, &order, package, &version).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes a release of a package whose name has two parts.
///
/// See `DELETE /packages/{package}/releases/{version}`.
#[utoipa::path(
    delete,
    path = "/packages/{vendor}/{name}/releases/{version}",
    params(ReasonQuery),
    responses((status = 204, description = "Removed."))
)]
async fn remove_in_two_parts(
    state: State<AppState>,
    admin: Admin,
    ValidPath((vendor, name, version)): ValidPath<(String, String, String)>,
) -> Result<StatusCode, ApiError> {
    let package = format!("{vendor}/{name}");
    remove(state, admin, ValidPath((package, version))).await
}

fn releases_of(body: ReleasesBody, scheme: Scheme) -> Result<Vec<Announced>, ApiError> {
    let mut field_errors = FieldErrors::default();
    let releases = match body {
        ReleasesBody {
            version: Some(version),
            released_at,
            reference,
            releases: None,
        } => {
            let one = ReleaseBody {
                version,
                released_at,
                reference,
            };
            one.check(&mut field_errors, "", scheme)
                .into_iter()
                .collect()
        }
        ReleasesBody {
            version: None,
            released_at: None,
            reference: None,
            releases: Some(all),
        } => {
            if all.len() > MAX_RELEASES {
                let message = format!("must be at most {MAX_RELEASES} releases");
                return Err(ApiError::invalid_field("releases", message));
            }
            let check = |(index, one): (usize, ReleaseBody)| {
                one.check(&mut field_errors, &format!("releases[{index}]."), scheme)
            };
            all.into_iter().enumerate().filter_map(check).collect()
        }
        ReleasesBody { .. } => {
            let message = "is needed, or else `releases` alone";
            field_errors.add("version", message);
            Vec::new()
        }
    };
    field_errors.into_result()?;
    Ok(releases)
}
