//! What a receiver has acknowledged, in memory until it is written to the store.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

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

/// The time that a worker is given before the ledger is looked at.
const FIRST_LOOK: Duration = Duration::from_secs(15);

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

    /// Takes all rows out. They count towards the bound until they are written.
    fn take(&mut self) -> Vec<(AppSlug, AcknowledgedNotes)> {
        let by_app = std::mem::take(&mut self.by_app).into_iter();
        by_app
            .flat_map(|(app, rows)| rows.into_iter().map(move |row| (app.clone(), row)))
            .collect()
    }

    /// Takes rows back that could not be written.
    fn put_back(&mut self, rows: Vec<(AppSlug, AcknowledgedNotes)>) {
        for (app, row) in rows.into_iter().rev() {
            self.by_app.entry(app).or_default().push_front(row);
        }
    }
}

impl Acknowledged {
    /// Notes a webhook that is about to be acknowledged. Never waits for anything.
    pub fn note(&self, app: &AppSlug, event: &AcknowledgedEvent) {
        self.with(|notes| notes.add(app, event));
    }

    /// Writes what was noted before it was called. What is noted meanwhile is for the next time: while
    /// webhooks arrive without a pause there would be no end to it, and hardly an event in a row. Notes
    /// that could not be written stay noted.
    ///
    /// # Errors
    /// When the store failed.
    pub async fn flush(&self, store: &Store, now: Timestamp) -> Result<(), StoreError> {
        let mut waiting = self.with(Notes::take);
        while !waiting.is_empty() {
            let later = waiting.split_off(waiting.len().min(MOST_ROWS));
            if let Err(error) = write(store, &waiting, now).await {
                waiting.extend(later);
                self.with(|notes| notes.put_back(waiting));
                return Err(error);
            }
            let written: usize = waiting.iter().map(|(_, row)| row.len()).sum();
            self.with(|notes| notes.count -= written);
            waiting = later;
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
            // What a write has in hand that hangs counts too.
            Ok(Ok(())) if self.with(|notes| notes.count) == 0 => {}
            Ok(_) | Err(_) => {
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use tempfile::TempDir;

    use super::*;
    use crate::domain::app_settings::KeptSettings;
    use crate::domain::policy::Policy;
    use crate::provider::STRIPE;
    use crate::store::App;

    const NOW: Timestamp = Timestamp::from_nanos(0);

    async fn opened() -> (TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open_sqlite(&folder.path().join("t.db")).await;
        (folder, store.unwrap())
    }

    async fn add(store: &Store, slugs: [&str; 4]) -> [AppSlug; 4] {
        let slugs = slugs.map(|slug| slug.parse::<AppSlug>().unwrap());
        store.migrate().await.unwrap();
        let mut tx = store.begin().await.unwrap();
        for slug in &slugs {
            let app = App {
                slug: slug.clone(),
                name: slug.as_str().to_owned(),
                policy: Policy::default(),
                settings: KeptSettings::default(),
                created_at: NOW,
            };
            assert!(tx.app_add(&app).await.unwrap());
        }
        tx.commit().await.unwrap();
        slugs
    }

    fn event(number: usize) -> AcknowledgedEvent {
        AcknowledgedEvent {
            provider: STRIPE.name,
            id: format!("evt_{number}"),
            event_type: "invoice.paid".to_owned(),
            received_at: NOW,
        }
    }

    async fn written(store: &Store, app: &AppSlug) -> Vec<String> {
        let mut tx = store.read().await.unwrap();
        let batches = tx.acknowledged_oldest(app, 100).await.unwrap();
        let events = batches.into_iter().flat_map(|batch| batch.events.0);
        events.map(|event| event.id).collect()
    }

    #[tokio::test]
    async fn a_write_ends_while_more_is_noted_and_leaves_no_app_out() {
        let (_folder, store) = opened().await;
        let apps = add(&store, ["a", "b", "c", "d"]).await;
        let (acknowledged, done) = (Acknowledged::default(), AtomicBool::new(false));
        let note_one_each = |number| {
            for app in &apps {
                acknowledged.note(app, &event(number));
            }
        };
        note_one_each(0);
        let noting = async {
            for number in 1.. {
                if done.load(Ordering::SeqCst) {
                    return;
                }
                note_one_each(number);
                tokio::task::yield_now().await;
            }
        };
        let writing = async {
            let flushed = acknowledged.flush(&store, NOW);
            let flushed = tokio::time::timeout(Duration::from_secs(20), flushed).await;
            done.store(true, Ordering::SeqCst);
            flushed.expect("it goes on for ever").unwrap();
        };
        tokio::join!(noting, writing);
        for app in &apps {
            let written = written(&store, app).await;
            assert_eq!(written.first().map(String::as_str), Some("evt_0"), "{app}");
        }
    }

    #[tokio::test]
    async fn what_could_not_be_written_is_written_the_next_time() {
        let (_folder, store) = opened().await;
        let acknowledged = Acknowledged::default();
        let slugs = ["a", "b", "c", "d"];
        let note_all = |number| {
            for slug in slugs {
                acknowledged.note(&slug.parse().unwrap(), &event(number));
            }
        };
        note_all(0);
        // There is no table yet.
        acknowledged.flush(&store, NOW).await.unwrap_err();
        note_all(1);
        assert_eq!(acknowledged.with(|notes| notes.count), 8);
        for app in &add(&store, slugs).await {
            acknowledged.flush(&store, NOW).await.unwrap();
            assert_eq!(written(&store, app).await, ["evt_0", "evt_1"], "{app}");
        }
        assert_eq!(acknowledged.with(|notes| notes.count), 0);
    }
}
