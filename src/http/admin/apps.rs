//! Apps: the tenants.

use std::cmp::Reverse;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::registry::{
    HeldMessageView, RepositoryBody, RepositoryView, registry_change, registry_views,
};
use crate::domain::app_settings::SettingsChange;
use crate::domain::connected_account::{
    ConnectedAccount, ConnectedAccounts, MAX_CONNECTED_ACCOUNTS,
};
use crate::domain::customer::profile::{Given, given};
use crate::domain::id::AppSlug;
use crate::domain::identity::seller_id::Identity;
use crate::domain::refetch::Refetch;
use crate::domain::role::Role;
use crate::domain::span::Span;
use crate::domain::validate;
use crate::http::api::list::{List, Paging, PagingQuery};
use crate::http::api::pause::PauseView;
use crate::http::api::{order_in, order_in_path, visible_app};
use crate::http::field_errors::{FieldErrors, checked};
use crate::http::location::Location;
use crate::http::openapi::{self, words};
use crate::http::reason::{ReasonQuery, Reasoned};
use crate::http::{Admin, ApiError, AppState, ValidJson, ValidPath};
use crate::pipeline::app_deletion::{self, Deleted};
use crate::pipeline::apps::{self, AppChange, AppWithRegistry};
use crate::store::Registry;

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default()
        .routes(routes!(list, create))
        .routes(routes!(show, change, delete));
    openapi::resource("apps", "Tenants.", routes)
}

/// An app.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = App)]
pub(super) struct AppView {
    #[schema(examples("acme"))]
    slug: String,
    #[schema(examples("Acme Inc"))]
    name: String,
    /// The connected accounts (Stripe Connect) whose events count.
    #[schema(value_type = Vec<String>, examples("acct_1Q2w3e4R5t6Y7u8I"))]
    connected_accounts: ConnectedAccounts,
    /// Where the seller's own ids of billing accounts are found.
    identity: IdentityView,
    /// When a provider is asked about an object, where there is an API key.
    #[schema(schema_with = words::refetch)]
    refetch: &'static str,
    /// The Composer repository that `/composer` serves filtered; null for none.
    repository: Option<RepositoryView>,
    /// What customers are told who are held; null for our own words.
    held_message: Option<HeldMessageView>,
    /// How often what is kept is compared with what the providers say; null for never.
    #[schema(examples("1d"))]
    reconcile_every: Option<String>,
    /// While workers apply nothing of this app: since when, and why; null otherwise.
    paused: Option<PauseView>,
    #[schema(format = DateTime)]
    created_at: String,
}

impl AppView {
    pub(super) fn new(shown: AppWithRegistry, state: &AppState) -> Self {
        let AppWithRegistry {
            app,
            registry,
            pause,
        } = shown;
        let settings = app.settings.in_force();
        let (repository, held_message) = registry_views(&app.slug, registry, state);
        Self {
            slug: app.slug.into(),
            name: app.name,
            connected_accounts: settings.connected_accounts,
            identity: settings.identity.into(),
            reconcile_every: settings.reconcile_every.map(Into::into),
            refetch: settings.refetch.as_str(),
            repository,
            held_message,
            paused: pause.map(Into::into),
            created_at: app.created_at.to_string(),
        }
    }
}

/// Where the seller's own ids of billing accounts are found: a customer with such an id as
/// `external_id` or `user_id` gets the account.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Identity)]
struct IdentityView {
    /// The key in Stripe's `metadata` and Paddle's `custom_data`; null for none.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 255, examples("user_id"))]
    metadata_key: Option<String>,
    /// True to read the `client_reference_id` of Stripe's Checkout sessions, which anybody can write
    /// into the address of a payment link.
    #[serde(default)]
    client_reference_id: bool,
}

impl From<Identity> for IdentityView {
    fn from(identity: Identity) -> Self {
        let Identity {
            metadata_key,
            client_reference_id,
        } = identity;
        Self {
            metadata_key,
            client_reference_id,
        }
    }
}

/// Lists the apps that the token may see.
#[utoipa::path(
    get,
    path = "/apps",
    params(PagingQuery),
    responses((status = 200, description = "Apps.", body = List<AppView>))
)]
async fn list(
    State(state): State<AppState>,
    admin: Admin,
    paging: Paging,
) -> Result<Json<List<AppView>>, ApiError> {
    let mut all = apps::list(&state.store).await?;
    all.retain(|it| admin.may_see(&it.app.slug));
    let position = |it: &AppWithRegistry| (Reverse(it.app.created_at), it.app.slug.clone());
    paging.cut(all, position, |app| AppView::new(app, &state))
}

