//! The pause of an app, as answers show it.

use serde::Serialize;
use utoipa::ToSchema;

use crate::store::PausedApp;

/// The pause of an app: its events, due times, replays and comparisons wait.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Pause)]
pub(in crate::http) struct PauseView {
    /// The app that waits.
    #[schema(examples("acme"))]
    app: String,
    /// Since when.
    #[schema(format = DateTime)]
    since: String,
    /// Why, in an admin's words; null if none were given.
    reason: Option<String>,
    /// How many messages workers have put aside. Counted up to 100,000.
    waiting: u64,
}

impl From<PausedApp> for PauseView {
    fn from(pause: PausedApp) -> Self {
        Self {
            app: pause.app.into(),
            since: pause.since.to_string(),
            reason: pause.reason,
            waiting: pause.waiting,
        }
    }
}
