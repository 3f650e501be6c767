//! stub
use axum::Router;
use super::AppState;
/// stub
pub fn router() -> Router<AppState> { Router::new() }
