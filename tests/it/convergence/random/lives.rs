//! Lives, and what everybody can say of them who was there.
//!
//! A life is drawn from day to day, as a provider and an admin live it: subscriptions, payments,
//! refunds, disputes, purchases, acts of admins, changes of the policy, and time that only passes.
//! The oracle saw each thing happen in its order, so it needs no join and no tie: it knows how
//! things are, and works out what a customer has from the rules as they are written for people.
//! It has no code of the domain; of the domain it takes the form of the facts, in which it tells
//! what happened. Every wrong rule that does not depend on the order of events is for this test.
//!
//! The model of `simulate` is such an oracle too, of whole webhooks and over more time, but for the
//! default policy alone and without admins.

mod life;
mod returns;
mod rules;
mod steps;
mod tell;
mod truth;
mod worth;

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use tollgate::domain::access::hand_grant::{GrantBilling, HandGrant};
use tollgate::domain::access::plan::PackageGrant;
use tollgate::domain::customer::act::FreezeOrder;
use tollgate::domain::customer::row::{Derived, Status};

use self::life::{Hand, Hold, Life};
use self::rules::Rules;
use self::steps::Step;
use self::tell::account_key;
use self::truth::{Eyes, Picture};
use self::worth::{UPDATES, has_package};
use super::runs;
use crate::convergence::orders::{Shuffle, deliveries};
use crate::convergence::rig::{at, plans};
use crate::convergence::store::MemoryStore;

/// Lives in a run; each is told in order and shuffled.
const LIVES: u32 = 2_000;

/// A stretch of a life: what happens, and how it ends.
#[derive(Clone, Debug)]
struct Chapter {
    steps: Vec<Step>,
    pause: u8,
    turn: Turn,
}

/// What somebody does between two chapters.
#[derive(Clone, Debug)]
enum Turn {
    Nothing,
    Policy([u8; 14]),
    Suspend,
    Expire,
    Freeze,
    Reactivate,
    Grant {
        ignores_billing: bool,
        expires: Option<u8>,
    },
}

fn turns() -> impl Strategy<Value = Turn> {
    let grant = (any::<bool>(), proptest::option::of(1..60_u8));
    prop_oneof![
        4 => Just(Turn::Nothing),
        3 => policies().prop_map(Turn::Policy),
        1 => Just(Turn::Suspend),
        1 => Just(Turn::Expire),
        1 => Just(Turn::Freeze),
        4 => Just(Turn::Reactivate),
        2 => grant.prop_map(|(ignores_billing, expires)| Turn::Grant { ignores_billing, expires }),
    ]
}

/// Half of the fields as they usually are.
fn policies() -> impl Strategy<Value = [u8; 14]> {
    let field = prop_oneof![Just(0), any::<u8>()];
    prop::array::uniform14(field)
}

fn chapters() -> impl Strategy<Value = Vec<Chapter>> {
    let steps = vec(any::<Step>(), 1..12);
    let chapter = (steps, 0..6_u8, turns());
    let chapter = chapter.prop_map(|(steps, pause, turn)| Chapter { steps, pause, turn });
    vec(chapter, 1..6)
}

/// A life that goes on in the oracle and in the store at once.
struct Both {
    life: Life,
    rules: Rules,
    store: MemoryStore,
    /// Tells events in another order; none: as they happened.
    shuffle: Option<Shuffle>,
}

impl Both {
    fn new(rules: Rules, seed: Option<u64>) -> Self {
        let mut plans = plans();
        for ((_, price), plan) in &mut plans {
            if price == "U" {
                plan.updates = Some(format!("{UPDATES}s").parse().unwrap());
            }
        }
        let mut both = Self {
            life: Life::default(),
            store: MemoryStore::with_plans(rules.policy(), plans, seed.is_none()),
            rules,
            shuffle: seed.map(Shuffle),
        };
        for account in 0..2 {
            both.life.sign_up(account);
        }
        both.deliver();
        both
    }

    fn live(&mut self, chapter: &Chapter) {
        for step in &chapter.steps {
            self.life.go_on(*step);
        }
        self.life.now += [1, 2, 5, 10, 30, 70][usize::from(chapter.pause)];
        self.deliver();
    }

    fn deliver(&mut self) {
        let told = std::mem::take(&mut self.life.told);
        let now = at(self.life.now);
        for (batch, time) in deliveries(told, self.shuffle.as_mut(), now) {
            self.store.batch(&batch, time);
        }
        self.store.act(|working_set| working_set.tick(now));
    }

