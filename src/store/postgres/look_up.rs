//! Single statements that only read, outside of any transaction: the look-ups of the access check.
//!
//! They have connections of their own, for the sake of their plans. The others plan every statement
//! anew, because the best plan depends on the tables; that takes the server several times as long as
//! to find some rows by their keys. A look-up always goes from index to index, however large the
//! tables are, so its plan is kept for some seconds and every other way is switched off.
//!
//! A connection that has rested is not asked first whether it is still there. Where it is not, the
//! statement, which changes nothing, is asked once more on a new one.

use std::time::Duration;

use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnectOptions;
use tokio::time::timeout;

use super::error::failed;
use super::pool::{Lease, Pool, away};
use super::statement;
use crate::store::StoreError;
use crate::store::driver::{PoolUse, Row, Value};
use crate::store::error::Trouble;

/// Connections of one process, besides those for transactions: while the server works on one
/// statement, what it has answered before is read. More would only make the sets smaller that are
/// looked up at once.
const CONNECTIONS: u32 = 2;

/// The settings of their sessions. Besides the plan: it is made as if the other ways cost an
/// enormous time, and by that figure the server would compile it, which takes longer than to run it.
const SETTINGS: [(&str, &str); 8] = [
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("enable_material", "off"),
    ("jit", "off"),
    ("default_transaction_read_only", "on"),
];

/// How long a plan is kept. While a table fits into one page, the server takes each of its indexes for as
/// good as any other, and to walk one for as good as to look up a key; with that plan it would go on when an
/// import has filled the table, until autovacuum comes. Planned by the size that the table has now, the
/// statement looks up keys. It takes some milliseconds.
const PLAN_KEPT: Duration = Duration::from_secs(5);

/// The longest wait for an answer. A look-up takes the server some milliseconds; what takes longer
/// hangs on a link that is gone, and whoever asks can still be told within the time of a new try.
const ANSWER_TIME: Duration = Duration::from_millis(1_500);

/// The connections.
pub(super) struct LookUps {
    pool: Pool,
}

impl LookUps {
    /// Prepares to connect with these options.
    pub(super) fn new(options: &PgConnectOptions) -> Self {
        let options = options.clone().options(SETTINGS);
        Self {
            pool: Pool::new("look_ups", options, CONNECTIONS),
        }
    }

    /// Runs a statement, twice if a connection was found to be gone.
    pub(super) async fn ask(&self, sql: &str, binds: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        let lease = self.pool.take_unasked().await?;
        let is_new = lease.is_new();
        match answer(lease, sql, binds.clone()).await {
            Err(error) if !is_new && error.trouble() == Some(Trouble::Away) => {
                // What broke one of them, broke all.
                self.pool.forget_rested();
                answer(self.pool.take_unasked().await?, sql, binds).await
            }
            answered => answered,
        }
    }

    pub(super) fn usage(&self) -> PoolUse {
        self.pool.usage()
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}

/// Asks on one connection, which is kept if it works. Nor is it kept if the caller goes away in the
/// middle of an answer.
async fn answer(mut lease: Lease, sql: &str, binds: Vec<Value>) -> Result<Vec<Row>, StoreError> {
    let (sql, arguments) = statement::translate(sql, binds)?;
    let asked = async {
        lease.plan_anew(PLAN_KEPT).await.map_err(failed)?;
        let asked = sqlx::query_with(AssertSqlSafe(sql), arguments);
        asked.fetch_all(lease.connection()?).await.map_err(failed)
    };
    let answered = match timeout(ANSWER_TIME, asked).await {
        Ok(answered) => answered,
        Err(_elapsed) => Err(away("the server did not answer in time")),
    };
    match answered {
        Ok(rows) => {
            lease.give_back();
            Ok(rows.into_iter().map(Row::Postgres).collect())
        }
        Err(error) => {
            // The server has refused the statement, and the connection is as it was.
            if error.trouble().is_none() {
                lease.give_back();
            }
            Err(error)
        }
    }
}
