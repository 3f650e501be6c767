//! What the program takes before it does anything: its size, and the time until it is ready.

use std::time::Instant;

use super::{database, rounds};
use crate::Side;
use crate::program::{self, Program};
use crate::support::rabbitmq;
use crate::table::Table;

pub(crate) async fn measure(table: &mut Table) {
    let database = database().await;
    // Started here, so that no program waits for the broker.
    rabbitmq::shared();
    for roles in [
        &["receiver"][..],
        &["worker"],
        &["api"],
        &["receiver", "worker", "api"],
    ] {
        let mut times = Vec::new();
        let mut memory = Vec::new();
        for _ in 0..rounds() {
            let began = Instant::now();
            let mut program = Program::start(Side::Ours, roles, &database);
            program.until_ready().await;
            times.push(began.elapsed().as_secs_f64() * 1_000.0);
            memory.push(program.memory("VmRSS"));
        }
        let name = roles.join(", ");
        table.add(format!("start to ready: {name}"), "ms", times, Vec::new());
        table.add(
            format!("memory when ready: {name}"),
            "MiB",
            memory,
            Vec::new(),
        );
    }
    for (name, size) in program::sizes() {
        table.add(
            format!("size of the binary, {name}"),
            "MiB",
            vec![size],
            Vec::new(),
        );
    }
}
