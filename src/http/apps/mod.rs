//! The dialect of those who sell licences for several apps: `/api/v1/apps/{slug}/…`.
//!
//! The same functions as in the admin API, in other clothes: the app stands in the path instead
//! of the token, an object lies under `data`, and a list's `meta` has `total`, `page` and
//! `per_page`. Refusals are those of the admin API. An app that the token may not see answers as
//! if it did not exist.

mod customers;
mod envelope;

use axum::Router;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;

use super::admin::apps::{app_not_found, visible_app};
use super::admin::order_in;
use super::error::ApiError;
use super::{Admin, AppState};
use crate::domain::id::AppSlug;
use crate::pipeline::customers::Order;

/// What is below `/api/v1/apps/{slug}`, apart from the app itself and its endpoints.
pub(super) fn router() -> Router<AppState> {
    Router::new().nest("/api/v1/apps/{slug}", customers::router())
}

/// Who asks, as [`Admin`], and the app that the path names.
struct InApp {
    admin: Admin,
    app: AppSlug,
}

impl InApp {
    /// In whose name, where and when a request does something.
    fn order(&self, state: &AppState) -> Order {
        order_in(&self.admin, state, self.app.clone())
    }
}

impl FromRequestParts<AppState> for InApp {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let admin = Admin::from_request_parts(parts, state).await?;
        let path = RawPathParams::from_request_parts(parts, state).await;
        let path = path.map_err(|_| app_not_found())?;
        let slug = path.iter().find(|(name, _)| *name == "slug");
        let slug = slug.map(|(_, slug)| slug).unwrap_or_default();
        let mut tx = state.store.read().await?;
        let app = visible_app(&mut tx, &admin, slug).await?.slug;
        Ok(Self { admin, app })
    }
}
