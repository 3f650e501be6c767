//! A store in memory, for the convergence tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tollgate::domain::access::hand_grant::HandGrant;
use tollgate::domain::access::plan::Plans;
use tollgate::domain::apply::change::Effect;
use tollgate::domain::apply::counting::connected_account;
use tollgate::domain::apply::lookup_keys::{LookupKeys, external_ids};
use tollgate::domain::apply::working_set::WorkingSet;
use tollgate::domain::billing::fact::Occurrence;
use tollgate::domain::customer::explain::{Explanation, explain};
use tollgate::domain::customer::flag::{FlagHolder, HeldFlag, KeptFlag};
use tollgate::domain::customer::row::{Customer, Hold};
use tollgate::domain::id::{CustomerId, Kind, ObjectKey, Scope};
use tollgate::domain::identity::links;
use tollgate::domain::identity::test_trace::Origin;
use tollgate::domain::policy::Policy;
use tollgate::domain::time::Timestamp;
use tollgate::provider::{PADDLE, STRIPE};
use uuid::Uuid;

use crate::convergence::licenses::Licenses;
use crate::convergence::rig::{End, Seen, plans};

/// A store in memory. It keeps documents and loads no more of them than a store is told to, so
/// that what a working set does not say it touched, or cannot reach, is missing at the end.
#[derive(Clone)]
pub(crate) struct MemoryStore {
    pub(crate) all: WorkingSet,
    /// The licences that were made for what was bought.
    licenses: Licenses,
    /// The flags that are kept, by whose they are.
    flags: BTreeMap<FlagHolder, BTreeSet<KeptFlag>>,
    next_id: u128,
    /// Whether what is stored goes through its document. Slow, so not in every order.
    documents: bool,
    /// Whether all events come to endpoints whose secrets are of any mode: live ones make them
    /// live. Test events of Paddle are simulated.
    of_any_mode: bool,
}

impl MemoryStore {
    pub(crate) fn new(policy: Policy, documents: bool) -> Self {
        Self::with_plans(policy, plans(), documents)
    }

    pub(crate) fn with_plans(policy: Policy, plans: Plans, documents: bool) -> Self {
        let mut all = WorkingSet::new(policy, plans);
        let named = ["acct_1", "acct_2", "acct_1TgConnected0001"];
        all.settings.connected_accounts = named.map(|account| account.parse().unwrap()).into();
        Self {
            all,
            licenses: Licenses::default(),
            flags: BTreeMap::new(),
            next_id: 1,
            documents,
            of_any_mode: false,
        }
    }

    /// Lets all events come to endpoints whose secrets are of any mode.
    pub(crate) fn opens_to_any_mode(&mut self) {
        self.of_any_mode = true;
    }

    /// Names other connected accounts, and derives all customers anew.
    pub(crate) fn names(&mut self, accounts: &[&str], now: Timestamp) {
        let accounts = accounts.iter().map(|account| account.parse().unwrap());
        self.all.settings.connected_accounts = accounts.collect();
        for account in &self.all.settings.connected_accounts {
            let key = connected_account(STRIPE.name, account.as_str());
            self.all.unfetched.remove(&key);
            self.flags.remove(&FlagHolder::Object(key));
        }
        self.act(|working_set| working_set.tick(now));
    }

