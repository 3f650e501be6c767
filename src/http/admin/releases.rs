//! Releases of packages.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::list::{List, Paging, PagingQuery};
use super::view::ReleaseView;
use super::{FieldErrors, checked, instant, order_of};
use crate::domain::access::constraint::Version;
use crate::domain::access::release::Release;
use crate::domain::time::Timestamp;
use crate::domain::validate;
use crate::http::openapi;
use crate::http::{Admin, ApiError, AppState, ValidJson, ValidPath};

/// Most releases of one order.
const MAX_RELEASES: usize = 1_000;

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default().routes(routes!(list, add));
    openapi::resource(
        "releases",
        "Versions of packages, and when they came out.",
        routes,
    )
}

/// A package's name from a path. What is no name names nothing.
pub(super) fn package_of(vendor: &str, name: &str) -> Result<String, ApiError> {
    let unknown = |_| ApiError::not_found("package_not_found", "there is no such package");
    validate::package(&format!("{vendor}/{name}")).map_err(unknown)
}

/// Lists the releases of a package.
#[utoipa::path(
    get,
    path = "/packages/{vendor}/{name}/releases",
    params(PagingQuery),
    responses((status = 200, description = "Releases.", body = List<ReleaseView>))
)]
async fn list(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath((vendor, name)): ValidPath<(String, String)>,
    paging: Paging,
) -> Result<Json<List<ReleaseView>>, ApiError> {
    let package = package_of(&vendor, &name)?;
    let mut tx = state.store.read().await?;
    let all = tx
        .release_list(&admin.app_or_default(), &BTreeSet::from([package]))
        .await?;
    let all: Vec<ReleaseView> = all.into_iter().map(ReleaseView::from).collect();
    Ok(paging.cut(all, |release| release.normalized.clone()))
}

/// One release, or several under `releases`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"version": "2.1.0", "released_at": "2026-01-31T09:30:00Z"})))]
struct ReleasesBody {
    #[schema(examples("2.1.0"))]
    version: Option<String>,
    /// Now, unless given.
    #[schema(format = DateTime)]
    released_at: Option<String>,
    /// In place of `version` and `released_at`.
    #[schema(max_items = 1_000)]
    releases: Option<Vec<ReleaseBody>>,
}

/// One of several releases.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReleaseBody {
    #[schema(examples("2.1.0"))]
    version: String,
    /// Now, unless given.
    #[schema(format = DateTime)]
    released_at: Option<String>,
}

impl ReleaseBody {
    fn check(
        &self,
        field_errors: &mut FieldErrors,
        at: &str,
        wanted: &Wanted<'_>,
    ) -> Option<Announced> {
        let released_at = self
            .released_at
            .as_ref()
            .map(|text| field_errors.note(instant(&format!("{at}released_at"), text)));
        let at_or_now = released_at.flatten().unwrap_or(wanted.now);
        let release = Release::new(wanted.package, &self.version, at_or_now);
        let release = release.map_err(|error| error.to_string());
        let release = field_errors.note(checked(&format!("{at}version"), release))?;
        Some(Announced {
            release,
            is_timed: released_at.is_some(),
        })
    }
}

/// A release of an order, and whether the order says when it came out.
struct Announced {
    release: Release,
    is_timed: bool,
}

/// What all releases of an order share.
struct Wanted<'a> {
    package: &'a str,
    now: Timestamp,
}

/// What came of an order: one release flat, several under `data`.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = ChangedReleases)]
enum AddedView {
    One(OneView),
    Several(SeveralView),
}

/// A release after an order.
#[derive(Serialize, ToSchema)]
#[schema(as = ChangedRelease)]
struct OneView {
    #[serde(flatten)]
    release: ReleaseView,
    changed: bool,
}

/// The releases of an order.
#[derive(Serialize, ToSchema)]
#[schema(as = ChangedReleaseList)]
struct SeveralView {
    data: Vec<ReleaseView>,
    changed: bool,
}

