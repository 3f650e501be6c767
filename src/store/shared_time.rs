//! The times in which rows of others had an account of an erased customer.
//!
//! An account can be linked to somebody else's row and parted from it again. Meanwhile that row
//! showed the contact of the one who was erased, and its entries of the audit say so.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::record::{binds, keys, record};
use super::{StoreError, Tx};
use crate::domain::id::{AppSlug, CustomerId, ObjectKey};
use crate::domain::time::Timestamp;

/// The time in which a row had an account of somebody else, in entries of the audit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SharedTime {
    /// The row.
    pub(crate) customer: CustomerId,
    /// The first entry; 0 if the account was the row's from the start.
    pub(super) first: i64,
    /// The last entry.
    pub(super) last: i64,
    /// The instant of the first entry: others of that instant are of the same act.
    pub(super) began_at: Timestamp,
    /// The instant of the last entry.
    pub(super) ended_at: Timestamp,
}

record! {
    /// An entry of the audit that tells with whom a row was one.
    struct Tie from "audit" {
        seq: i64,
        at: Timestamp,
        customer: CustomerId,
        account: Option<ObjectKey>,
        other: Option<CustomerId>,
    }
}

impl Tx {
    /// Finds the rows of others that were one with some rows for a time, or that once had some of
    /// their accounts, and when that was.
    pub(super) async fn shared_times(
        &mut self,
        app: &AppSlug,
        rows: &BTreeSet<CustomerId>,
        accounts: &BTreeSet<ObjectKey>,
    ) -> Result<Vec<SharedTime>, StoreError> {
        let is_own = |id: Option<&CustomerId>| id.is_some_and(|id| rows.contains(id));
        let of_account = |tie: &Tie| tie.account.as_ref().is_some_and(|it| accounts.contains(it));
        let mut ties: BTreeMap<i64, Tie> = BTreeMap::new();
        let mut looked_at = BTreeSet::new();
        let mut next = rows.clone();
        // An account that went from row to row is followed back: each entry names the row before.
        while !next.is_empty() {
            let found = self.ties_of(app, &next).await?;
            let theirs = found.into_iter().filter(|tie| {
                of_account(tie) || is_own(Some(&tie.customer)) || is_own(tie.other.as_ref())
            });
            ties.extend(theirs.map(|tie| (tie.seq, tie)));
            looked_at.append(&mut next);
            let others = ties.values().filter_map(|tie| tie.other.as_ref());
            next.extend(others.filter(|id| !looked_at.contains(id)).cloned());
        }
        let mut by_row: BTreeMap<CustomerId, SharedTime> = BTreeMap::new();
        for tie in ties.values() {
            for id in [Some(&tie.customer), tie.other.as_ref()] {
                let Some(id) = id.filter(|id| !rows.contains(id)) else {
                    continue;
                };
                let had_it = of_account(tie) && tie.other.as_ref() == Some(id);
                let time = by_row.entry(id.clone()).or_insert_with(|| SharedTime {
                    customer: id.clone(),
                    first: if had_it { 0 } else { tie.seq },
                    last: tie.seq,
                    began_at: tie.at,
                    ended_at: tie.at,
                });
                (time.last, time.ended_at) = (tie.seq, tie.at);
            }
        }
        Ok(by_row.into_values().collect())
    }

    async fn ties_of(
        &mut self,
        app: &AppSlug,
        rows: &BTreeSet<CustomerId>,
    ) -> Result<Vec<Tie>, StoreError> {
        let sql = r"
            SELECT
                seq, at, customer_id AS customer,
                CAST(details ->> 'account' AS TEXT) AS account,
                CAST(COALESCE(details ->> 'into', details ->> 'from') AS TEXT) AS other
            FROM audit
            WHERE app = $2
                AND customer_id IN (SELECT key FROM {rows} AS own)
                AND operation IN ('link_account', 'merge', 'pin_account', 'split')
        ";
        self.fetch(sql, binds![keys(rows), app]).await
    }
}
