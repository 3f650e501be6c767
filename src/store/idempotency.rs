//! Requests that carry an `Idempotency-Key`: reserved before they do anything, marked by the
//! transactions that change something for them, and kept with their answer.
//!
//! A request changes things in transactions of its own, and the answer is only known after them.
//! If the process dies in between, a repetition must not change things a second time. So every
//! transaction that commits on behalf of a reserved request sets a mark in the reservation, in
//! the same commit: whether a request took effect and whether its row says so cannot differ.
//!
//! The reservation travels as a task-local, so that handlers and use cases need not know of keys:
//! [`on_behalf_of`] sets it around the request, [`Store::begin`](super::Store::begin) puts it into
//! each [`Tx`] that it begins meanwhile, and [`Tx::commit`] sets the mark. Work that the request
//! spawns as another task is not covered.
//!
//! The mark is a fence too. A request that holds a reservation for too long is taken for dead, and
//! another may take it over; should the first wake up again, its commit fails.

use std::time::Duration;

use super::record::{Rows, binds, keys, record};
pub use super::reservation::{Reservation, on_behalf_of};
use super::{StoreError, Tx};
use crate::domain::id::CustomerId;
use crate::domain::time::Timestamp;

/// How long a key and its answer are kept.
pub const KEPT: Duration = Duration::from_hours(24);

/// How long a request may take before another one with the same key may begin anew. Longer than
/// any request takes: the store's own limits end a statement long before.
const TAKEN_FOR_DEAD: Duration = Duration::from_mins(1);

/// The outcome of an attempt to reserve a request.
#[derive(Debug)]
pub enum Attempt {
    /// The request may run.
    Reserved(Reservation),
    /// It ran, and this is its answer, sealed.
    Answered(Vec<u8>),
    /// It is running.
    Running,
    /// It took effect, and its answer is not known.
    AnswerLost,
    /// The key was used for another request.
    OtherRequest,
}

record! {
    struct Reserved from "idempotency_keys" {
        fingerprint: String,
        held_until: Timestamp,
        took_effect: bool,
        answer: Option<Vec<u8>>,
    }
}

/// A kept answer, still sealed.
#[derive(Clone, Debug)]
pub struct SealedAnswer {
    /// Names the request.
    pub id: String,
    /// The answer, as the vault sealed it.
    pub sealed: Vec<u8>,
}

/// An answer that was sealed anew.
#[derive(Clone, Debug)]
pub struct ResealedAnswer {
    /// As it was.
    pub from: SealedAnswer,
    /// As it is to be.
    pub to: Vec<u8>,
}

record! {
    impl SealedAnswer from "idempotency_keys" {
        id, sealed
    }
}

record! {
    struct AnswerCount from "idempotency_keys" {
        key: Vec<u8>,
        count: i64,
    }
}

record! {
    struct NewAnswer<'a> {
        id: &'a str,
        was: Vec<u8>,
        becomes: Vec<u8>,
    }
}

