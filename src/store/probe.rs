//! A small write that tries whether the store takes writes.

use super::error::StoreError;
use super::record::binds;
use super::tx::Tx;
use crate::domain::time::Timestamp;

/// The lane of the rows that are written to try it; no queue reads it.
const LANE: &str = "health";

/// The sizes of trials, in bytes: about that of a usual event with its row in the ledger, and, after a
/// write has failed, several times that. On a full disk the smallest write finds room, in pages that
/// are half empty, where no real one does.
const SIZES: (usize, usize) = (8 * 1024, 64 * 1024);

/// The size of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trial {
    /// As large as a usual write. Costs one flush to the disk.
    Small,
    /// As large as a large one.
    Large,
}

impl Tx {
    /// Writes what a trial writes.
    pub(super) async fn probe_add(
        &mut self,
        trial: Trial,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let body = match trial {
            Trial::Small => incompressible(SIZES.0),
            Trial::Large => incompressible(SIZES.1),
        };
        let sql = "INSERT INTO messages (lane, due_at, headers, body) VALUES ($1, $2, '{}', $3)";
        self.execute(sql, binds![LANE, now, body]).await?;
        Ok(())
    }

    /// Removes what trials have written.
    pub(super) async fn probe_clear(&mut self) -> Result<(), StoreError> {
        let sql = "DELETE FROM messages WHERE lane = $1";
        self.execute(sql, binds![LANE]).await?;
        Ok(())
    }
}

/// Returns a text of this length that an engine cannot store in less: the numbers of a simple
/// generator (<https://en.wikipedia.org/wiki/Xorshift>), in letters.
fn incompressible(length: usize) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let letter = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let index = usize::from((state & 63) as u8);
        char::from(LETTERS[index])
    };
    (0..length).map(letter).collect()
}