    /// The ways in which events came, and those that live endpoints let through. Notes which
    /// endpoints are live; whether any is now that was not before.
    fn admit<'e>(&mut self, events: &'e [Occurrence]) -> (Vec<(&'e Occurrence, Origin)>, bool) {
        let mut became_live = false;
        let scopes = events.iter().map(scope_of);
        for scope in scopes.flatten().filter(|scope| scope.livemode) {
            became_live |= self.of_any_mode && self.all.live.insert(scope.provider);
        }
        let admitted = events.iter().filter_map(|event| {
            let scope = scope_of(event).filter(|scope| !scope.livemode && self.of_any_mode);
            let simulated = scope.is_some_and(|scope| scope.provider == PADDLE.name);
            let is_live = self.all.live.contains(&PADDLE.name);
            let origin = if simulated {
                Origin::Simulation
            } else {
                Origin::Plain
            };
            (!simulated || !is_live).then_some((event, origin))
        });
        (admitted.collect(), became_live)
    }

    /// Applies one batch.
    pub(crate) fn batch(&mut self, events: &[Occurrence], now: Timestamp) -> Vec<Effect> {
        let (events, became_live) = self.admit(events);
        let mut lookup_keys = LookupKeys::default();
        for (event, _) in &events {
            lookup_keys.extend_under(&self.all.settings, event);
        }
        let mut working_set = self.load(&lookup_keys);
        let next_id = &mut self.next_id;
        let mut fresh = || fresh_id(next_id);
        let effects = events
            .iter()
            .map(|(event, origin)| working_set.apply_from(*origin, event, now, &mut fresh))
            .collect();
        self.save(working_set);
        if became_live {
            self.act(|working_set| working_set.tick(now));
        }
        effects
    }

    /// Does something with everything loaded.
    pub(crate) fn act<T>(&mut self, act: impl FnOnce(&mut WorkingSet) -> T) -> T {
        let mut working_set = self.all.clone();
        let done = act(&mut working_set);
        self.save(working_set);
        done
    }

    pub(crate) fn new_id(&mut self) -> CustomerId {
        fresh_id(&mut self.next_id)
    }

    /// The shown row of an account.
    pub(crate) fn customer(&self, account: &ObjectKey) -> CustomerId {
        self.all.accounts[account].customer.clone().unwrap()
    }

    /// What a store loads for a batch.
    fn load(&self, lookup_keys: &LookupKeys) -> WorkingSet {
        let all = &self.all;
        let mut working_set = WorkingSet::new(all.policy.clone(), all.plans.clone());
        working_set.settings.clone_from(&all.settings);
        working_set.live.clone_from(&all.live);
        for key in &lookup_keys.unfetched {
            copy(&all.unfetched, &mut working_set.unfetched, key);
        }
        let mut subscriptions = lookup_keys.subscriptions.clone();
        let mut money: BTreeSet<_> = lookup_keys
            .payment_links
            .iter()
            .chain(&lookup_keys.disputes)
            .chain(&lookup_keys.refunds)
            .cloned()
            .collect();
        money.extend(lookup_keys.payments.iter().cloned());
        money.extend(lookup_keys.subscriptions.iter().cloned());
        self.walk(&mut working_set, &mut money);
        subscriptions.extend(money.iter().filter(|id| id.id.starts_with("sub_")).cloned());
        let mut accounts = lookup_keys.accounts.clone();
        accounts.extend(
            money
                .iter()
                .filter(|id| all.accounts.contains_key(id))
                .cloned(),
        );
        let payers = all
            .subscriptions
            .values()
            .filter(|s| subscriptions.contains(&s.key));
        accounts.extend(payers.filter_map(|s| s.account.clone()));
        let payments = all.payments.values();
        let payments: Vec<_> = payments
            .filter(|p| {
                money.contains(&p.key)
                    || p.subscription
                        .as_ref()
                        .is_some_and(|s| subscriptions.contains(s))
            })
            .collect();
        accounts.extend(payments.iter().filter_map(|p| p.account.clone()));
        let named = payments.iter().filter_map(|p| p.history.account.clone());
        accounts.extend(named.map(|(_, account)| account));
        let orphans = payments.iter().filter(|p| p.account.is_none());
        money.extend(orphans.map(|p| p.key.clone()));
        self.walk(&mut working_set, &mut money);
        let disputes = all.disputes.values().filter(|d| money.contains(&d.key));
        accounts.extend(disputes.filter_map(|d| d.account.clone()));
        let refunds = all.refunds.values().filter(|r| money.contains(&r.key));
        accounts.extend(refunds.filter_map(|r| r.account.clone()));
        subscriptions.extend(payments.iter().filter_map(|p| p.subscription.clone()));
        let payers = all
            .subscriptions
            .values()
            .filter(|s| subscriptions.contains(&s.key));
        accounts.extend(payers.filter_map(|s| s.account.clone()));
        self.load_customers(&mut working_set, &mut accounts, lookup_keys);
        for key in &accounts {
            copy(&all.accounts, &mut working_set.accounts, key);
            if all
                .accounts
                .get(key)
                .is_some_and(|it| it.history.pin.is_some())
            {
                copy(&all.unfetched, &mut working_set.unfetched, key);
            }
        }
        let named =
            |account: &Option<ObjectKey>| account.as_ref().is_some_and(|a| accounts.contains(a));
        working_set
            .subscriptions
            .extend(pick(&all.subscriptions, |s| {
                named(&s.account) || subscriptions.contains(&s.key)
            }));
        working_set.disputes.extend(pick(&all.disputes, |d| {
            named(&d.account) || money.contains(&d.key)
        }));
        working_set.refunds.extend(pick(&all.refunds, |r| {
            named(&r.account) || money.contains(&r.key)
        }));
        working_set.payments.extend(pick(&all.payments, |p| {
            let of_subscription = p.subscription.as_ref();
            named(&p.account)
                || money.contains(&p.key)
                || of_subscription.is_some_and(|s| subscriptions.contains(s))
        }));
        let of_money = (working_set.disputes.keys())
            .chain(working_set.refunds.keys())
            .chain(working_set.payments.keys());
        let mut of_money = of_money.cloned().collect();
        self.walk(&mut working_set, &mut of_money);
        let reached = pick(&all.payments, |p| of_money.contains(&p.key));
        working_set.payments.extend(reached);
        working_set
    }

    /// Loads the links around some ids, and adds the ids that they lead to.
    fn walk(&self, working_set: &mut WorkingSet, reached: &mut BTreeSet<ObjectKey>) {
        for _ in 0..4 {
            let walkable = |id: &&ObjectKey| id.kind != Kind::Account;
            let from: Vec<_> = reached.iter().filter(walkable).cloned().collect();
            for id in from {
                for other in self.all.payment_links.of(&id) {
                    working_set.payment_links.insert(&id, other);
                    reached.insert(other.clone());
                }
            }
        }
    }

    /// Gives the customer of an account a package by hand.
    pub(crate) fn grant(&mut self, account: &ObjectKey, grant: HandGrant, now: Timestamp) {
        let row = self.customer(account);
        self.grant_row(&row, grant, now);
    }

    /// Gives a customer a package by hand.
    pub(crate) fn grant_row(&mut self, row: &CustomerId, grant: HandGrant, now: Timestamp) {
        let grants = self.all.hand_grants.entry(row.clone());
        grants.or_default().push(grant);
        self.act(|working_set| working_set.tick(now));
    }

    /// Rows that can matter to these accounts, and the accounts of those rows. Whoever shares an
    /// address or a seller's id matters, and so do those with whom these share another.
    fn load_customers(
        &self,
        working_set: &mut WorkingSet,
        accounts: &mut BTreeSet<ObjectKey>,
        lookup_keys: &LookupKeys,
    ) {
        let all = &self.all;
        let mut emails = lookup_keys.emails.clone();
        let told = lookup_keys.seller_ids.iter();
        let told = told.filter_map(|fact| all.settings.identity.seller_id(fact));
        let mut seller_ids: BTreeSet<String> = told.map(str::to_owned).collect();
        let mut rows = BTreeSet::new();
        loop {
            let before = (accounts.len(), rows.len());
            for account in all.accounts.values().filter(|a| accounts.contains(&a.key)) {
                emails.extend(account.linking_email.clone());
                emails.extend(account.email.clone());
                let seller_id = account.history.seller_id.as_ref();
                seller_ids.extend(seller_id.map(|(_, id)| id.clone()));
            }
            let is_one =
                |email: &Option<String>| email.as_ref().is_some_and(|e| emails.contains(e));
            let sharing = all.accounts.values().filter(|a| {
                let seller_id = a.history.seller_id.as_ref();
                is_one(&a.linking_email)
                    || is_one(&a.email)
                    || seller_id.is_some_and(|(_, id)| seller_ids.contains(id))
            });
            accounts.extend(sharing.map(|a| a.key.clone()));
            let mut names = lookup_keys.external_ids.clone();
            names.extend(accounts.iter().flat_map(external_ids));
            names.extend(seller_ids.clone());
            for row in all.customers.values() {
                let profile = &row.profile;
                let is_named =
                    |id: &Option<String>| id.as_ref().is_some_and(|id| names.contains(id));
                let by_profile = is_one(&profile.email.as_ref().map(|email| email.to_lowercase()))
                    || is_named(&profile.external_id)
                    || is_named(&profile.user_id);
                let goes_with = [&row.home, &row.bound_to];
                let goes_with = goes_with
                    .into_iter()
                    .flatten()
                    .any(|key| accounts.contains(key));
                let linked = |a: &ObjectKey| {
                    let account = all.accounts.get(a);
                    account.is_some_and(|a| {
                        [&a.customer, &a.history.pin].contains(&&Some(row.id.clone()))
                    })
                };
                if by_profile || goes_with || accounts.iter().any(linked) {
                    rows.insert(row.id.clone());
                    rows.extend(row.merged_into.clone());
                }
            }
            let into = |id: &CustomerId| all.customers[id].merged_into.clone();
            let merged = all.customers.values();
            let merged =
                merged.filter(|r| r.merged_into.as_ref().is_some_and(|i| rows.contains(i)));
            let merged: Vec<_> = merged.map(|r| r.id.clone()).collect();
            let into: Vec<_> = rows.iter().filter_map(into).collect();
            rows.extend(merged.into_iter().chain(into));
            for id in &rows {
                let row = &all.customers[id];
                accounts.extend(row.home.clone());
                accounts.extend(row.bound_to.clone());
                emails.extend(row.profile.email.as_ref().map(|email| email.to_lowercase()));
            }
            let theirs = all.accounts.values();
            let theirs = theirs.filter(|a| a.customer.as_ref().is_some_and(|c| rows.contains(c)));
            accounts.extend(theirs.map(|a| a.key.clone()));
            if before == (accounts.len(), rows.len()) {
                break;
            }
        }
        for id in &rows {
            copy(&all.customers, &mut working_set.customers, id);
            copy(&all.hand_grants, &mut working_set.hand_grants, id);
        }
    }

    /// Writes what was touched.
    fn save(&mut self, working_set: WorkingSet) {
        for holder in working_set.flag_holders() {
            let kept = working_set.kept_flags(&holder);
            self.flags.insert(holder, kept);
        }
        self.licenses.make_owed(&working_set);
        let (all, changed, documents) = (&mut self.all, working_set.changed, self.documents);
        write(
            &mut all.accounts,
            &working_set.accounts,
            &changed.accounts,
            documents,
        );
        write(
            &mut all.subscriptions,
            &working_set.subscriptions,
            &changed.subscriptions,
            documents,
        );
        write(
            &mut all.payments,
            &working_set.payments,
            &changed.payments,
            documents,
        );
        write(
            &mut all.disputes,
            &working_set.disputes,
            &changed.disputes,
            documents,
        );
        write(
            &mut all.refunds,
            &working_set.refunds,
            &changed.refunds,
            documents,
        );
        write(
            &mut all.customers,
            &working_set.customers,
            &changed.customers,
            documents,
        );
        for key in &changed.unfetched {
            copy(&working_set.unfetched, &mut all.unfetched, key);
        }
        for (one, other) in &changed.payment_links {
            all.payment_links.insert(one, other);
        }
        all.policy = working_set.policy;
    }

    /// What is shown at the end, with all timers run.
    pub(crate) fn end(&self, now: Timestamp) -> End {
        self.check_flags();
        let mut working_set = self.all.clone();
        working_set.tick(now);
        check_rows(&working_set);
        let mut customers = Vec::new();
        for row in working_set
            .customers
            .values()
            .filter(|row| row.merged_into.is_none() && !row.hidden)
        {
            let accounts = working_set
                .accounts
                .values()
                .filter(|a| a.customer.as_ref() == Some(&row.id));
            customers.push(Seen {
                accounts: accounts.map(|account| account.key.clone()).collect(),
                derived: row.derived.clone(),
                flags: row.flags(),
                explanation: explanation(&working_set, row, now),
            });
        }
        // Only customers without an account have the same accounts.
        customers.sort_by_cached_key(|seen| {
            let other = seen.accounts.is_empty().then(|| format!("{seen:?}"));
            (seen.accounts.clone(), other)
        });
        // What is simulated is kept until the endpoint is live, and counts nowhere then.
        let simulated = |key: &ObjectKey| {
            self.all.live.contains(&PADDLE.name)
                && key.scope.provider == PADDLE.name
                && !key.scope.livemode
        };
        let stands = |key: &ObjectKey| (key.clone(), working_set.assessment(key, now).unwrap());
        let subscriptions = working_set.subscriptions.keys();
        let subscriptions = subscriptions.filter(|key| !simulated(key));
        let subscriptions = subscriptions.map(stands).collect();
        let disputes = working_set
            .disputes
            .values()
            .map(|d| (d.key.clone(), d.account.clone()));
        let refunds = working_set
            .refunds
            .values()
            .map(|r| (r.key.clone(), r.account.clone()));
        let money = disputes.chain(refunds).collect();
        let mut licenses = self.licenses.clone();
        licenses.make_owed(&working_set);
        let mut licenses = licenses.seen(&working_set, now);
        let mut accounts: BTreeMap<_, _> = working_set
            .accounts
            .into_iter()
            .map(|(key, account)| (key, account.history))
            .collect();
        for kept in accounts.values_mut() {
            kept.pin = None;
        }
        accounts.retain(|key, _| !simulated(key));
        licenses.retain(|(source, _), _| !simulated(source));
        working_set.subscriptions.retain(|key, _| !simulated(key));
        End {
            customers,
            subscriptions,
            money,
            accounts,
            kept: working_set
                .subscriptions
                .into_iter()
                .map(|(key, s)| (key, s.history))
                .collect(),
            disputes: working_set
                .disputes
                .into_iter()
                .map(|(key, d)| (key, d.history))
                .collect(),
            refunds: working_set
                .refunds
                .into_iter()
                .map(|(key, r)| (key, r.history))
                .collect(),
            payments: working_set
                .payments
                .into_iter()
                .map(|(key, p)| (key, (p.account, p.history)))
                .collect(),
            references: working_set.payment_links,
            licenses,
            nobodys: self.nobodys_flags(),
        }
    }

    /// The flags of what no customer was found for.
    fn nobodys_flags(&self) -> BTreeSet<HeldFlag> {
        let nobodys = self
            .flags
            .iter()
            .filter(|(holder, _)| holder.customer().is_none());
        let held = |(holder, kept): (&FlagHolder, &BTreeSet<KeptFlag>)| {
            let holder = holder.clone();
            let flags = kept.clone().into_iter();
            flags.map(move |kept| HeldFlag {
                holder: holder.clone(),
                flag: kept.flag,
            })
        };
        nobodys.flat_map(held).collect()
    }

    /// The flags that were kept batch by batch are those of the whole.
    fn check_flags(&self) {
        let all = &self.all;
        let objects = (all.disputes.keys())
            .chain(all.refunds.keys())
            .chain(all.unfetched.keys())
            .chain(all.accounts.keys());
        let objects = objects.cloned().map(FlagHolder::Object);
        let rows = all.customers.keys().cloned().map(FlagHolder::Customer);
        for holder in rows.chain(objects) {
            let kept = self.flags.get(&holder).cloned().unwrap_or_default();
            assert_eq!(kept, all.kept_flags(&holder), "flags of {holder}");
        }
    }
}

