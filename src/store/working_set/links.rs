//! Payment links: pairs of ids that one event named together.

use std::collections::BTreeSet;

use crate::domain::apply::working_set::WorkingSet;
use crate::domain::id::{AppSlug, ObjectKey};
use crate::store::lock::lock_key_of_object;
use crate::store::record::{binds, keys, record};
use crate::store::{StoreError, Tx};

/// Most links that a walk follows in a row: a dispute names a charge, that an intent, that an
/// invoice, that an account.
const LINKS: i64 = 4;

record! {
    struct LinkRow from "pairs" {
        key: ObjectKey,
        other: ObjectKey,
    }
}

impl Tx {
    /// Loads the links around some ids. Returns all ids that were reached.
    pub(super) async fn working_set_walk(
        &mut self,
        app: &AppSlug,
        working_set: &mut WorkingSet,
        from: &BTreeSet<ObjectKey>,
    ) -> Result<BTreeSet<ObjectKey>, StoreError> {
        loop {
            let reached = self.working_set_links(app, working_set, from).await?;
            // Until the key of an id on the way is locked, another batch may add to it. Each round
            // goes one link further at least, and walks are short.
            let keys = reached.iter().map(lock_key_of_object);
            if !self.lock_found(app, keys).await? {
                return Ok(reached);
            }
        }
    }

    async fn working_set_links(
        &mut self,
        app: &AppSlug,
        working_set: &mut WorkingSet,
        from: &BTreeSet<ObjectKey>,
    ) -> Result<BTreeSet<ObjectKey>, StoreError> {
        let sql = r"
            WITH RECURSIVE walk (key, depth) AS (
                SELECT key, 0 FROM {rows} AS start
                UNION
                SELECT pairs.other, walk.depth + 1
                FROM walk
                JOIN pairs ON pairs.app = $2 AND pairs.key = walk.key
                WHERE walk.depth < $3 AND walk.key NOT LIKE 'account:%'
            )
            SELECT DISTINCT pairs.key, pairs.other
            FROM walk
            JOIN pairs ON pairs.app = $2 AND pairs.key = walk.key
            WHERE walk.key NOT LIKE 'account:%'
        ";
        let rows: Vec<LinkRow> = self.fetch(sql, binds![keys(from), app, LINKS]).await?;
        let mut reached = BTreeSet::new();
        for LinkRow { key, other } in rows {
            working_set.payment_links.insert(&key, &other);
            reached.insert(key);
            reached.insert(other);
        }
        Ok(reached)
    }
}
