//! The index from the ids that payloads name to their events.
//!
//! An id is kept as the first eight bytes of its SHA-256. That is a third of what ids take, a number
//! is compared faster, and nothing of a payload outlives it here in plain words. Two ids of one app
//! that share them would show each other's events; among a hundred million ids the chance of any
//! such pair is one in four thousand.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::record::{Rows, binds, record};
use super::{LedgerEntry, StoreError, Tx};
use crate::domain::event::EventKey;
use crate::domain::id::AppSlug;

record! {
    struct NewObject<'a> {
        app: &'a AppSlug,
        hash: i64,
        seq: i64,
    }
}

/// The form in which an id is kept.
pub(super) fn hash(id: &str) -> i64 {
    let digest = Sha256::digest(id.as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    i64::from_be_bytes(first)
}

impl Tx {
    /// Notes which objects these events name. `places` are their rows in the ledger.
    pub(super) async fn event_objects_add(
        &mut self,
        entries: &[LedgerEntry],
        places: &BTreeMap<EventKey, (i64, bool)>,
    ) -> Result<(), StoreError> {
        let rows = entries.iter().flat_map(|entry| {
            let place = places.get(&entry.key);
            let of = move |(seq, _): &(i64, bool)| (&entry.key.app, *seq);
            let named = move |(app, seq)| {
                let row = move |id: &String| NewObject {
                    app,
                    hash: hash(id),
                    seq,
                };
                entry.named.iter().map(row)
            };
            place.map(of).into_iter().flat_map(named)
        });
        let rows: Rows<NewObject<'_>> = rows.collect();
        // An event that is processed again names what it named before.
        let sql = r"
            INSERT INTO event_objects (app, hash, seq)
            SELECT app, hash, seq
            FROM {rows} AS new
            WHERE true
            ON CONFLICT DO NOTHING
        ";
        self.execute(sql, binds![rows]).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::hash;

    #[test]
    fn what_is_kept_of_an_id_never_changes() {
        assert_eq!(hash("in_1"), HASH_OF_IN_1);
        assert_ne!(hash("in_1"), hash("in_2"));
    }

    /// Stored in every row, so another form would find nothing that was stored before.
    const HASH_OF_IN_1: i64 = 9_015_561_710_329_183_643;
}
