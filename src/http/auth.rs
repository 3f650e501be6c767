//! Authentication for the admin API.
//!
//! A handler that takes an [`Admin`] cannot be reached without a token, and cannot forget that a
//! viewer only reads: the extractor itself requires the role that the method needs. Tokens are
//! looked up by their SHA-256, so the time of a look-up reveals nothing about a token;
//! `ADMIN_TOKEN`, the only one that is compared, is compared in constant time.
//!
//! A browser attaches cookies to a request from any page. So a request that is authenticated by a
//! cookie may change something only if it comes from our own pages, and any body it has must be
//! JSON.

use axum::extract::FromRequestParts;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method};
use subtle::ConstantTimeEq;

use super::client_addr::ClientAddr;
use super::error::ApiError;
use super::{AppState, input, named_app, reason, unread};
use crate::domain::access::token::TokenHash;
use crate::domain::id::AppSlug;
use crate::domain::role::Role;
use crate::pipeline::admin_tokens;
use crate::store::Actor;

/// The cookie that carries a token.
const COOKIE_NAME: &str = "access_token";

/// The authenticated caller, with a role that suffices for the request's method: a viewer for GET
/// and HEAD, an admin for everything else. Handlers that need an owner [`require`](Self::require)
/// one.
#[derive(Clone, Debug)]
pub struct Admin {
    /// The actor for the audit log.
    pub actor: Actor,
    /// The role of the token.
    pub role: Role,
    /// The only app that the token is valid for, or that the request names with `?app=`; `None` for
    /// all apps.
    pub app: Option<AppSlug>,
    /// Why, if the query of a call that changes something says so.
    pub reason: Option<String>,
}

/// Like [`Admin`], but for the few POSTs that change nothing: a viewer suffices.
#[derive(Clone, Debug)]
pub struct Reading(pub Admin);

impl Admin {
    /// Refuses roles below `needed`.
    ///
    /// # Errors
    /// 403 `role_insufficient`.
    pub fn require(&self, needed: Role) -> Result<(), ApiError> {
        if self.role.allows(needed) {
            Ok(())
        } else {
            Err(ApiError::Forbidden {
                code: "role_insufficient",
                detail: format!("this needs the role {needed}; the token has {}", self.role).into(),
            })
        }
    }

    /// Returns the app for paths that name none: the token's own, else the one of `?app=`, else
    /// `default`.
    pub fn app_or_default(&self) -> AppSlug {
        self.app.clone().unwrap_or_else(AppSlug::default_app)
    }

    /// Reports whether the token may see anything of this app. What it may not see must look as if
    /// it did not exist.
    pub fn may_see(&self, app: &AppSlug) -> bool {
        self.app.as_ref().is_none_or(|own| own == app)
    }
}

impl FromRequestParts<AppState> for Admin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let mut admin = sign_in(parts, state).await?;
        named_app::bind(&mut admin.app, parts, state).await?;
        // For what depends on whose list is asked for.
        parts.extensions.insert(admin.clone());
        let reads = matches!(parts.method, Method::GET | Method::HEAD);
        admin.require(if reads { Role::Viewer } else { Role::Admin })?;
        unread::refuse(parts)?;
        if !reads {
            admin.reason = reason::take(parts)?;
        }
        Ok(admin)
    }
}

impl FromRequestParts<AppState> for Reading {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let mut admin = sign_in(parts, state).await?;
        named_app::bind(&mut admin.app, parts, state).await?;
        parts.extensions.insert(admin.clone());
        unread::refuse(parts)?;
        Ok(Self(admin))
    }
}

/// Returns the hash of the presented token, valid or not.
pub(super) fn presented(headers: &HeaderMap) -> Option<TokenHash> {
    Presented::find(headers).map(|it| it.hash)
}

/// Identifies the caller, whatever the role.
pub(super) async fn sign_in(parts: &Parts, state: &AppState) -> Result<Admin, ApiError> {
    let Some(presented) = Presented::find(&parts.headers) else {
        return Err(ApiError::Unauthorized {
            code: "token_missing",
            detail: "send an admin token as `Authorization: Bearer …`".into(),
        });
    };
    if presented.by_cookie && !matches!(parts.method, Method::GET | Method::HEAD) {
        check_origin(&parts.headers)?;
    }
    match identify(&presented.hash, state).await? {
        Ok(admin) => Ok(admin),
        Err(refusal) => Err(count_failure(refusal, parts, state)),
    }
}

