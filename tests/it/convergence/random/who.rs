//! Who is who, and what everybody can say of it who was there.
//!
//! Like [`lives`](super::lives), but of accounts and customers: addresses that are shared, left and
//! taken again, the seller's ids, early and late, connected accounts and test mode, in which ids
//! repeat, and admins who make, link, part and delete customers between events. The oracle saw each
//! thing happen in its order. It knows nothing of joins, of what a store loads for a batch, or of
//! what has to be derived again after it; of money it knows a status alone.

mod acts;
mod rules;
mod world;

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;
use tollgate::domain::billing::fact::{
    Contact, ContactFact, ContactSource, Fact, Occurrence, SubscriptionFact,
};
use tollgate::domain::customer::flag::FlagKind;
use tollgate::domain::customer::profile::ProfileChange;
use tollgate::domain::customer::row::Profile;
use tollgate::domain::id::{CustomerId, ObjectKey, Scope};
use tollgate::domain::identity::seller_id::{Identity, SellerIdFact};
use tollgate::domain::policy::{OnSameEmail, Policy};
use tollgate::provider::{PADDLE, STRIPE};

use self::acts::{Act, EMAILS, SELLER_IDS};
use self::rules::{Picture, Side};
use self::world::{Account, World};
use super::runs;
use crate::convergence::orders::{Shuffle, deliveries};
use crate::convergence::rig::{End, at, kind, sub_of};
use crate::convergence::store::MemoryStore;

/// Stories in a run; each is told in order and shuffled.
const STORIES: u32 = 500;

/// The accounts of a story, in the order of their keys. Ids repeat where they may.
const CAST: [(Side, &str); 9] = [
    (Side::Paddle, "ctm_1"),
    (Side::Test, "cus_1"),
    (Side::Test, "cus_4"),
    (Side::Stripe, "cus_1"),
    (Side::Stripe, "cus_2"),
    (Side::Stripe, "cus_3"),
    (Side::First, "cus_1"),
    (Side::Second, "cus_1"),
    (Side::Stranger, "cus_2"),
];

fn account_key(account: usize) -> ObjectKey {
    let (side, id) = CAST[account];
    let scope = Scope {
        provider: match side {
            Side::Paddle => PADDLE.name,
            _ => STRIPE.name,
        },
        livemode: side != Side::Test,
        connected: side.connected().map(str::to_owned),
    };
    scope.key(kind(id), id)
}

/// What happens in a stretch of the story, and what an admin does at its end.
#[derive(Clone, Debug)]
struct Chapter {
    steps: Vec<[u8; 4]>,
    acts: Vec<[u8; 4]>,
}

#[derive(Clone, Debug)]
struct Story {
    on_same_email: OnSameEmail,
    has_seller_ids: bool,
    of_any_mode: bool,
    chapters: Vec<Chapter>,
}

fn stories() -> impl Strategy<Value = Story> {
    let chapter = (vec(any::<[u8; 4]>(), 0..9), vec(any::<[u8; 4]>(), 0..3));
    let chapter = chapter.prop_map(|(steps, acts)| Chapter { steps, acts });
    let policies = proptest::sample::select(&OnSameEmail::ALL[..]);
    let switches = (
        policies,
        prop::bool::weighted(0.8),
        prop::bool::weighted(0.6),
    );
    (switches, vec(chapter, 1..6)).prop_map(|(switches, chapters)| Story {
        on_same_email: switches.0,
        has_seller_ids: switches.1,
        of_any_mode: switches.2,
        chapters,
    })
}

/// A story that goes on in the oracle and in the store at once.
struct Both {
    world: World,
    told: Vec<Occurrence>,
    store: MemoryStore,
    /// The rows of admins, by their place among all rows.
    made: BTreeMap<usize, CustomerId>,
    /// Tells events in another order; none: as they happened.
    shuffle: Option<Shuffle>,
}

impl Both {
    fn new(told: &Story, seed: Option<u64>) -> Self {
        let policy = Policy {
            suspend_after: "0d".parse().unwrap(),
            end_after: "3650d".parse().unwrap(),
            on_same_email: told.on_same_email,
            ..Policy::default()
        };
        let mut store = MemoryStore::new(policy, seed.is_none());
        if told.has_seller_ids {
            store.all.settings.identity = Identity {
                metadata_key: Some("user_id".to_owned()),
                client_reference_id: false,
            };
        }
        if told.of_any_mode {
            store.opens_to_any_mode();
        }
        let world = World {
            accounts: vec![Account::default(); CAST.len()],
            on_same_email: told.on_same_email.as_str(),
            has_seller_ids: told.has_seller_ids,
            of_any_mode: told.of_any_mode,
            ..World::default()
        };
        Self {
            world,
            told: Vec::new(),
            store,
            made: BTreeMap::new(),
            shuffle: seed.map(Shuffle),
        }
    }

