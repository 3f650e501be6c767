//! Erasures: what is still to be done about customers who were deleted for good.
//!
//! The rows of a customer go in the transaction that deletes it. Its events, its entries of the
//! audit and messages under way may be many, so they are searched in small steps afterwards; how
//! far that is stands here, and what the steps read and write in `erasure_step.rs`. The row stays
//! when all is done: that somebody was erased, by id, and when.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::cell::documents;
use super::record::{Rows, binds, keys, record};
use super::shared_time::SharedTime;
use super::{StoreError, Tx};
use crate::domain::customer::erased::ErasureStage;
use crate::domain::id::{AppSlug, CustomerId, Kind, ObjectKey};
use crate::domain::time::Timestamp;

/// The objects by which a customer's events and messages are found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ErasedObjects {
    /// The provider's ids of its accounts.
    pub(crate) accounts: Vec<String>,
    /// Accounts, subscriptions and everything about payments, in the form in which the ledger's
    /// index has them.
    pub(crate) hashes: Vec<i64>,
    /// Rows of others that had an account of it for a time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) shared: Vec<SharedTime>,
}

documents!(ErasedObjects);

/// An erasure that is under way: of one row, since events and the audit name rows.
#[derive(Clone, Debug)]
pub(crate) struct Erasure {
    /// The app.
    pub(crate) app: AppSlug,
    /// The row that was deleted.
    pub(crate) customer: CustomerId,
    /// What it had.
    pub(crate) objects: ErasedObjects,
    /// The last row of the ledger when it was deleted. What comes later keeps nothing of it, or is
    /// of somebody who claimed an account since.
    pub(crate) last_seq: i64,
    /// What is looked through.
    pub(crate) stage: ErasureStage,
    /// The last row of that which was looked at.
    pub(crate) cursor: i64,
}

record! {
    impl Erasure from "erasures" { app, customer, objects, last_seq, stage, cursor }
}

record! {
    struct NewErasure<'a> {
        customer: &'a CustomerId,
        objects: &'a ErasedObjects,
    }
}

record! {
    /// Something that belongs to an account.
    #[derive(PartialEq, Eq, PartialOrd, Ord)]
    pub(super) struct OwnedKey from "subscriptions, payments, disputes, refunds, pairs" {
        pub(super) key: ObjectKey,
        pub(super) account: ObjectKey,
    }
}

record! {
    struct PairRow<'a> {
        key: &'a ObjectKey,
        other: &'a ObjectKey,
    }
}

/// The most links from a payment to an id of it, as when a dispute is traced (`billing/trace.rs`).
const LINKS: i64 = 3;

impl Tx {
    /// Finds everything by which the events of some accounts are found: the accounts, what was
    /// bought and paid through them, and what events named together with these.
    pub(super) async fn erasure_objects(
        &mut self,
        app: &AppSlug,
        accounts: impl IntoIterator<Item = &ObjectKey> + Send,
    ) -> Result<BTreeSet<OwnedKey>, StoreError> {
        // As a trace, it never goes on from an account or a subscription: beyond them are others.
        let sql = r"
            WITH RECURSIVE gone AS (SELECT key FROM {rows} AS given),
            owned (key, account) AS (
                SELECT key, key FROM gone
                UNION
                SELECT key, account FROM subscriptions
                WHERE app = $2 AND account IN (SELECT key FROM gone)
                UNION
                SELECT key, account FROM payments
                WHERE app = $2 AND account IN (SELECT key FROM gone)
                UNION
                SELECT key, account FROM disputes
                WHERE app = $2 AND account IN (SELECT key FROM gone)
                UNION
                SELECT key, account FROM refunds
                WHERE app = $2 AND account IN (SELECT key FROM gone)
            ),
            walk (key, account, depth) AS (
                SELECT key, account, 0 FROM owned
                UNION
                SELECT pairs.other, walk.account, walk.depth + 1
                FROM walk
                JOIN pairs ON pairs.app = $2 AND pairs.key = walk.key
                WHERE walk.depth < $3
                    AND (walk.depth = 0 OR walk.key NOT LIKE 'subscription:%')
                    AND pairs.other NOT LIKE 'account:%'
            )
            SELECT DISTINCT key, account FROM walk
        ";
        let found: Vec<OwnedKey> = self.fetch(sql, binds![keys(accounts), app, LINKS]).await?;
        Ok(found.into_iter().collect())
    }

