//! The worker: a backlog, drained by one process or by two.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use secrecy::{ExposeSecret, SecretString};
use sqlx::{Connection, PgConnection};
use tollgate::queue::Publisher;

use super::{BOTH, customers, database, queue, remove, rounds, sides};
use crate::program::{self, Program};
use crate::support::postgres;
use crate::table::Table;
use crate::{Side, drained, event};

/// How long a backlog may take.
const PATIENCE: Duration = Duration::from_mins(5);

/// The numbers of workers that drain.
const WORKERS: [(usize, &str); 2] = [(1, "worker"), (2, "two workers")];

/// Messages of one draining, and the customers that they are about.
fn backlog() -> (usize, usize) {
    let customers = customers();
    (4 * customers, customers)
}

pub(crate) async fn measure(table: &mut Table) {
    let drained = in_turns(&sides(), SecretString::clone).await;
    drained.show(table, "backlog");
    for (count, what) in WORKERS {
        let before = drained.all(Side::Before, count, |it| it.rate);
        if !before.is_empty() {
            let what = format!("{what}, backlog, the build before");
            table.add(what, "events/s", before, Vec::new());
        }
    }
    let memory = drained.all(Side::Ours, 1, |it| it.memory);
    table.add("worker, memory at the most", "MiB", memory, Vec::new());
    let [ours, bare] = BOTH.map(|side| drained.all(side, 1, |it| it.written));
    table.add("worker, written for an event", "KiB", ours, bare);
}

/// Has the backlog drained by one worker and by two of each side, round by round. `seen` is the address
/// by which workers reach a database.
pub(super) async fn in_turns(
    sides: &[Side],
    seen: impl Fn(&SecretString) -> SecretString,
) -> Drainings {
    let mut drainings = Drainings::default();
    for round in 0..rounds() {
        // What comes later in a round finds another machine, so they take turns.
        let turns = WORKERS
            .iter()
            .flat_map(|(count, _)| sides.iter().map(move |side| (*count, *side)));
        let mut turns: Vec<(usize, Side)> = turns.collect();
        let places = turns.len();
        turns.rotate_left(round % places);
        for (count, side) in turns {
            let drained = drain_once(side, count, &seen).await;
            drainings.0.entry((side, count)).or_default().push(drained);
        }
    }
    drainings
}

/// The drainings by so many workers of a side, round by round.
#[derive(Default)]
pub(super) struct Drainings(BTreeMap<(Side, usize), Vec<Drained>>);

impl Drainings {
    fn all(&self, side: Side, workers: usize, figure: impl Fn(&Drained) -> f64) -> Vec<f64> {
        let rounds = self.0.get(&(side, workers)).into_iter().flatten();
        rounds.map(figure).collect()
    }

    /// Adds the rates, and what two workers have of that of one, round by round.
    pub(super) fn show(&self, table: &mut Table, of: &str) {
        for (count, what) in WORKERS {
            let [ours, bare] = BOTH.map(|side| self.all(side, count, |it| it.rate));
            table.add(format!("{what}, {of}"), "events/s", ours, bare);
            let [ours, bare] = BOTH.map(|side| self.all(side, count, |it| it.processor));
            let unit = "µs of processor each, of all";
            table.add(format!("{what}, {of}"), unit, ours, bare);
        }
        let [ours, bare] = BOTH.map(|side| {
            let [one, two] = WORKERS.map(|(count, _)| self.all(side, count, |it| it.rate));
            one.iter().zip(two).map(|(one, two)| two / one).collect()
        });
        table.add(format!("two beside one, {of}"), "times", ours, bare);
    }
}

/// What one draining of the backlog showed.
pub(super) struct Drained {
    /// Events a second.
    rate: f64,
    /// What database, broker and workers took of the processors for an event, in microseconds.
    processor: f64,
    /// What the first worker took of memory at the most, in MiB.
    memory: f64,
    /// What the tables and their indexes grew by for an event, in KiB: the sides write as much.
    written: f64,
}

async fn drain_once(
    side: Side,
    workers: usize,
    seen: impl Fn(&SecretString) -> SecretString,
) -> Drained {
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
    let address = seen(&database);
    let before = program::machine_micros();
    let mut programs: Vec<Program> = (0..workers)
        .map(|_| Program::start(side, &["worker"], &address))
        .collect();
    let rate = drain(&mut programs, &database).await;
    let events = f64::from(u32::try_from(backlog().0).unwrap());
    let drained = Drained {
        rate,
        processor: (program::machine_micros() - before) / events,
        memory: programs[0].memory("VmHWM"),
        written: written(&database).await,
    };
    drop(programs);
    remove(&database).await;
    drained
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
async fn fill(side: Side) {
    let (events, customers) = backlog();
    let queue = queue(side).await;
    let published = stream::iter(0..events)
        .map(|number| queue.publish(event::message_of(number, customers)))
        .buffer_unordered(200);
    published.try_collect::<()>().await.unwrap();
}

/// Waits until the backlog is in the ledger; events a second.
async fn drain(programs: &mut [Program], database: &SecretString) -> f64 {
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
        if started.elapsed() > PATIENCE {
            let words: Vec<String> = programs.iter().map(Program::last_words).collect();
            panic!("{seen} of {all} events; {}", words.join("\n"));
        }
    }
    drained::rate_behind(&mut connection, 0).await
}