    /// One thing happens at the provider, and is told.
    fn go_on(&mut self, [op, a, b, gap]: [u8; 4]) {
        self.world.now += 1 + i64::from(gap % 3);
        let account = usize::from(a) % CAST.len();
        let fact = match op % 8 {
            0..=3 => self.contact(account, EMAILS[usize::from(b) % EMAILS.len()]),
            4 | 5 => {
                let id = SELLER_IDS[usize::from(b) % SELLER_IDS.len()];
                self.world.accounts[account].seller_id = Some(id);
                Fact::SellerId(SellerIdFact {
                    account: account_key(account),
                    subscription: None,
                    metadata: BTreeMap::from([("user_id".to_owned(), id.to_owned())]),
                    imported_as: None,
                    client_reference: None,
                })
            }
            6 => {
                let word = ["active", "past_due"][usize::from(b % 2)];
                self.world.accounts[account].status = Some(word);
                Fact::Subscription(subscription(account, word))
            }
            _ => Fact::AccountNamed {
                account: account_key(account),
            },
        };
        let side = CAST[account].0;
        self.world.is_live |= !matches!(side, Side::Paddle | Side::Test);
        if side == Side::Stranger {
            self.world.has_met_stranger = true;
            self.world.accounts[account] = Account::default();
        } else {
            let it = &mut self.world.accounts[account];
            it.is_known = true;
            it.opened.get_or_insert(self.world.now);
        }
        self.world.settle();
        self.told.push(Occurrence {
            at: at(self.world.now),
            facts: vec![fact],
        });
    }

    fn contact(&mut self, account: usize, email: &str) -> Fact {
        let now = self.world.now;
        let it = &mut self.world.accounts[account];
        let contact = |email: &str| Contact {
            email: Some(email.to_owned()),
            ..Contact::default()
        };
        let before = it.email.replace(email.to_owned());
        let folded = email.to_lowercase();
        if it.addresses.iter().all(|(known, _)| *known != folded) {
            it.addresses.push((folded, now));
        }
        Fact::Contact(ContactFact {
            account: account_key(account),
            contact: contact(email),
            source: match before {
                None => ContactSource::Created,
                Some(_) => ContactSource::Updated,
            },
            before: before.as_deref().map(contact),
            request: None,
        })
    }

    fn deliver(&mut self) {
        let told = std::mem::take(&mut self.told);
        let now = at(self.world.now);
        for (batch, time) in deliveries(told, self.shuffle.as_mut(), now) {
            self.store.batch(&batch, time);
        }
    }

    /// An admin does something, in the world and in the store.
    fn act(&mut self, by: [u8; 4]) {
        self.world.now += 1;
        let now = at(self.world.now);
        // By an account that a row is shown for now: after the act it may be another. Where one is
        // that does not count is chance, and nobody sees it.
        let groups = self.world.groups();
        let account_of = |row: usize| {
            let group = groups.iter().find(|group| group.rows.contains(&row))?;
            let counting = group.accounts.iter().filter(|it| self.world.counts(**it));
            let keys = counting.map(|it| account_key(*it));
            let mut known = keys.filter_map(|key| self.store.all.accounts.get(&key));
            known.find_map(|it| it.customer.clone())
        };
        let shown: Vec<_> = (0..self.world.rows.len()).map(account_of).collect();
        let rows = self.world.rows.len();
        let Some(act) = self.world.act(by) else {
            return;
        };
        let id_of = |row: usize| {
            let known = shown.get(row).cloned().flatten();
            known.or_else(|| self.made.get(&row).cloned())
        };
        match act {
            Act::Make(row) => {
                let id = self.store.new_id();
                let own = |text: Option<&str>| text.map(str::to_owned);
                let profile = Profile {
                    email: own(row.email),
                    external_id: own(row.external_id),
                    user_id: own(row.user_id),
                    ..Profile::default()
                };
                let made = id.clone();
                self.store
                    .act(|all| all.create_customer(made, profile, now));
                self.made.insert(rows, id);
            }
            Act::Link(account, row) => {
                let id = id_of(row).unwrap();
                let key = account_key(account);
                self.store
                    .act(|all| all.link_account(&key, &id, now))
                    .unwrap();
            }
            Act::Part(account, row) => {
                let id = id_of(row).unwrap();
                let fresh = self.store.new_id();
                let key = account_key(account);
                let mut own = || fresh.clone();
                self.store
                    .act(|all| all.part_account(&key, &id, now, &mut own))
                    .unwrap();
                // A customer without any account is like one of an admin's.
                self.made.insert(row, id);
            }
            Act::Delete(row) => {
                let id = id_of(row).unwrap();
                self.store.act(|all| all.delete(&id, now)).unwrap();
            }
            Act::SetEmail(row, email) => {
                let id = id_of(row).unwrap();
                let change = ProfileChange {
                    email: Some(email.map(str::to_owned)),
                    ..ProfileChange::default()
                };
                let known = &self.store.all.customers[&id];
                let profile = change.apply(&known.profile, &known.derived.contact);
                self.store
                    .act(|all| all.update_profile(&id, profile, now))
                    .unwrap();
            }
            Act::SetPolicy(word) => {
                let on_same_email = OnSameEmail::ALL.into_iter();
                let mut on_same_email = on_same_email.filter(|it| it.as_str() == word);
                let policy = Policy {
                    on_same_email: on_same_email.next().unwrap(),
                    ..self.store.all.policy.clone()
                };
                self.store.act(|all| all.set_policy(policy, now));
            }
        }
    }

