//! The built-in queue's rows. What lanes there are and what stands in the headers is the
//! queue's business.

use std::collections::BTreeMap;

use serde_json::json;

use super::driver::{Batch, Kind, Row, binds};
use super::{StoreError, Tx};
use crate::domain::time::Timestamp;

/// A message at rest.
#[derive(Debug)]
pub struct StoredMessage {
    /// Its place in the queue.
    pub seq: i64,
    /// Its headers, a JSON document.
    pub headers: String,
    /// Its body.
    pub body: String,
}

/// A message to keep.
#[derive(Debug)]
pub struct NewMessage {
    /// Its headers, a JSON document.
    pub headers: String,
    /// Its body.
    pub body: String,
}

/// Where a message goes that is not done.
#[derive(Debug)]
pub struct MessageMove {
    /// Which message.
    pub seq: i64,
    /// The lane that it goes to.
    pub lane: &'static str,
    /// When it is due there.
    pub due_at: Timestamp,
    /// Its headers from now on.
    pub headers: String,
}

impl Tx {
    /// Adds messages to a lane, due at `now`.
    pub(crate) async fn message_add(
        &mut self,
        lane: &'static str,
        messages: Vec<NewMessage>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut rows = Batch::new(&[("headers", Kind::Json), ("body", Kind::Text)]);
        for message in messages {
            rows.row([json!(message.headers), json!(message.body)]);
        }
        let sql = "INSERT INTO messages (lane, due_at, headers, body) \
                   SELECT $2, $3, headers, body FROM {rows} AS new";
        self.execute(sql, binds![rows, lane, now]).await?;
        Ok(())
    }

    /// The oldest due messages of a lane, without those that are in somebody's hands. No more
    /// follow once their bodies together have `most_bytes`; the first comes whatever its size.
    pub(crate) async fn message_due(
        &mut self,
        lane: &'static str,
        now: Timestamp,
        in_hand: impl IntoIterator<Item = i64> + Send,
        (most, most_bytes): (usize, usize),
    ) -> Result<Vec<StoredMessage>, StoreError> {
        let [most, most_bytes] =
            [most, most_bytes].map(|bound| i64::try_from(bound).unwrap_or(i64::MAX));
        // Sizes first: an engine tells them without reading the bodies.
        let sql = "SELECT messages.seq, headers, body FROM messages JOIN ( \
                   SELECT seq, due_at, SUM(size) OVER (ORDER BY due_at, seq) - size AS bytes_before \
                   FROM (SELECT seq, due_at, OCTET_LENGTH(body) AS size FROM messages \
                   WHERE lane = $1 AND due_at <= $2 \
                   AND seq NOT IN (SELECT key FROM {rows} AS held) \
                   ORDER BY due_at, seq LIMIT $4) AS due) AS chosen \
                   ON chosen.seq = messages.seq WHERE chosen.bytes_before < $5 \
                   ORDER BY chosen.due_at, chosen.seq";
        let binds = binds![lane, now, numbers(in_hand), most, most_bytes];
        self.fetch(sql, binds).await?.iter().map(stored).collect()
    }

    /// Takes the oldest due messages of a lane for a while: they are due again at `until`, unless
    /// they are settled before. One statement, so that of several takers each gets its own.
    pub(crate) async fn message_lease(
        &mut self,
        lane: &'static str,
        now: Timestamp,
        until: Timestamp,
        most: usize,
    ) -> Result<Vec<StoredMessage>, StoreError> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        // `due_at` is asked for twice: an engine with several writers asks the outer question
        // again after it has waited for another taker. There the inner one should also end in
        // FOR UPDATE SKIP LOCKED, so that takers need not wait for each other.
        let sql = "UPDATE messages SET due_at = $3 \
                   WHERE due_at <= $2 AND seq IN (\
                       SELECT seq FROM messages WHERE lane = $1 AND due_at <= $2 \
                       ORDER BY due_at, seq LIMIT $4) \
                   RETURNING seq, headers, body";
        let rows = self.fetch(sql, binds![lane, now, until, most]).await?;
        rows.iter().map(stored).collect()
    }

    /// When the next message of a lane is due that is in nobody's hands.
    pub(crate) async fn message_next_due(
        &mut self,
        lane: &'static str,
        in_hand: impl IntoIterator<Item = i64> + Send,
    ) -> Result<Option<Timestamp>, StoreError> {
        let sql = "SELECT MIN(due_at) AS due_at FROM messages \
                   WHERE lane = $1 AND seq NOT IN (SELECT key FROM {rows} AS held)";
        match self.fetch_opt(sql, binds![lane, numbers(in_hand)]).await? {
            Some(row) => row.time_opt("due_at"),
            None => Ok(None),
        }
    }

    /// How many messages are in a lane, or how many of them are due.
    pub(crate) async fn message_count(
        &mut self,
        lane: &'static str,
        due: Option<Timestamp>,
    ) -> Result<u64, StoreError> {
        let sql = "SELECT COUNT(*) AS n FROM messages \
                   WHERE lane = $1 AND ($2 IS NULL OR due_at <= $2)";
        let row = self.fetch_opt(sql, binds![lane, due]).await?;
        let count = row.map_or(Ok(0), |row| row.int("n"))?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    /// How many messages of a lane are not due yet, by the number of their tries so far.
    pub(crate) async fn message_resting(
        &mut self,
        lane: &'static str,
        now: Timestamp,
    ) -> Result<BTreeMap<u32, u64>, StoreError> {
        let sql = "SELECT CAST(headers ->> 'attempt' AS BIGINT) AS tries, COUNT(*) AS n \
                   FROM messages WHERE lane = $1 AND due_at > $2 GROUP BY 1";
        let rows = self.fetch(sql, binds![lane, now]).await?;
        rows.iter()
            .map(|row| {
                let tries = u32::try_from(row.int("tries")?).unwrap_or_default();
                Ok((tries, u64::try_from(row.int("n")?).unwrap_or_default()))
            })
            .collect()
    }

    /// Forgets the messages that are done and moves the others.
    pub(crate) async fn message_settle(
        &mut self,
        done: impl IntoIterator<Item = i64> + Send,
        moves: &[MessageMove],
    ) -> Result<(), StoreError> {
        let done = numbers(done);
        if !done.is_empty() {
            let sql = "DELETE FROM messages WHERE seq IN (SELECT key FROM {rows} AS done)";
            self.execute(sql, binds![done]).await?;
        }
        if moves.is_empty() {
            return Ok(());
        }
        let mut rows = Batch::new(&[
            ("seq", Kind::Int),
            ("lane", Kind::Text),
            ("due_at", Kind::Time),
            ("headers", Kind::Json),
        ]);
        for step in moves {
            rows.row([
                json!(step.seq),
                json!(step.lane),
                json!(step.due_at),
                json!(step.headers),
            ]);
        }
        let sql = "UPDATE messages SET lane = new.lane, due_at = new.due_at, headers = new.headers \
                   FROM {rows} AS new WHERE messages.seq = new.seq";
        self.execute(sql, binds![rows]).await?;
        Ok(())
    }
}

fn stored(row: &Row) -> Result<StoredMessage, StoreError> {
    Ok(StoredMessage {
        seq: row.int("seq")?,
        headers: row.text("headers")?,
        body: row.text("body")?,
    })
}

fn numbers(seqs: impl IntoIterator<Item = i64>) -> Batch {
    let mut rows = Batch::new(&[("key", Kind::Int)]);
    for seq in seqs {
        rows.row([json!(seq)]);
    }
    rows
}
