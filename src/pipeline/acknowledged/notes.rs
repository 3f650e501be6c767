//! What a receiver has acknowledged, in memory until it is written to the store.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::FIRST_LOOK;
use crate::causes::chain;
use crate::clock::Clock;
use crate::domain::id::AppSlug;
use crate::domain::time::Timestamp;
use crate::store::{AcknowledgedEvent, AcknowledgedNotes, Store, StoreError};

/// The time between writes of the notes.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// The time limit for the write at shutdown.
const LAST_FLUSH: Duration = Duration::from_secs(1);

/// The most notes that are kept in memory: some 12 MB, and a quarter of an hour of 100 webhooks a
/// second.
const MOST_NOTES: usize = 100_000;

/// The most events of one row.
const MOST_OF_ROW: usize = 1_000;

/// The most rows of one write: its texts are copied twice on their way to the database.
const MOST_ROWS: usize = 3;

/// What was acknowledged since the last write. Cheap to clone; all clones note together.
#[derive(Clone, Debug, Default)]
pub struct Acknowledged(Arc<Mutex<Notes>>);

#[derive(Debug, Default)]
struct Notes {
    /// The rows to be written, of which the last one of an app is still being added to.
    by_app: BTreeMap<AppSlug, VecDeque<AcknowledgedNotes>>,
    count: usize,
    /// Those that found no room.
    left_out: u64,
}

impl Notes {
    fn add(&mut self, app: &AppSlug, event: &AcknowledgedEvent) {
        if self.count >= MOST_NOTES {
            self.left_out += 1;
            return;
        }
        let added = match self.by_app.get_mut(app).and_then(VecDeque::back_mut) {
            Some(row) if row.len() < MOST_OF_ROW => row.add(event),
            Some(_) | None => {
                let mut row = AcknowledgedNotes::new();
                let added = row.add(event);
                let rows = self.by_app.entry(app.clone()).or_default();
                rows.push_back(row);
                added
            }
        };
        match added {
            Ok(()) => self.count += 1,
            Err(_) => self.left_out += 1,
        }
    }

    /// Takes some rows out.
    fn take(&mut self) -> Vec<(AppSlug, AcknowledgedNotes)> {
        let mut taken = Vec::new();
        while taken.len() < MOST_ROWS
            && let Some(mut first) = self.by_app.first_entry()
        {
            let app = first.key().clone();
            match first.get_mut().pop_front() {
                Some(row) => {
                    self.count -= row.len();
                    taken.push((app, row));
                }
                None => drop(first.remove()),
            }
        }
        taken
    }

    /// Takes rows back that could not be written.
    fn put_back(&mut self, rows: Vec<(AppSlug, AcknowledgedNotes)>) {
        for (app, row) in rows.into_iter().rev() {
            self.count += row.len();
            self.by_app.entry(app).or_default().push_front(row);
        }
    }
}

impl Acknowledged {
    /// Notes a webhook that is about to be acknowledged. Never waits for anything.
    pub fn note(&self, app: &AppSlug, event: &AcknowledgedEvent) {
        self.with(|notes| notes.add(app, event));
    }

    /// Writes the notes. Those that could not be written stay noted.
    ///
    /// # Errors
    /// When the store failed.
    pub async fn flush(&self, store: &Store, now: Timestamp) -> Result<(), StoreError> {
        loop {
            let rows = self.with(Notes::take);
            if rows.is_empty() {
                break;
            }
            if let Err(error) = write(store, &rows, now).await {
                self.with(|notes| notes.put_back(rows));
                return Err(error);
            }
        }
        let left_out = self.with(|notes| std::mem::take(&mut notes.left_out));
        if left_out > 0 {
            tracing::warn!(
                events = left_out,
                "the store was away for so long that some acknowledged events were not noted; they \
                 are in the queue, and only `/events/unaccounted` does not know of them"
            );
        }
        Ok(())
    }

    /// Writes the notes about once a second until `shutdown`.
    pub async fn run(self, store: Store, clock: Arc<dyn Clock>, shutdown: CancellationToken) {
        let mut failed = false;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(FLUSH_EVERY) => {}
            }
            let result = self.flush(&store, clock.now()).await;
            if let (Err(error), false) = (&result, failed) {
                tracing::warn!(
                    error = chain(error),
                    "noting what was acknowledged failed; trying again"
                );
            }
            failed = result.is_err();
        }
    }

    /// Writes the notes of the last requests, within a second.
    pub async fn finish(&self, store: &Store, now: Timestamp) {
        match tokio::time::timeout(LAST_FLUSH, self.flush(store, now)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => {
                tracing::warn!("noting what was acknowledged last failed at shutdown");
            }
        }
    }

    fn with<T>(&self, change: impl FnOnce(&mut Notes) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn write(
    store: &Store,
    rows: &[(AppSlug, AcknowledgedNotes)],
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    let rows = rows.iter().map(|(app, events)| (app, events));
    tx.acknowledged_add(rows, now.plus(FIRST_LOOK)).await?;
    tx.commit().await
}