/// Why a customer is shown as it is. It must tell of what is shown.
fn explanation(working_set: &WorkingSet, row: &Customer, now: Timestamp) -> Option<Explanation> {
    let shown = BTreeSet::from([row.id.clone()]);
    let group = links::stored_groups(working_set, &shown).pop()?;
    if group.gone {
        return None;
    }
    let explanation = explain(working_set, &group, now);
    assert_eq!(explanation.status, row.derived.status.as_str());
    assert_eq!(explanation.reason, row.derived.reason);
    let holds: BTreeSet<Hold> = explanation.holds.iter().map(|it| it.hold).collect();
    assert_eq!(holds, row.derived.holds);
    let due_at = explanation.next.first().map(|step| step.at);
    assert_eq!(due_at, row.derived.due_at);
    Some(explanation)
}

/// What must hold of links and rows at any time.
fn check_rows(working_set: &WorkingSet) {
    for group in links::groups(working_set) {
        let mut accounts = group.accounts.iter();
        let counts = accounts.any(|key| working_set.counts(&working_set.accounts[key]));
        let Some(shown) = group.rows.first() else {
            assert!(!counts, "what counts has a customer");
            continue;
        };
        // Nobody sees what does not count, so nothing derives it anew when it begins not to.
        if !counts && !group.accounts.is_empty() {
            continue;
        }
        // One that was deleted goes on saying whose it was.
        let living = |id: &&CustomerId| working_set.customers[*id].deleted_at.is_none();
        for id in group.rows.iter().filter(living) {
            let into = (id != shown).then(|| shown.clone());
            assert_eq!(
                working_set.customers[id].merged_into, into,
                "rows point to the one shown"
            );
        }
        for account in group.accounts.iter().map(|key| &working_set.accounts[key]) {
            // What has never counted has no customer, even if an admin made one that it would follow.
            if account.customer.is_some() || working_set.counts(account) {
                assert_eq!(account.customer.as_ref(), Some(shown), "links are current");
            }
        }
    }
}

