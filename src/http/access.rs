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
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::credentials;
use super::client_addr::ClientAddr;
use super::error::ApiError;
use super::openapi::{self, words};
use super::{AppState, ValidQuery};
use crate::domain::access::check::{AccessCode, Extent};
use crate::domain::access::live_grant::LiveGrant;
use crate::domain::access::token::{CUSTOMER_PREFIX, TokenHash};
use crate::domain::time::Timestamp;
use crate::http::api::package::{PackageView, views_of};
use crate::pipeline::access::{self, Answer, Asker, Everything, Question};

const X_ALLOWED: HeaderName = HeaderName::from_static("x-tollgate-allowed");
const X_CODE: HeaderName = HeaderName::from_static("x-tollgate-code");
const X_CUSTOMER: HeaderName = HeaderName::from_static("x-tollgate-customer-id");
const X_STATUS: HeaderName = HeaderName::from_static("x-tollgate-status");

/// The access check of registries.
pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default()
        .routes(routes!(check))
        .routes(routes!(packages));
    openapi::resource("access", "The access check, for registries.", routes)
}

/// A question about one package.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct AccessQuery {
    /// `vendor/name`, in any case.
    #[param(required, min_length = 1, example = "acme/tool")]
    package: Option<String>,
    /// A version, as Composer writes it. Without it, the check asks for any version.
    #[param(example = "2.1.0")]
    version: Option<String>,
}

impl AccessQuery {
    pub(super) fn question(&self) -> Question<'_> {
        Question {
            package: self.package.as_deref(),
            version: self.version.as_deref(),
        }
    }
}

/// The answer to an access check.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Access)]
pub(super) struct AccessAnswer {
    allowed: bool,
    #[schema(schema_with = words::access_code)]
    code: AccessCode,
    app: Option<String>,
    customer_id: Option<String>,
    status: Option<&'static str>,
    package: Option<String>,
    version: Option<String>,
    /// The token's scope, a word for the registry.
    scope: Option<String>,
    /// Only for admins: what gives the customer this package now, each with its source.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    grants: Option<Vec<PackageView>>,
}

impl AccessAnswer {
    fn nobody() -> Self {
        Self {
            allowed: false,
            code: AccessCode::TokenUnknown,
            app: None,
            customer_id: None,
            status: None,
            package: None,
            version: None,
            scope: None,
            grants: None,
        }
    }

    fn of(code: AccessCode, asker: Asker) -> Self {
        Self {
            allowed: code.is_allowed(),
            code,
            app: Some(asker.app.into()),
            status: Some(asker.customer.derived.status.as_str()),
            customer_id: Some(asker.customer.id.into()),
            package: None,
            version: None,
            scope: asker.token.map(|token| token.scope),
            grants: None,
        }
    }

    /// The answer for an admin, who is told where each grant comes from.
    pub(super) fn for_admin(mut answer: Answer) -> Self {
        let live = std::mem::take(&mut answer.grants);
        let grants = Some(views_of(live));
        Self {
            grants,
            ..Self::from(answer)
        }
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = headers_of(self.code);
        let allowed = if self.allowed { "true" } else { "false" };
        headers.insert(X_ALLOWED, HeaderValue::from_static(allowed));
        if let Some(id) = self
            .customer_id
            .as_ref()
            .and_then(|id| HeaderValue::from_str(id).ok())
        {
            headers.insert(X_CUSTOMER, id);
        }
        if let Some(status) = self.status {
            headers.insert(X_STATUS, HeaderValue::from_static(status));
        }
        headers
    }
}

impl From<Answer> for AccessAnswer {
    fn from(answer: Answer) -> Self {
        Self {
            package: Some(answer.package),
            version: answer.version,
            ..Self::of(answer.code, answer.asker)
        }
    }
}

impl IntoResponse for AccessAnswer {
    fn into_response(self) -> Response {
        (status_of(self.code), self.headers(), Json(self)).into_response()
    }
}

/// The headers of every answer with this code.
pub(super) fn headers_of(code: AccessCode) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(X_CODE, HeaderValue::from_static(code.as_str()));
    if status_of(code) == StatusCode::UNAUTHORIZED {
        // Makes Composer and curl ask for credentials, or send those they have.
        let challenge = HeaderValue::from_static("Basic realm=\"Tollgate\"");
        headers.insert(WWW_AUTHENTICATE, challenge);
    }
    headers
}

