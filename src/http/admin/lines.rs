//! What commands print with `--json`: a line each, as the API answers.

use serde::Serialize;

use super::events::{EventView, FailureView};
use super::replays::BulkReplayView;
use super::unaccounted::UnaccountedView;
use crate::domain::time::Timestamp;
use crate::http::api::pause::PauseView;
use crate::pipeline::acknowledged::Unaccounted;
use crate::pipeline::apps::AppWithRegistry;
use crate::store::replay::BulkReplay;
use crate::store::{EventRecord, FailureGroup};

fn line(view: &impl Serialize) -> String {
    // Views are made of texts and numbers, which can always be written.
    serde_json::to_string(view).unwrap_or_default()
}

/// An event, as `GET /events` lists it.
pub(crate) fn event(record: EventRecord) -> String {
    line(&EventView::from(record))
}

/// An event with its payload, as `GET /events/{id}` shows it.
pub(crate) fn whole_event(record: EventRecord) -> String {
    line(&EventView::whole(record))
}

/// A group of failed events, as `GET /events/failures` lists it.
pub(crate) fn failure(group: FailureGroup) -> String {
    line(&FailureView::from(group))
}

/// A webhook without an outcome, as `GET /events/unaccounted` lists it.
pub(crate) fn unaccounted(found: Unaccounted, now: Timestamp) -> String {
    line(&UnaccountedView::of(found, now))
}

/// A replay of many events, as `GET /replays` lists it.
pub(crate) fn replay(replay: BulkReplay) -> String {
    line(&BulkReplayView::from(replay))
}

/// An app, and whether it is paused.
#[derive(Serialize)]
struct AppLine {
    slug: String,
    name: String,
    paused: Option<PauseView>,
    created_at: String,
}

/// An app: those fields of `GET /apps` that need nothing but the store.
pub(crate) fn app(shown: AppWithRegistry) -> String {
    line(&AppLine {
        slug: shown.app.slug.into(),
        name: shown.app.name,
        paused: shown.pause.map(Into::into),
        created_at: shown.app.created_at.to_string(),
    })
}
