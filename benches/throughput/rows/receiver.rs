//! The receiver: webhooks posted over some connections.

use super::{database, purge, queue, rounds, settings, sides, window};
use crate::program::Program;
use crate::table::Table;
use crate::{event, load};

pub(crate) async fn measure(table: &mut Table) {
    let database = database().await;
    let sides = sides();
    for &side in &sides {
        // What it declares outlives its connection.
        drop(queue(side).await);
    }
    let mut programs: Vec<Program> = (sides.iter())
        .map(|&side| Program::start(side, &["receiver"], &database))
        .collect();
    let connections = match settings().connections[..] {
        [] => &[1, 16, 64, 256],
        ref connections => connections,
    };
    for &connections in connections {
        let mut figures = UNITS.map(|_| vec![Vec::new(); sides.len()]);
        for round in 0..=rounds() {
            // What comes later in a round finds another machine, so they take turns.
            for turn in 0..sides.len() {
                let index = (turn + round) % sides.len();
                let program = &mut programs[index];
                program.until_listening().await;
                let seen = look(program, connections).await;
                purge(sides[index]).await;
                program.assert_running();
                // The first round warms up.
                if round > 0 {
                    for (figures, figure) in figures.iter_mut().zip(seen) {
                        figures[index].push(figure);
                    }
                }
            }
        }
        let what = format!("receiver, {connections} connections");
        for (unit, figures) in UNITS.into_iter().zip(figures) {
            let mut figures = figures.into_iter();
            let [ours, bare] = [(); 2].map(|()| figures.next().unwrap());
            table.add(&what, unit, ours, bare.clone());
            if let Some(before) = figures.next() {
                table.add(format!("{what}, the build before"), unit, before, bare);
            }
        }
    }
    let [ours, bare] = [0, 1].map(|index| vec![programs[index].memory("VmHWM")]);
    table.add("receiver, memory at the most", "MiB", ours, bare);
}

/// What a window of posts shows, in these units.
const UNITS: [&str; 4] = ["webhooks/s", "p50 ms", "p99 ms", "µs of processor each"];

async fn look(program: &Program, connections: usize) -> [f64; 4] {
    let before = program.processor_micros();
    let window = post(program, connections).await;
    let processor = program.processor_micros() - before;
    [
        window.rate(),
        window.millis(0.5),
        window.millis(0.99),
        processor / window.count(),
    ]
}

/// Posts signed webhooks to a receiver for a window of time.
pub(crate) async fn post(program: &Program, connections: usize) -> load::Window {
    load::send(program.address, connections, window(), |_| event::posted()).await
}