    fn turn(&mut self, turn: &Turn) {
        self.life.now += 1;
        let now = self.life.now;
        let (life, store) = (&mut self.life, &mut self.store);
        let ids = [0, 1].map(|account| store.customer(&account_key(account)));
        let tick = |store: &mut MemoryStore| store.act(|all| all.tick(at(now)));
        tick(store);
        match turn {
            Turn::Nothing => {}
            Turn::Policy(by) => {
                self.rules = Rules::drawn(by);
                let policy = self.rules.policy();
                store.act(|all| all.set_policy(policy, at(now)));
            }
            Turn::Suspend => {
                life.holds[0] = Some(Hold::Suspended);
                store
                    .act(|all| all.suspend(&ids[0], None, at(now)))
                    .unwrap();
            }
            Turn::Expire => {
                life.holds[1] = Some(Hold::Expired);
                store.act(|all| all.expire(&ids[1], None, at(now))).unwrap();
            }
            Turn::Freeze => {
                life.holds[0] = Some(Hold::Frozen(now));
                let order = FreezeOrder {
                    at: Some(at(now)),
                    versions: None,
                };
                store
                    .act(|all| all.freeze(&ids[0], order, at(now)))
                    .unwrap();
            }
            Turn::Reactivate => {
                for (account, id) in ids.iter().enumerate() {
                    let eyes = Eyes {
                        life,
                        rules: &self.rules,
                    };
                    *life = eyes.pardon(account);
                    store.act(|all| all.reactivate(id, at(now))).unwrap();
                }
            }
            Turn::Grant {
                ignores_billing,
                expires,
            } => {
                let expires = expires.map(|after| now + i64::from(after));
                for account in 0..2 {
                    life.hands.push(Hand {
                        account,
                        ignores_billing: *ignores_billing,
                        expires,
                    });
                    let grant = HandGrant {
                        grant: PackageGrant {
                            package: "acme/hand".to_owned(),
                            constraint: "*".to_owned(),
                        },
                        billing: if *ignores_billing {
                            GrantBilling::Ignore
                        } else {
                            GrantBilling::Follow
                        },
                        expires_at: expires.map(at),
                    };
                    store.grant(&account_key(account), grant, at(now));
                }
            }
        }
    }

    /// What the oracle sees of both accounts, and what the store shows.
    fn seen(&self) -> [[Picture; 2]; 2] {
        let (life, rules) = (&self.life, &self.rules);
        let end = self.store.end(at(life.now));
        [0, 1].map(|account| {
            let expected = Eyes { life, rules }.picture(account);
            [expected, shown(end.of(&account_key(account).id))]
        })
    }
}

fn shown(derived: &Derived) -> Picture {
    let seconds = |at: tollgate::domain::time::Timestamp| at.seconds();
    let status = match derived.status {
        Status::Active => "active",
        Status::Frozen { .. } => "frozen",
        Status::Suspended => "suspended",
        Status::Expired => "expired",
    };
    let prices = derived.entitlements.iter();
    let prices = prices.filter_map(|it| {
        let known = ["A", "B", "P", "U"];
        let price = known.into_iter().find(|price| *price == it.price)?;
        has_package(price).then_some((price, it.until.map(seconds)))
    });
    let prices: BTreeSet<_> = prices.collect();
    Picture {
        status,
        frozen_at: derived.frozen_at.map(seconds),
        prices,
    }
}

proptest! {
    #![proptest_config(runs(LIVES))]

    #[test]
    fn a_life_ends_as_everybody_knows_who_saw_it(
        policy in policies(),
        chapters in chapters(),
        seed in 1..u64::MAX,
    ) {
        for seed in [None, Some(seed)] {
            let mut both = Both::new(Rules::drawn(&policy), seed);
            for (n, chapter) in chapters.iter().enumerate() {
                both.live(chapter);
                // Whatever the order, what was so on the way was seen in the first one.
                let is_seen = seed.is_none() || n + 1 == chapters.len();
                let seen = is_seen.then(|| both.seen());
                for [expected, shown] in seen.into_iter().flatten() {
                    let order = if seed.is_some() { "shuffled" } else { "in order" };
                    prop_assert_eq!(
                        &expected, &shown, "{}, {:?} {:?}", order, &both.rules, &both.life
                    );
                }
                both.turn(&chapter.turn);
            }
        }
    }
}
