//! What the store says in the end, read behind the program's back.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};

use super::load::{self, EVENTS_EACH};

/// How long the store may take to answer before it counts as away.
const ANSWER: Duration = Duration::from_secs(1);

/// Where the rows are.
#[derive(Clone)]
pub(crate) enum Ledger {
    /// The URL of a database.
    Server(String),
    /// The embedded store.
    File(PathBuf),
}

/// What became of the acknowledged events.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// Acknowledged, and without an outcome.
    pub(crate) lost: usize,
    /// Messages that lie in the store's own queue or spool.
    pub(crate) resting: usize,
    /// Effects that are there twice.
    pub(crate) doubled: usize,
    /// Outcome `failed`.
    pub(crate) failed: usize,
    /// Customers all of whose events have an outcome.
    pub(crate) compared: usize,
    /// Those of them who are not as they must be.
    pub(crate) wrong: usize,
    /// An example of them.
    pub(crate) example: Option<String>,
}

impl Ledger {
    /// How many events have an outcome, unless the store is away.
    pub(crate) async fn processed(&self) -> Option<usize> {
        let sql = "SELECT CAST(count(*) AS TEXT) FROM events WHERE outcome <> 'pending'";
        let asked = tokio::time::timeout(ANSWER, self.texts(sql)).await;
        asked.ok()?.ok()?.first()?.parse().ok()
    }

    /// The texts that a query of one column finds.
    async fn texts(&self, sql: &'static str) -> Result<Vec<String>, sqlx::Error> {
        match self {
            Self::Server(url) => {
                let mut connection = PgConnection::connect(url).await?;
                let rows = sqlx::query_scalar(sql).fetch_all(&mut connection).await;
                connection.close().await?;
                rows
            }
            Self::File(path) => {
                let options = SqliteConnectOptions::new().filename(path);
                // It must not tidy up what the program has to tidy up itself.
                let mut connection = options.read_only(true).connect().await?;
                sqlx::query_scalar(sql).fetch_all(&mut connection).await
            }
        }
    }

    /// Holds what is there against what was acknowledged and what must have come of it.
    pub(crate) async fn check(&self, acknowledged: &HashSet<String>) -> Verdict {
        let texts = async |sql| self.texts(sql).await.unwrap();
        let rows = texts("SELECT id || ' ' || outcome FROM events").await;
        let outcomes: HashMap<&str, &str> =
            rows.iter().filter_map(|it| it.split_once(' ')).collect();
        let has_outcome = |id: &str| outcomes.get(id).is_some_and(|it| *it != "pending");
        let twice = texts(
            "SELECT CAST(count(*) AS TEXT) FROM (SELECT event FROM audit WHERE event IS NOT NULL \
             GROUP BY event, customer_id, operation, CAST(details AS TEXT) HAVING count(*) > 1) \
             AS twice",
        );
        let resting = texts("SELECT CAST(count(*) AS TEXT) FROM messages").await;
        let mut verdict = Verdict {
            resting: resting[0].parse().unwrap(),
            lost: acknowledged.iter().filter(|id| !has_outcome(id)).count(),
            doubled: twice.await[0].parse().unwrap(),
            failed: outcomes.values().filter(|it| **it == "failed").count(),
            ..Verdict::default()
        };
        let rows = texts(
            "SELECT COALESCE(external_id, '') || '=' || status || ' ' || COALESCE(email, '') \
             FROM customers WHERE merged_into IS NULL AND deleted_at IS NULL",
        )
        .await;
        let mut states: HashMap<&str, &str> = HashMap::new();
        for (account, state) in rows.iter().filter_map(|it| it.split_once('=')) {
            if states.insert(account, state).is_some() {
                verdict.doubled += 1;
            }
        }
        for n in whole_customers(acknowledged, has_outcome) {
            verdict.compared += 1;
            let found = states.get(format!("stripe_cus_{n}").as_str());
            let wanted = load::state(n);
            if found != Some(&wanted.as_str()) {
                verdict.wrong += 1;
                verdict.example = Some(format!("cus_{n} is {found:?}, not {wanted}"));
            }
        }
        verdict
    }
}

/// The customers all of whose events were acknowledged and have an outcome: one whose events are
/// lost is counted there.
fn whole_customers(
    acknowledged: &HashSet<String>,
    has_outcome: impl Fn(&str) -> bool,
) -> Vec<usize> {
    let first = |id: &String| id.strip_prefix("evt_")?.strip_suffix("_0")?.parse().ok();
    let mut customers: Vec<usize> = acknowledged.iter().filter_map(first).collect();
    customers.retain(|n| {
        (0..EVENTS_EACH).all(|step| {
            let id = load::event_id(*n, step);
            acknowledged.contains(&id) && has_outcome(&id)
        })
    });
    customers
}
