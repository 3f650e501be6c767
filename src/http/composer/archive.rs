//! The archives of versions: from a folder, passed through from a server, or handed to nginx.

use std::path::Path;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_TYPE, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED, RANGE,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use tower_http::services::ServeFile;

use super::caller::Caller;
use super::document::private;
use super::range;
use super::refusal::{Refusal, RefusalView, not_found};
use crate::causes::chain;
use crate::composer::location::Target;
use crate::http::access::note_use;
use crate::http::api::problem::repository_unavailable;
use crate::http::problem_body::Problem;
use crate::http::{ApiError, AppState, ValidPath};
use crate::pipeline::composer::{self, Archive};

/// nginx sends the file that this names in place of the answer.
/// <https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_ignore_headers>
const X_ACCEL_REDIRECT: HeaderName = HeaderName::from_static("x-accel-redirect");

/// What a server is asked with.
const ASKED: [HeaderName; 4] = [RANGE, IF_RANGE, IF_NONE_MATCH, IF_MODIFIED_SINCE];
/// What its answer is passed on with.
const PASSED: [HeaderName; 8] = [
    CONTENT_TYPE,
    // Asked for without, some servers send what they have compressed.
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    CONTENT_DISPOSITION,
    ACCEPT_RANGES,
    ETAG,
    LAST_MODIFIED,
];

const NO_ARCHIVE: &str = "the repository does not have this archive";

/// Sends the archive of a version that the customer may have.
///
/// Ranges and conditions are honoured. The names of archives are in the metadata.
#[utoipa::path(
    get,
    path = "/composer/dist/{vendor}/{name}/{archive}",
    security(("customer_token" = []), ("customer_basic" = [])),
    responses(
        (status = 200, description = "The archive.", content_type = "application/octet-stream", body = Vec<u8>),
        (status = 206, description = "A part of it.", content_type = "application/octet-stream", body = Vec<u8>),
        (status = 304, description = "It is the same as before."),
        (status = 401, description = "Another token may help: `token_unknown` or `token_expired`.", body = RefusalView),
        (status = 403, description = "This version may not be had, or the customer is held; Composer prints the warning.", body = RefusalView),
        (status = 404, description = "The package is not granted, or the repository does not have the archive.", content((RefusalView = "application/json"), (Problem<'static> = "application/problem+json"))),
        (status = 416, description = "The archive has no such range."),
        (status = 500, description = "`internal`."),
        (status = 503, description = "`unavailable`, or `repository_unavailable`: the app's repository does not answer."),
    )
)]
pub(super) async fn archive(
    State(state): State<AppState>,
    caller: Caller,
    ValidPath((vendor, name, file)): ValidPath<(String, String, String)>,
    mut request: Request,
) -> Result<Response, Refusal> {
    range::tidy(request.headers_mut());
    let package = format!("{vendor}/{name}").to_ascii_lowercase();
    let answer = composer::archive(caller.request(&state), &package, &file).await?;
    let granted = match answer {
        Ok(granted) => granted,
        Err(refused) => return Err(Refusal::of(&state, refused, &caller).await),
    };
    note_use(&state, &granted.asker, caller.now);
    let archive = granted.found.ok_or_else(|| not_found(NO_ARCHIVE))?;
    if let Some(response) = handed_over(&state, &archive) {
        return Ok(private(response));
    }
    let response = match &archive.target {
        Target::File { path, .. } => from_folder(path, request).await?,
        Target::Remote { url, is_own, .. } => {
            let (parts, _) = request.into_parts();
            passed_through(&archive, (url, *is_own), &parts).await?
        }
    };
    if response.status() == StatusCode::NOT_FOUND {
        return Err(not_found(NO_ARCHIVE));
    }
    Ok(private(response))
}

/// Sends a file, or the part that is asked for.
async fn from_folder(path: &Path, request: Request) -> Result<Response, ApiError> {
    let send = async |parts: &Parts| {
        let request = Request::from_parts(parts.clone(), Body::empty());
        let served = ServeFile::new(path).try_call(request).await;
        Ok(served.map_err(ApiError::internal)?.map(Body::new))
    };
    let (mut parts, _) = request.into_parts();
    if !parts.headers.contains_key(IF_RANGE) {
        return send(&parts).await;
    }
    // The library has no `If-Range`, so the whole is looked at first.
    let range = parts.headers.remove(RANGE);
    let whole = send(&parts).await?;
    match range.filter(|_| whole.status() == StatusCode::OK) {
        Some(range) if range::is_still(&parts.headers, whole.headers()) => {
            parts.headers.insert(RANGE, range);
            send(&parts).await
        }
        _ => Ok(whole),
    }
}

/// Tells nginx which file to send, if the settings say so and it is below their own repository: files
/// of the same path there would be no app's that names another one.
fn handed_over(state: &AppState, archive: &Archive) -> Option<Response> {
    let prefix = state.settings.accel_prefix.as_ref();
    let prefix = prefix.filter(|_| archive.is_fixed)?;
    let below = match &archive.target {
        Target::File { below, .. } => below,
        Target::Remote { below, .. } => below.as_ref()?,
    };
    let redirect = HeaderValue::from_str(&format!("{prefix}{below}")).ok()?;
    Some([(X_ACCEL_REDIRECT, redirect)].into_response())
}

/// Asks the server for what the client asked for, and passes on what it says.
async fn passed_through(
    archive: &Archive,
    from: (&reqwest::Url, bool),
    request: &Parts,
) -> Result<Response, ApiError> {
    let mut asked = HeaderMap::new();
    for name in ASKED {
        if let Some(value) = request.headers.get(&name) {
            asked.insert(name, value.clone());
        }
    }
    let method = request.method.clone();
    let answer = archive.request(from, method, asked).await;
    let answer = answer.map_err(|error| {
        tracing::warn!(
            error = chain(&error),
            "a server does not give an archive of the Composer repository"
        );
        repository_unavailable()
    })?;
    let status = answer.status();
    match status {
        StatusCode::OK
        | StatusCode::PARTIAL_CONTENT
        | StatusCode::NOT_MODIFIED
        | StatusCode::RANGE_NOT_SATISFIABLE => {}
        StatusCode::NOT_FOUND | StatusCode::GONE => {
            return Ok(StatusCode::NOT_FOUND.into_response());
        }
        _ => {
            tracing::warn!(
                status = status.as_u16(),
                "a server refused an archive of the Composer repository"
            );
            return Err(repository_unavailable());
        }
    }
    let mut headers = HeaderMap::new();
    for name in PASSED {
        if let Some(value) = answer.headers().get(&name) {
            headers.insert(name, value.clone());
        }
    }
    let body = Body::from_stream(answer.bytes_stream());
    Ok((status, headers, body).into_response())
}
