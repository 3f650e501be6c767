//! The worker: a backlog, drained by one process or by two.

use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use secrecy::{ExposeSecret, SecretString};
use sqlx::{Connection, PgConnection};
use tollgate::queue::Publisher;

use super::{BOTH, customers, database, queue, rounds};
use crate::program::{self, Program};
use crate::support::postgres;
use crate::table::Table;
use crate::{Side, drained, event};

/// How long a backlog may take.
const PATIENCE: Duration = Duration::from_mins(5);

/// Messages of one draining, and the customers that they are about.
fn backlog() -> (usize, usize) {
    let customers = customers();
    (4 * customers, customers)
}

pub(crate) async fn measure(table: &mut Table) {
    let mut sides = BOTH.to_vec();
    sides.extend(std::env::var_os("BEFORE").map(|_| Side::Before));
    let mut memory = Vec::new();
    let mut written = [Vec::new(), Vec::new()];
    for (count, what) in [(1, "worker, backlog"), (2, "two workers, backlog")] {
        let mut rates = vec![Vec::new(); sides.len()];
        for _ in 0..rounds() {
            for (rates, &side) in rates.iter_mut().zip(&sides) {
                let drained = drain_once(side, count).await;
                rates.push(drained.rate);
                match side {
                    Side::Ours if count == 1 => {
                        memory.push(drained.memory);
                        written[0].push(drained.written);
                    }
                    Side::Bare if count == 1 => written[1].push(drained.written),
                    Side::Ours | Side::Bare | Side::Before => {}
                }
            }
        }
        let mut rates = rates.into_iter();
        let (ours, bare) = (rates.next().unwrap(), rates.next().unwrap());
        table.add(what, "events/s", ours, bare);
        if let Some(before) = rates.next() {
            table.add(
                format!("{what}, the build before"),
                "events/s",
                before,
                Vec::new(),
            );
        }
    }
    table.add("worker, memory at the most", "MiB", memory, Vec::new());
    let [ours, bare] = written;
    table.add("worker, written for an event", "KiB", ours, bare);
}

/// What one draining of the backlog showed.
struct Drained {
    /// Events a second.
    rate: f64,
    /// What the first worker took of memory at the most, in MiB.
    memory: f64,
    /// What the tables and their indexes grew by for an event, in KiB: the sides write as much.
    written: f64,
}

async fn drain_once(side: Side, workers: usize) -> Drained {
    let database = match side {
        Side::Ours | Side::Bare => database().await,
        // It has a schema of its own, and makes its app by itself. Its queue may have another
        // name, so it declares that before there is anything to put into it.
        Side::Before => {
            let empty = postgres::empty_database().await;
            program::migrate(side, &empty);
            Program::start(side, &["worker"], &empty)
                .until_ready()
                .await;
            empty
        }
    };
    fill(side).await;
    let mut programs: Vec<Program> = (0..workers)
        .map(|_| Program::start(side, &["worker"], &database))
        .collect();
    let rate = drain(&mut programs, &database).await;
    Drained {
        rate,
        memory: programs[0].memory("VmHWM"),
        written: written(&database).await,
    }
}

/// The size of all tables for one event of the backlog, in KiB. What was published and removed again
/// counts as long as the server likes, so it does not count here.
async fn written(database: &SecretString) -> f64 {
    let mut connection = PgConnection::connect(database.expose_secret())
        .await
        .unwrap();
    let sql = "SELECT sum(pg_total_relation_size(relid))::float8 / 1024 / (SELECT count(*) FROM events) \
               FROM pg_stat_user_tables WHERE relname <> 'changes'";
    let written = sqlx::query_scalar(sql).fetch_one(&mut connection).await;
    written.unwrap()
}

/// Puts a backlog into a side's queue.
pub(super) async fn fill(side: Side) {
    let (events, customers) = backlog();
    let queue = queue(side).await;
    let published = stream::iter(0..events)
        .map(|number| queue.publish(event::message_of(number, customers)))
        .buffer_unordered(200);
    published.try_collect::<()>().await.unwrap();
}

/// Waits until the backlog is in the ledger; events a second.
pub(super) async fn drain(programs: &mut [Program], database: &SecretString) -> f64 {
    let mut connection = PgConnection::connect(database.expose_secret())
        .await
        .unwrap();
    let started = Instant::now();
    let all = i64::try_from(backlog().0).unwrap();
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let seen = drained::newest(&mut connection).await;
        if seen >= all {
            break;
        }
        programs.iter_mut().for_each(Program::assert_running);
        let late = started.elapsed() > PATIENCE;
        let words: Vec<String> = programs.iter().map(Program::last_words).collect();
        assert!(!late, "{seen} of {all} events; {}", words.join("\n"));
    }
    drained::rate_behind(&mut connection, 0).await
}
