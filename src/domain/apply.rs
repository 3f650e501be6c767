//! One event on a world: its facts are joined to what is kept, the customers concerned are
//! derived anew, and the difference is what the event did.

use std::collections::BTreeSet;

use super::change::{Change, Effect, IgnoreCode, Operation, Outcome, difference};
use super::customer::Customer;
use super::derive::Dossier;
use super::fact::{Fact, Occurrence, is_account};
use super::id::{CustomerId, ObjectKey};
use super::identity::{Group, groups, linking, stored_groups};
use super::kept::{KeptAccount, KeptDispute, KeptRefund, KeptSubscription};
use super::standing::{SubscriptionView, payer};
use super::time::Timestamp;
use super::world::{Account, Dispute, Refund, Subscription, World};

/// What joining facts has disturbed.
#[derive(Default)]
struct Disturbed {
    /// Accounts whose customers are to be derived anew.
    accounts: BTreeSet<ObjectKey>,
    /// Accounts may belong to other customers now.
    links: bool,
    /// Disputes and refunds may belong to other accounts now.
    disputes: bool,
    /// A dispute or refund itself changed.
    money: bool,
}

impl World {
    /// Puts one event into the world. `now` is the local clock and runs the timers; `fresh_id`
    /// makes the ids of new rows. Repeating an event changes nothing, and so does the order of
    /// events, ids and local times apart.
    pub fn apply(
        &mut self,
        occurrence: &Occurrence,
        now: Timestamp,
        fresh_id: &mut dyn FnMut() -> CustomerId,
    ) -> Effect {
        if occurrence.facts.is_empty() {
            return Effect::ignored(IgnoreCode::NoFacts);
        }
        let named = self.named_accounts(occurrence);
        if named.iter().any(|account| self.is_gone(account)) {
            return self.ignore(&named, occurrence.at, now);
        }
        let known_newest = self.newest_of_main(occurrence);
        let before = self.subscription_views(occurrence, now);
        let mut disturbed = Disturbed::default();
        for fact in &occurrence.facts {
            self.join(occurrence.at, fact, &mut disturbed);
        }
        if disturbed.disputes {
            disturbed.accounts.extend(self.relink_disputes());
        }
        let of_money = self.accounts_of_money(occurrence);
        let of_deleted = of_money.iter().any(|account| self.is_gone(account));
        let unlinked = disturbed.money && of_money.is_empty();
        disturbed.accounts.extend(of_money);
        let mut changes = self.settle(&disturbed, now, fresh_id);
        changes.extend(self.subscription_changes(before, now));
        let shows = !changes.is_empty() || unlinked;
        let only_references = occurrence
            .facts
            .iter()
            .all(|fact| matches!(fact, Fact::References { .. }));
        let outcome = match (shows, only_references) {
            _ if of_deleted => Outcome::Ignored(IgnoreCode::CustomerDeleted),
            (true, _) => Outcome::Applied,
            (false, true) => Outcome::Ignored(IgnoreCode::ReferencesOnly),
            (false, false) if Some(occurrence.at) < known_newest => Outcome::Superseded,
            (false, false) => Outcome::Unchanged,
        };
        Effect {
            outcome,
            customer: self.main_customer(occurrence),
            changes,
        }
    }

    /// Derives every customer of this world anew, for timers and changed policies.
    pub fn tick(&mut self, now: Timestamp) -> Vec<Change> {
        let shown = self
            .customers
            .values()
            .filter(|row| row.merged_into.is_none());
        let shown = shown.map(|row| row.id.clone()).collect();
        let mut changes = Vec::new();
        for group in stored_groups(self, &shown) {
            changes.extend(self.settle_group(group, now, None));
        }
        changes
    }

