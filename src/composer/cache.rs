//! Keeps what was read of repositories, within bounds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// One file that is kept. Whoever reads it holds the lock, so that many who ask at once make one
/// request.
pub(super) type Slot<T> = Arc<tokio::sync::Mutex<Option<T>>>;

/// A map whose least recently used entries go when it grows too large.
pub(super) struct Cache<T> {
    limit: usize,
    inner: Mutex<Inner<T>>,
}

struct Inner<T> {
    entries: HashMap<String, Entry<T>>,
    weight: usize,
    /// Counts uses.
    clock: u64,
}

struct Entry<T> {
    slot: Slot<T>,
    weight: usize,
    used: u64,
}

impl<T> Cache<T> {
    /// Makes an empty one that may weigh so many bytes.
    pub(super) fn new(limit: usize) -> Self {
        let inner = Inner {
            entries: HashMap::new(),
            weight: 0,
            clock: 0,
        };
        Self {
            limit,
            inner: Mutex::new(inner),
        }
    }

    /// Returns the place of a file.
    pub(super) fn slot(&self, key: &str) -> Slot<T> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.clock += 1;
        let used = inner.clock;
        if let Some(entry) = inner.entries.get_mut(key) {
            entry.used = used;
            return Arc::clone(&entry.slot);
        }
        let slot = Slot::default();
        let entry = Entry {
            slot: Arc::clone(&slot),
            weight: 0,
            used,
        };
        inner.entries.insert(key.to_owned(), entry);
        slot
    }

    /// Notes what a file weighs, and lets others go until all of them fit.
    pub(super) fn weigh(&self, key: &str, weight: usize) {
        // What an entry costs beside its content.
        let weight = weight + key.len() + 200;
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let inner = &mut *inner;
        let Some(entry) = inner.entries.get_mut(key) else {
            return;
        };
        inner.weight = inner.weight - entry.weight + weight;
        entry.weight = weight;
        while inner.weight > self.limit {
            let oldest = inner.entries.iter().min_by_key(|(_, entry)| entry.used);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else {
                return;
            };
            if let Some(gone) = inner.entries.remove(&oldest) {
                inner.weight -= gone.weight;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_least_recently_used_goes_first() {
        let cache = Cache::new(1_000);
        for key in ["a", "b", "c"] {
            *cache.slot(key).lock().await = Some(key);
            cache.weigh(key, 200);
            let _ = cache.slot("a");
        }
        assert_eq!(*cache.slot("a").lock().await, Some("a"));
        assert_eq!(*cache.slot("b").lock().await, None, "let go");
        assert_eq!(*cache.slot("c").lock().await, Some("c"));
    }

    #[test]
    fn what_is_larger_than_all_of_it_is_not_kept() {
        let cache: Cache<()> = Cache::new(1_000);
        let _ = cache.slot("a");
        cache.weigh("a", 5_000);
        assert!(cache.inner.lock().unwrap().entries.is_empty());
        assert_eq!(cache.inner.lock().unwrap().weight, 0);
    }
}
