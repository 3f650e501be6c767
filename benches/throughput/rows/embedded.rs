//! The embedded store and queue, as `tollgate serve` has them without settings: from the post of a webhook
//! to its committed rows, in one process.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sqlx::{Connection, SqliteConnection};

use super::receiver::post;
use super::{BOTH, rounds, window};
use crate::Side;
use crate::program::{self, Program};
use crate::table::Table;

const CONNECTIONS: usize = 64;

pub(crate) async fn measure(table: &mut Table) {
    let mut sides = BOTH.to_vec();
    sides.extend(std::env::var_os("BEFORE").map(|_| Side::Before));
    let mut rates: Vec<Vec<f64>> = vec![Vec::new(); sides.len()];
    for _ in 0..rounds() {
        for (rates, side) in rates.iter_mut().zip(&sides) {
            rates.push(rate(*side).await);
        }
    }
    let what = "embedded, post to committed, 64 connections";
    let mut rates = rates.into_iter();
    if let (Some(ours), Some(bare)) = (rates.next(), rates.next()) {
        table.add(what, "events/s", ours, bare.clone());
        if let Some(before) = rates.next() {
            table.add(
                format!("{what}, the build before"),
                "events/s",
                before,
                bare,
            );
        }
    }
}

/// Events a second that are committed while there is load.
async fn rate(side: Side) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.db");
    let database = SecretString::from(format!("sqlite://{}", file.display()));
    // The bare program has our schema and app.
    let schema = if matches!(side, Side::Before) {
        side
    } else {
        Side::Ours
    };
    program::migrate(schema, &database);
    let mut connection = SqliteConnection::connect(database.expose_secret())
        .await
        .unwrap();
    let sql = "INSERT INTO apps (slug, name, policy, settings, created_at) \
               VALUES ('default', 'default', '{}', '{}', 0) ON CONFLICT DO NOTHING";
    sqlx::query(sql).execute(&mut connection).await.unwrap();
    let mut program = Program::embedded(side, &database);
    if !matches!(side, Side::Bare) {
        program.until_ready().await;
    }
    let before = committed(&mut connection).await;
    if matches!(side, Side::Bare) {
        // Until it has begun.
        while committed(&mut connection).await <= before {
            program.assert_running();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::time::sleep(window()).await;
    } else {
        post(&program, CONNECTIONS).await;
    }
    let done = committed(&mut connection).await - before;
    program.assert_running();
    done / window().as_secs_f64()
}

async fn committed(connection: &mut SqliteConnection) -> f64 {
    let sql = "SELECT CAST(coalesce(max(seq), 0) AS REAL) FROM events";
    sqlx::query_scalar(sql).fetch_one(connection).await.unwrap()
}
