//! Where all chance comes from: one seeded stream for each customer, so that a life does not
//! depend on how many others there are.

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

/// The stream of what is not one customer's: the order of delivery.
pub(super) const DELIVERY: u64 = u64::MAX;

/// Letters of provider ids.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A seeded stream of chance.
pub(super) struct Draw(StdRng);

impl Draw {
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        bytes[8..16].copy_from_slice(&stream.to_le_bytes());
        Self(StdRng::from_seed(bytes))
    }

    /// True with this probability.
    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.0.random_bool(probability)
    }

    /// A number from `low` up to and without `high`.
    pub(super) fn between(&mut self, low: i64, high: i64) -> i64 {
        if low < high {
            self.0.random_range(low..high)
        } else {
            low
        }
    }

    /// An index below `length`; 0 if there is none.
    pub(super) fn index(&mut self, length: usize) -> usize {
        if length < 2 {
            0
        } else {
            self.0.random_range(0..length)
        }
    }

    pub(super) fn pick<T: Copy>(&mut self, first: T, others: &[T]) -> T {
        match self.index(others.len() + 1) {
            0 => first,
            index => others[index - 1],
        }
    }

    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        items.shuffle(&mut self.0);
    }

    /// A provider's id: the prefix and so many random letters and digits.
    pub(super) fn id(&mut self, prefix: &str, length: usize) -> String {
        let mut id = prefix.to_owned();
        for _ in 0..length {
            id.push(char::from(ALPHABET[self.index(ALPHABET.len())]));
        }
        id
    }
}
