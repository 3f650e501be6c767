//! The access check, for registries: may this token have this package in this version?
//!
//! The same answer stands in the body, for programs, and in headers, for proxies that see no
//! bodies (nginx's `auth_request`). 401 means that another token may help, 403 that none of this
//! customer's tokens will.
//!
//! Failed look-ups are never refused by address: a registry asks for all its users from one
//! address, so one stale token in somebody's build would lock out everybody. They only wait, once
//! there were many: see `wrong_tokens.rs`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access_answer::{AccessAnswer, status_of};
use super::client_addr::ClientAddr;
use super::customer_token::presented;
use super::error::ApiError;
use super::input::Headers;
use super::openapi::{self, words};
use super::question::{self, About, Wanted};
use super::{AppState, ValidQuery};
use crate::domain::access::check::{AccessCode, Extent};
use crate::domain::access::live_grant::LiveGrant;
use crate::domain::access::token::{CustomerToken, TokenHash};
use crate::domain::access::versions::Scheme;
use crate::domain::id::AppSlug;
use crate::domain::time::Timestamp;
use crate::http::api::package::{PackageView, views_of};
use crate::pipeline::access::{self, Asker, Everything, Question};

/// The access check of registries.
pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default()
        .routes(routes!(check))
        .routes(routes!(packages));
    openapi::resource("access", "The access check, for registries.", routes)
}

/// The app that a registry belongs to. An admin of any app may grant any package there, so a registry that
/// belongs to one app asks for that one.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct AppQuery {
    /// The app whose tokens count; a token of another one is unknown. Without it, tokens of all apps count.
    #[param(value_type = Option<String>, example = "default")]
    app: Option<AppSlug>,
}

/// A question about one package.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct AccessQuery {
    /// The app whose tokens count; a token of another one is unknown. Without it, tokens of all apps count.
    #[param(value_type = Option<String>, example = "default")]
    app: Option<AppSlug>,
    /// Its name, in any case.
    #[param(min_length = 1, example = "acme/tool")]
    package: Option<String>,
    /// A version, as Composer writes it, or SemVer if the package is declared so. Without it, the check asks for any version.
    #[param(example = "2.1.0")]
    version: Option<String>,
}

impl AccessQuery {
    fn question(&self) -> Question<'_> {
        Question {
            package: self.package.as_deref(),
            version: self.version.as_deref(),
            reference: None,
            is_of_composer: false,
        }
    }

    /// What the query asks; `None` if nothing.
    fn wanted(&self) -> Option<Wanted> {
        self.package.as_ref().or(self.version.as_ref())?;
        let package = self.package.as_deref().unwrap_or_default();
        Some(Wanted::new(package, self.version.as_deref()))
    }
}

/// Checks whether a token may have a version of a package.
///
/// The answer is repeated in the headers `X-Tollgate-Allowed`, `-Code`, `-Customer-Id`, `-Status` and
/// `-Warning`, for proxies that see no bodies; the warning is written as between the quotes of a JSON
/// string.
///
/// In place of the query, headers may ask: `X-Tollgate-Package` and `X-Tollgate-Version`, or the path
/// of the wanted file in `X-Original-URI` or `X-Forwarded-Uri`. Whatever asks must ask the same; only
/// the path `/access` says nothing beside a query. A path is that of a Composer repository, so a
/// package that is declared `versions: semver` is not granted by it. If the path is that of metadata in
/// `X-Forwarded-Uri`, a package that is not granted is 404.
#[utoipa::path(
    get,
    path = "/access",
    params(AccessQuery),
    security(("customer_token" = []), ("customer_basic" = [])),
    responses(
        (status = 200, description = "The token may have it.", body = AccessAnswer),
        (status = 401, description = "Another token may help: `token_unknown` or `token_expired`. After a hundred a minute from one address, a second late.", body = AccessAnswer),
        (status = 403, description = "No token of this customer will help; the code says why.", body = AccessAnswer),
        (status = 404, description = "The package is not granted, and `X-Forwarded-Uri` asks for its metadata.", body = AccessAnswer),
        (status = 422, description = "`query_invalid`: no package is named; `question_unclear`: query and headers ask about different things, or headers about none that can be told."),
        (status = 500, description = "`internal`."),
        (status = 503, description = "`unavailable`."),
    )
)]
async fn check(
    State(state): State<AppState>,
    client: ClientAddr,
    ValidQuery(query): ValidQuery<AccessQuery>,
    Headers(headers): Headers,
) -> Result<AccessAnswer, ApiError> {
    let now = state.clock.now();
    let Some(hash) = presented(&headers) else {
        return Ok(counted(&state, AccessAnswer::nobody()));
    };
    let asked = question::of_headers(&headers, query.wanted())?;
    let app = query.app.as_ref();
    let answer = match &asked {
        None => about(&state, &hash, app, query.question(), now).await?,
        Some(asked) => match &asked.about {
            // In a box: it takes more room than a question about a package, which is asked for each file.
            About::Anything => Box::pin(anything(&state, &hash, app, now)).await?,
            About::Package(wanted) => {
                let question = wanted.question(asked.is_of_composer);
                about(&state, &hash, app, question, now).await?
            }
        },
    };
    let answer = answer.unwrap_or_else(AccessAnswer::nobody);
    let answer = match asked {
        Some(asked) if asked.is_for_metadata => answer.for_metadata(),
        _ => answer,
    };
    note_wrong(&state, client, answer.code).await;
    Ok(counted(&state, answer))
}

