//! Opens what the settings name: the store, the vault and the broker.

use std::path::{Path, PathBuf};

use super::error::StartError;
use crate::config::{Config, Database, SecretKey};
use crate::data_dir;
use crate::store::Store;
use crate::vault::{Vault, VaultError};

/// Opens the store of the settings, with a schema of this version. The embedded store is made if it is
/// missing, and migrated; a PostgreSQL server may serve processes of an older version, so there the
/// operator decides when.
///
/// # Errors
/// See [`StartError`].
pub async fn open_store(config: &Config) -> Result<Store, StartError> {
    match &config.store.database {
        Database::Sqlite(_) => open_migrated(config).await,
        Database::Postgres(url) => checked(of_settings(Store::open_postgres(url)?, config)).await,
    }
}

/// Opens the store of the settings if there is one: a command that only reads, run in the wrong
/// folder, must not make an empty store there and say that nothing is in it.
///
/// # Errors
/// [`StartError::NoStore`], [`StartError::StoreHidden`], and see [`StartError`].
pub async fn find_store(config: &Config) -> Result<Store, StartError> {
    let store = match &config.store.database {
        Database::Sqlite(path) => {
            let absolute = || std::path::absolute(path).unwrap_or_else(|_| path.clone());
            match path.try_exists() {
                Ok(true) => opened(path, config).await?,
                Ok(false) => return Err(StartError::NoStore(absolute())),
                // The folder is private to its owner: to anybody else it looks empty.
                Err(source) => {
                    let path = absolute();
                    return Err(StartError::StoreHidden { path, source });
                }
            }
        }
        Database::Postgres(url) => Store::open_postgres(url)?,
    };
    checked(of_settings(store, config)).await
}

/// Opens the embedded store, and names it if it cannot be opened.
async fn opened(path: &Path, config: &Config) -> Result<Store, StartError> {
    let opened = Store::open_sqlite(path).await;
    opened.map_err(|source| StartError::StoreAt {
        place: config.store.database.to_string(),
        source,
    })
}

/// A broker is told of every change, also of those that a command makes, unless the settings say otherwise.
fn of_settings(store: Store, config: &Config) -> Store {
    store.announcing(config.hooks.publish && config.queue.amqp_url.is_some())
}

async fn checked(store: Store) -> Result<Store, StartError> {
    match store.check_schema().await {
        Ok(()) => Ok(store),
        Err(source) => Err(StartError::of_store(&store, source)),
    }
}

/// Opens the store of the settings and migrates its schema.
///
/// # Errors
/// See [`StartError`].
pub async fn open_migrated(config: &Config) -> Result<Store, StartError> {
    let store = match &config.store.database {
        Database::Sqlite(path) => {
            if let Some(folder) = path
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty())
            {
                data_dir::make(folder)?;
            }
            opened(path, config).await?
        }
        Database::Postgres(url) => Store::open_postgres(url)?,
    };
    let store = of_settings(store, config);
    match store.migrate().await {
        Ok(()) => Ok(store),
        Err(source) => Err(StartError::of_store(&store, source)),
    }
}

/// Opens the vault with the key of the settings, or of the data folder, where it is made if it is
/// missing.
///
/// # Errors
/// See [`VaultError`].
pub fn open_vault(config: &Config) -> Result<Vault, VaultError> {
    match vault_of_settings(config) {
        Some(vault) => Ok(vault),
        None => Vault::load_or_make(&key_file(config)),
    }
}

/// Opens the vault like [`open_vault`]; `None` if no key is set, and the data folder has none.
///
/// # Errors
/// See [`VaultError`].
pub fn find_vault(config: &Config) -> Result<Option<Vault>, VaultError> {
    match vault_of_settings(config) {
        Some(vault) => Ok(Some(vault)),
        None => Vault::load(&key_file(config)),
    }
}

fn vault_of_settings(config: &Config) -> Option<Vault> {
    let (first, old) = config.store.secret_keys.split_first()?;
    let old = old.iter().map(SecretKey::expose);
    Some(Vault::with_old_keys(first.expose(), old))
}

/// The file that holds the keys if none is set.
pub fn key_file(config: &Config) -> PathBuf {
    config.store.data_dir.join("secret.key")
}
