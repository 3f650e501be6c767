//! Who looks at a page.

use axum::extract::FromRequestParts;
use axum::http::header::REFERER;
use axum::http::request::Parts;
use axum::http::{Method, Uri};
use subtle::ConstantTimeEq;

use super::place::{PLACE, is_ours};
use super::refusal::Refusal;
use super::session::Session;
use crate::domain::id::AppSlug;
use crate::domain::role::Role;
use crate::http::auth::{self, Admin};
use crate::http::client_addr::is_proxy;
use crate::http::{ApiError, AppState};
use crate::pipeline::order::Order;
use crate::pipeline::sessions;
use crate::random;
use crate::store::Pause;

/// A signed-in admin, and the app that is looked at: the token's own, or the session's.
#[derive(Clone, Debug)]
pub(super) struct Visitor {
    /// The admin, bound to this app.
    pub(super) admin: Admin,
    /// The app.
    pub(super) app: AppSlug,
    /// True if the token is good for all apps.
    pub(super) sees_all_apps: bool,
    /// The session.
    pub(super) session: Session,
    /// The pause of the app.
    pub(super) pause: Option<Pause>,
    /// The browser came by TLS.
    pub(super) is_secure: bool,
    /// Drawn anew for each page: the key of its forms that make something.
    pub(super) form_key: String,
    /// The request came from htmx, which wants the part of the page that it swaps.
    pub(super) is_part: bool,
}

impl Visitor {
    /// True if the role suffices to act on customers.
    pub(super) fn may_act(&self) -> bool {
        self.admin.role.allows(Role::Admin)
    }

    /// True if the role suffices to see to apps, secrets and admins.
    pub(super) fn may_own(&self) -> bool {
        self.admin.role.allows(Role::Owner)
    }

    /// The order of an act.
    pub(super) fn order(&self, state: &AppState) -> Order {
        Order {
            app: self.app.clone(),
            actor: self.admin.actor.clone(),
            now: state.clock.now(),
            reason: None,
        }
    }

    /// Checks what a form says of the page that it was on. A page of an app that is not looked at any
    /// more, in another tab, must not act on this one.
    pub(super) fn check_form(&self, csrf: &str, app: &str) -> Result<(), ApiError> {
        let own = self.session.csrf.as_bytes();
        if !bool::from(own.ct_eq(csrf.as_bytes())) {
            return Err(ApiError::Forbidden {
                code: "form_outdated",
                detail: "this form is of another session; load its page again".into(),
            });
        }
        if app != self.app.as_str() {
            return Err(ApiError::conflict(
                "app_changed",
                format!(
                    "this form is of the app {app}, and you look at {} now; load its page again",
                    self.app
                ),
            ));
        }
        Ok(())
    }
}

impl FromRequestParts<AppState> for Visitor {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Refusal> {
        // Signing in leads to a page. A form's own address may be none: it leads to where the form was.
        let was_lost = parts.method == Method::POST;
        let path = if was_lost {
            form_of(parts)
        } else {
            page_of(parts)
        };
        let is_part = parts.headers.contains_key("hx-request");
        let session = Session::find(&parts.headers, &state.vault, state.clock.now());
        let Some(session) = session else {
            return Err(Refusal::SignIn {
                path,
                is_part,
                was_lost,
            });
        };
        // The token of a session that was good may have been revoked since: nobody guesses here, so
        // nothing is counted.
        let Ok(mut admin) = auth::identify(&session.hash, state).await? else {
            return Err(Refusal::SignIn {
                path,
                is_part,
                was_lost,
            });
        };
        let sees_all_apps = admin.app.is_none();
        let app = admin.app.clone().unwrap_or_else(|| session.app.clone());
        let standing = sessions::standing(&state.store, &session.digest(), app).await?;
        // A token of one app goes with that, and is never good for another one.
        let is_elsewhere = admin.app.as_ref().is_some_and(|own| *own != standing.app);
        if standing.is_ended || is_elsewhere {
            return Err(Refusal::SignIn {
                path,
                is_part,
                was_lost,
            });
        }
        let app = standing.app;
        admin.app = Some(app.clone());
        let form_key = random::bytes::<16>().map_err(ApiError::internal)?;
        Ok(Self {
            admin,
            app,
            sees_all_apps,
            session,
            pause: standing.pause,
            is_secure: is_secure(parts, state),
            form_key: hex::encode(form_key),
            is_part,
        })
    }
}

/// Reports whether the browser came by TLS, which ends at a proxy.
pub(super) fn is_secure(parts: &Parts, state: &AppState) -> bool {
    let scheme = parts.headers.get("x-forwarded-proto");
    let scheme = scheme.and_then(|line| line.to_str().ok());
    let first = scheme.and_then(|line| line.split(',').next());
    let is_tls = first.is_some_and(|it| it.trim().eq_ignore_ascii_case("https"));
    is_tls && is_proxy(&parts.extensions, &state.settings.trusted_proxies)
}

/// The page that a form was on, as the browser says; the console's first page, if it says none.
fn form_of(parts: &Parts) -> String {
    let referer = parts.headers.get(REFERER).and_then(|it| it.to_str().ok());
    let uri = referer.and_then(|text| text.parse::<Uri>().ok());
    let path = uri.and_then(|uri| uri.path_and_query().map(ToString::to_string));
    path.filter(|path| is_ours(path))
        .unwrap_or_else(|| PLACE.to_owned())
}

/// The whole path: the router that nests these pages takes its own part away.
fn page_of(parts: &Parts) -> String {
    let original = parts.extensions.get::<axum::extract::OriginalUri>();
    let uri = original.map_or(&parts.uri, |original| &original.0);
    uri.path_and_query()
        .map_or_else(|| uri.path().to_owned(), ToString::to_string)
}
