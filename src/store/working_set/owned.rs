//! Objects that belong to an account: subscriptions, payments, disputes and refunds. And those that
//! were only named.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;

use super::{LookUp, Wanted, by, union_all};
use crate::domain::apply::working_set::{Owned, Payment, WorkingSet};
use crate::domain::billing::history::{PaymentHistory, UnfetchedHistory};
use crate::domain::customer::other_body::OtherBodies;
use crate::domain::id::{AppSlug, ObjectKey};
use crate::domain::time::Timestamp;
use crate::store::cell::Document;
use crate::store::record::{Rows, binds, keys, record};
use crate::store::{StoreError, Tx};

record! {
    struct OwnedRow from "subscriptions, payments, disputes, refunds" {
        of: String,
        key: ObjectKey,
        account: Option<ObjectKey>,
        kept: Document,
    }
}

/// The columns of an [`OwnedRow`].
const SELECTED: &str = "'{table}' AS of, it.key, it.account, it.kept";

/// Subscriptions and their payments by the subscriptions' keys, payments, disputes and refunds by theirs,
/// and all of them by their account.
const WAYS: [LookUp; 9] = [
    by("subscription", "subscriptions", "key"),
    by("subscription", "payments", "subscription"),
    by("payment", "payments", "key"),
    by("payment", "disputes", "key"),
    by("payment", "refunds", "key"),
    by("account", "subscriptions", "account"),
    by("account", "payments", "account"),
    by("account", "disputes", "account"),
    by("account", "refunds", "account"),
];

impl OwnedRow {
    /// Reads it into its place in a working set. `column` is named if it cannot be read.
    fn put<H: DeserializeOwned>(
        self,
        all: &mut BTreeMap<ObjectKey, Owned<H>>,
        column: &str,
    ) -> Result<(), StoreError> {
        let owned = Owned {
            key: self.key.clone(),
            history: self.kept.read(column)?,
            account: self.account,
        };
        all.insert(self.key, owned);
        Ok(())
    }
}

record! {
    struct UnfetchedRow from "unfetched" {
        key: ObjectKey,
        at: Timestamp,
        cleared_at: Option<Timestamp>,
    }
}

record! {
    struct OtherBodiesRow from "other_bodies" {
        key: ObjectKey,
        kept: OtherBodies,
    }
}

impl Tx {
    /// Loads subscriptions, payments, disputes and refunds; see [`WAYS`].
    pub(super) async fn working_set_owned(
        &mut self,
        app: &AppSlug,
        working_set: &mut WorkingSet,
        wanted: impl Iterator<Item = Wanted> + Send,
    ) -> Result<(), StoreError> {
        let wanted: Rows<Wanted> = wanted.collect();
        let sql = union_all(SELECTED, &WAYS, &wanted);
        let rows: Vec<OwnedRow> = self.fetch(&sql, binds![wanted, app]).await?;
        for row in rows {
            match row.of.as_str() {
                "subscriptions" => row.put(&mut working_set.subscriptions, "subscriptions.kept")?,
                "disputes" => row.put(&mut working_set.disputes, "disputes.kept")?,
                "refunds" => row.put(&mut working_set.refunds, "refunds.kept")?,
                _ => {
                    let history: PaymentHistory = row.kept.read("payments.kept")?;
                    let subscription = history.subscription.as_ref().map(|(_, it)| it.clone());
                    let payment = Payment {
                        key: row.key.clone(),
                        history,
                        account: row.account,
                        subscription,
                    };
                    working_set.payments.insert(row.key, payment);
                }
            }
        }
        Ok(())
    }

    /// Loads objects that were only named.
    pub(super) async fn working_set_unfetched(
        &mut self,
        app: &AppSlug,
        working_set: &mut WorkingSet,
        objects: &BTreeSet<ObjectKey>,
    ) -> Result<(), StoreError> {
        let sql = r"
            SELECT unfetched.key, at, cleared_at
            FROM {rows} AS wanted
            JOIN unfetched ON unfetched.app = $2 AND unfetched.key = wanted.key
        ";
        let rows: Vec<UnfetchedRow> = self.fetch(sql, binds![keys(objects), app]).await?;
        for row in rows {
            let history = UnfetchedHistory {
                at: row.at,
                cleared_at: row.cleared_at,
            };
            working_set.unfetched.insert(row.key, history);
        }
        Ok(())
    }

    /// Loads events without a customer that came again with another body.
    pub(super) async fn working_set_other_bodies(
        &mut self,
        app: &AppSlug,
        working_set: &mut WorkingSet,
        events: &BTreeSet<ObjectKey>,
    ) -> Result<(), StoreError> {
        let sql = r"
            SELECT other_bodies.key, kept
            FROM {rows} AS wanted
            JOIN other_bodies ON other_bodies.app = $2 AND other_bodies.key = wanted.key
        ";
        let rows: Vec<OtherBodiesRow> = self.fetch(sql, binds![keys(events), app]).await?;
        let rows = rows.into_iter().map(|row| (row.key, row.kept));
        working_set.other_bodies.extend(rows);
        Ok(())
    }
}