/// Shows an app.
#[utoipa::path(
    get,
    path = "/apps/{slug}",
    responses((status = 200, description = "The app.", body = AppView))
)]
async fn show(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(slug): ValidPath<String>,
) -> Result<Json<AppView>, ApiError> {
    let slug = visible_app(&state, &admin, &slug).await?.slug;
    let shown = apps::show(&state.store, &slug).await?;
    Ok(Json(AppView::new(shown, &state)))
}

/// An app to create.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AppBody {
    /// The name of the app in paths. It cannot be changed.
    #[schema(examples("acme"))]
    slug: String,
    /// A name for people. One line.
    #[schema(min_length = 1, max_length = 255, examples("Acme Inc"))]
    name: String,
}

/// The same, and why.
type AppWithReason = Reasoned<AppBody>;

/// Creates an app. Needs an owner of all apps.
#[utoipa::path(
    post,
    path = "/apps",
    request_body = AppWithReason,
    responses(
        (status = 201, description = "The app.", body = AppView),
        (status = 409, description = "`app_exists`: there is one of this slug; `app_being_deleted`: there was, and workers still delete it; `apps_too_many`: there are ten thousand."),
    )
)]
async fn create(
    State(state): State<AppState>,
    admin: Admin,
    ValidJson(Reasoned { body, reason }): ValidJson<AppWithReason>,
) -> Result<(StatusCode, Location, Json<AppView>), ApiError> {
    admin.require(Role::Owner)?;
    if admin.app.is_some() {
        return Err(ApiError::Forbidden {
            code: "token_bound",
            detail: "the token is bound to one app and can make no other".into(),
        });
    }
    let mut field_errors = FieldErrors::default();
    let slug = body
        .slug
        .parse::<AppSlug>()
        .map_err(|error| error.to_string());
    let slug = field_errors.note(checked("slug", slug));
    let name = field_errors.note(checked("name", validate::line(&body.name)));
    let (slug, name) = field_errors.finish(slug.zip(name))?;
    let order = order_in(&admin, &state, slug).because(reason);
    let app = apps::create(&state.store, &order, name).await?;
    let location = Location::of(["apps", app.slug.as_str()]);
    let registry = Registry::default();
    let shown = AppWithRegistry {
        app,
        registry,
        pause: None,
    };
    let view = AppView::new(shown, &state);
    Ok((StatusCode::CREATED, location, Json(view)))
}

/// A change of an app. Only the given fields change; null sets a setting back to its default.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AppChange)]
struct ChangeBody {
    /// A name for people. One line.
    #[schema(min_length = 1, max_length = 255, examples("Acme Inc"))]
    name: Option<String>,
    /// The connected accounts (Stripe Connect) whose events count. The platform's own always do.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Vec<String>>, max_items = 1_000, examples("acct_1Q2w3e4R5t6Y7u8I"))]
    connected_accounts: Given<Vec<String>>,
    /// Where the seller's own ids of billing accounts are found. Replaced as a whole.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<IdentityView>)]
    identity: Given<IdentityView>,
    /// When a provider is asked about an object, where there is an API key: `never`, where events
    /// leave something open (the default), or also after each event about a subscription.
    #[serde(default, deserialize_with = "given")]
    #[schema(schema_with = words::refetch_or_null)]
    refetch: Given<String>,
    /// The Composer repository that `/composer` serves filtered. Needs an owner of all apps, because
    /// this server will ask whatever it names.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<RepositoryBody>)]
    repository: Given<RepositoryBody>,
    /// What customers are told who are held. Replaced as a whole.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<HeldMessageView>)]
    held_message: Given<HeldMessageView>,
    /// How often what is kept is compared with what the providers say, such as `12h`: an hour or more.
    /// Providers without an API key are left out.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, examples("1d"))]
    reconcile_every: Given<String>,
}

/// The same, and why.
type ChangeWithReason = Reasoned<ChangeBody>;

/// The shortest time between two comparisons with a provider: each reads all that it has.
const RECONCILE_EVERY: Span = Span::hours(1);

fn every(text: &str, field_errors: &mut FieldErrors) -> Option<Span> {
    let every = text.parse::<Span>().map_err(|error| error.to_string());
    let every = every.and_then(|every| {
        if every < RECONCILE_EVERY {
            Err(format!("must be {RECONCILE_EVERY} or more"))
        } else {
            Ok(every)
        }
    });
    field_errors.note(checked("reconcile_every", every))
}