/// The status of an answer with this code.
pub(super) const fn status_of(code: AccessCode) -> StatusCode {
    match code {
        AccessCode::Ok => StatusCode::OK,
        AccessCode::TokenUnknown | AccessCode::TokenExpired => StatusCode::UNAUTHORIZED,
        AccessCode::TokenScope
        | AccessCode::PackageNotGranted
        | AccessCode::VersionNotAllowed
        | AccessCode::CustomerSuspended
        | AccessCode::CustomerExpired
        | AccessCode::VersionNotFrozen => StatusCode::FORBIDDEN,
    }
}

/// Checks whether a token may have a version of a package.
///
/// The answer is repeated in the headers `X-Tollgate-Allowed`, `-Code`, `-Customer-Id` and
/// `-Status`, for proxies that see no bodies.
#[utoipa::path(
    get,
    path = "/access",
    params(AccessQuery),
    security(("customer_token" = []), ("customer_basic" = [])),
    responses(
        (status = 200, description = "The token may have it.", body = AccessAnswer),
        (status = 401, description = "Another token may help: `token_unknown` or `token_expired`. After a hundred a minute from one address, a second late.", body = AccessAnswer),
        (status = 403, description = "No token of this customer will help; the code says why.", body = AccessAnswer),
        (status = 422, description = "`query_invalid`: no package is named."),
        (status = 500, description = "`internal`."),
        (status = 503, description = "`unavailable`."),
    )
)]
async fn check(
    State(state): State<AppState>,
    client: ClientAddr,
    headers: HeaderMap,
    ValidQuery(query): ValidQuery<AccessQuery>,
) -> Result<AccessAnswer, ApiError> {
    let now = state.clock.now();
    let Some(hash) = presented(&headers) else {
        return Ok(counted(&state, AccessAnswer::nobody()));
    };
    let answer = access::check(&state.store, &hash, query.question(), now).await?;
    let answer = match answer {
        Some(answer) => {
            note_use(&state, &answer.asker, now);
            answer.into()
        }
        None => AccessAnswer::nobody(),
    };
    note_wrong(&state, client, answer.code).await;
    Ok(counted(&state, answer))
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
    let token = asker.token.as_ref();
    if let Some(token) = token.filter(|token| !token.is_expired(now)) {
        state.usage.note_token(token, now);
    }
}

/// The token of a request: a bearer token (RFC 6750), or one of HTTP Basic (RFC 7617). There it is
/// the password, and the user `token` by custom; some clients know only a user, so that may be the
/// token where there is no password, or where only it looks like one.
pub(super) fn presented(headers: &HeaderMap) -> Option<TokenHash> {
    if let Some(token) = credentials(headers, "bearer") {
        return Some(TokenHash::of(token));
    }
    // Bytes: a name in Latin-1 before the colon makes a token no less right.
    let pair = STANDARD.decode(credentials(headers, "basic")?).ok()?;
    let at = pair.iter().position(|&byte| byte == b':')?;
    let (user, password) = (&pair[..at], &pair[at + 1..]);
    let is_ours = |text: &[u8]| text.starts_with(CUSTOMER_PREFIX.as_bytes());
    let is_user = password.is_empty() || is_ours(user) && !is_ours(password);
    let token = if is_user { user } else { password };
    Some(TokenHash::of_bytes(token))
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
#[derive(Default, Serialize, ToSchema)]
#[schema(as = Extent)]
struct ExtentView {
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
            constraints,
            versions,
        } = extent;
        let constraints: Vec<String> = constraints.into_iter().collect();
        Self {
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
    security(("customer_token" = []), ("customer_basic" = [])),
    responses(
        (status = 200, description = "Packages, each with a constraint or a list of versions.", body = PackagesAnswer),
        (status = 401, description = "Another token may help: `token_unknown` or `token_expired`.", body = AccessAnswer),
        (status = 403, description = "No token of this customer will help; the code says why.", body = AccessAnswer),
        (status = 500, description = "`internal`."),
        (status = 503, description = "`unavailable`."),
    )
)]
async fn packages(
    State(state): State<AppState>,
    client: ClientAddr,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let now = state.clock.now();
    let Some(hash) = presented(&headers) else {
        return Ok(counted(&state, AccessAnswer::nobody()).into_response());
    };
    let found = access::everything(&state.store, &hash, now).await?;
    let Some(found) = found else {
        let answer = counted(&state, AccessAnswer::nobody());
        note_wrong(&state, client, answer.code).await;
        return Ok(answer.into_response());
    };
    let Everything {
        packages,
        grants,
        asker,
    } = found;
    note_use(&state, &asker, now);
    let packages = match packages {
        Ok(packages) => packages,
        Err(code) => {
            note_wrong(&state, client, code).await;
            return Ok(counted(&state, AccessAnswer::of(code, asker)).into_response());
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
