//! The built-in queue's rows. The queue decides which lanes there are and what stands in the
//! headers.

use std::collections::BTreeMap;
use std::time::Duration;

use super::cell::Document;
use super::record::{Binds, Rows, binds, keys, record};
use super::{StoreError, Tx};
use crate::domain::time::Timestamp;

/// The due time of what is due whatever the clock says: before any time that it may show. A message
/// that came while the clock was ahead must not rest until that time comes again.
pub(crate) const AT_ONCE: Timestamp = Timestamp::from_nanos(0);

/// How long messages of a lane may rest. One that is due later than that was given its time by a
/// clock that was ahead and has been set back; it is due now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rest {
    /// The present time.
    pub(crate) now: Timestamp,
    /// The longest time for which a message is ever meant to rest.
    pub(crate) longest: Duration,
}

impl Rest {
    fn latest(self) -> Timestamp {
        self.now.plus(self.longest)
    }
}

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

/// The next place of a message that is not done.
#[derive(Debug)]
pub struct MessageMove {
    /// Its place in the queue.
    pub seq: i64,
    /// The lane that it goes to.
    pub lane: &'static str,
    /// Time at which it is due there; `None` for at once.
    pub due_at: Option<Timestamp>,
    /// Its headers from now on.
    pub headers: String,
}

record! {
    struct MessageRow from "messages" {
        seq: i64,
        headers: Document,
        body: String,
    }
}

impl From<MessageRow> for StoredMessage {
    fn from(row: MessageRow) -> Self {
        Self {
            seq: row.seq,
            headers: row.headers.0,
            body: row.body,
        }
    }
}

record! {
    struct NewRow {
        headers: Document,
        body: String,
    }
}

record! {
    struct MoveRow {
        seq: i64,
        lane: &'static str,
        due_at: Timestamp,
        headers: Document,
    }
}

record! {
    struct LatestRow {
        tries: i64,
        latest: Timestamp,
    }
}

record! {
    struct RestingRow from "messages" {
        tries: u32,
        n: u64,
    }
}

impl Tx {
    /// Adds messages to a lane, due at once.
    pub(crate) async fn message_add(
        &mut self,
        lane: &str,
        messages: Vec<NewMessage>,
    ) -> Result<(), StoreError> {
        let rows = messages.into_iter().map(|message| NewRow {
            headers: Document(message.headers),
            body: message.body,
        });
        let rows: Rows<NewRow> = rows.collect();
        let sql = r"
            INSERT INTO messages (lane, due_at, headers, body)
            SELECT $2, $3, headers, body
            FROM {rows} AS new
        ";
        self.execute(sql, binds![rows, lane, AT_ONCE]).await?;
        Ok(())
    }

    /// Reads the oldest due messages of a lane, without those that are being worked on. No more
    /// follow once their bodies together have `most_bytes`; the first comes whatever its size.
    pub(crate) async fn message_due(
        &mut self,
        lane: &str,
        rest: Rest,
        in_hand: impl IntoIterator<Item = i64> + Send,
        (most, most_bytes): (usize, usize),
    ) -> Result<Vec<StoredMessage>, StoreError> {
        let [most, most_bytes] =
            [most, most_bytes].map(|bound| i64::try_from(bound).unwrap_or(i64::MAX));
        // Sizes first: an engine tells them without reading the bodies.
        let sql = r"
            SELECT messages.seq, headers, body
            FROM messages
            JOIN (
                SELECT seq, due_at, SUM(size) OVER (ORDER BY due_at, seq) - size AS bytes_before
                FROM (
                    SELECT seq, due_at, OCTET_LENGTH(body) AS size
                    FROM messages
                    WHERE lane = $1
                        AND (due_at <= $2 OR due_at > $6)
                        AND seq NOT IN (SELECT key FROM {rows} AS held)
                    ORDER BY due_at, seq
                    LIMIT $4
                ) AS due
            ) AS chosen ON chosen.seq = messages.seq
            WHERE chosen.bytes_before < $5
            ORDER BY chosen.due_at, chosen.seq
        ";
        let held = keys(in_hand).sent_when_empty();
        let binds = binds![lane, rest.now, held, most, most_bytes, rest.latest()];
        self.fetch_messages(sql, binds).await
    }