/// Returns the caller if its token is valid. Refuses nothing and counts nothing: a layer calls this
/// before the handler, which does both.
pub(super) async fn recognise(parts: &Parts, state: &AppState) -> Result<Option<Admin>, ApiError> {
    let Some(presented) = Presented::find(&parts.headers) else {
        return Ok(None);
    };
    if presented.by_cookie && check_origin(&parts.headers).is_err() {
        return Ok(None);
    }
    Ok(identify(&presented.hash, state).await?.ok())
}

/// Reports whether this is the hash of `ADMIN_TOKEN`.
pub(super) fn is_root(state: &AppState, hash: &TokenHash) -> bool {
    let root = state.settings.root_token.as_ref();
    root.is_some_and(|root| root.as_bytes().ct_eq(hash.as_bytes()).into())
}

/// Looks up a token. The outer error is the store's, the inner one the token's.
pub(super) async fn identify(
    hash: &TokenHash,
    state: &AppState,
) -> Result<Result<Admin, ApiError>, ApiError> {
    if is_root(state, hash) {
        return Ok(Ok(Admin {
            actor: Actor::Root,
            role: Role::Owner,
            app: None,
            reason: None,
        }));
    }
    let found = admin_tokens::find(&state.store, hash).await?;
    let now = state.clock.now();
    Ok(match found {
        None => Err(ApiError::Unauthorized {
            code: "token_unknown",
            detail: "there is no such admin token".into(),
        }),
        Some(token) if token.is_expired(now) => Err(ApiError::Unauthorized {
            code: "token_expired",
            detail: "the admin token has run out".into(),
        }),
        Some(token) => {
            state.usage.note_admin_token(&token, now);
            Ok(Admin {
                actor: Actor::Admin(token.id),
                role: token.role,
                app: token.app,
                reason: None,
            })
        }
    })
}

/// Identifies the bearer of a token that was typed in by hand. A wrong one counts as a failed sign-in.
pub(super) async fn admit(
    hash: &TokenHash,
    parts: &Parts,
    state: &AppState,
) -> Result<Admin, ApiError> {
    match identify(hash, state).await? {
        Ok(admin) => Ok(admin),
        Err(refusal) => Err(count_failure(refusal, parts, state)),
    }
}

/// Returns the refusal, or 429 once this address had too many. A valid token is never delayed: 256
/// random bits cannot be guessed, so the limit only has to keep the attempts cheap.
pub(super) fn count_failure(refusal: ApiError, parts: &Parts, state: &AppState) -> ApiError {
    let trusted = &state.settings.trusted_proxies;
    let client = ClientAddr::find(&parts.headers, &parts.extensions, trusted);
    match state.bad_tokens.fail(client.0) {
        Ok(()) => {
            tracing::warn!(
                error.code = refusal.code(),
                client.address = %client.0,
                "sign-in refused"
            );
            refusal
        }
        // Not logged: a log that grows with every attempt is part of what the limit prevents.
        Err(retry_after) => ApiError::TooManyFailures { retry_after },
    }
}

/// A presented token, already hashed.
struct Presented {
    hash: TokenHash,
    by_cookie: bool,
}

impl Presented {
    /// Finds the bearer token, or else the cookie: of the two, only the former is always sent on
    /// purpose.
    fn find(headers: &HeaderMap) -> Option<Self> {
        if let Some(token) = credentials(headers, "bearer") {
            return Some(Self {
                hash: TokenHash::of(token),
                by_cookie: false,
            });
        }
        cookie(headers).map(|token| Self {
            hash: TokenHash::of(token),
            by_cookie: true,
        })
    }
}

/// Returns what follows the scheme in `Authorization`, if it is this scheme and anything follows.
/// The scheme is case-insensitive (RFC 9110 section 11.1).
pub(super) fn credentials<'a>(headers: &'a HeaderMap, scheme: &str) -> Option<&'a str> {
    let text = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (sent, credentials) = text.split_once(' ')?;
    let credentials = credentials.trim();
    (sent.eq_ignore_ascii_case(scheme) && !credentials.is_empty()).then_some(credentials)
}

/// Returns the value of our cookie (RFC 6265 section 4.2.1).
fn cookie(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, value)| *name == COOKIE_NAME && !value.is_empty())
        .map(|(_, value)| value)
}