/// Answers about a package; `None` if nobody of the app has the token.
async fn about(
    state: &AppState,
    hash: &TokenHash,
    app: Option<&AppSlug>,
    question: Question<'_>,
    now: Timestamp,
) -> Result<Option<AccessAnswer>, ApiError> {
    let checked = state.access().check(hash, question, now).await?;
    let checked = checked.filter(|it| is_of(app, &it.subject.app));
    Ok(checked.map(|checked| {
        note_token(state, &checked.subject.token, now);
        checked.into()
    }))
}

/// Answers whether a token is good for anything; `None` if nobody of the app has it.
async fn anything(
    state: &AppState,
    hash: &TokenHash,
    app: Option<&AppSlug>,
    now: Timestamp,
) -> Result<Option<AccessAnswer>, ApiError> {
    let entry = access::enter(&state.store, hash, now).await?;
    let entry = entry.filter(|it| is_of(app, &it.asker.app));
    Ok(entry.map(|entry| {
        note_use(state, &entry.asker, now);
        AccessAnswer::of(entry.code, entry.asker).warned(entry.warning)
    }))
}

/// Reports whether a question that is put to one app, or to all, may be answered by this one.
fn is_of(asked: Option<&AppSlug>, app: &AppSlug) -> bool {
    asked.is_none_or(|asked| asked == app)
}

/// Counts an answer.
fn counted(state: &AppState, answer: AccessAnswer) -> AccessAnswer {
    state.metrics.access.answered(answer.code);
    answer
}

/// Counts a token that opens nothing, and delays its answer if there were many.
pub(super) async fn note_wrong(state: &AppState, client: ClientAddr, code: AccessCode) {
    if status_of(code) == StatusCode::UNAUTHORIZED {
        state.wrong_tokens().note(client.0).await;
    }
}

/// Notes that a token was used, unless it has run out.
pub(super) fn note_use(state: &AppState, asker: &Asker, now: Timestamp) {
    if let Some(token) = &asker.token {
        note_token(state, token, now);
    }
}

fn note_token(state: &AppState, token: &CustomerToken, now: Timestamp) {
    if !token.is_expired(now) {
        state.usage.note_token(token, now);
    }
}

/// Everything that a token may have.
#[derive(Serialize, ToSchema)]
#[schema(as = AccessPackages)]
struct PackagesAnswer {
    #[serde(flatten)]
    answer: AccessAnswer,
    packages: BTreeMap<String, ExtentView>,
}

/// The versions of a package that may be had: all that a constraint allows, and those of a list.
/// What was bought and has ended is a list, because later versions would match a constraint.
#[derive(Serialize, ToSchema)]
#[schema(as = Extent)]
struct ExtentView {
    /// `semver` if constraint and versions are read so; missing if they are Composer's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = words::scheme)]
    scheme: Option<&'static str>,
    /// Several are joined by `||`. SemVer has no such sign: there, each part is a constraint.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    constraint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    versions: Option<Vec<String>>,
    /// What gives the package, each with its source and how far it reaches.
    grants: Vec<PackageView>,
}

impl ExtentView {
    fn new(extent: Extent, grants: Vec<PackageView>) -> Self {
        let Extent {
            scheme,
            constraints,
            versions,
        } = extent;
        let constraints: Vec<String> = constraints.into_iter().collect();
        Self {
            scheme: (scheme != Scheme::default()).then(|| scheme.as_str()),
            versions: (constraints.is_empty() || !versions.is_empty()).then_some(versions),
            constraint: (!constraints.is_empty()).then(|| constraints.join(" || ")),
            grants,
        }
    }
}

/// Lists everything that a token may have.
#[utoipa::path(
    get,
    path = "/access/packages",
    params(AppQuery),
    security(("customer_token" = []), ("customer_basic" = [])),
    responses(
        (status = 200, description = "Packages, each with a constraint or a list of versions.", body = PackagesAnswer),
        (status = 401, description = "Another token may help: `token_unknown` or `token_expired`.", body = AccessAnswer),
        (status = 403, description = "No token of this customer will help; the code says why.", body = AccessAnswer),
        (status = 422, description = "`query_invalid`."),
        (status = 500, description = "`internal`."),
        (status = 503, description = "`unavailable`."),
    )
)]
async fn packages(
    State(state): State<AppState>,
    client: ClientAddr,
    ValidQuery(query): ValidQuery<AppQuery>,
    Headers(headers): Headers,
) -> Result<Response, ApiError> {
    let now = state.clock.now();
    let Some(hash) = presented(&headers) else {
        return Ok(counted(&state, AccessAnswer::nobody()).into_response());
    };
    let found = access::everything(&state.store, &hash, now).await?;
    let found = found.filter(|it| is_of(query.app.as_ref(), &it.asker.app));
    let Some(found) = found else {
        let answer = counted(&state, AccessAnswer::nobody());
        note_wrong(&state, client, answer.code).await;
        return Ok(answer.into_response());
    };
    let Everything {
        packages,
        grants,
        warning,
        asker,
    } = found;
    note_use(&state, &asker, now);
    let packages = match packages {
        Ok(packages) => packages,
        Err(code) => {
            note_wrong(&state, client, code).await;
            let refused = AccessAnswer::of(code, asker).warned(warning);
            return Ok(counted(&state, refused).into_response());
        }
    };
    let answer = counted(&state, AccessAnswer::of(AccessCode::Ok, asker));
    let mut by_package: BTreeMap<String, Vec<LiveGrant>> = BTreeMap::new();
    for live in grants {
        let of_package = by_package.entry(live.grant.package.clone());
        of_package.or_default().push(live);
    }
    let view = |(name, extent): (String, Extent)| {
        let grants = by_package.remove(&name).unwrap_or_default();
        (name, ExtentView::new(extent, views_of(grants)))
    };
    let packages = packages.into_iter().map(view).collect();
    Ok((answer.headers(), Json(PackagesAnswer { answer, packages })).into_response())
}
