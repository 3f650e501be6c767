//! The page: status, tokens, `auth.json`, licences.

use askama::Template;
use axum::Router;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::HeaderMap;
use axum::http::header::HOST;
use axum::http::request::Parts;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use serde_json::json;

use super::link::Link;
use super::place::{PLACE, VERSION};
use super::refusal::Refusal;
use crate::domain::time::Timestamp;
use crate::http::client_addr::ClientAddr;
use crate::http::{ApiError, AppState};
use crate::pipeline::licenses;
use crate::pipeline::portal::{self, Look, Standing};
use crate::random;

pub(super) fn router() -> Router<AppState> {
    Router::new().route("/{link}", get(show))
}

/// Somebody who came by a link that is still good.
pub(super) struct Holder {
    /// What the link says.
    pub(super) link: Link,
    /// The path of the page.
    pub(super) path: String,
}

impl Holder {
    /// What the link of a request says, whether or not it is still good; `None` if it is none.
    async fn find(parts: &mut Parts, state: &AppState) -> Option<(Link, String)> {
        let names = Path::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let names = names.map(|Path(names)| names).unwrap_or_default();
        let text = names.into_iter().find(|(name, _)| name == "link");
        let text = text.map(|(_, text)| text).unwrap_or_default();
        Link::open(&text, &state.vault).map(|link| (link, text))
    }

    /// True if [`Holder`] refuses a request. Counts nothing: a layer asks before the handler does both.
    pub(super) async fn is_refused(parts: &mut Parts, state: &AppState) -> bool {
        let found = Self::find(parts, state).await;
        found.is_none_or(|(link, _)| link.ends_at <= state.clock.now())
    }
}

impl FromRequestParts<AppState> for Holder {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Refusal> {
        let Some((link, text)) = Self::find(parts, state).await else {
            let trusted = &state.settings.trusted_proxies;
            let client = ClientAddr::find(&parts.headers, &parts.extensions, trusted);
            // As with wrong tokens: after many, the refusals of an address wait.
            state.wrong_tokens().note(client.0).await;
            return Err(Refusal::Unknown);
        };
        if link.ends_at <= state.clock.now() {
            return Err(Refusal::Ended);
        }
        let path = format!("{PLACE}/{text}");
        Ok(Self { link, path })
    }
}

#[derive(Template)]
#[template(path = "page.html", config = "src/http/portal/askama.toml")]
struct Page {
    version: &'static str,
    path: String,
    seller: String,
    name: String,
    status: &'static str,
    tone: &'static str,
    sentence: String,
    tokens: Vec<TokenRow>,
    auth_json: String,
    licenses: Vec<LicenseRow>,
    ends_at: String,
    /// The key of its forms.
    form_key: String,
}

struct TokenRow {
    id: String,
    name: String,
    prefix: String,
    used: String,
    is_expired: bool,
}

struct LicenseRow {
    product: String,
    key: Option<String>,
    state: &'static str,
    tone: &'static str,
    until: Option<String>,
}

async fn show(
    State(state): State<AppState>,
    Holder { link, path }: Holder,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let now = state.clock.now();
    let look = portal::look(&state.store, &link.app, &link.customer, now).await?;
    let Look {
        seller,
        name,
        standing,
        sentence,
        tokens,
        licenses,
        customer,
    } = look;
    let (status, tone) = words(standing);
    let tokens = tokens.into_iter().map(|token| TokenRow {
        is_expired: token.expires_at.is_some_and(|end| end <= now),
        used: match token.last_used_at {
            Some(at) => format!("last used {}", day(at)),
            None => "never used".to_owned(),
        },
        id: token.id.into(),
        name: token.name,
        prefix: token.prefix,
    });
    let plans = licenses.plans;
    let licenses = licenses.part.rows.into_iter().map(|sealed| {
        let license = sealed.license;
        let is_valid = license.judge(&customer, &plans, now).is_valid();
        LicenseRow {
            key: licenses::key_of(&state.vault, &link.app, &license.id, &sealed.sealed),
            state: if is_valid { "valid" } else { "not valid now" },
            tone: if is_valid { "good" } else { "warn" },
            until: license.expires_at.map(day),
            product: license.product,
        }
    });
    let page = Page {
        version: VERSION,
        seller,
        name,
        status,
        tone,
        sentence,
        tokens: tokens.collect(),
        auth_json: auth_json(&headers, "your token"),
        licenses: licenses.collect(),
        ends_at: minute(link.ends_at),
        form_key: hex::encode(random::bytes::<16>().map_err(ApiError::internal)?),
        path,
    };
    let html = page.render().map_err(ApiError::internal)?;
    Ok(Html(html).into_response())
}

fn words(standing: Standing) -> (&'static str, &'static str) {
    match standing {
        Standing::Unpaid => ("not paid yet", "warn"),
        Standing::Active => ("active", "good"),
        Standing::Suspended => ("suspended", "warn"),
        Standing::Frozen => ("frozen", "cold"),
        Standing::Expired => ("ended", "bad"),
    }
}

/// The day of an instant, in UTC.
fn day(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

/// The minute of an instant, in UTC.
fn minute(at: Timestamp) -> String {
    let text: String = at.to_string().chars().take(16).collect();
    format!("{} UTC", text.replace('T', " "))
}

/// What Composer reads credentials from
/// (<https://getcomposer.org/doc/articles/authentication-for-private-packages.md#http-basic>), for the
/// host by which this page was reached.
pub(super) fn auth_json(headers: &HeaderMap, token: &str) -> String {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = host.unwrap_or("packages.example.com");
    let document = json!({"http-basic": {host: {"username": "token", "password": token}}});
    serde_json::to_string_pretty(&document).unwrap_or_default()
}
