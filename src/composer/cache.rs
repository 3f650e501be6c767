//! Keeps what was read of repositories, within bounds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The place of one file.
#[derive(Default)]
pub(super) struct Place<T> {
    /// Held by whoever reads the file, so that many who ask at once make one request.
    pub(super) asking: Arc<tokio::sync::Mutex<()>>,
    kept: Mutex<T>,
}

impl<T: Clone> Place<T> {
    /// Returns what is kept, also while somebody reads the file.
    pub(super) fn get(&self) -> T {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.clone()
    }

    /// Keeps something else.
    pub(super) fn put(&self, kept: T) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = kept;
    }
}

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
    place: Arc<Place<T>>,
    weight: usize,
    used: u64,
}

impl<T: Default> Cache<T> {
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
    pub(super) fn place(&self, key: &str) -> Arc<Place<T>> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.clock += 1;
        let used = inner.clock;
        if let Some(entry) = inner.entries.get_mut(key) {
            entry.used = used;
            return Arc::clone(&entry.place);
        }
        let place = Arc::<Place<T>>::default();
        let entry = Entry {
            place: Arc::clone(&place),
            weight: 0,
            used,
        };
        inner.entries.insert(key.to_owned(), entry);
        place
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

    #[test]
    fn the_least_recently_used_goes_first() {
        let cache = Cache::new(1_000);
        for key in ["a", "b", "c"] {
            cache.place(key).put(Some(key));
            cache.weigh(key, 200);
            let _ = cache.place("a");
        }
        assert_eq!(cache.place("a").get(), Some("a"));
        assert_eq!(cache.place("b").get(), None, "let go");
        assert_eq!(cache.place("c").get(), Some("c"));
    }

    #[test]
    fn what_is_larger_than_all_of_it_is_not_kept() {
        let cache: Cache<()> = Cache::new(1_000);
        let _ = cache.place("a");
        cache.weigh("a", 5_000);
        assert!(cache.inner.lock().unwrap().entries.is_empty());
        assert_eq!(cache.inner.lock().unwrap().weight, 0);
    }
}
