//! What listens while a process waits for its database.
//!
//! A process that is alive and not ready is left alone by its orchestrator, and a provider that gets
//! 503 sends its webhook again; one that does not listen is restarted, and looks like a wrong address.

use std::iter;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::error::StartError;
use super::listening;
use crate::config::Config;
use crate::http::{self, Limits};
use crate::store::Trouble;

/// Answers 503 on the addresses of the settings until it is stopped.
pub struct Waiting {
    trouble: watch::Sender<Trouble>,
    shutdown: CancellationToken,
    tasks: TaskTracker,
}

impl Waiting {
    /// Begins to listen, and says what it waits for.
    ///
    /// # Errors
    /// When an address cannot be listened on.
    pub async fn start(config: &Config, trouble: Trouble) -> Result<Self, StartError> {
        let waiting = Self {
            trouble: watch::Sender::new(trouble),
            shutdown: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let main = listening::main(config).await?;
        for listener in iter::once(main).chain(listening::ops(config).await?) {
            waiting.tasks.spawn(http::serve(
                listener,
                http::waiting_router(waiting.trouble.subscribe()),
                Limits::default(),
                config.http.trusted_proxies.clone(),
                waiting.shutdown.clone(),
            ));
        }
        Ok(waiting)
    }

    /// Says from now on that this is what it waits for.
    pub fn tell(&self, trouble: Trouble) {
        self.trouble.send_replace(trouble);
    }

    /// Stops listening, so that a server can take the addresses.
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}
