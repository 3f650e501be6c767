//! The messages in hand, by shard, and which of them are the next batch.
//!
//! With a deep backlog each shard has a batch of its own under way, so that the store and this
//! process are busy at the same time. While few messages wait they are one batch of all shards: a
//! batch costs the same statements however small it is, and several small ones at once would only
//! take the time of each other.

use std::collections::VecDeque;

use super::BATCH;
use crate::pipeline::incoming::{Incoming, named_by, shard_of};
use crate::provider::Named;
use crate::queue::{Delivery, GROUP_BYTES};

/// The size from which a shard's messages are worth a batch beside others.
const WORTHWHILE: usize = 32;

/// Batches of a shard that may wait behind the one under way, so that the next one is here when that
/// is done.
const AHEAD: usize = 2;

/// A batch to be processed.
pub(super) struct Batch {
    /// The shard that it occupies; `None` for all of them.
    shard: Option<usize>,
    pub(super) deliveries: Vec<Delivery>,
    /// What each of them names.
    pub(super) named: Vec<Named>,
}

impl Batch {
    fn of(shard: Option<usize>, waiting: Vec<Waiting>) -> Self {
        let pairs = waiting.into_iter().map(|it| (it.delivery, it.named));
        let (deliveries, named) = pairs.unzip();
        Self {
            shard,
            deliveries,
            named,
        }
    }

    /// Its number among the batches that can be under way at once.
    pub(super) fn slot(&self) -> usize {
        self.shard.unwrap_or_default()
    }
}

/// The messages of a worker that processes several batches at once.
pub(super) struct Shards {
    all: Vec<Shard>,
    /// The number of messages that were put in so far, which tells their order.
    count: u64,
    /// Messages in batches that are under way.
    under_way: usize,
}

#[derive(Default)]
struct Shard {
    waiting: VecDeque<Waiting>,
    is_busy: bool,
}

struct Waiting {
    /// Tells the order in which they came.
    number: u64,
    named: Named,
    delivery: Delivery,
}

impl Shards {
    pub(super) fn new(shards: usize) -> Self {
        Self {
            all: (0..shards.max(1)).map(|_| Shard::default()).collect(),
            count: 0,
            under_way: 0,
        }
    }

    /// How many more messages may be put in.
    pub(super) fn room(&self) -> usize {
        let most = self.all.len() * BATCH * AHEAD;
        most.saturating_sub(self.waiting() + self.under_way)
    }

    /// Adds messages in the order in which they came.
    pub(super) fn put(&mut self, deliveries: Vec<Delivery>) {
        let shards = self.all.len();
        for delivery in deliveries {
            let message = &delivery.message;
            let named = named_by(message);
            let incoming = Incoming {
                message,
                named: &named,
            };
            if let Some(shard) = self.all.get_mut(shard_of(incoming, shards)) {
                shard.waiting.push_back(Waiting {
                    number: self.count,
                    named,
                    delivery,
                });
            }
            self.count += 1;
        }
    }

    /// Takes the next batch that can be processed beside those that are under way.
    pub(super) fn next(&mut self) -> Option<Batch> {
        let batch = if self.all.iter().any(|it| it.is_busy) || self.is_deep() {
            self.next_of_shard()
        } else {
            self.next_of_all()
        };
        self.under_way += batch.as_ref().map_or(0, |it| it.deliveries.len());
        batch
    }

    /// Takes a batch of the idle shard whose first message has waited longest. If that is not worth
    /// a batch, no younger message overtakes it: it will be part of one of all shards.
    fn next_of_shard(&mut self) -> Option<Batch> {
        let is_deep = self.is_deep();
        let idle = self.all.iter_mut().enumerate();
        let idle = idle.filter(|(_, it)| !it.is_busy && !it.waiting.is_empty());
        let (index, shard) = idle.min_by_key(|(_, it)| it.waiting.front().map(|it| it.number))?;
        if !is_deep && shard.waiting.len() < WORTHWHILE {
            return None;
        }
        shard.is_busy = true;
        let (mut next, mut bytes) = (Vec::new(), 0);
        while next.len() < BATCH && bytes < GROUP_BYTES {
            let Some(waiting) = shard.waiting.pop_front() else {
                break;
            };
            bytes += waiting.delivery.message.body.len();
            next.push(waiting);
        }
        Some(Batch::of(Some(index), next))
    }

    /// Takes everything as one batch.
    fn next_of_all(&mut self) -> Option<Batch> {
        let all = self.take_all();
        if all.is_empty() {
            return None;
        }
        for shard in &mut self.all {
            shard.is_busy = true;
        }
        Some(Batch::of(None, all))
    }

    /// Notes that a batch is not under way any more.
    pub(super) fn finished(&mut self, batch: &Batch) {
        self.under_way -= batch.deliveries.len();
        for (index, shard) in self.all.iter_mut().enumerate() {
            if batch.shard.is_none_or(|its| its == index) {
                shard.is_busy = false;
            }
        }
    }

    /// Takes all messages that wait, in the order in which they came.
    pub(super) fn take_waiting(&mut self) -> Vec<Delivery> {
        let all = self.take_all().into_iter();
        all.map(|it| it.delivery).collect()
    }

    fn take_all(&mut self) -> Vec<Waiting> {
        let waiting = self.all.iter_mut().flat_map(|it| it.waiting.drain(..));
        let mut all: Vec<Waiting> = waiting.collect();
        all.sort_unstable_by_key(|it| it.number);
        all
    }

