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

use super::lock::{lock_key_of_object, lock_keys_of_account, lock_keys_of_loaded};
use super::record::{binds, record};
use super::{StoreError, Tx};
use crate::domain::access::plan::{PackageGrant, Plan};
use crate::domain::app_settings::KeptSettings;
use crate::domain::apply::lookup_keys::{LookupKeys, prefixed_account};
use crate::domain::apply::working_set::WorkingSet;
use crate::domain::id::{AppSlug, Kind, ObjectKey, Provider};
use crate::domain::policy::{Policy, Span};

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

/// Accounts by their keys, and by the provider's ids that external ids can mean.
fn wanted_accounts(accounts: &BTreeSet<ObjectKey>, external_ids: &BTreeSet<String>) -> Vec<Wanted> {
    let bare = external_ids
        .iter()
        .filter_map(|external_id| prefixed_account(external_id).map(|(_, id)| id));
    wanted("key", accounts)
        .chain(wanted("id", external_ids))
        .chain(wanted("id", bare))
        .collect()
}

record! {
    struct SettingRow from "apps, plans, live_endpoints" {
        provider: Option<Provider>,
        price_id: Option<String>,
        policy: Option<Policy>,
        settings: Option<KeptSettings>,
        packages: Option<Vec<PackageGrant>>,
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
        let mut emails = lookup_keys.emails.clone();
        for account in working_set.accounts.values() {
            emails.extend(account.history.emails.keys().cloned());
            emails.extend(account.history.secondary_emails.keys().cloned());
        }
        self.lock_found(app, emails.iter().cloned()).await?;
        self.working_set_accounts(app, &mut working_set, wanted("linking_email", &emails))
            .await?;

        accounts.extend(working_set.accounts.keys().cloned());
        self.working_set_customers(app, &mut working_set, lookup_keys, &accounts, &emails)
            .await?;
        let homes = self
            .working_set_accounts_of_rows(app, &mut working_set)
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
        self.working_set_walk(app, &mut working_set, &money).await?;
        self.working_set_hand_grants(app, &mut working_set).await?;

        let rows = working_set.customers.keys();
        working_set.loaded = rows
            .map(|id| (id.clone(), working_set.derived_rows(id)))
            .collect();
        Ok(working_set)
    }

    /// Begins a working set with the app's policy, settings and plans.
    async fn working_set_settings(&mut self, app: &AppSlug) -> Result<WorkingSet, StoreError> {
        let sql = r"
            SELECT
                NULL AS provider, NULL AS price_id, policy, settings, NULL AS packages,
                NULL AS counts, NULL AS updates
            FROM apps
            WHERE slug = $1
            UNION ALL
            SELECT provider, price_id, NULL, NULL, packages, counts, updates
            FROM plans
            WHERE app = $1
            UNION ALL
            SELECT provider, NULL, NULL, NULL, NULL, NULL, NULL
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
                        packages,
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

        let money = wanted("payment", reached.union(&payments));
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
        Ok(accounts)
    }
}