    /// Takes note of an event whose customer was deleted here, and does nothing else.
    fn ignore(&mut self, named: &BTreeSet<ObjectKey>, at: Timestamp, now: Timestamp) -> Effect {
        let mut effect = Effect::ignored(IgnoreCode::CustomerDeleted);
        for key in named
            .iter()
            .filter(|key| self.is_gone(key))
            .cloned()
            .collect::<Vec<_>>()
        {
            self.join_account(&key, at, &mut Disturbed::default(), |kept| {
                kept.join_ignored(at);
            });
            let row = self
                .accounts
                .get(&key)
                .and_then(|account| account.customer.clone());
            let row = row.filter(|row| self.customers.contains_key(row));
            for group in stored_groups(self, &row.iter().cloned().collect()) {
                effect.changes.extend(self.settle_group(group, now, None));
            }
            effect.customer = effect.customer.or(row);
        }
        effect
    }

    /// Accounts that the event names, directly or by a subscription that is known.
    fn named_accounts(&self, occurrence: &Occurrence) -> BTreeSet<ObjectKey> {
        let reach = occurrence.reach();
        let known = reach
            .subscriptions
            .iter()
            .filter_map(|key| self.subscriptions.get(key));
        let known = known.filter_map(|subscription| subscription.account.clone());
        reach.accounts.into_iter().chain(known).collect()
    }

    /// Accounts of the event's disputes and refunds.
    fn accounts_of_money(&self, occurrence: &Occurrence) -> BTreeSet<ObjectKey> {
        let account = |fact: &Fact| match fact {
            Fact::Disputed { dispute, .. } => self.disputes.get(dispute)?.account.clone(),
            Fact::Refunded { refund, .. } => self.refunds.get(refund)?.account.clone(),
            Fact::Contact(_)
            | Fact::AccountNamed { .. }
            | Fact::AccountRemoved { .. }
            | Fact::Subscription(_)
            | Fact::PaymentFailed { .. }
            | Fact::PaymentSucceeded { .. }
            | Fact::References { .. } => None,
        };
        let known = |key: &ObjectKey| self.accounts.contains_key(key);
        occurrence
            .facts
            .iter()
            .filter_map(account)
            .filter(known)
            .collect()
    }

    /// The newest instant known of the object that the event is about.
    fn newest_of_main(&self, occurrence: &Occurrence) -> Option<Timestamp> {
        let newest = |fact: &Fact| match fact {
            Fact::Contact(contact) => self.accounts.get(&contact.account)?.kept.newest(),
            Fact::AccountNamed { account } | Fact::AccountRemoved { account } => {
                self.accounts.get(account)?.kept.newest()
            }
            Fact::Subscription(fact) => self.subscriptions.get(&fact.subscription)?.kept.newest(),
            Fact::PaymentFailed { subscription, .. }
            | Fact::PaymentSucceeded { subscription, .. } => {
                self.subscriptions.get(subscription)?.kept.newest()
            }
            Fact::Disputed { dispute, .. } => Some(self.disputes.get(dispute)?.kept.standing.0),
            Fact::Refunded { refund, .. } => Some(self.refunds.get(refund)?.kept.standing.0),
            Fact::References { .. } => None,
        };
        newest(main_fact(occurrence)?)
    }

    /// The row shown for the account that the event is about.
    fn main_customer(&self, occurrence: &Occurrence) -> Option<CustomerId> {
        let of_subscription = |key| self.subscriptions.get(key)?.account.clone();
        let account = match main_fact(occurrence)? {
            Fact::Contact(contact) => Some(contact.account.clone()),
            Fact::AccountNamed { account } | Fact::AccountRemoved { account } => {
                Some(account.clone())
            }
            Fact::Subscription(fact) => of_subscription(&fact.subscription),
            Fact::PaymentFailed { subscription, .. }
            | Fact::PaymentSucceeded { subscription, .. } => of_subscription(subscription),
            Fact::Disputed { dispute, .. } => self.disputes.get(dispute)?.account.clone(),
            Fact::Refunded { refund, .. } => self.refunds.get(refund)?.account.clone(),
            Fact::References { ids } => ids.iter().find(|id| is_account(id)).cloned(),
        };
        self.accounts.get(&account?)?.customer.clone()
    }

    /// How the event's subscriptions are shown.
    fn subscription_views(&self, occurrence: &Occurrence, now: Timestamp) -> Vec<Viewed> {
        let view = |key: ObjectKey| {
            let view = self.subscription_view(&key, now);
            (key, view)
        };
        occurrence
            .reach()
            .subscriptions
            .into_iter()
            .map(view)
            .collect()
    }