/// Refuses a change that another site's page may have asked for.
fn check_origin(headers: &HeaderMap) -> Result<(), ApiError> {
    if !is_same_origin(headers) {
        return Err(ApiError::Forbidden {
            code: "cross_origin",
            detail: "a change by cookie must come from this site; use a bearer token".into(),
        });
    }
    // Other content types can be sent by a form of another site without a preflight request.
    if headers.contains_key(CONTENT_TYPE) && !input::is_json(headers) {
        return Err(ApiError::UnsupportedMediaType);
    }
    Ok(())
}

/// Checks the origin that the browser reports: by `Sec-Fetch-Site`
/// (<https://www.w3.org/TR/fetch-metadata/>), else by comparing `Origin` with the requested host.
/// Schemes are not compared, because TLS may end before us. A request without either is not from a
/// browser.
pub(super) fn is_same_origin(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    let Some(origin) = headers.get(ORIGIN) else {
        return true;
    };
    let authority = |origin: &HeaderValue| {
        let (_, authority) = origin.to_str().ok()?.split_once("://")?;
        Some(authority.to_ascii_lowercase())
    };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = host.map(str::to_ascii_lowercase);
    host.is_some() && authority(origin) == host
}

#[cfg(test)]
mod tests {
    use super::*;

    type Lines = &'static [(&'static str, &'static str)];
    type Found = Option<(&'static str, bool)>;

    fn headers(lines: Lines) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn a_token_is_found_in_the_header_or_the_cookie() {
        let cases: [(&str, Lines, Found); 9] = [
            (
                "bearer",
                &[("authorization", "Bearer abc")],
                Some(("abc", false)),
            ),
            (
                "lower case",
                &[("authorization", "bearer abc")],
                Some(("abc", false)),
            ),
            ("basic", &[("authorization", "Basic abc")], None),
            ("empty", &[("authorization", "Bearer ")], None),
            (
                "cookie",
                &[("cookie", "a=b; access_token=abc")],
                Some(("abc", true)),
            ),
            (
                "two lines",
                &[("cookie", "a=b"), ("cookie", "access_token=abc")],
                Some(("abc", true)),
            ),
            ("other cookie", &[("cookie", "my_access_token=abc")], None),
            (
                "both",
                &[
                    ("cookie", "access_token=x"),
                    ("authorization", "Bearer abc"),
                ],
                Some(("abc", false)),
            ),
            ("nothing", &[], None),
        ];
        for (description, lines, expected) in cases {
            let found = Presented::find(&headers(lines));
            let found = found.map(|presented| (presented.hash, presented.by_cookie));
            let expected = expected.map(|(token, by_cookie)| (TokenHash::of(token), by_cookie));
            assert_eq!(found, expected, "{description}");
        }
    }

    #[test]
    fn only_our_own_pages_change_things_by_cookie() {
        let cases: [(&str, Lines, bool); 9] = [
            ("no browser", &[], true),
            ("our page", &[("sec-fetch-site", "same-origin")], true),
            ("typed by hand", &[("sec-fetch-site", "none")], true),
            ("another site", &[("sec-fetch-site", "cross-site")], false),
            (
                "another subdomain",
                &[("sec-fetch-site", "same-site")],
                false,
            ),
            (
                "our origin",
                &[
                    ("host", "a.example:8080"),
                    ("origin", "https://A.example:8080"),
                ],
                true,
            ),
            (
                "another port",
                &[("host", "a.example"), ("origin", "https://a.example:1")],
                false,
            ),
            (
                "a sandboxed page",
                &[("host", "a.example"), ("origin", "null")],
                false,
            ),
            ("no host", &[("origin", "https://a.example")], false),
        ];
        for (description, lines, expected) in cases {
            assert_eq!(is_same_origin(&headers(lines)), expected, "{description}");
        }
    }

    #[test]
    fn a_body_sent_by_cookie_must_be_json() {
        let form = headers(&[("content-type", "application/x-www-form-urlencoded")]);
        assert!(matches!(
            check_origin(&form),
            Err(ApiError::UnsupportedMediaType)
        ));
        assert!(check_origin(&headers(&[("content-type", "application/json")])).is_ok());
        assert!(check_origin(&headers(&[])).is_ok());
    }
}
