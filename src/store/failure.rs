//! Failed events in groups, for whoever asks what is wrong.

use std::collections::{BTreeMap, BTreeSet};

use super::record::{binds, keys, record};
use super::{EventFilter, StoreError, Tx};
use crate::domain::event::EventOutcome;
use crate::domain::id::{AppSlug, CustomerId, Provider};
use crate::domain::time::Timestamp;

/// Most groups that are told apart: more than there are codes and types.
const MOST: u32 = 1_000;

/// Failed events of one type with one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureGroup {
    /// The code of the reason.
    pub error_code: String,
    /// The sender.
    pub provider: Provider,
    /// The provider's event type.
    pub event_type: String,
    /// Their number.
    pub count: u64,
    /// When the first of them was received.
    pub oldest: Timestamp,
    /// When the last of them was received.
    pub newest: Timestamp,
    /// The provider's id of the last one.
    pub sample: String,
    /// What is wrong with that one, for people.
    pub sample_detail: Option<String>,
}

record! {
    impl FailureGroup from "events" {
        error_code, provider, event_type, count, oldest, newest, sample, sample_detail,
    }
}

record! {
    struct FailedRow from "events" {
        customer_id: CustomerId,
        error_code: String,
    }
}

impl Tx {
    /// Finds the codes with which events of the accounts of some customers failed.
    pub(crate) async fn event_failures_of(
        &mut self,
        app: &AppSlug,
        customers: impl IntoIterator<Item = &CustomerId> + Send,
    ) -> Result<BTreeMap<CustomerId, BTreeSet<String>>, StoreError> {
        // `|| ''` makes an expression of a column, which SQLite asks for before it looks into an
        // index of expressions.
        let sql = r"
            SELECT DISTINCT wanted.key AS customer_id, failed.error_code
            FROM {rows} AS wanted
            CROSS JOIN customers AS holders
            CROSS JOIN accounts AS linked
            CROSS JOIN events AS failed
            WHERE holders.app = $2
                AND COALESCE(holders.merged_into, holders.id) = wanted.key || ''
                AND linked.app = $2
                AND linked.customer_id = holders.id
                AND failed.app = $2
                AND failed.billing_account = linked.key
                AND failed.outcome = 'failed'
                AND failed.error_code IS NOT NULL
        ";
        let rows: Vec<FailedRow> = self.fetch(sql, binds![keys(customers), app]).await?;
        let mut found: BTreeMap<CustomerId, BTreeSet<String>> = BTreeMap::new();
        for row in rows {
            found
                .entry(row.customer_id)
                .or_default()
                .insert(row.error_code);
        }
        Ok(found)
    }

    /// Groups events by error and type, the largest group first: failed ones, if the filter names no
    /// other outcome.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn event_failures(
        &mut self,
        app: &AppSlug,
        wanted: &EventFilter,
    ) -> Result<Vec<FailureGroup>, StoreError> {
        let wanted = EventFilter {
            outcome: wanted.outcome.or(Some(EventOutcome::Failed)),
            ..wanted.clone()
        };
        let mut filter = self.event_filter(app, &wanted).await?;
        let most = filter.place(MOST);
        let (conditions, binds) = filter.into_parts();
        let sql = format!(
            r"
            SELECT
                COALESCE(last.error_code, '') AS error_code, last.provider,
                last.type AS event_type, found.n AS count, found.oldest, found.newest,
                last.id AS sample, last.error_detail AS sample_detail
            FROM (
                SELECT
                    COUNT(*) AS n, MIN(received_at) AS oldest, MAX(received_at) AS newest,
                    MAX(seq) AS seq
                FROM events
                WHERE {conditions}
                GROUP BY error_code, provider, type
                ORDER BY n DESC, seq DESC
                LIMIT {most}
            ) AS found
            JOIN events AS last ON last.seq = found.seq
            ORDER BY found.n DESC, found.seq DESC
            "
        );
        self.fetch(&sql, binds).await
    }
}
