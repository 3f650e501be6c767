//! What the settings name on this machine and beside the store: folders, files, a repository.

use std::fs;
use std::io;
use std::path::Path;

use secrecy::ExposeSecret;

use crate::composer::location::{Location, Repository};
use crate::composer::upstream::Upstream;
use crate::config::{Config, Database};
use crate::data_dir;
use crate::queue::rabbitmq::check_authorities;

/// A setting, and what is wrong with what it names.
pub(super) type Misplaced = (&'static str, String);

/// Checks folders and files. Makes nothing that stays.
pub(super) fn check(config: &Config) -> Vec<Misplaced> {
    let mut found = Vec::new();
    if let Some(Location::Folder(folder)) = &config.registry.repository
        && !folder.is_dir()
    {
        let text = format!("`{}` is no folder", folder.display());
        found.push(("TOLLGATE_REPOSITORY", text));
    }
    if let Database::Sqlite(_) = &config.store.database {
        let folder = &config.store.data_dir;
        if let Err(error) = try_folder(folder) {
            let text = format!("`{}` cannot be written: {error}", folder.display());
            found.push(("TOLLGATE_DATA_DIR", text));
        }
    }
    // Without TLS nobody reads it, which is a warning of its own.
    let url = config.queue.amqp_url.as_ref();
    if url.is_some_and(|url| url.expose_secret().starts_with("amqps:"))
        && let Some(path) = &config.queue.amqp_ca_file
        && let Err(error) = check_authorities(path)
    {
        let text = format!("`{}` cannot be used: {error}", path.display());
        found.push(("AMQP_CA_FILE", text));
    }
    found
}

/// Tries to make a file in a folder, or in the one in which it would be made.
fn try_folder(folder: &Path) -> io::Result<()> {
    let folder = std::path::absolute(folder)?;
    let mut there = folder.as_path();
    // Below a file there is no folder, nor can one be made.
    while !fs::exists(there).or_else(no_folder)?
        && let Some(parent) = there.parent()
    {
        there = parent;
    }
    data_dir::try_write(there)
}

fn no_folder(error: io::Error) -> io::Result<bool> {
    match error.kind() {
        io::ErrorKind::NotADirectory => Ok(false),
        _ => Err(error),
    }
}

/// Reads the repository once.
pub(super) async fn read_repository(config: &Config) -> Option<Result<(), Misplaced>> {
    let location = config.registry.repository.clone()?;
    let repository = Repository {
        location,
        token: config.registry.token.clone(),
    };
    let checked = Upstream::default().check(&repository).await;
    Some(checked.map_err(|error| ("TOLLGATE_REPOSITORY", crate::causes::chain(&error))))
}