    fn subscription_view(&self, key: &ObjectKey, now: Timestamp) -> Option<SubscriptionView> {
        let standing = self.standing(key, now)?;
        let account = self.subscriptions.get(key)?.account.as_ref();
        Some(SubscriptionView::new(&standing, account))
    }

    fn subscription_changes(&self, before: Vec<Viewed>, now: Timestamp) -> Vec<Change> {
        let change = |(key, from): Viewed| {
            let to = self.subscription_view(&key, now)?;
            let customer = self.customer_of(to.account.as_ref()?)?.id.clone();
            let operation = Operation::UpdateSubscription {
                subscription: key,
                from: from.clone().map(Box::new),
                to: Box::new(to.clone()),
            };
            (from != Some(to)).then_some(Change {
                customer,
                operation,
            })
        };
        before.into_iter().filter_map(change).collect()
    }
}

/// A subscription and how it is shown, if it is known.
type Viewed = (ObjectKey, Option<SubscriptionView>);

/// The fact that says what the event is about: the first that is more than references.
fn main_fact(occurrence: &Occurrence) -> Option<&Fact> {
    let facts = &occurrence.facts;
    facts
        .iter()
        .find(|fact| !matches!(fact, Fact::References { .. }))
        .or(facts.first())
}

impl Effect {
    const fn ignored(code: IgnoreCode) -> Self {
        Self {
            outcome: Outcome::Ignored(code),
            customer: None,
            changes: Vec::new(),
        }
    }
}

/// Joining.
impl World {
    fn join(&mut self, at: Timestamp, fact: &Fact, disturbed: &mut Disturbed) {
        match fact {
            Fact::Contact(contact) => {
                let join = |kept: &mut KeptAccount| kept.join_contact(at, contact);
                self.join_account(&contact.account, at, disturbed, join);
            }
            Fact::AccountNamed { account } => self.join_account(account, at, disturbed, |_| {}),
            Fact::AccountRemoved { account } => {
                self.join_account(account, at, disturbed, |kept| kept.join_removed(at));
            }
            Fact::Subscription(fact) => {
                let account = fact.state.account.as_ref();
                let join = |kept: &mut KeptSubscription| kept.join_state(at, fact);
                self.join_subscription(&fact.subscription, account, at, disturbed, join);
            }
            Fact::PaymentFailed {
                subscription,
                account,
            } => {
                let account = account.as_ref();
                let join = |kept: &mut KeptSubscription| kept.join_failure(at, account);
                self.join_subscription(subscription, account, at, disturbed, join);
            }
            Fact::PaymentSucceeded {
                subscription,
                account,
            } => {
                let account = account.as_ref();
                let join = |kept: &mut KeptSubscription| kept.join_success(at, account);
                self.join_subscription(subscription, account, at, disturbed, join);
            }
            Fact::Disputed {
                dispute,
                standing,
                ids,
            } => {
                let kept = KeptDispute::new(at, *standing);
                let new = Dispute {
                    key: dispute.clone(),
                    kept,
                    account: None,
                };
                let is_new = !self.disputes.contains_key(dispute);
                let entry = self.disputes.entry(dispute.clone()).or_insert(new);
                let before = entry.kept.clone();
                entry.kept.join(at, *standing, ids);
                if is_new || entry.kept != before {
                    self.touched.disputes.insert(dispute.clone());
                    disturbed.money = true;
                }
                self.join_money(dispute, ids, at, disturbed);
            }
            Fact::Refunded { refund, full, ids } => {
                let kept = KeptRefund::new(at, *full);
                let new = Refund {
                    key: refund.clone(),
                    kept,
                    account: None,
                };
                let is_new = !self.refunds.contains_key(refund);
                let entry = self.refunds.entry(refund.clone()).or_insert(new);
                let before = entry.kept.clone();
                entry.kept.join(at, *full, ids);
                if is_new || entry.kept != before {
                    self.touched.refunds.insert(refund.clone());
                    disturbed.money = true;
                }
                self.join_money(refund, ids, at, disturbed);
            }
            Fact::References { ids } => disturbed.disputes |= self.join_references(ids),
        }
    }

