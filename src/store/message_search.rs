//! Messages at rest that name an account, found by looking through all of them in parts of a known
//! size.

use super::cell::Document;
use super::customer::part;
use super::message::AT_ONCE;
use super::record::{Rows, binds, record};
use super::{StoreError, StoredMessage, Tx};
use crate::domain::id::AppSlug;

record! {
    struct FoundRow from "messages" {
        seq: i64,
        headers: Document,
        body: String,
    }
}

record! {
    struct NamedRow {
        pattern: String,
    }
}

/// The part of the queue that is looked through next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    /// The place behind which it begins.
    pub(crate) after: i64,
    /// The most messages.
    pub(crate) most: u32,
    /// The bytes of bodies from which no more follow; the first message comes whatever its size.
    pub(crate) most_bytes: i64,
}

/// Patterns of the bodies that name any of these ids.
fn patterns<'a>(ids: impl IntoIterator<Item = &'a str>) -> Rows<NamedRow> {
    let rows = ids.into_iter().map(|id| NamedRow {
        pattern: part(&format!("\"{id}\"")),
    });
    rows.collect()
}

impl Tx {
    /// Makes the next messages that name any of these ids due at once. Returns the last message
    /// that was looked at, `None` at the end, and how many name one.
    pub(crate) async fn message_hasten<'a>(
        &mut self,
        app: &AppSlug,
        ids: impl IntoIterator<Item = &'a str> + Send,
        part: Part,
    ) -> Result<(Option<i64>, u64), StoreError> {
        let Some(last) = self.message_last(part).await? else {
            return Ok((None, 0));
        };
        let sql = r"
            UPDATE messages
            SET due_at = $5
            WHERE seq > $3 AND seq <= $4
                AND CAST(headers ->> 'app' AS TEXT) = $2
                AND EXISTS (
                    SELECT 1 FROM {rows} AS named WHERE body LIKE named.pattern ESCAPE '\'
                )
        ";
        let binds = binds![patterns(ids), app, part.after, last, AT_ONCE];
        let named = self.execute(sql, binds).await?;
        Ok((Some(last), named))
    }

    /// Reads the next messages that name any of these ids. Returns the last message that was looked
    /// at, too; `None` at the end.
    pub(crate) async fn message_naming<'a>(
        &mut self,
        app: &AppSlug,
        ids: impl IntoIterator<Item = &'a str> + Send,
        part: Part,
    ) -> Result<(Vec<StoredMessage>, Option<i64>), StoreError> {
        let Some(last) = self.message_last(part).await? else {
            return Ok((Vec::new(), None));
        };
        let sql = r"
            SELECT seq, headers, body
            FROM messages
            WHERE seq > $3 AND seq <= $4
                AND CAST(headers ->> 'app' AS TEXT) = $2
                AND EXISTS (
                    SELECT 1 FROM {rows} AS named WHERE body LIKE named.pattern ESCAPE '\'
                )
            ORDER BY seq
        ";
        let binds = binds![patterns(ids), app, part.after, last];
        let found: Vec<FoundRow> = self.fetch(sql, binds).await?;
        let found = found.into_iter().map(|row| StoredMessage {
            seq: row.seq,
            headers: row.headers.0,
            body: row.body,
        });
        Ok((found.collect(), Some(last)))
    }

    /// Finds the last message of a part; `None` if nothing follows.
    async fn message_last(&mut self, part: Part) -> Result<Option<i64>, StoreError> {
        let sql = r"
            SELECT MAX(seq) AS last
            FROM (
                SELECT seq, SUM(bytes) OVER (ORDER BY seq) - bytes AS before
                FROM (
                    SELECT seq, OCTET_LENGTH(body) AS bytes
                    FROM messages
                    WHERE seq > $1
                    ORDER BY seq
                    LIMIT $2
                ) AS next
            ) AS sized
            WHERE before < $3
        ";
        let binds = binds![part.after, part.most, part.most_bytes];
        let last: Option<Option<i64>> = self.fetch_value("messages", sql, binds).await?;
        Ok(last.flatten())
    }
}