/// The scope of an event: that of all its ids.
fn scope_of(event: &Occurrence) -> Option<Scope> {
    let keys = event.lookup_keys();
    let keys = (keys.accounts.iter()).chain(&keys.subscriptions).next();
    keys.map(|key| key.scope.clone())
}

fn fresh_id(next: &mut u128) -> CustomerId {
    *next += 1;
    CustomerId::from_uuid(Uuid::from_u128(*next))
}

fn copy<K: Ord + Clone, V: Clone>(from: &BTreeMap<K, V>, to: &mut BTreeMap<K, V>, key: &K) {
    if let Some(value) = from.get(key) {
        to.insert(key.clone(), value.clone());
    }
}

fn pick<K: Ord + Clone, V: Clone>(
    from: &BTreeMap<K, V>,
    wanted: impl Fn(&V) -> bool,
) -> BTreeMap<K, V> {
    let wanted = from.iter().filter(|(_, value)| wanted(value));
    wanted
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

fn write<K, V>(to: &mut BTreeMap<K, V>, from: &BTreeMap<K, V>, keys: &BTreeSet<K>, document: bool)
where
    K: Ord + Clone,
    V: Clone + PartialEq + Debug + Serialize + DeserializeOwned,
{
    for key in keys {
        let mut value = from[key].clone();
        if document {
            let text = serde_json::to_string(&value).unwrap();
            value = serde_json::from_str(&text).unwrap();
            assert_eq!(
                value, from[key],
                "a document reads back as it was written: {text}"
            );
        }
        to.insert(key.clone(), value);
    }
}