    /// A dispute or refund names the ids that it is tied to, and accounts among them exist. It
    /// counts as one of the ids itself, so that a store finds it from any of them.
    fn join_money(
        &mut self,
        object: &ObjectKey,
        ids: &BTreeSet<ObjectKey>,
        at: Timestamp,
        disturbed: &mut Disturbed,
    ) {
        let mut tied = ids.clone();
        tied.insert(object.clone());
        self.join_references(&tied);
        for account in ids.iter().filter(|id| is_account(id)) {
            self.join_account(account, at, disturbed, |_| {});
        }
        disturbed.disputes = true;
    }

    /// Joins a fact to an account, which exists from now on if it did not.
    fn join_account(
        &mut self,
        key: &ObjectKey,
        at: Timestamp,
        disturbed: &mut Disturbed,
        join: impl FnOnce(&mut KeptAccount),
    ) {
        let is_new = !self.accounts.contains_key(key);
        let account = self.accounts.entry(key.clone()).or_insert_with(|| Account {
            key: key.clone(),
            kept: KeptAccount::new(at),
            linking_email: None,
            customer: None,
        });
        let before = account.kept.clone();
        account.kept.join_named(at);
        join(&mut account.kept);
        disturbed.accounts.insert(key.clone());
        if is_new || account.kept != before {
            let now_linking = linking(&account.kept);
            disturbed.links |= is_new || linking(&before) != now_linking;
            account.linking_email = now_linking.map(|linking| linking.email.to_owned());
            self.touched.accounts.insert(key.clone());
        }
    }

    /// Joins a fact to a subscription; payments are kept under its id before it is known.
    fn join_subscription(
        &mut self,
        key: &ObjectKey,
        account: Option<&ObjectKey>,
        at: Timestamp,
        disturbed: &mut Disturbed,
        join: impl FnOnce(&mut KeptSubscription),
    ) {
        if let Some(account) = account {
            self.join_account(account, at, disturbed, |_| {});
        }
        let is_new = !self.subscriptions.contains_key(key);
        let subscription = self
            .subscriptions
            .entry(key.clone())
            .or_insert_with(|| Subscription {
                key: key.clone(),
                kept: KeptSubscription::default(),
                account: None,
            });
        let before = subscription.kept.clone();
        join(&mut subscription.kept);
        let payer = payer(&subscription.kept);
        disturbed.accounts.extend(subscription.account.clone());
        disturbed.accounts.extend(payer.clone());
        if is_new || subscription.kept != before {
            subscription.account = payer;
            self.touched.subscriptions.insert(key.clone());
        }
    }
}

/// Deriving.
impl World {
    fn settle(
        &mut self,
        disturbed: &Disturbed,
        now: Timestamp,
        fresh_id: &mut dyn FnMut() -> CustomerId,
    ) -> Vec<Change> {
        let shown_for = |key: &ObjectKey| self.accounts.get(key)?.customer.clone();
        let disturbed_rows: BTreeSet<_> = disturbed.accounts.iter().filter_map(shown_for).collect();
        let groups = if disturbed.links {
            self.changed_groups(disturbed_rows)
        } else {
            stored_groups(self, &disturbed_rows)
        };
        let mut changes = Vec::new();
        for group in groups {
            changes.extend(self.settle_group(group, now, Some(fresh_id)));
        }
        changes
    }

