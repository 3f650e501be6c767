//! What is measured, and what the measurements have in common.

pub(crate) mod access;
pub(crate) mod changes;
pub(crate) mod embedded;
pub(crate) mod far;
pub(crate) mod footprint;
pub(crate) mod receiver;
pub(crate) mod together;
pub(crate) mod worker;

use std::sync::LazyLock;
use std::time::Duration;

use lapin::options::QueuePurgeOptions;
use secrecy::{ExposeSecret, SecretString};
use sqlx::{Connection, PgConnection};
use tollgate::queue::rabbitmq::RabbitQueue;

use crate::support::{postgres, rabbitmq};
use crate::{Side, bare};

pub(crate) const BOTH: [Side; 2] = [Side::Ours, Side::Bare];

/// Both, and the build that `BEFORE` names, if it names one.
pub(crate) fn sides() -> Vec<Side> {
    let before = std::env::var_os("BEFORE").map(|_| Side::Before);
    BOTH.into_iter().chain(before).collect()
}

/// How much is measured.
pub(crate) struct Settings {
    /// True for a run that only shows that everything still runs.
    pub(crate) short: bool,
    /// Parts that are measured; empty: all.
    pub(crate) only: Vec<String>,
    /// How often each program is measured.
    rounds: Option<usize>,
    /// How many connections post to receivers; empty: 1, 16, 64 and 256 in turns.
    pub(crate) connections: Vec<usize>,
    /// The customers of a backlog, each of whom has four events.
    customers: Option<usize>,
}

pub(crate) fn settings() -> &'static Settings {
    static SETTINGS: LazyLock<Settings> = LazyLock::new(|| {
        let list = |name| {
            let list = std::env::var(name).unwrap_or_default();
            list.split_terminator(',')
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let numbers = |name| list(name).into_iter().map(|it| it.parse().unwrap());
        Settings {
            short: std::env::var_os("SHORT").is_some(),
            only: list("ONLY"),
            rounds: numbers("ROUNDS").next(),
            connections: numbers("CONNECTIONS").collect(),
            customers: numbers("CUSTOMERS").next(),
        }
    });
    &SETTINGS
}

pub(crate) fn rounds() -> usize {
    let by_itself = if settings().short { 1 } else { 3 };
    settings().rounds.unwrap_or(by_itself)
}

/// The customers that the events of a backlog are about.
pub(crate) fn customers() -> usize {
    // Messages are published some hundred at once, so their order is not quite that of their numbers. With few
    // customers two events of one could be in one batch of the bare worker, whose statements cannot write a
    // row twice.
    let by_itself = if settings().short { 2_000 } else { 5_000 };
    settings().customers.unwrap_or(by_itself)
}

/// How long load is sent.
pub(crate) fn window() -> Duration {
    Duration::from_secs(if settings().short { 1 } else { 4 })
}

/// A database with our schema and app. That it is durable is looked up, since all figures rest on it.
pub(crate) async fn database() -> SecretString {
    let url = postgres::database().await;
    let mut connection = PgConnection::connect(url.expose_secret()).await.unwrap();
    let sql = "SELECT current_setting('fsync') || current_setting('full_page_writes') \
               || current_setting('synchronous_commit')";
    let settings: String = sqlx::query_scalar(sql)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(settings, "ononon");
    let sql = "INSERT INTO apps (slug, name, policy, settings, created_at) \
               VALUES ('default', 'default', '{}', '{}', now())";
    sqlx::query(sql).execute(&mut connection).await.unwrap();
    url
}

/// Removes a database that was measured: the server would tidy it up while others are.
pub(crate) async fn remove(database: &SecretString) {
    let (_, name) = database.expose_secret().rsplit_once('/').unwrap();
    let sql = format!("DROP DATABASE {name} WITH (FORCE)");
    postgres::SHARED.run(&sql).await;
}

/// Declares a side's exchanges and queues.
pub(crate) async fn queue(side: Side) -> RabbitQueue {
    let settings = rabbitmq::shared().settings(side.prefix());
    RabbitQueue::start(&settings).await.unwrap()
}

/// Empties a side's queue: what no worker takes would slow the next window down.
pub(crate) async fn purge(side: Side) {
    let (_connection, channel) = bare::channel(&rabbitmq::shared().url()).await;
    let queue = format!("{}.work.2", side.prefix());
    channel
        .queue_purge(queue.into(), QueuePurgeOptions::default())
        .await
        .unwrap();
}
