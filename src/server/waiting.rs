//! What listens while a process waits for its database.
//!
//! A process that is alive and not ready is left alone by its orchestrator, and a provider that gets
//! 503 sends its webhook again; one that does not listen is restarted, and looks like a wrong address.

use std::iter;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::error::StartError;
use super::listening;
use crate::config::Config;
use crate::http::{self, Limits};

/// Answers 503 on the addresses of the settings until it is stopped.
pub struct Waiting {
    shutdown: CancellationToken,
    tasks: TaskTracker,
}

impl Waiting {
    /// Begins to listen.
    ///
    /// # Errors
    /// When an address cannot be listened on.
    pub async fn start(config: &Config) -> Result<Self, StartError> {
        let waiting = Self {
            shutdown: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let main = listening::main(config).await?;
        for listener in iter::once(main).chain(listening::ops(config).await?) {
            waiting.tasks.spawn(http::serve(
                listener,
                http::waiting_router(),
                Limits::default(),
                config.http.trusted_proxies.clone(),
                waiting.shutdown.clone(),
            ));
        }
        Ok(waiting)
    }

    /// Stops listening, so that a server can take the addresses.
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}
