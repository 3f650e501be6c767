//! Loading everything that a batch of facts can touch; writing it is in `save`.
//!
//! The number of statements is fixed. Loading follows the ways by which one fact can reach
//! another's customer: payment links that lead from a dispute to an account, an address that
//! several accounts first held, the rows that stand for one customer. Loading a row that is not
//! needed costs little; a missing row would make the derived state wrong.
//!
//! Look-ups of different tables or columns that can be made at the same time are one statement,
//! over a set of [`Wanted`] values. A look-up for which nothing is wanted is not made at all, which
//! leaves an admin's act on one customer with four.

mod accounts;
mod customers;
mod links;
mod owned;
mod save;

use std::collections::BTreeSet;

use super::lock::{
    lock_key_of_external_id, lock_key_of_object, lock_keys_of_account, lock_keys_of_loaded,
};
use super::record::{Rows, binds, record};
use super::{StoreError, Tx};
use crate::domain::access::plan::{PackageGrant, Plan, PlanLicense};
use crate::domain::app_settings::KeptSettings;
use crate::domain::apply::lookup_keys::{LookupKeys, connected_part, prefixed_account};
use crate::domain::apply::working_set::WorkingSet;
use crate::domain::id::{AppSlug, Kind, ObjectKey, Provider};
use crate::domain::identity::links::Words;
use crate::domain::policy::Policy;
use crate::domain::span::Span;

record! {
    /// A value to look up by. The kind says in which column, and is a word of the statement.
    #[derive(Clone)]
    struct Wanted {
        kind: &'static str,
        value: String,
    }
}

/// Values to look up by, all of one kind.
fn wanted<T: ToString>(
    kind: &'static str,
    values: impl IntoIterator<Item = T>,
) -> impl Iterator<Item = Wanted> {
    values.into_iter().map(move |value| Wanted {
        kind,
        value: value.to_string(),
    })
}

/// A way to rows: by a value of this kind, in this column of this table.
struct LookUp {
    kind: &'static str,
    table: &'static str,
    column: &'static str,
}

const fn by(kind: &'static str, table: &'static str, column: &'static str) -> LookUp {
    LookUp {
        kind,
        table,
        column,
    }
}

/// The statement of those ways for which anything is wanted, each of which has an index: none answers
/// several conditions joined by OR. `selected`: the columns, of `it`; `{table}` stands for the name of
/// its table. Where an engine plans a statement anew each time, a way that can find nothing would cost
/// as much as any other.
fn union_all(selected: &str, ways: &[LookUp], wanted: &Rows<Wanted>) -> String {
    let asked = ways
        .iter()
        .filter(|way| wanted.any(|it| it.kind == way.kind));
    let asked = asked.map(|way| {
        format!(
            r"
                SELECT {}
                FROM wanted
                JOIN {table} AS it ON it.app = $2 AND it.{} = wanted.value
                WHERE wanted.kind = '{}'
            ",
            selected.replace("{table}", way.table),
            way.column,
            way.kind,
            table = way.table,
        )
    });
    let asked: Vec<String> = asked.collect();
    format!(
        "WITH wanted AS (SELECT kind, value FROM {{rows}} AS given) {}",
        asked.join(" UNION ALL ")
    )
}

/// Accounts by their keys, and by the provider's ids that external ids can mean.
fn wanted_accounts(accounts: &BTreeSet<ObjectKey>, external_ids: &BTreeSet<String>) -> Vec<Wanted> {
    let prefixed = external_ids.iter().filter_map(|it| prefixed_account(it));
    let prefixed = prefixed.map(|(_, id)| id);
    let ids = external_ids.iter().map(String::as_str).chain(prefixed);
    wanted("key", accounts)
        .chain(wanted("id", ids.map(|id| connected_part(id).1)))
        .collect()
}

/// Adds the words by which accounts and rows of a working set can share a customer with others.
fn add_words(words: &mut Words, working_set: &WorkingSet) {
    for account in working_set.accounts.values() {
        words.emails.extend(account.addresses().cloned());
        let seller_id = account.history.seller_id.as_ref();
        words.seller_ids.extend(seller_id.map(|(_, id)| id.clone()));
    }
    let rows = working_set.customers.values();
    words
        .emails
        .extend(rows.filter_map(|row| row.profile.folded_email()));
}

record! {
    struct SettingRow from "apps, plans, live_endpoints" {
        provider: Option<Provider>,
        price_id: Option<String>,
        policy: Option<Policy>,
        settings: Option<KeptSettings>,
        packages: Option<Vec<PackageGrant>>,
        licenses: Option<Vec<PlanLicense>>,
        counts: Option<bool>,
        updates: Option<Span>,
    }
}

