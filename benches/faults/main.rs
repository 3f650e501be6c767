//! Faults under load: receiver, workers and API as processes of their own, on a RabbitMQ and a
//! PostgreSQL of their own, or all in one process on the embedded store. Signed events come at a
//! steady rate and in a shuffled order, each posted again until it gets 200, as a provider would,
//! while something is killed, paused, cut off, filled up or set wrong. Then the store is asked
//! what became of every event that got 200, and whether every customer is as its events say.
//!
//! ```text
//! cargo bench --bench faults                        every fault, more than an hour
//! cargo bench --bench faults -- 'kill receiver'     one, or all whose names contain the words
//! cargo bench --bench faults -- --list              their names
//! cargo bench --bench faults -- --pairs 7           eight pairs at once, drawn by the seed 7
//! ```
//!
//! `EVENTS` (3,000) and `RATE` (100 a second) are how much is sent at each fault; more, if the
//! fault takes longer. `SEED` (1) is that of the order. Small disks need root, and clocks need
//! Debian's package faketime; without them these faults are named as not run.
//!
//! Each row says how many events were sent, acknowledged, and acknowledged at the first try; how
//! many acknowledged ones are lost (no outcome), doubled (an effect twice) or failed; how many
//! customers are in a wrong state, of those whose events all have an outcome; and the seconds from
//! the end of the fault until new webhooks were acknowledged at the first try and none waited
//! longer than a second for its outcome. Below stands for how long `/readyz` of each process said
//! ready until then, and for how long the role did its work.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a rig that ends at the first surprise and prints what it saw"
)]

mod report;
mod rig;
#[expect(
    dead_code,
    unused_macros,
    unused_imports,
    reason = "the tests use the rest"
)]
#[path = "../../tests/it/support/mod.rs"]
mod support;

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::time::Duration;

use futures::FutureExt;

use rig::fault::Fault;
use rig::load::Plan;
use rig::table;

/// Pairs of one run.
const PAIRS: usize = 8;

/// A number of the environment.
fn number<T: std::str::FromStr>(name: &str, default: T) -> T {
    let Ok(text) = std::env::var(name) else {
        return default;
    };
    let number = text.parse().ok();
    number.unwrap_or_else(|| panic!("{name} is no number: {text}"))
}

/// The faults that the arguments name; all without any.
fn chosen(arguments: &[String]) -> Result<Vec<Fault>, String> {
    if let Some(at) = arguments.iter().position(|it| it == "--pairs") {
        let seed = arguments.get(at + 1).and_then(|it| it.parse().ok());
        let seed = seed.ok_or("--pairs needs a seed, a number")?;
        return Ok(table::pairs(seed, PAIRS));
    }
    let all = table::all();
    if arguments.is_empty() {
        return Ok(all);
    }
    let mut chosen = Vec::new();
    for name in arguments {
        let exact: Vec<_> = all.iter().filter(|it| it.name == *name).collect();
        let found = if exact.is_empty() {
            all.iter().filter(|it| it.name.contains(name)).collect()
        } else {
            exact
        };
        if found.is_empty() {
            return Err(format!("no fault is named `{name}`: see --list"));
        }
        chosen.extend(found.into_iter().cloned());
    }
    Ok(chosen)
}

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    // Cargo adds it.
    arguments.retain(|it| it != "--bench");
    if arguments.iter().any(|it| it == "--list") {
        for fault in table::all() {
            println!("{}", fault.name);
        }
        return ExitCode::SUCCESS;
    }
    let faults = match chosen(&arguments) {
        Ok(faults) => faults,
        Err(problem) => {
            println!("{problem}");
            return ExitCode::FAILURE;
        }
    };
    let plan = Plan {
        events: number("EVENTS", 3_000),
        rate: number("RATE", 100),
        seed: number("SEED", 1),
        calm: Duration::from_secs(4),
        patience: Duration::from_mins(1),
    };
    let _ = rustls::crypto::ring::default_provider().install_default();
    println!(
        "{} faults, {} events a second each\n",
        faults.len(),
        plan.rate
    );
    report::head();
    let (mut wrong, mut not_run) = (Vec::new(), Vec::new());
    for fault in &faults {
        if let Some(reason) = rig::cannot_run(fault) {
            println!("{:<60} not run: {reason}", fault.name);
            not_run.push(fault.name.as_str());
            continue;
        }
        // One that the rig itself does not get through must not keep the others from running.
        let run = AssertUnwindSafe(rig::run(fault, plan)).catch_unwind();
        let Ok(row) = run.await else {
            println!("{:<60} THE RIG FAILED", fault.name);
            wrong.push(fault.name.as_str());
            continue;
        };
        report::row(fault, &row);
        if !row.is_right(fault) {
            wrong.push(fault.name.as_str());
        }
    }
    let right = faults.len() - wrong.len() - not_run.len();
    println!(
        "\n{right} right, {} not right, {} not run",
        wrong.len(),
        not_run.len()
    );
    for name in &wrong {
        println!("  not right: {name}");
    }
    for name in &not_run {
        println!("  not run: {name}");
    }
    if wrong.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