    /// Links what belongs to accounts with them, so that later disputes and refunds are traced to
    /// an account whose payments are gone.
    pub(super) async fn erasure_link(
        &mut self,
        app: &AppSlug,
        owned: &BTreeSet<OwnedKey>,
    ) -> Result<(), StoreError> {
        let links = owned.iter().filter(|it| it.key.kind != Kind::Account);
        let rows = links.flat_map(|OwnedKey { key, account }| [(key, account), (account, key)]);
        let rows: Rows<PairRow<'_>> = rows.map(|(key, other)| PairRow { key, other }).collect();
        let sql = r"
            INSERT INTO pairs (app, key, other)
            SELECT $2, key, other
            FROM {rows} AS new
            WHERE true
            ON CONFLICT (app, key, other) DO NOTHING
        ";
        self.execute(sql, binds![rows, app]).await?;
        Ok(())
    }

    /// Keeps that rows of a customer are to be erased. `objects` are found through the first of
    /// them.
    pub(super) async fn erasure_add(
        &mut self,
        app: &AppSlug,
        rows: &[CustomerId],
        objects: &ErasedObjects,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let none = ErasedObjects::default();
        let new = rows.iter().enumerate().map(|(index, customer)| NewErasure {
            customer,
            objects: if index == 0 { objects } else { &none },
        });
        let new: Rows<NewErasure<'_>> = new.collect();
        let sql = r"
            INSERT INTO erasures (
                app, customer_id, objects, last_seq, stage, cursor, turn, ordered_at
            )
            SELECT
                $2, customer, objects,
                (SELECT COALESCE(MAX(seq), 0) FROM events WHERE app = $2),
                $3, 0, 0, $4
            FROM {rows} AS new
            WHERE true
            ON CONFLICT DO NOTHING
        ";
        let binds = binds![new, app, ErasureStage::Events, now];
        self.execute(sql, binds).await?;
        Ok(())
    }

    /// Returns true if an erasure is under way. Cheaper than to ask for it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn erasure_is_open(&mut self) -> Result<bool, StoreError> {
        let sql = r"
            SELECT 1 AS one FROM erasures WHERE finished_at IS NULL
            UNION ALL
            SELECT 1 FROM erased_objects WHERE stage IS NOT NULL
            LIMIT 1
        ";
        let found: Option<i64> = self.fetch_value("erasures", sql, binds![]).await?;
        Ok(found.is_some())
    }

    /// Finds the erasure that is to go on: the oldest that does not wait for anything, else the one
    /// that has waited longest.
    pub(crate) async fn erasure_next(&mut self) -> Result<Option<Erasure>, StoreError> {
        let sql = r"
            SELECT app, customer_id AS customer, objects, last_seq, stage, cursor
            FROM erasures
            WHERE finished_at IS NULL
            ORDER BY turn, ordered_at, customer_id
            LIMIT 1
        ";
        self.fetch_opt(sql, binds![]).await
    }

    /// Notes how far an erasure is.
    pub(crate) async fn erasure_advance(
        &mut self,
        erasure: &Erasure,
        stage: ErasureStage,
        cursor: i64,
    ) -> Result<(), StoreError> {
        let sql = r"
            UPDATE erasures
            SET stage = $3, cursor = $4
            WHERE app = $1 AND customer_id = $2
        ";
        let binds = binds![&erasure.app, &erasure.customer, stage, cursor];
        self.execute(sql, binds).await?;
        Ok(())
    }

    /// Puts an erasure behind all others, because it has to wait for something.
    pub(crate) async fn erasure_wait(&mut self, erasure: &Erasure) -> Result<(), StoreError> {
        let sql = r"
            UPDATE erasures
            SET turn = (SELECT MAX(turn) + 1 FROM erasures WHERE finished_at IS NULL)
            WHERE app = $1 AND customer_id = $2
        ";
        self.execute(sql, binds![&erasure.app, &erasure.customer])
            .await?;
        Ok(())
    }

    /// Notes that nothing of a customer is left.
    pub(crate) async fn erasure_finish(
        &mut self,
        erasure: &Erasure,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = r"
            UPDATE erasures
            SET finished_at = $3, objects = $4
            WHERE app = $1 AND customer_id = $2
        ";
        let none = ErasedObjects::default();
        self.execute(sql, binds![&erasure.app, &erasure.customer, now, &none])
            .await?;
        Ok(())
    }
}