    /// Takes the oldest due messages of a lane for a while: they are due again at `until`, unless
    /// they are settled before. One statement, so that of several takers each gets its own.
    pub(crate) async fn message_lease(
        &mut self,
        lane: &str,
        rest: Rest,
        until: Timestamp,
        most: usize,
    ) -> Result<Vec<StoredMessage>, StoreError> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        // `due_at` is asked for twice: an engine with several writers asks the outer question
        // again after it has waited for another taker. There the inner one should also end in
        // FOR UPDATE SKIP LOCKED, so that takers need not wait for each other.
        let sql = r"
            UPDATE messages
            SET due_at = $3
            WHERE (due_at <= $2 OR due_at > $5)
                AND seq IN (
                    SELECT seq FROM messages
                    WHERE lane = $1 AND (due_at <= $2 OR due_at > $5)
                    ORDER BY due_at, seq
                    LIMIT $4
                )
            RETURNING seq, headers, body
        ";
        let binds = binds![lane, rest.now, until, most, rest.latest()];
        self.fetch_messages(sql, binds).await
    }

    async fn fetch_messages(
        &mut self,
        sql: &str,
        binds: Binds,
    ) -> Result<Vec<StoredMessage>, StoreError> {
        let rows: Vec<MessageRow> = self.fetch(sql, binds).await?;
        Ok(rows.into_iter().map(StoredMessage::from).collect())
    }

    /// Makes due at once what rests longer than it was meant to: `longest` says for how long at
    /// most, by the number of tries so far.
    pub(crate) async fn message_recall(
        &mut self,
        lane: &str,
        now: Timestamp,
        longest: impl IntoIterator<Item = (u32, Duration)> + Send,
    ) -> Result<u64, StoreError> {
        let rows = longest.into_iter().map(|(tries, delay)| LatestRow {
            tries: tries.into(),
            latest: now.plus(delay),
        });
        let rows: Rows<LatestRow> = rows.collect();
        let sql = r"
            UPDATE messages
            SET due_at = $3
            FROM {rows} AS rest
            WHERE messages.lane = $2
                AND messages.due_at > rest.latest
                AND CAST(messages.headers ->> 'attempt' AS BIGINT) = rest.tries
        ";
        self.execute(sql, binds![rows, lane, AT_ONCE]).await
    }

    /// Returns the due time of the next message of a lane that nobody is working on.
    pub(crate) async fn message_next_due(
        &mut self,
        lane: &str,
        in_hand: impl IntoIterator<Item = i64> + Send,
    ) -> Result<Option<Timestamp>, StoreError> {
        let sql = r"
            SELECT MIN(due_at) AS due_at
            FROM messages
            WHERE lane = $1 AND seq NOT IN (SELECT key FROM {rows} AS held)
        ";
        let held = keys(in_hand).sent_when_empty();
        let next: Option<Option<Timestamp>> = self
            .fetch_value("messages", sql, binds![lane, held])
            .await?;
        Ok(next.flatten())
    }

    /// Returns the headers of the message that came first into a lane, whenever it is due.
    pub(crate) async fn message_first(&mut self, lane: &str) -> Result<Option<String>, StoreError> {
        let sql = "SELECT headers FROM messages WHERE lane = $1 ORDER BY seq LIMIT 1";
        let first: Option<Document> = self.fetch_value("messages", sql, binds![lane]).await?;
        Ok(first.map(|it| it.0))
    }

    /// Tells whether any message of a lane is due.
    pub(crate) async fn message_is_due(
        &mut self,
        lane: &str,
        rest: Rest,
    ) -> Result<bool, StoreError> {
        let sql = r"
            SELECT seq
            FROM messages
            WHERE lane = $1 AND (due_at <= $2 OR due_at > $3)
            LIMIT 1
        ";
        let binds = binds![lane, rest.now, rest.latest()];
        let due: Option<i64> = self.fetch_value("messages", sql, binds).await?;
        Ok(due.is_some())
    }

    /// Counts the messages of a lane, whenever they are due.
    pub(crate) async fn message_count(&mut self, lane: &str) -> Result<u64, StoreError> {
        let sql = r"
            SELECT COUNT(*) AS n
            FROM messages
            WHERE lane = $1
        ";
        let count: Option<u64> = self.fetch_value("messages", sql, binds![lane]).await?;
        Ok(count.unwrap_or_default())
    }

    /// Counts the messages of a lane that are not due yet, by the number of their tries so far.
    pub(crate) async fn message_resting(
        &mut self,
        lane: &str,
        rest: Rest,
    ) -> Result<BTreeMap<u32, u64>, StoreError> {
        let sql = r"
            SELECT CAST(headers ->> 'attempt' AS BIGINT) AS tries, COUNT(*) AS n
            FROM messages
            WHERE lane = $1 AND due_at > $2 AND due_at <= $3
            GROUP BY 1
        ";
        let binds = binds![lane, rest.now, rest.latest()];
        let rows: Vec<RestingRow> = self.fetch(sql, binds).await?;
        Ok(rows.into_iter().map(|row| (row.tries, row.n)).collect())
    }

    /// Forgets the messages that are done and moves the others.
    pub(crate) async fn message_settle(
        &mut self,
        done: impl IntoIterator<Item = i64> + Send,
        moves: &[MessageMove],
    ) -> Result<(), StoreError> {
        let sql = r"
            DELETE FROM messages
            WHERE seq IN (SELECT key FROM {rows} AS done)
        ";
        self.execute(sql, binds![keys(done)]).await?;
        let rows = moves.iter().map(|step| MoveRow {
            seq: step.seq,
            lane: step.lane,
            due_at: step.due_at.unwrap_or(AT_ONCE),
            headers: Document(step.headers.clone()),
        });
        let rows: Rows<MoveRow> = rows.collect();
        let sql = r"
            UPDATE messages
            SET lane = new.lane, due_at = new.due_at, headers = new.headers
            FROM {rows} AS new
            WHERE messages.seq = new.seq
        ";
        self.execute(sql, binds![rows]).await?;
        Ok(())
    }
}
