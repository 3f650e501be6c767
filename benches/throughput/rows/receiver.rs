//! The receiver: webhooks posted over some connections.

use super::{BOTH, database, purge, queue, rounds, settings, window};
use crate::program::Program;
use crate::table::Table;
use crate::{Side, event, load};

pub(crate) async fn measure(table: &mut Table) {
    let database = database().await;
    let _queues = [queue(Side::Ours).await, queue(Side::Bare).await];
    let mut programs = BOTH.map(|side| Program::start(side, &["receiver"], &database));
    let connections = match settings().connections[..] {
        [] => &[1, 16, 64, 256],
        ref connections => connections,
    };
    for &connections in connections {
        let mut figures = [(); 4].map(|()| [Vec::new(), Vec::new()]);
        for round in 0..=rounds() {
            for (index, side) in BOTH.into_iter().enumerate() {
                programs[index].until_listening().await;
                let before = programs[index].processor_micros();
                let window = post(&programs[index], connections).await;
                let processor = programs[index].processor_micros() - before;
                purge(side).await;
                programs[index].assert_running();
                // The first round warms up.
                if round > 0 {
                    figures[0][index].push(window.rate());
                    figures[1][index].push(window.millis(0.5));
                    figures[2][index].push(window.millis(0.99));
                    figures[3][index].push(processor / window.count());
                }
            }
        }
        let units = ["webhooks/s", "p50 ms", "p99 ms", "µs of processor each"];
        for (unit, [ours, bare]) in units.into_iter().zip(figures) {
            table.add(
                format!("receiver, {connections} connections"),
                unit,
                ours,
                bare,
            );
        }
    }
    let [ours, bare] = programs.each_ref().map(|it| vec![it.memory("VmHWM")]);
    table.add("receiver, memory at the most", "MiB", ours, bare);
}

/// Posts signed webhooks to a receiver for a window of time.
pub(crate) async fn post(program: &Program, connections: usize) -> load::Window {
    load::send(program.address, connections, window(), |_| event::posted()).await
}