impl Tx {
    /// Loads everything of an app that facts with these keys can touch.
    ///
    /// # Errors
    /// When the database does not answer, or a row cannot be read.
    pub async fn working_set_load(
        &mut self,
        app: &AppSlug,
        lookup_keys: &LookupKeys,
    ) -> Result<WorkingSet, StoreError> {
        self.lock_lookup_keys(app, lookup_keys).await?;
        let mut working_set = self.working_set_settings(app).await?;
        let mut accounts = self
            .working_set_objects(app, &mut working_set, lookup_keys)
            .await?;

        self.lock_found(app, accounts.iter().flat_map(lock_keys_of_account))
            .await?;
        let named = wanted_accounts(&accounts, &lookup_keys.given_external_ids);
        self.working_set_accounts(app, &mut working_set, named.into_iter())
            .await?;
        accounts.extend(working_set.accounts.keys().cloned());
        let homes = self
            .working_set_people(app, &mut working_set, lookup_keys, &mut accounts)
            .await?;
        // The flags of an account are replaced as a whole, and that of a customer who was deleted for
        // good is one of them.
        let pinned = working_set.accounts.values();
        let pinned = pinned.filter(|it| it.history.pin.is_some());
        let pinned: BTreeSet<ObjectKey> = pinned.map(|it| it.key.clone()).collect();
        self.working_set_unfetched(app, &mut working_set, &pinned)
            .await?;

        // An account that no event has named as one can own disputes before it is there itself.
        let named = accounts.iter().chain(working_set.accounts.keys());
        let owners: BTreeSet<ObjectKey> = named.chain(&homes).cloned().collect();
        self.lock_found(app, owners.iter().flat_map(lock_keys_of_account))
            .await?;
        self.working_set_owned(app, &mut working_set, wanted("account", &owners))
            .await?;
        // What disputes and refunds are about, and the invoices that Checkout sessions and payment
        // intents belong to. Of invoices and transactions nothing has to be found.
        let is_linked = |key: &&ObjectKey| matches!(key.kind, Kind::Session | Kind::PaymentIntent);
        let money: BTreeSet<ObjectKey> = working_set
            .disputes
            .keys()
            .chain(working_set.refunds.keys())
            .chain(working_set.payments.keys().filter(is_linked))
            .cloned()
            .collect();
        self.lock_found(app, lock_keys_of_loaded(&working_set))
            .await?;
        let reached = self.working_set_walk(app, &mut working_set, &money).await?;
        // Which documents there are decides what a dispute or refund is about: also those of others, which
        // an event that says nothing of it has not asked for.
        let known = &working_set.payments;
        let is_document = |key: &ObjectKey| {
            let is_one = matches!(key.kind, Kind::Invoice | Kind::Transaction);
            is_one || is_linked(&key)
        };
        let is_missing = |key: &&ObjectKey| is_document(key) && !known.contains_key(key);
        let missing: BTreeSet<ObjectKey> = reached.iter().filter(is_missing).cloned().collect();
        self.working_set_owned(app, &mut working_set, wanted("payment", &missing))
            .await?;
        self.working_set_hand_grants(app, &mut working_set).await?;

        let rows = working_set.customers.keys();
        working_set.loaded = rows
            .map(|id| (id.clone(), working_set.derived_rows(id)))
            .collect();
        Ok(working_set)
    }

    /// Loads the accounts that share an address or a seller's id, and the rows that these, addresses
    /// and external ids lead to. Customers are found as wholes: any of their accounts can share an
    /// address with another customer, so this goes on until nothing new is found. Returns the
    /// accounts that the rows go along with.
    async fn working_set_people(
        &mut self,
        app: &AppSlug,
        working_set: &mut WorkingSet,
        lookup_keys: &LookupKeys,
        accounts: &mut BTreeSet<ObjectKey>,
    ) -> Result<BTreeSet<ObjectKey>, StoreError> {
        let mut words = Words {
            emails: lookup_keys.emails.clone(),
            seller_ids: lookup_keys.given_external_ids.clone(),
        };
        let told = lookup_keys.seller_ids.iter();
        let told = told.filter_map(|fact| working_set.settings.identity.seller_id(fact));
        words.seller_ids.extend(told.map(str::to_owned));
        let mut looked_up = Words::default();
        let (mut found, mut homes) = (0, BTreeSet::new());
        loop {
            add_words(&mut words, working_set);
            let emails = words.emails.difference(&looked_up.emails);
            let seller_ids = words.seller_ids.difference(&looked_up.seller_ids);
            let keys = emails.clone().cloned();
            let keys = keys.chain(seller_ids.clone().map(|id| lock_key_of_external_id(id)));
            self.lock_found(app, keys.collect::<Vec<_>>()).await?;
            let sharing: Vec<Wanted> = wanted("email", emails)
                .chain(wanted("seller_id", seller_ids))
                .collect();
            looked_up = words.clone();
            self.working_set_accounts(app, working_set, sharing.into_iter())
                .await?;
            accounts.extend(working_set.accounts.keys().cloned());
            self.working_set_customers(app, working_set, lookup_keys, accounts, &words)
                .await?;
            let rows = working_set.customers.len();
            if rows != found {
                found = rows;
                homes = self.working_set_accounts_of_rows(app, working_set).await?;
            }
            add_words(&mut words, working_set);
            if words == looked_up {
                return Ok(homes);
            }
        }
    }

