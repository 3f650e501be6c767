//! The registry of an app: its Composer repository, and what held customers are told.

use axum::Json;
use axum::extract::State;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::composer::location::Location;
use crate::domain::customer::profile::{Given, given};
use crate::domain::id::AppSlug;
use crate::domain::validate;
use crate::http::api::order_of;
use crate::http::field_errors::{FieldErrors, checked};
use crate::http::reason::ReasonBody;
use crate::http::{Admin, ApiError, AppState, ValidJson, openapi};
use crate::pipeline::composer::{self, Refreshed};
use crate::pipeline::registries::{NewRepository, RegistryChange};
use crate::store::Registry;

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default().routes(routes!(refresh));
    openapi::resource("registry", "The Composer repository of an app.", routes)
}

/// The Composer repository of an app.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Repository)]
pub(super) struct RepositoryView {
    /// Its base URL, or the folder that the environment names.
    #[schema(examples("https://packages.example.com/"))]
    url: String,
    /// True if something opens it, which is never shown.
    token_set: bool,
}

/// The Composer repository of an app.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewRepository)]
pub(super) struct RepositoryBody {
    /// Its base URL.
    #[schema(max_length = 2_000, examples("https://packages.example.com"))]
    url: String,
    /// What opens it: `user:password` for HTTP Basic, anything else as a bearer token. Without it
    /// the present one stays, as long as the URL leads to the same server; null takes it away.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, examples("token:rep_0123456789"))]
    token: Given<String>,
}

/// What customers are told who are held.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = HeldMessage)]
pub(super) struct HeldMessageView {
    /// The sentence after "Your subscription is suspended: "; null for our own.
    #[serde(default)]
    #[schema(
        min_length = 1,
        max_length = 255,
        examples("please look at your invoices.")
    )]
    text: Option<String>,
    /// Where they find more.
    #[serde(default)]
    #[schema(max_length = 2_000, examples("https://acme.example/account"))]
    url: Option<String>,
}

/// Shows an app's repository and message.
pub(super) fn registry_views(
    app: &AppSlug,
    registry: Registry,
    state: &AppState,
) -> (Option<RepositoryView>, Option<HeldMessageView>) {
    let repository = match state.repositories.fixed(app) {
        Some(fixed) => Some(RepositoryView {
            url: fixed.location.to_string(),
            token_set: fixed.token.is_some(),
        }),
        None => registry.url.map(|url| RepositoryView {
            url,
            token_set: registry.sealed.is_some(),
        }),
    };
    let is_said = registry.held_text.is_some() || registry.held_url.is_some();
    let held_message = is_said.then_some(HeldMessageView {
        text: registry.held_text,
        url: registry.held_url,
    });
    (repository, held_message)
}

/// Checks a change of an app's repository and message.
pub(super) fn registry_change(
    repository: Given<RepositoryBody>,
    held: Given<HeldMessageView>,
    field_errors: &mut FieldErrors,
) -> RegistryChange {
    RegistryChange {
        repository: repository.map(|it| it.and_then(|it| new_repository(it, field_errors))),
        held: held.map(|it| it.map(|it| held_message(&it, field_errors))),
    }
}

fn new_repository(body: RepositoryBody, field_errors: &mut FieldErrors) -> Option<NewRepository> {
    let url = field_errors.note(checked("repository.url", url(&body.url)));
    let token = body
        .token
        .map(|it| it.map(|token| self::token(&token)).transpose());
    let token = field_errors.note(checked("repository.token", token.transpose()));
    url.zip(token)
        .map(|(url, token)| NewRepository { url, token })
}

/// A URL as it is kept.
fn url(text: &str) -> Result<String, String> {
    if text.len() > 2_000 {
        return Err("must be at most 2000 bytes long".to_owned());
    }
    let location = Location::parse_url(text.trim());
    let location = location.map_err(|error| format!("must be a URL, and is {error}"))?;
    Ok(location.to_string())
}

fn token(text: &str) -> Result<SecretString, String> {
    let is_plain = !text.is_empty() && text.len() <= 2_000;
    if is_plain
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() || byte == b' ')
    {
        Ok(text.into())
    } else {
        Err("must be 1 to 2000 printable ASCII characters".to_owned())
    }
}

fn held_message(
    given: &HeldMessageView,
    field_errors: &mut FieldErrors,
) -> (Option<String>, Option<String>) {
    let text = given.text.as_deref().map(validate::line).transpose();
    let text = field_errors.note(checked("held_message.text", text));
    let address = |text: &String| validate::web_address(text);
    let url = given.url.as_ref().map(address).transpose();
    let url = field_errors.note(checked("held_message.url", url));
    (text.flatten(), url.flatten())
}

/// What a refresh found.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Refreshed)]
struct RefreshedView {
    /// How many packages the repository has of those that releases, plans or grants name.
    packages: usize,
    /// How many releases were recorded that were not known before.
    releases_added: usize,
    /// The packages that could not be read; the log says why.
    failed: Vec<String>,
}

/// Reads the Composer repository again.
///
/// It is read again by itself, too: within 30 seconds when somebody asks, and every ten minutes for
/// what was released. Call this when something was published, and it is there at once. It answers
/// when all packages that releases, plans or grants name have been read.
#[utoipa::path(
    post,
    path = "/packages/refresh",
    request_body = Option<ReasonBody>,
    responses(
        (status = 200, description = "What was found.", body = RefreshedView),
        (status = 404, description = "`repository_missing`: the app has no repository."),
        (status = 503, description = "`repository_unavailable`: the repository does not answer."),
    )
)]
async fn refresh(
    State(state): State<AppState>,
    admin: Admin,
    body: Option<ValidJson<ReasonBody>>,
) -> Result<Json<RefreshedView>, ApiError> {
    let order = order_of(&admin, &state).because(ReasonBody::of(body));
    let refreshed = composer::refresh(&state.store, &state.repositories, &order).await?;
    let Refreshed {
        packages,
        releases,
        failed,
    } = refreshed;
    Ok(Json(RefreshedView {
        packages,
        releases_added: releases,
        failed,
    }))
}
