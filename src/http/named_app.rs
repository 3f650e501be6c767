//! `?app=`: an admin of all apps names the one that is meant.
//!
//! The caller is then as a token that is bound to that app, in every respect: so nothing shows or
//! changes another one, and a token that is bound already can name only its own. What the caller may
//! not see answers as if it did not exist.
//!
//! The parameter is taken out of the query here, before any handler reads that. Handlers know only
//! their own parameters, and no list can forget this one.

use axum::extract::{MatchedPath, Request};
use axum::http::header::LOCATION;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Uri};
use axum::middleware::Next;
use axum::response::Response;

use super::AppState;
use super::api::problem::{app_not_found, named_app_not_found, of_named_app};
use super::error::ApiError;
use super::input::{pairs, take_parameter};
use crate::domain::id::AppSlug;
use crate::pipeline::apps;

/// The parameter.
pub(super) const APP: &str = "app";

/// The beginning of paths that name the app themselves.
const APPS: &str = "/api/v1/apps/";

/// The figures have a parameter of this name that narrows less: the queue stays in them.
const READS_IT: &str = "/stats";

/// Binds the caller to the app that the query names, if it names one. `bound_to` is the app of the
/// token; `None` for all apps.
///
/// # Errors
/// 404 `app_not_found`, 422 `query_invalid` if it is there twice.
pub(super) async fn bind(
    bound_to: &mut Option<AppSlug>,
    parts: &mut Parts,
    state: &AppState,
) -> Result<(), ApiError> {
    let path = parts.extensions.get::<MatchedPath>();
    if path.is_some_and(|path| path.as_str().ends_with(READS_IT)) {
        return Ok(());
    }
    let Some(named) = take_parameter(parts, APP)? else {
        return Ok(());
    };
    let slug: AppSlug = named.parse().map_err(|_| app_not_found())?;
    match bound_to {
        Some(own) if *own == slug => Ok(()),
        Some(_) => Err(named_app_not_found(&slug)),
        None => {
            let found = apps::find(&state.store, &slug).await;
            found.map_err(|error| of_named_app(error, &slug))?;
            *bound_to = Some(slug);
            Ok(())
        }
    }
}

/// The app that a request names, in its query or its path; whether there is one of that name is not known.
pub(super) fn of(uri: &Uri) -> Option<AppSlug> {
    let of_query = pairs(uri).into_iter().find(|(name, _)| name == APP);
    let of_query = of_query.map(|(_, slug)| slug);
    let of_path = || {
        let rest = uri.path().strip_prefix(APPS)?;
        rest.split('/').next().map(str::to_owned)
    };
    of_query.or_else(of_path)?.parse().ok()
}

/// The layer around the API: what was made in the app that the query names is found there by its
/// `Location`.
pub(super) async fn located(request: Request, next: Next) -> Response {
    let named = pairs(request.uri())
        .into_iter()
        .find(|(name, _)| name == APP);
    let mut response = next.run(request).await;
    let Some((_, app)) = named else {
        return response;
    };
    let location = response.headers().get(LOCATION);
    let location = location.and_then(|it| it.to_str().ok());
    // Some paths name the app themselves.
    let path = location.filter(|it| !it.starts_with(APPS));
    if let Some(path) = path
        && let Ok(path) = HeaderValue::from_str(&format!("{path}?{APP}={app}"))
    {
        response.headers_mut().insert(LOCATION, path);
    }
    response
}
