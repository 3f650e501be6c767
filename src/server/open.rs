//! Opens what the settings name: the store, the vault and the broker.

use std::path::PathBuf;

use super::error::StartError;
use crate::config::{Config, Database, SecretKey};
use crate::data_dir;
use crate::store::Store;
use crate::vault::{Vault, VaultError};

/// Opens the store of the settings, with a schema of this version. The embedded store is migrated
/// whenever it is opened; a PostgreSQL server may serve processes of an older version, so there the
/// operator decides when.
///
/// # Errors
/// See [`StartError`].
pub async fn open_store(config: &Config) -> Result<Store, StartError> {
    match &config.store.database {
        Database::Sqlite(_) => open_migrated(config).await,
        Database::Postgres(url) => {
            let store = Store::open_postgres(url)?;
            store.check_schema().await?;
            Ok(store)
        }
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
            Store::open_sqlite(path).await?
        }
        Database::Postgres(url) => Store::open_postgres(url)?,
    };
    store.migrate().await?;
    Ok(store)
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