impl Tx {
    /// Counts the kept answers by the id of the key that sealed them, which stands in each from
    /// its second byte on.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn idempotency_count_by_key(
        &mut self,
        now: Timestamp,
    ) -> Result<Vec<(Vec<u8>, i64)>, StoreError> {
        let sql = r"
            SELECT substr(answer, 2, 8) AS key, COUNT(*) AS count
            FROM idempotency_keys
            WHERE answer IS NOT NULL AND expires_at > $1
            GROUP BY substr(answer, 2, 8)
            ORDER BY 1
        ";
        let rows: Vec<AnswerCount> = self.fetch(sql, binds![now]).await?;
        Ok(rows.into_iter().map(|row| (row.key, row.count)).collect())
    }

    /// Lists some kept answers that another key than this one sealed, from an id on.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn idempotency_list_sealed_otherwise(
        &mut self,
        key: &[u8],
        after: &str,
        limit: i64,
        now: Timestamp,
    ) -> Result<Vec<SealedAnswer>, StoreError> {
        let sql = r"
            SELECT id, answer AS sealed
            FROM idempotency_keys
            WHERE id > $1
                AND answer IS NOT NULL
                AND expires_at > $2
                AND substr(answer, 2, 8) <> $3
            ORDER BY id
            LIMIT $4
        ";
        self.fetch(sql, binds![after, now, key.to_vec(), limit])
            .await
    }

    /// Puts newly sealed answers in the place of those that they were made from. Returns how many
    /// were still there.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn idempotency_reseal(
        &mut self,
        answers: &[ResealedAnswer],
    ) -> Result<u64, StoreError> {
        let rows = answers.iter().map(|answer| NewAnswer {
            id: &answer.from.id,
            was: answer.from.sealed.clone(),
            becomes: answer.to.clone(),
        });
        let rows: Rows<NewAnswer<'_>> = rows.collect();
        let sql = r"
            UPDATE idempotency_keys
            SET answer = new.becomes
            FROM {rows} AS new
            WHERE idempotency_keys.id = new.id AND idempotency_keys.answer = new.was
        ";
        self.execute(sql, binds![rows]).await
    }

    /// Reserves a request. `id` stands for the caller and the key, `fingerprint` for the content of
    /// the request, and `holder` for this very request.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn idempotency_reserve(
        &mut self,
        id: String,
        fingerprint: &str,
        holder: String,
        now: Timestamp,
    ) -> Result<Attempt, StoreError> {
        // One statement, so that of two requests at once one gets it. A row that has expired, or
        // that a dead holder left without any effect, is as good as absent.
        let sql = r"
            INSERT INTO idempotency_keys
                (id, fingerprint, holder, held_until, took_effect, expires_at)
            VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT (id) DO UPDATE SET
                fingerprint = excluded.fingerprint,
                holder = excluded.holder,
                held_until = excluded.held_until,
                took_effect = excluded.took_effect,
                answer = NULL,
                about = NULL,
                expires_at = excluded.expires_at
            WHERE idempotency_keys.expires_at <= $7
                OR (
                    idempotency_keys.held_until <= $7
                    AND idempotency_keys.answer IS NULL
                    AND NOT idempotency_keys.took_effect
                    AND idempotency_keys.fingerprint = excluded.fingerprint
                )
        ";
        let binds = binds![
            &id,
            fingerprint,
            &holder,
            now.plus(TAKEN_FOR_DEAD),
            false,
            now.plus(KEPT),
            now,
        ];
        if self.execute(sql, binds).await? > 0 {
            return Ok(Attempt::Reserved(Reservation { id, holder }));
        }
        let sql = r"
            SELECT fingerprint, held_until, took_effect, answer
            FROM idempotency_keys
            WHERE id = $1
        ";
        let found: Option<Reserved> = self.fetch_opt(sql, binds![id]).await?;
        let Some(row) = found else {
            // It was released between the two statements; the next try will get it.
            return Ok(Attempt::Running);
        };
        if row.fingerprint != fingerprint {
            return Ok(Attempt::OtherRequest);
        }
        Ok(match row.answer {
            Some(answer) => Attempt::Answered(answer),
            None if row.took_effect && row.held_until <= now => Attempt::AnswerLost,
            None => Attempt::Running,
        })
    }

    /// Keeps the answer of a reserved request, unless it tells of a customer who has been erased
    /// since. `about` names the customers that it tells of, parted by spaces.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn idempotency_answer(
        &mut self,
        reservation: &Reservation,
        sealed: Vec<u8>,
        about: &str,
    ) -> Result<(), StoreError> {
        let sql = r"
            UPDATE idempotency_keys
            SET answer = $4, about = $5
            WHERE id = $2
                AND holder = $3
                AND NOT EXISTS (
                    SELECT 1
                    FROM {rows} AS told
                    JOIN erasures ON erasures.customer_id = told.key
                )
        ";
        let told = keys(about.split_whitespace()).sent_when_empty();
        let (id, holder) = (&reservation.id, &reservation.holder);
        let binds = binds![told, id, holder, sealed, about];
        self.execute(sql, binds).await?;
        Ok(())
    }

    /// Removes the answers that tell of customers who are erased. That their requests took effect
    /// stays known.
    pub(crate) async fn idempotency_forget(
        &mut self,
        customers: &[CustomerId],
    ) -> Result<(), StoreError> {
        // The answers of one day, so no index is worth its room.
        let sql = r"
            UPDATE idempotency_keys
            SET answer = NULL, about = NULL, held_until = $2
            WHERE EXISTS (
                SELECT 1 FROM {rows} AS gone WHERE about LIKE '%' || gone.key || '%'
            )
        ";
        // They have ended: without an answer they would look like requests that still run.
        let long_ago = Timestamp::from_nanos(0);
        self.execute(sql, binds![keys(customers), long_ago]).await?;
        Ok(())
    }

    /// Gives back the key of a request that failed, unless it took effect all the same; then
    /// nobody knows its answer.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn idempotency_release(
        &mut self,
        reservation: &Reservation,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let ours = binds![&reservation.id, &reservation.holder];
        let sql = "DELETE FROM idempotency_keys WHERE id = $1 AND holder = $2 AND NOT took_effect";
        if self.execute(sql, ours).await? == 0 {
            let sql = "UPDATE idempotency_keys SET held_until = $3 WHERE id = $1 AND holder = $2";
            self.execute(sql, binds![&reservation.id, &reservation.holder, now])
                .await?;
        }
        Ok(())
    }

    /// Removes keys that have expired. Returns how many.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn idempotency_purge(&mut self, now: Timestamp) -> Result<u64, StoreError> {
        let sql = "DELETE FROM idempotency_keys WHERE expires_at <= $1";
        self.execute(sql, binds![now]).await
    }

    /// Notes that this transaction changes something on behalf of a reserved request.
    pub(super) async fn idempotency_mark(
        &mut self,
        reservation: &Reservation,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE idempotency_keys SET took_effect = $3 WHERE id = $1 AND holder = $2";
        match self
            .execute(sql, binds![&reservation.id, &reservation.holder, true])
            .await?
        {
            0 => Err(StoreError::Overtaken),
            _ => Ok(()),
        }
    }
}