/// Announces releases of a package.
///
/// A version that is known keeps its time if none is given.
#[utoipa::path(
    post,
    path = "/packages/{vendor}/{name}/releases",
    request_body = ReleasesBody,
    responses(
        (status = 200, description = "The releases, all of them known before.", body = AddedView),
        (status = 201, description = "The releases, some of them new.", body = AddedView),
    )
)]
async fn add(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath((vendor, name)): ValidPath<(String, String)>,
    ValidJson(body): ValidJson<ReleasesBody>,
) -> Result<(StatusCode, Json<AddedView>), ApiError> {
    let package = package_of(&vendor, &name)?;
    let order = order_of(&admin, &state);
    let wanted = Wanted {
        package: &package,
        now: order.now,
    };
    let several = body.releases.is_some();
    let releases = releases_of(body, &wanted)?;
    let mut tx = state.store.begin_in(&order.app).await?;
    let known = tx
        .release_list(&order.app, &BTreeSet::from([package.clone()]))
        .await?;
    let plan = compare(known, releases);
    tx.release_put(&order.app, &plan.write).await?;
    if !plan.write.is_empty() {
        let (from, to) = (dates(&plan.before), dates(&plan.write));
        let details = json!({"package": package, "from": from, "to": to});
        order.audit(&mut tx, None, "release_add", details).await?;
    }
    tx.commit().await?;
    let changed = !plan.write.is_empty();
    let status = if plan.any_new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let mut data: Vec<ReleaseView> = plan.after.into_iter().map(ReleaseView::from).collect();
    let view = match (several, data.pop()) {
        (false, Some(release)) => AddedView::One(OneView { release, changed }),
        (_, last) => {
            data.extend(last);
            AddedView::Several(SeveralView { data, changed })
        }
    };
    Ok((status, Json(view)))
}

fn releases_of(body: ReleasesBody, wanted: &Wanted<'_>) -> Result<Vec<Announced>, ApiError> {
    let mut field_errors = FieldErrors::default();
    let releases = match body {
        ReleasesBody {
            version: Some(version),
            released_at,
            releases: None,
        } => {
            let one = ReleaseBody {
                version,
                released_at,
            };
            one.check(&mut field_errors, "", wanted)
                .into_iter()
                .collect()
        }
        ReleasesBody {
            version: None,
            released_at: None,
            releases: Some(all),
        } => {
            if all.len() > MAX_RELEASES {
                let message = format!("must be at most {MAX_RELEASES} releases");
                return Err(ApiError::invalid_field("releases", message));
            }
            let check = |(index, one): (usize, &ReleaseBody)| {
                one.check(&mut field_errors, &format!("releases[{index}]."), wanted)
            };
            all.iter().enumerate().filter_map(check).collect()
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

/// When which version came out, for the audit.
fn dates(releases: &[Release]) -> BTreeMap<&str, String> {
    let date = |it: &Release| it.released_at.to_string();
    releases
        .iter()
        .map(|it| (it.version.as_str(), date(it)))
        .collect()
}

/// What an order means beside what is known.
struct Comparison {
    /// What was known of the versions that must be written.
    before: Vec<Release>,
    /// What must be written.
    write: Vec<Release>,
    /// All versions of the order as they are afterwards.
    after: Vec<Release>,
    /// Whether a version was not known in any spelling.
    any_new: bool,
}

/// Versions are the same by value, whatever their spelling: one that is known keeps its key, and,
/// if the order says no time, its time, or a repetition would take the version from everybody who
/// was frozen in between.
fn compare(known: Vec<Release>, wanted: Vec<Announced>) -> Comparison {
    let mut by_version: BTreeMap<Version, Release> = BTreeMap::new();
    for release in known {
        if let Ok(version) = Version::parse(&release.version) {
            by_version.insert(version, release);
        }
    }
    let mut comparison = Comparison {
        before: Vec::new(),
        write: Vec::new(),
        after: Vec::new(),
        any_new: false,
    };
    for Announced {
        mut release,
        is_timed,
    } in wanted
    {
        let Ok(version) = Version::parse(&release.version) else {
            continue;
        };
        match by_version.get(&version) {
            Some(known) => {
                release.normalized.clone_from(&known.normalized);
                if !is_timed {
                    release.released_at = known.released_at;
                }
            }
            None => comparison.any_new = true,
        }
        comparison.after.push(release.clone());
        let before = by_version.insert(version, release.clone());
        if before.as_ref() != Some(&release) {
            comparison.before.extend(before);
            comparison.write.push(release);
        }
    }
    comparison
}
