//! The access check: of customers who have not asked lately, and of one hundred who ask all the time.
//!
//! Held against a program that reads one row by its key, and one that computes an HMAC of the token
//! and reads nothing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use secrecy::SecretString;

use super::{BOTH, database, rounds, settings, window};
use crate::customers::{self, Kind};
use crate::program::Program;
use crate::table::Table;
use crate::{Side, load};

const CONNECTIONS: usize = 64;
/// More than one asks within a second, and than is kept.
const COLD: usize = 20_000;
const WARM: usize = 100;

pub(crate) async fn measure(table: &mut Table) {
    let postgres = database().await;
    measure_on(table, "PostgreSQL", &postgres).await;
    let folder = tempfile::tempdir().unwrap();
    let file = format!("sqlite://{}", folder.path().join("store.db").display());
    measure_on(table, "SQLite", &file.into()).await;
}

async fn measure_on(table: &mut Table, engine: &str, database: &SecretString) {
    let customers = if settings().short { 1_000 } else { COLD };
    // The settings' plans are a worker's to put in place: without them the prices buy nothing.
    let mut worker = Program::start(Side::Ours, &["worker"], database);
    worker.until_ready().await;
    drop(worker);
    let mut ours = Program::start(Side::Ours, &["api"], database);
    ours.until_ready().await;
    let kind = if engine == "SQLite" {
        Kind::Sqlite
    } else {
        Kind::Postgres
    };
    customers::make(database, kind, customers).await;
    let mut bare = Program::start(Side::Bare, &["access"], database);
    bare.until_listening().await;
    let programs = [&ours, &bare];
    for (what, path, among) in [
        ("access check, cold", "/access", customers),
        ("access check, asked again", "/echo", WARM),
    ] {
        let mut figures = [(); 3].map(|()| [Vec::new(), Vec::new()]);
        for round in 0..=rounds() {
            for (index, side) in BOTH.into_iter().enumerate() {
                let path = match side {
                    Side::Bare => path,
                    Side::Ours | Side::Before => "/access",
                };
                let seen = ask(programs[index].address, path, among).await;
                if round > 0 {
                    figures[0][index].push(seen.rate());
                    figures[1][index].push(seen.millis(0.5));
                    figures[2][index].push(seen.millis(0.99));
                }
            }
        }
        for (unit, [ours, bare]) in ["checks/s", "p50 ms", "p99 ms"].into_iter().zip(figures) {
            table.add(format!("{what}, {engine}"), unit, ours, bare);
        }
    }
    ours.assert_running();
    bare.assert_running();
}

/// Asks for some customers, one after the other.
async fn ask(address: SocketAddr, path: &'static str, among: usize) -> load::Window {
    let next = Arc::new(AtomicUsize::new(0));
    load::send(address, CONNECTIONS, window(), move |_| {
        let number = next.fetch_add(1, Ordering::Relaxed) % among;
        let token = customers::token(number);
        format!(
            "GET {path}?package=acme/tool&version=2.1.0 HTTP/1.1\r\nHost: localhost\r\n\
             Authorization: Bearer {token}\r\n\r\n"
        )
    })
    .await
}