fn identity(given: &IdentityView, field_errors: &mut FieldErrors) -> Identity {
    let key = given.metadata_key.as_deref().map(validate::line);
    let key = field_errors.note(checked("identity.metadata_key", key.transpose()));
    Identity {
        metadata_key: key.flatten(),
        client_reference_id: given.client_reference_id,
    }
}

fn refetch_of(word: &str, field_errors: &mut FieldErrors) -> Option<Refetch> {
    let refetch = word.parse::<Refetch>().map_err(|error| error.to_string());
    field_errors.note(checked("refetch", refetch))
}

fn connected_accounts(named: Vec<String>, field_errors: &mut FieldErrors) -> ConnectedAccounts {
    if named.len() > MAX_CONNECTED_ACCOUNTS {
        let message = format!("must be at most {MAX_CONNECTED_ACCOUNTS} accounts");
        field_errors.add("connected_accounts", message);
        return ConnectedAccounts::new();
    }
    let account = |(index, text): (usize, String)| {
        let field = format!("connected_accounts[{index}]");
        let account = text.parse::<ConnectedAccount>();
        field_errors.note(checked(&field, account.map_err(|error| error.to_string())))
    };
    named.into_iter().enumerate().filter_map(account).collect()
}

/// Changes an app. Needs an owner.
///
/// Only the given fields change; null sets a setting back to its default. After a change of
/// settings the workers update all customers.
#[utoipa::path(
    method(put, patch),
    path = "/apps/{slug}",
    request_body = ChangeWithReason,
    responses(
        (status = 200, description = "The app.", body = AppView),
        (status = 409, description = "`setting_read_only`: the environment of the server says it."),
    )
)]
async fn change(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(slug): ValidPath<String>,
    ValidJson(Reasoned { body, reason }): ValidJson<ChangeWithReason>,
) -> Result<Json<AppView>, ApiError> {
    admin.require(Role::Owner)?;
    let mut field_errors = FieldErrors::default();
    let name = body.name.as_deref().map(validate::line).transpose();
    let name = field_errors.note(checked("name", name));
    let named = body.connected_accounts;
    let registry = registry_change(body.repository, body.held_message, &mut field_errors);
    if registry.repository.is_some() && admin.app.is_some() {
        return Err(ApiError::Forbidden {
            code: "token_bound",
            detail: "only an owner of all apps may name a repository".into(),
        });
    }
    let is_same = named.is_none()
        && body.identity.is_none()
        && body.reconcile_every.is_none()
        && body.refetch.is_none()
        && registry.is_empty();
    if body.name.is_none() && is_same {
        field_errors.add("name", "is missing, and so is everything else");
    }
    let connected_accounts =
        named.map(|it| it.map(|named| connected_accounts(named, &mut field_errors)));
    let identity = body.identity;
    let identity = identity.map(|it| it.map(|given| self::identity(&given, &mut field_errors)));
    let reconcile_every = body.reconcile_every;
    let reconcile_every =
        reconcile_every.map(|it| it.and_then(|text| every(&text, &mut field_errors)));
    let refetch = body.refetch;
    let refetch = refetch.map(|it| it.and_then(|word| refetch_of(&word, &mut field_errors)));
    let name = field_errors.finish(name)?;
    let order = order_in_path(&admin, &state, &slug).await?.because(reason);
    let change = AppChange {
        name,
        settings: SettingsChange {
            connected_accounts,
            identity,
            reconcile_every,
            refetch,
        },
        registry,
    };
    let shown = apps::change(&state.store, &state.repositories, &order, change).await?;
    Ok(Json(AppView::new(shown, &state)))
}

/// Deletes an app with all that is in it. Needs an owner.
#[utoipa::path(
    delete,
    path = "/apps/{slug}",
    params(ReasonQuery),
    responses(
        (status = 204, description = "Deleted."),
        (status = 202, description = "It is large. Nobody sees it any more, and workers delete what is left; until then no app of this slug can be made."),
        (status = 409, description = "`app_default`: this one always exists."),
    )
)]
async fn delete(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(slug): ValidPath<String>,
) -> Result<StatusCode, ApiError> {
    admin.require(Role::Owner)?;
    let order = order_in_path(&admin, &state, &slug).await?;
    let deleted = app_deletion::delete(&state.store, &order).await?;
    // If this fails it is logged there, and the next round of refreshing mends it.
    let _ = state.endpoints.refresh().await;
    Ok(match deleted {
        Deleted::Whole => StatusCode::NO_CONTENT,
        Deleted::Hidden => StatusCode::ACCEPTED,
    })
}
