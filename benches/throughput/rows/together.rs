//! From the post of a webhook to its committed rows: a receiver and a worker, first under as much load
//! as there can be, then under some.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sqlx::{Connection, PgConnection};

use super::receiver::post;
use super::{BOTH, database, purge, queue, rounds, settings, window};
use crate::program::Program;
use crate::table::Table;
use crate::{Side, event, load};

const CONNECTIONS: usize = 64;
/// Events a second where latencies are measured, and the connections that they come over.
const PACE: (usize, usize) = (500, 10);

pub(crate) async fn measure(table: &mut Table) {
    let mut rates = [Vec::new(), Vec::new()];
    let mut delays = [Vec::new(), Vec::new()];
    for _ in 0..rounds() {
        for (index, side) in BOTH.into_iter().enumerate() {
            let database = database().await;
            let _queue = queue(side).await;
            purge(side).await;
            let mut receiver = Program::start(side, &["receiver"], &database);
            let mut worker = Program::start_for_new(side, &["worker"], &database);
            receiver.until_listening().await;
            if matches!(side, Side::Ours) {
                worker.until_ready().await;
                pace(&receiver, &database).await;
                let [p50, p99] = delays_of(&database).await;
                delays[0].push(p50);
                delays[1].push(p99);
            }
            let before = committed(&database).await;
            post(&receiver, CONNECTIONS).await;
            let done = committed(&database).await - before;
            rates[index].push(done / window().as_secs_f64());
            receiver.assert_running();
            worker.assert_running();
            drop((receiver, worker));
            purge(side).await;
        }
    }
    let [ours, bare] = rates;
    table.add("post to committed, 64 connections", "events/s", ours, bare);
    let [p50, p99] = delays;
    table.add("received to processed at 500/s", "p50 ms", p50, Vec::new());
    table.add("received to processed at 500/s", "p99 ms", p99, Vec::new());
}

/// Posts at an even pace, whatever the answers take.
async fn pace(receiver: &Program, database: &SecretString) {
    let (rate, connections) = PACE;
    let time = if settings().short {
        Duration::from_secs(2)
    } else {
        Duration::from_secs(10)
    };
    let between =
        Duration::from_secs(1) * u32::try_from(connections).unwrap() / u32::try_from(rate).unwrap();
    load::send_paced(receiver.address, connections, time, between, |_| {
        event::posted()
    })
    .await;
    // Until the last ones are committed.
    let mut before = -1.0;
    loop {
        let now = committed(database).await;
        if now <= before {
            return;
        }
        before = now;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn committed(database: &SecretString) -> f64 {
    let mut connection = PgConnection::connect(database.expose_secret())
        .await
        .unwrap();
    let sql = "SELECT count(*)::float8 FROM events";
    sqlx::query_scalar(sql)
        .fetch_one(&mut connection)
        .await
        .unwrap()
}

/// The delays that half of the events, and 99 of 100, did not exceed, in milliseconds. The first
/// second warms up.
async fn delays_of(database: &SecretString) -> [f64; 2] {
    let mut connection = PgConnection::connect(database.expose_secret())
        .await
        .unwrap();
    let sql = "SELECT percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP \
               (ORDER BY extract(epoch FROM processed_at - received_at)::float8 * 1000) \
               FROM events WHERE received_at > (SELECT min(received_at) FROM events) + interval '1 s'";
    let found: Vec<f64> = sqlx::query_scalar(sql)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    [found[0], found[1]]
}
