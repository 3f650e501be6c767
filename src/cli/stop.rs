//! Orders to stop: SIGTERM of a service manager, SIGINT of a terminal.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::CliError;

/// Listens from its making on, so that no order is missed.
pub(crate) struct StopOrders {
    terminate: Signal,
    interrupt: Signal,
}

impl StopOrders {
    pub(crate) fn listen() -> Result<Self, CliError> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).map_err(CliError::io("wait for SIGTERM"))?,
            interrupt: signal(SignalKind::interrupt()).map_err(CliError::io("wait for SIGINT"))?,
        })
    }

    /// Waits for an order; the signal's name.
    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
