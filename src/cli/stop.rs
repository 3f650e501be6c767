//! Signals to stop: SIGTERM from a service manager, SIGINT from a terminal, SIGHUP from one that is closed.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::error::CliError;

/// Listens from its creation on, so that no signal is missed.
pub(super) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl StopSignals {
    pub(super) fn listen() -> Result<Self, CliError> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).map_err(CliError::io("wait for SIGTERM"))?,
            interrupt: signal(SignalKind::interrupt()).map_err(CliError::io("wait for SIGINT"))?,
            hang_up: signal(SignalKind::hangup()).map_err(CliError::io("wait for SIGHUP"))?,
        })
    }

    /// Waits for a signal and returns its name.
    pub(super) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.hang_up.recv() => "SIGHUP",
        }
    }
}