    /// True if more waits than fits into one batch.
    fn is_deep(&self) -> bool {
        let waiting = self.all.iter().flat_map(|it| &it.waiting);
        let bytes: usize = waiting.map(|it| it.delivery.message.body.len()).sum();
        self.waiting() > BATCH || bytes > GROUP_BYTES
    }

    fn waiting(&self) -> usize {
        self.all.iter().map(|it| it.waiting.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;
    use crate::domain::id::AppSlug;
    use crate::domain::mode::Mode;
    use crate::domain::time::Timestamp;
    use crate::provider::STRIPE;
    use crate::queue::message::{Headers, HeadersV1};
    use crate::queue::{Message, Origin};

    const SHARDS: usize = 4;

    fn delivery(tag: u64, account: &str, filling: usize) -> Delivery {
        let event_type = "customer.updated";
        let body = json!({
            "id": format!("evt_{tag}"), "type": event_type,
            "data": {"object": {"id": account, "object": "customer", "x": "x".repeat(filling)}},
        });
        let headers = HeadersV1 {
            app: AppSlug::default_app(),
            provider: STRIPE.name,
            event_id: format!("evt_{tag}"),
            event_type: event_type.to_owned(),
            received_at: Timestamp::from_nanos(0),
            mode: Mode::Any,
            receipt: tag.to_string(),
            attempt: 0,
            origin: Origin::default(),
            replay: None,
            error: None,
        };
        Delivery {
            tag,
            delivery_count: 0,
            message: Message {
                headers: Headers::V1(headers),
                body: body.to_string().into(),
            },
        }
    }

    /// Messages of a few accounts in turns.
    fn deliveries(tags: std::ops::Range<u64>) -> Vec<Delivery> {
        let account = |tag| format!("cus_{}", tag % 50);
        tags.map(|tag| delivery(tag, &account(tag), 1)).collect()
    }

    fn tags(batch: &Batch) -> Vec<u64> {
        batch.deliveries.iter().map(|it| it.tag).collect()
    }

    fn started(shards: &mut Shards) -> Vec<Batch> {
        std::iter::from_fn(|| shards.next()).collect()
    }

    #[test]
    fn few_messages_are_one_batch_in_their_order() {
        let mut shards = Shards::new(SHARDS);
        shards.put(deliveries(0..100));
        let batches = started(&mut shards);
        assert_eq!(batches.len(), 1);
        assert_eq!(tags(&batches[0]), (0..100).collect::<Vec<_>>());
        // What comes meanwhile waits for it, and is one batch again.
        shards.put(deliveries(100..105));
        assert!(shards.next().is_none());
        shards.finished(&batches[0]);
        let next = started(&mut shards);
        assert_eq!(tags(&next[0]), (100..105).collect::<Vec<_>>());
    }

    #[test]
    fn a_deep_backlog_is_processed_in_batches_that_share_no_account() {
        let mut shards = Shards::new(SHARDS);
        shards.put(deliveries(0..1_000));
        assert_eq!(shards.room(), SHARDS * BATCH * AHEAD - 1_000);
        let batches = started(&mut shards);
        assert_eq!(batches.len(), SHARDS);
        let mut seen = BTreeSet::new();
        for batch in &batches {
            let tags = tags(batch);
            assert!(tags.is_sorted() && tags.len() <= BATCH, "{tags:?}");
            let accounts: BTreeSet<u64> = tags.iter().map(|tag| tag % 50).collect();
            assert!(accounts.is_disjoint(&seen), "{accounts:?}");
            seen.extend(accounts);
        }
        // The next one of a shard begins when that is done, with what came next.
        shards.finished(&batches[1]);
        let next = started(&mut shards);
        assert_eq!(next.len(), 1);
        assert_eq!(next[0].slot(), batches[1].slot());
        assert!(tags(&next[0])[0] > *tags(&batches[1]).last().unwrap());
    }

    #[test]
    fn nothing_waits_for_ever_behind_younger_messages() {
        let mut shards = Shards::new(SHARDS);
        let of = |account: &str, tags: std::ops::Range<u64>| {
            tags.map(|tag| delivery(tag, account, 1))
                .collect::<Vec<_>>()
        };
        let other = (0..).map(|n| format!("cus_other_{n}"));
        let shard = |account: &str| {
            let message = delivery(0, account, 1).message;
            let named = &named_by(&message);
            let message = &message;
            shard_of(Incoming { message, named }, SHARDS)
        };
        let other = other.into_iter().find(|it| shard(it) != shard("cus_1"));
        shards.put(of("cus_1", 0..200));
        let first = started(&mut shards);
        shards.put(of(&other.unwrap(), 200..201));
        let (mut batches, mut begun) = (first, 0);
        while let Some(batch) = batches.pop() {
            begun += 1;
            if tags(&batch).contains(&200) {
                break;
            }
            shards.finished(&batch);
            shards.put(of("cus_1", 300 * begun..300 * begun + 40));
            batches.extend(started(&mut shards));
        }
        assert!(begun <= 3, "{begun} batches before it");
    }

    #[test]
    fn a_batch_has_a_bounded_number_of_bytes() {
        let mut shards = Shards::new(1);
        let mebibyte = 1 << 20;
        shards.put(
            (0..20)
                .map(|tag| delivery(tag, "cus_1", mebibyte))
                .collect(),
        );
        let batch = shards.next().unwrap();
        assert_eq!(batch.deliveries.len(), GROUP_BYTES / mebibyte);
    }
}
