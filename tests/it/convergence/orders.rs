//! Orders in which the same events can come.

use tollgate::domain::billing::fact::Occurrence;
use tollgate::domain::time::Timestamp;

/// All different orders of `n` things, each of them so many times.
pub(crate) fn orders(n: usize, times: usize) -> Vec<Vec<usize>> {
    fn extend(left: &mut [usize], order: &mut Vec<usize>, all: &mut Vec<Vec<usize>>) {
        if left.iter().all(|count| *count == 0) {
            all.push(order.clone());
        }
        for thing in 0..left.len() {
            if left[thing] > 0 {
                left[thing] -= 1;
                order.push(thing);
                extend(left, order, all);
                order.pop();
                left[thing] += 1;
            }
        }
    }
    let mut all = Vec::new();
    extend(&mut vec![times; n], &mut Vec::new(), &mut all);
    all
}

/// An order of events, some of them twice, cut into batches.
pub(crate) struct Shuffle(pub(crate) u64);

impl Shuffle {
    /// A number below `n`, by xorshift: good enough to mix, and the same everywhere.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % n as u64).unwrap()
    }

    pub(crate) fn batches(&mut self, events: &[Occurrence]) -> Vec<Vec<Occurrence>> {
        let mut order = events.to_vec();
        for event in events {
            if self.below(3) == 0 {
                order.push(event.clone());
            }
        }
        self.mix(&mut order);
        self.cut(order)
    }

    pub(crate) fn mix<T>(&mut self, things: &mut [T]) {
        for i in (1..things.len()).rev() {
            things.swap(i, self.below(i + 1));
        }
    }

    /// Batches of some three events.
    pub(crate) fn cut(&mut self, order: Vec<Occurrence>) -> Vec<Vec<Occurrence>> {
        let mut batches = vec![Vec::new()];
        for event in order {
            if self.below(3) == 0 {
                batches.push(Vec::new());
            }
            batches.last_mut().unwrap().push(event);
        }
        batches
    }
}

/// Cuts what happened into batches, each with the time at which it comes: in order and at once, or,
/// shuffled, all of them when it has happened.
pub(crate) fn deliveries(
    told: Vec<Occurrence>,
    shuffle: Option<&mut Shuffle>,
    now: Timestamp,
) -> Vec<(Vec<Occurrence>, Timestamp)> {
    if let Some(shuffle) = shuffle {
        let batches = shuffle.batches(&told).into_iter();
        batches.map(|batch| (batch, now)).collect()
    } else {
        let batches = told.into_iter().map(|event| (event.at, vec![event]));
        batches.map(|(at, batch)| (batch, at)).collect()
    }
}