    /// Begins a working set with the app's policy, settings and plans.
    async fn working_set_settings(&mut self, app: &AppSlug) -> Result<WorkingSet, StoreError> {
        let sql = r"
            SELECT
                NULL AS provider, NULL AS price_id, policy, settings, NULL AS packages,
                NULL AS licenses, NULL AS counts, NULL AS updates
            FROM apps
            WHERE slug = $1
            UNION ALL
            SELECT provider, price_id, NULL, NULL, packages, licenses, counts, updates
            FROM plans
            WHERE app = $1
            UNION ALL
            SELECT provider, NULL, NULL, NULL, NULL, NULL, NULL, NULL
            FROM live_endpoints
            WHERE app = $1
        ";
        let rows: Vec<SettingRow> = self.fetch(sql, binds![app]).await?;
        let mut working_set = WorkingSet::default();
        for row in rows {
            if let Some(policy) = row.policy {
                working_set.policy = policy;
            }
            if let Some(settings) = row.settings {
                working_set.settings = settings.in_force();
            }
            match (row.provider, row.price_id, row.packages) {
                (Some(provider), Some(price_id), Some(packages)) => {
                    let plan = Plan {
                        // It decides nothing.
                        name: None,
                        packages,
                        licenses: row.licenses.unwrap_or_default(),
                        counts: row.counts.unwrap_or_default(),
                        updates: row.updates,
                    };
                    working_set.plans.insert((provider, price_id), plan);
                }
                (provider, _, _) => working_set.live.extend(provider),
            }
        }
        Ok(working_set)
    }

    /// Loads the objects that facts name, other than accounts. Returns the accounts that these
    /// lead to and that the facts name themselves.
    async fn working_set_objects(
        &mut self,
        app: &AppSlug,
        working_set: &mut WorkingSet,
        lookup_keys: &LookupKeys,
    ) -> Result<BTreeSet<ObjectKey>, StoreError> {
        let payments: BTreeSet<ObjectKey> = (lookup_keys.disputes.iter())
            .chain(&lookup_keys.refunds)
            .chain(&lookup_keys.payments)
            .cloned()
            .collect();
        // Disputes and refunds that name a subscription wait for it to be known.
        let from = payments
            .union(&lookup_keys.payment_links)
            .chain(&lookup_keys.subscriptions);
        let from: BTreeSet<ObjectKey> = from.cloned().collect();
        let reached = self.working_set_walk(app, working_set, &from).await?;
        let mut accounts = lookup_keys.accounts.clone();
        accounts.extend(
            reached
                .iter()
                .filter(|key| key.kind == Kind::Account)
                .cloned(),
        );

        // What a link of this batch names may be a document that nothing was linked to before.
        let documents = payments.union(&lookup_keys.payment_links);
        let documents: BTreeSet<&ObjectKey> = documents.chain(&reached).collect();
        let money = wanted("payment", documents);
        let subscriptions = wanted("subscription", &lookup_keys.subscriptions);
        self.working_set_owned(app, working_set, money.chain(subscriptions))
            .await?;
        // A payment may be the only one to name its subscription, and the subscription the account.
        let paid = working_set.payments.values();
        let paid = paid.filter_map(|it| it.subscription.clone());
        let paid: BTreeSet<ObjectKey> = paid.collect();
        let paid = paid.difference(&lookup_keys.subscriptions);
        let missing: BTreeSet<ObjectKey> = paid.cloned().collect();
        self.lock_found(app, missing.iter().map(lock_key_of_object))
            .await?;
        self.working_set_owned(app, working_set, wanted("subscription", &missing))
            .await?;
        // A payment that gets its account now takes its disputes and refunds along.
        let orphans = working_set.payments.values();
        let orphans = orphans.filter(|it| it.account.is_none() && !from.contains(&it.key));
        let orphans: BTreeSet<ObjectKey> = orphans.map(|it| it.key.clone()).collect();
        let reached = self.working_set_walk(app, working_set, &orphans).await?;
        self.working_set_owned(app, working_set, wanted("payment", &reached))
            .await?;
        accounts.extend(working_set.owners().cloned());
        self.working_set_unfetched(app, working_set, &lookup_keys.unfetched)
            .await?;
        // Both are flags of one holder, which are written together.
        self.working_set_other_bodies(app, working_set, &lookup_keys.unfetched)
            .await?;
        Ok(accounts)
    }
}
