//! How fast Tollgate is, beside programs that do the same input and output and nothing else:
//! `cargo bench --bench throughput`. `ONLY=receiver,access` measures parts, `CONNECTIONS=16,64` some of the
//! receiver's, `ROUNDS=9` more often than three times, `CUSTOMERS=20000` a longer backlog, `SHORT=1` only shows
//! that everything still runs, `JSON=file` says where the figures go.
//! `BEFORE=target/release/tollgate-before` measures the receiver and the worker of another build, too.
//!
//! Only ratios measured in the same minute count: broker, database, load and what is measured
//! share one machine, and machines are noisy. So ours and the bare program take turns, and the
//! table shows medians, how far the rounds lie apart, and what ours has of the bare one's figure.
//! Nothing is asserted but that everything works. RabbitMQ and PostgreSQL are throwaway ones, both
//! with everything forced to the disk.
//!
//! criterion was refused: it times functions of one process, and this is several processes.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what a measurement did not expect ends it, and its table goes to the terminal"
)]

mod bare;
mod customers;
mod drained;
mod event;
mod load;
mod program;
mod rows;
#[expect(
    dead_code,
    clippy::expect_used,
    reason = "the tests use more of it, and may expect"
)]
#[path = "../../tests/it/support"]
mod support {
    pub(crate) mod postgres;
    pub(crate) mod rabbitmq;
}
mod table;

use rows::{access, changes, embedded, far, footprint, receiver, settings, together, worker};
use support::postgres;
use table::Table;

/// Whose programs are measured. Each has exchanges and queues of its own, declared alike.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Ours,
    Bare,
    /// The program that `BEFORE` names.
    Before,
}

impl Side {
    fn prefix(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Bare => "bare",
            Self::Before => "before",
        }
    }
}

#[tokio::main]
async fn main() {
    if bare::was_asked_for().await {
        return;
    }
    // What reqwest asks for, although nothing here is encrypted.
    rustls::crypto::ring::default_provider()
        .install_default()
        .unwrap();
    // The tests' server spares the disk and keeps no statistics; here their cost and use count.
    for setting in ["fsync", "full_page_writes", "autovacuum"] {
        let sql = format!("ALTER SYSTEM SET {setting} = on");
        postgres::SHARED.run(&sql).await;
    }
    postgres::SHARED.run("SELECT pg_reload_conf()").await;
    let is_wanted = |part: &str| {
        let only = &settings().only;
        only.is_empty() || only.iter().any(|it| it == part)
    };
    let mut table = Table::default();
    if is_wanted("receiver") {
        receiver::measure(&mut table).await;
    }
    if is_wanted("worker") {
        worker::measure(&mut table).await;
    }
    if is_wanted("far") {
        far::measure(&mut table).await;
    }
    if is_wanted("together") {
        together::measure(&mut table).await;
    }
    if is_wanted("changes") {
        changes::measure(&mut table).await;
    }
    if is_wanted("embedded") {
        embedded::measure(&mut table).await;
    }
    if is_wanted("footprint") {
        footprint::measure(&mut table).await;
    }
    if is_wanted("access") {
        access::measure(&mut table).await;
    }
    if let Some(path) = std::env::var_os("JSON") {
        table.write(path.as_ref());
    }
}