    /// Works out who is who anew, and gives the customers with a disturbed row, and those that
    /// gained or lost an account or a row.
    pub(crate) fn changed_groups(&self, mut rows: BTreeSet<CustomerId>) -> Vec<Group> {
        let groups = groups(self);
        let mut moved = BTreeSet::new();
        for (i, group) in groups.iter().enumerate() {
            let shown = group.rows.first();
            let accounts = group
                .accounts
                .iter()
                .filter_map(|key| self.accounts.get(key));
            let movers = accounts.filter(|account| account.customer.as_ref() != shown);
            let old: Vec<_> = movers.map(|account| account.customer.clone()).collect();
            let merging = group
                .rows
                .iter()
                .filter_map(|id| self.customers.get(id))
                .any(|row| {
                    let into = shown.filter(|shown| **shown != row.id);
                    row.merged_into.as_ref() != into
                });
            if shown.is_none() || !old.is_empty() || merging {
                rows.extend(old.into_iter().flatten());
                moved.insert(i);
            }
        }
        let concerned = |(i, group): &(usize, Group)| {
            moved.contains(i) || group.rows.iter().any(|row| rows.contains(row))
        };
        groups
            .into_iter()
            .enumerate()
            .filter(concerned)
            .map(|(_, group)| group)
            .collect()
    }

    /// Writes links, rows and what is shown of one customer, and gives what changed. Without
    /// `fresh_id` no row is made.
    pub(crate) fn settle_group(
        &mut self,
        mut group: Group,
        now: Timestamp,
        fresh_id: Option<&mut (dyn FnMut() -> CustomerId + '_)>,
    ) -> Vec<Change> {
        if group.gone {
            return self.settle_gone(&group, now);
        }
        let mut made = None;
        if group.rows.is_empty() {
            let Some(fresh_id) = fresh_id else {
                return Vec::new();
            };
            let row = Customer::new(fresh_id(), group.accounts.first().cloned(), now);
            group.rows.push(row.id.clone());
            made = Some(row.id.clone());
            self.customers.insert(row.id.clone(), row);
        }
        let Some(shown_id) = group.rows.first().cloned() else {
            return Vec::new();
        };
        let shown = Dossier::new(self, &group, now).derive();
        let links = self.link_accounts(&group, &shown_id, made.as_ref());
        let mut changes = Vec::new();
        for id in group.rows {
            let merged_into = (id != shown_id).then(|| shown_id.clone());
            let is_new = made.as_ref() == Some(&id);
            changes.extend(self.write_row(&id, is_new, now, |row| {
                row.merged_into = merged_into;
                row.shown = shown.clone();
            }));
        }
        changes.extend(links);
        changes
    }

    /// A deleted customer shows what it showed when it was deleted, and what there is to look
    /// at: that billing goes on, and disputes.
    fn settle_gone(&mut self, group: &Group, now: Timestamp) -> Vec<Change> {
        let Some(id) = group.rows.first() else {
            return Vec::new();
        };
        let flags = Dossier::new(self, group, now).flags_of_deleted();
        self.write_row(id, false, now, |row| {
            row.shown.flags = flags;
            row.shown.due_at = None;
        })
    }

    fn link_accounts(
        &mut self,
        group: &Group,
        shown: &CustomerId,
        made: Option<&CustomerId>,
    ) -> Vec<Change> {
        let mut changes = Vec::new();
        for key in &group.accounts {
            let Some(account) = self.accounts.get_mut(key) else {
                continue;
            };
            if account.customer.as_ref() == Some(shown) {
                continue;
            }
            let from = account.customer.replace(shown.clone());
            self.touched.accounts.insert(key.clone());
            // That a new row has the account that it was made for goes without saying.
            if made.is_none() || from.is_some() {
                let operation = Operation::LinkAccount {
                    account: key.clone(),
                    from,
                };
                changes.push(Change {
                    customer: shown.clone(),
                    operation,
                });
            }
        }
        changes
    }

    /// Changes a row, notes when and that it was, and gives what shows of it.
    pub(crate) fn write_row(
        &mut self,
        id: &CustomerId,
        is_new: bool,
        now: Timestamp,
        write: impl FnOnce(&mut Customer),
    ) -> Vec<Change> {
        let Some(row) = self.customers.get_mut(id) else {
            return Vec::new();
        };
        let before = row.clone();
        write(row);
        if *row == before && !is_new {
            return Vec::new();
        }
        row.updated_at = now;
        if row.shown.status.as_str() != before.shown.status.as_str() {
            row.status_since = now;
        }
        self.touched.customers.insert(id.clone());
        let before = (!is_new).then_some(&before);
        difference(before, row, &self.plans)
    }
}
