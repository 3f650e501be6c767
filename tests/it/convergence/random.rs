//! Any order and any duplication of the same events ends in the same state: generated histories.
//!
//! Few instants, so that seconds are shared; few accounts and addresses, so that customers merge
//! and part; states that no provider would send in this order, because order is what must not
//! matter.

mod generate;
mod lives;
mod who;

use proptest::collection::vec;
use proptest::prelude::*;
use tollgate::domain::apply::working_set::WorkingSet;
use tollgate::domain::billing::fact::Occurrence;
use tollgate::domain::customer::act::FreezeOrder;
use tollgate::domain::customer::row::Profile;
use tollgate::domain::id::ObjectKey;
use tollgate::domain::policy::Policy;

use self::generate::{
    acted_histories, crowded, events, of_accounts, policies, profiles, shared_histories, walked,
    walks,
};
use crate::convergence::orders::{Shuffle, orders};
use crate::convergence::rig::{End, at, stripe};
use crate::convergence::store::MemoryStore;

/// Histories of each kind in a run: 10,000 in all. Those of one kind run beside those of others.
const WHOLE: u32 = 2_000;
const SMALL: u32 = 2_000;
const CROWDED: u32 = 2_000;
const OF_ACCOUNTS: u32 = 2_000;
const WALKS: u32 = 2_000;

/// Orders in which each history comes, besides that in which it was generated.
const ORDERS: usize = 2;

/// An admin's act.
#[derive(Clone, Copy, Debug)]
enum Act {
    Nothing,
    Suspend,
    Reactivate,
    Freeze,
    Expire,
    Delete,
}

/// What happens, in parts that keep their order: an admin decides on what he sees.
#[derive(Clone, Debug)]
struct History {
    policy: Policy,
    admin_made: Vec<Profile>,
    before: Vec<Occurrence>,
    act: Act,
    on: ObjectKey,
    after: Vec<Occurrence>,
    now: i64,
}

impl History {
    fn end(
        &self,
        documents: bool,
        batches: impl Fn(usize, &[Occurrence]) -> Vec<Vec<Occurrence>>,
    ) -> End {
        let mut store = MemoryStore::new(self.policy.clone(), documents);
        for profile in &self.admin_made {
            let id = store.new_id();
            store.act(|working_set| working_set.create_customer(id, profile.clone(), at(0)));
        }
        for batch in batches(0, &self.before) {
            store.batch(&batch, at(self.now));
        }
        self.act(&mut store);
        for batch in batches(1, &self.after) {
            store.batch(&batch, at(self.now));
        }
        store.end(at(self.now))
    }

    fn act(&self, store: &mut MemoryStore) {
        let now = at(self.now);
        let act = |working_set: &mut WorkingSet| {
            let id = working_set.customer_of(&self.on)?.id.clone();
            let done = match self.act {
                Act::Nothing => Ok(Vec::new()),
                Act::Suspend => working_set.suspend(&id, Some("because".to_owned()), now),
                Act::Reactivate => working_set.reactivate(&id, now),
                Act::Freeze => working_set.freeze(&id, FreezeOrder::default(), now),
                Act::Expire => working_set.expire(&id, None, now),
                Act::Delete => working_set.delete(&id, now),
            };
            Some(done.unwrap())
        };
        store.act(act);
    }
}

/// A history of events without anything else.
fn plain(after: Vec<Occurrence>) -> History {
    History {
        policy: Policy::default(),
        admin_made: Vec::new(),
        before: Vec::new(),
        act: Act::Nothing,
        on: stripe("cus_1"),
        after,
        now: 8,
    }
}

impl History {
    /// The end of the events as they were generated, one batch each.
    fn end_in_order(&self, documents: bool) -> End {
        self.end(documents, |_, events| {
            events.iter().map(|e| vec![e.clone()]).collect()
        })
    }

    fn end_shuffled(&self, seed: u64) -> End {
        self.end(false, |part, events| {
            Shuffle(seed.rotate_left(u32::from(part == 1))).batches(events)
        })
    }
}

fn runs(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(runs(WHOLE))]

    #[test]
    fn every_order_of_a_history_ends_the_same(
        history in prop_oneof![2 => shared_histories(), 1 => acted_histories()],
        seeds in vec(1..u64::MAX, ORDERS),
    ) {
        let end = history.end_in_order(true);
        for seed in seeds {
            prop_assert_eq!(&end, &history.end_shuffled(seed));
        }
    }
}

proptest! {
    #![proptest_config(runs(SMALL))]

    #[test]
    fn every_permutation_of_a_small_history_ends_the_same(
        events in vec(events(true), 2..=3),
        policy in prop_oneof![Just(Policy::default()), policies()],
    ) {
        let history = History { policy, ..plain(events) };
        let end = history.end_in_order(false);
        for order in orders(history.after.len(), 1) {
            // Each once, then all again in one batch.
            let permuted = history.end(false, |_, events| {
                let all: Vec<_> = order.iter().filter_map(|n| events.get(*n).cloned()).collect();
                all.iter().map(|event| vec![event.clone()]).chain([all.clone()]).collect()
            });
            prop_assert_eq!(&end, &permuted);
        }
    }
}

proptest! {
    #![proptest_config(runs(CROWDED))]

    #[test]
    fn every_order_of_crowded_seconds_ends_the_same(events in crowded(), seed in 1..u64::MAX) {
        let history = plain(events);
        prop_assert_eq!(history.end_in_order(false), history.end_shuffled(seed));
    }
}

proptest! {
    #![proptest_config(runs(OF_ACCOUNTS))]

    #[test]
    fn every_order_of_accounts_that_share_addresses_ends_the_same(
        events in of_accounts(),
        admin_made in vec(profiles(), 0..=2),
        seed in 1..u64::MAX,
    ) {
        let history = History { admin_made, ..plain(events) };
        prop_assert_eq!(history.end_in_order(false), history.end_shuffled(seed));
    }
}

proptest! {
    #![proptest_config(runs(WALKS))]

    #[test]
    fn a_second_of_changes_ends_where_the_provider_ended(
        states in walks(),
        seed in 1..u64::MAX,
    ) {
        let history = plain(walked(&states));
        let end = history.end_shuffled(seed);
        let standing = end.assessment("sub_1");
        prop_assert_eq!(standing.state.as_ref(), states.last());
        prop_assert!(!standing.ambiguous);
        prop_assert_eq!(end, history.end_in_order(false));
    }
}
