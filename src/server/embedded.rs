//! A whole server in a temporary folder, for commands that show or try something by themselves.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};

use crate::cli::{CliError, load};
use crate::clock::Clock;
use crate::config::Source;
use crate::http::Roles;
use crate::random;
use crate::server::Server;

/// A running server; its folder goes with it.
pub(crate) struct Embedded {
    server: Server,
    folder: Folder,
    owner: SecretString,
}

impl Embedded {
    /// Starts all roles on a free port, by the given clock. `settings` come on top of those that
    /// keep it apart from everything else of the machine.
    pub(crate) async fn start(
        name: &str,
        settings: &[(&str, String)],
        clock: Arc<dyn Clock>,
    ) -> Result<Self, CliError> {
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
        let config = load(&source)?.config;
        let server = Server::start_at(&config, Roles::ALL, clock).await?;
        Ok(Self {
            server,
            folder,
            owner: owner.into(),
        })
    }

    /// Where it listens.
    pub(crate) fn base(&self) -> String {
        format!("http://{}", self.server.address())
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder.0
    }

    pub(crate) fn owner_token(&self) -> &str {
        self.owner.expose_secret()
    }

    /// Stops the server and removes the folder.
    pub(crate) async fn stop(self) {
        self.server.stop().await;
    }
}

/// Gone when its owner is, however that ended.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // A server that failed to start may have made none.
        if let Err(error) = std::fs::remove_dir_all(&self.0)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "the temporary folder could not be removed");
        }
    }
}
