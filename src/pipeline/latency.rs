//! How long events of an app took from their receipt to their outcome, hour by hour, and how long the
//! oldest one has waited that has none yet.

use std::time::Duration;

use super::oldest_webhook;
use crate::domain::id::AppSlug;
use crate::domain::time::Timestamp;
use crate::store::{ProcessedEvent, Store, StoreError};

/// How many hours are looked at.
pub const HOURS: u32 = 24;

/// Most events that are looked at, some eighty of each hour: a p99 needs about as many to be more than
/// the slowest of them. Two looks at an index for each, some 20 ms in all, however long the ledger is.
const MOST: i64 = 2_000;

/// An hour in seconds.
const HOUR: i64 = 3_600;

/// The times of the events that were received in one hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hour {
    /// Its beginning.
    pub from: Timestamp,
    /// How many events were looked at.
    pub events: usize,
    /// The time that half of them took at most.
    pub p50: Duration,
    /// The time that 99 in 100 of them took at most.
    pub p99: Duration,
}

/// How long events took and take.
#[derive(Clone, Debug, Default)]
pub struct Latency {
    /// The hours in which any were received, the first one first.
    pub hours: Vec<Hour>,
    /// When the oldest webhook was received that has no outcome at all, not even a failed try.
    pub oldest: Option<Timestamp>,
}

/// Reads how long events of an app took in the last [`HOURS`] hours. What was retried or replayed
/// counts until its last outcome.
///
/// # Errors
/// When the store failed.
pub async fn of(store: &Store, app: &AppSlug, now: Timestamp) -> Result<Latency, StoreError> {
    let since = now.minus(Duration::from_hours(HOURS.into()));
    let mut tx = store.read().await?;
    let first = tx.stats_events_since(since).await?;
    let sample = tx.latency_sample(app, first, MOST).await?;
    drop(tx);
    Ok(Latency {
        hours: hours(&sample, since),
        oldest: oldest_webhook::oldest(store, app).await?,
    })
}

fn hours(sample: &[ProcessedEvent], since: Timestamp) -> Vec<Hour> {
    let mut by_hour = std::collections::BTreeMap::<i64, Vec<Duration>>::new();
    for event in sample.iter().filter(|event| event.received_at >= since) {
        let hour = event.received_at.seconds().div_euclid(HOUR);
        by_hour.entry(hour).or_default().push(took(event));
    }
    let told = by_hour.into_iter().filter_map(|(hour, mut times)| {
        times.sort_unstable();
        Some(Hour {
            from: Timestamp::from_seconds(hour.saturating_mul(HOUR))?,
            events: times.len(),
            p50: percentile(&times, 50)?,
            p99: percentile(&times, 99)?,
        })
    });
    told.collect()
}

/// Two machines' clocks may differ: what seems to be done before it came took no time.
fn took(event: &ProcessedEvent) -> Duration {
    let nanos = event
        .processed_at
        .nanos()
        .saturating_sub(event.received_at.nanos());
    Duration::from_nanos(u64::try_from(nanos).unwrap_or_default())
}

/// The nearest rank: the smallest of the times, in order, that so many in a hundred do not exceed.
fn percentile(times: &[Duration], percent: usize) -> Option<Duration> {
    let rank = (times.len() * percent).div_ceil(100);
    times.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_by_the_hour_of_receipt() {
        let at = |seconds: i64| Timestamp::from_seconds(seconds).unwrap();
        let event = |received: i64, seconds: i64| ProcessedEvent {
            received_at: at(received),
            processed_at: at(received + seconds),
        };
        let mut sample: Vec<_> = (1..=100).map(|seconds| event(HOUR + 5, seconds)).collect();
        // Too early to be asked for, and done before it came.
        sample.extend([event(HOUR - 1, 9), event(3 * HOUR, -9)]);
        let hour = |from: i64, events, p50, p99| Hour {
            from: at(from * HOUR),
            events,
            p50: Duration::from_secs(p50),
            p99: Duration::from_secs(p99),
        };
        let expected = [hour(1, 100, 50, 99), hour(3, 1, 0, 0)];
        assert_eq!(hours(&sample, at(HOUR)), expected);
        assert_eq!(hours(&[], at(0)), []);
    }
}
