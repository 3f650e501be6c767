//! A complete server in a temporary folder, for commands that demonstrate or test something.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};

use super::{Server, StartError};
use crate::clock::Clock;
use crate::config::{Config, ConfigErrors, Source};
use crate::http::Roles;
use crate::random::{self, RandomError};

/// An embedded server did not start.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// No owner token could be made.
    #[error("no secret can be made")]
    Random(#[from] RandomError),
    /// The caller's settings are wrong.
    #[error("the settings are not right:\n{0}")]
    Config(Box<ConfigErrors>),
    /// The server did not start.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// A running server with a temporary folder, which is removed when this value is dropped.
pub(crate) struct Embedded {
    server: Server,
    folder: Folder,
    owner: SecretString,
}

impl Embedded {
    /// Starts all roles on a free port, with the given clock. `settings` are added to those that
    /// isolate it from everything else on the machine.
    pub(crate) async fn start(
        name: &str,
        settings: &[(&str, String)],
        clock: Arc<dyn Clock>,
    ) -> Result<Self, EmbeddedError> {
        let name = format!("tollgate-{name}-{}", hex::encode(random::bytes::<6>()?));
        let folder = Folder(std::env::temp_dir().join(name));
        let owner = format!("tga_{}", URL_SAFE_NO_PAD.encode(random::bytes::<32>()?));
        let own = [
            ("TOLLGATE_LISTEN", "127.0.0.1:0".to_owned()),
            ("TOLLGATE_DATA_DIR", folder.0.display().to_string()),
            ("ADMIN_TOKEN", owner.clone()),
        ];
        let environment = own
            .iter()
            .chain(settings)
            .map(|(name, value)| (OsString::from(name), value.into()))
            .collect();
        let source = Source {
            environment,
            file: None,
        };
        let loaded =
            Config::load(&source).map_err(|errors| EmbeddedError::Config(Box::new(errors)))?;
        // Boxed, as in `Server::start`.
        let server = Box::pin(Server::start_at(&loaded.config, Roles::ALL, clock)).await?;
        Ok(Self {
            server,
            folder,
            owner: owner.into(),
        })
    }

    /// The base URL on which it listens.
    pub(crate) fn base(&self) -> String {
        format!("http://{}", self.server.address())
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder.0
    }

    pub(crate) fn owner_token(&self) -> &str {
        self.owner.expose_secret()
    }

    /// The address that signs its first visitor in to the console as the owner.
    pub(crate) fn sign_in(&self) -> Result<String, RandomError> {
        let path = self.server.sign_in_path(self.owner_token())?;
        Ok(format!("{}{path}", self.base()))
    }

    /// Stops the server and removes the folder.
    pub(crate) async fn stop(self) {
        self.server.stop().await;
    }
}

/// Removes the folder when dropped, so that failures leave nothing behind either.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // A server that failed to start may not have made the folder.
        if let Err(error) = std::fs::remove_dir_all(&self.0)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "the temporary folder could not be removed");
        }
    }
}
