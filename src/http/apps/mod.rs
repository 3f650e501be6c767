//! The dialect for sellers of licences for several apps: `/api/v1/apps/{slug}/…`.
//!
//! The same functions as in the admin API, in other clothes: the app stands in the path instead
//! of the token, an object lies under `data`, and a list's `meta` has `total`, `page` and
//! `per_page`. Refusals are those of the admin API. An app that the token may not see answers as
//! if it did not exist.

mod activations;
mod body;
mod customers;
mod envelope;
mod licenses;
pub(super) mod routes;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;

use super::api::problem::app_not_found;
use super::api::{order_in, visible_app};
use super::error::ApiError;
use super::{Admin, AppState, Reading};
use crate::domain::id::AppSlug;
use crate::pipeline::order::Order;

/// The admin who asks, and the app that the path names.
struct InApp {
    admin: Admin,
    app: AppSlug,
}

/// As [`InApp`], for the few POSTs that change nothing: a viewer is enough.
struct ReadingInApp(InApp);

impl InApp {
    /// The app of a request's path, if the token may see it.
    async fn of(admin: Admin, parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let path = RawPathParams::from_request_parts(parts, state).await;
        let path = path.map_err(|_| app_not_found())?;
        let slug = path.iter().find(|(name, _)| *name == "slug");
        let slug = slug.map(|(_, slug)| slug).unwrap_or_default();
        let app = visible_app(state, &admin, slug).await?.slug;
        Ok(Self { admin, app })
    }

    /// The path of the app's customers.
    fn customers(&self) -> String {
        format!("/api/v1/apps/{}/customers", self.app)
    }

    /// In whose name, where and when a request does something.
    fn order(&self, state: &AppState) -> Order {
        order_in(&self.admin, state, self.app.clone())
    }
}

impl FromRequestParts<AppState> for InApp {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let admin = Admin::from_request_parts(parts, state).await?;
        Self::of(admin, parts, state).await
    }
}

impl FromRequestParts<AppState> for ReadingInApp {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let Reading(admin) = Reading::from_request_parts(parts, state).await?;
        InApp::of(admin, parts, state).await.map(Self)
    }
}
