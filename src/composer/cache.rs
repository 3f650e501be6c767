//! Keeps what was read of repositories, and what was written of it, within bounds.

use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use hashlink::LruCache;

/// What an entry costs beside its key and its value, in bytes.
const ENTRY: usize = 200;

/// A map whose least recently used entries go when it grows too large.
pub(super) struct Cache<K, V> {
    limit: usize,
    inner: Mutex<Inner<K, V>>,
}

struct Inner<K, V> {
    /// Bounded by what the entries weigh, not by their number.
    entries: LruCache<K, Entry<V>>,
    weight: usize,
}

struct Entry<V> {
    value: V,
    weight: usize,
}

impl<K: Hash + Eq, V: Clone> Cache<K, V> {
    /// Makes an empty one that may weigh so many bytes.
    pub(super) fn new(limit: usize) -> Self {
        let inner = Inner {
            entries: LruCache::new_unbounded(),
            weight: 0,
        };
        Self {
            limit,
            inner: Mutex::new(inner),
        }
    }

    /// Returns what is kept under a key.
    pub(super) fn get(&self, key: &K) -> Option<V> {
        self.with(|inner| inner.entries.get(key).map(|entry| entry.value.clone()))
    }

    /// Keeps a value of so many bytes, and lets others go until all of them fit. What is larger than
    /// all of it is not kept.
    pub(super) fn put(&self, key: K, value: V, weight: usize) {
        let weight = weight + ENTRY;
        self.with(|inner| {
            let before = inner.entries.insert(key, Entry { value, weight });
            inner.weight += weight;
            inner.weight -= before.map_or(0, |before| before.weight);
            inner.shrink(self.limit);
        });
    }

    /// What all entries weigh.
    #[cfg(test)]
    pub(super) fn weight(&self) -> usize {
        self.with(|inner| inner.weight)
    }

    fn with<T>(&self, work: impl FnOnce(&mut Inner<K, V>) -> T) -> T {
        work(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<K: Hash + Eq, V: Clone + Default> Cache<K, V> {
    /// Returns what is kept under a key; something new, whose weight is still to be told, if nothing
    /// is.
    pub(super) fn place(&self, key: K) -> V {
        self.with(|inner| {
            if let Some(entry) = inner.entries.get(&key) {
                return entry.value.clone();
            }
            let value = V::default();
            let entry = Entry {
                value: value.clone(),
                weight: ENTRY,
            };
            inner.entries.insert(key, entry);
            inner.weight += ENTRY;
            inner.shrink(self.limit);
            value
        })
    }

    /// Notes what a value weighs by now, and lets others go until all of them fit.
    pub(super) fn weigh(&self, key: &K, weight: usize) {
        let weight = weight + ENTRY;
        self.with(|inner| {
            if let Some(entry) = inner.entries.peek_mut(key) {
                inner.weight += weight;
                inner.weight -= std::mem::replace(&mut entry.weight, weight);
                inner.shrink(self.limit);
            }
        });
    }
}

impl<K: Hash + Eq, V> Inner<K, V> {
    fn shrink(&mut self, limit: usize) {
        while self.weight > limit {
            let Some((_, gone)) = self.entries.remove_lru() else {
                return;
            };
            self.weight -= gone.weight;
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
            cache.put(key, key, 200);
            let _ = cache.get(&"a");
        }
        assert_eq!(cache.get(&"a"), Some("a"));
        assert_eq!(cache.get(&"b"), None, "let go");
        assert_eq!(cache.get(&"c"), Some("c"));
    }

    #[test]
    fn what_is_larger_than_all_of_it_is_not_kept() {
        let cache: Cache<&str, ()> = Cache::new(1_000);
        cache.place("a");
        cache.weigh(&"a", 5_000);
        cache.put("b", (), 5_000);
        cache.with(|inner| assert_eq!((inner.entries.len(), inner.weight), (0, 0)));
    }

    #[test]
    fn what_is_put_in_the_place_of_another_weighs_what_it_does_itself() {
        let cache = Cache::new(1_000);
        for weight in [700, 100, 300] {
            cache.put("a", weight, weight);
        }
        cache.place("b");
        cache.weigh(&"b", 100);
        cache.with(|inner| assert_eq!((inner.entries.len(), inner.weight), (2, 800)));
    }
}