    /// What the store shows, as it was left: nothing is derived anew for it.
    fn shown(&self) -> Vec<Picture> {
        let all = &self.store.all;
        let rows = all.customers.values().filter(|row| {
            let is_shown = row.merged_into.is_none() && !row.hidden;
            is_shown && row.deleted_at.is_none()
        });
        let index = |key: &ObjectKey| (0..CAST.len()).find(|it| account_key(*it) == *key).unwrap();
        let pictures = rows.map(|row| {
            let accounts = all.accounts.values();
            let accounts = accounts.filter(|it| it.customer.as_ref() == Some(&row.id));
            let accounts = accounts.map(|it| index(&it.key));
            let flags = row.flags().into_iter();
            let shared = flags.filter(|flag| flag.kind == FlagKind::SameEmail);
            Picture {
                accounts: accounts.filter(|it| self.world.counts(*it)).collect(),
                external_id: row.derived.external_id.clone(),
                email: row.derived.contact.email.clone(),
                status: row.derived.status.as_str().to_owned(),
                shared: shared
                    .map(|flag| (flag.subject, flag.at.unwrap().seconds()))
                    .collect(),
            }
        });
        let mut pictures: Vec<Picture> = pictures.collect();
        pictures.sort();
        pictures
    }

    /// The flags of what has no customer: what they should be, and what they are.
    fn nobodys(&self, end: &End) -> [BTreeSet<(FlagKind, String)>; 2] {
        let mut expected = BTreeSet::new();
        if self.world.has_met_stranger {
            expected.insert((FlagKind::UnknownConnectedAccount, "acct_evil".to_owned()));
        }
        let all = (0..CAST.len()).filter(|it| CAST[*it].0 == Side::Test);
        for test in all {
            if self.world.accounts[test].is_known && !self.world.counts(test) {
                expected.insert((FlagKind::WrongMode, CAST[test].1.to_owned()));
            }
        }
        let flags = end.nobodys.iter().map(|held| &held.flag);
        let flags = flags.map(|flag| (flag.kind, flag.subject.clone()));
        [expected, flags.collect()]
    }
}

fn subscription(account: usize, word: &str) -> SubscriptionFact {
    let key = account_key(account);
    let id = format!("sub_{account}");
    sub_of(&key.scope.key(kind(&id), &id), &key, word).0
}

proptest! {
    #![proptest_config(runs(STORIES))]

    #[test]
    fn everybody_is_who_those_say_who_saw_it(story in stories(), seed in 1..u64::MAX) {
        for seed in [None, Some(seed)] {
            let mut both = Both::new(&story, seed);
            for chapter in &story.chapters {
                for step in &chapter.steps {
                    both.go_on(*step);
                }
                both.deliver();
                for act in &chapter.acts {
                    both.act(*act);
                }
                let order = if seed.is_some() { "shuffled" } else { "in order" };
                if seed.is_some() && both.world.is_chance {
                    break;
                }
                let expected = both.world.pictures();
                prop_assert_eq!(&expected, &both.shown(), "{}, {:?}", order, &both.world);
                let end = both.store.end(at(both.world.now));
                let [expected, found] = both.nobodys(&end);
                prop_assert_eq!(expected, found, "{}, flags of nobody", order);
            }
        }
    }
}
