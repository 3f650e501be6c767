//! `tollgate backup`: copies the embedded store while a server uses it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::error::CliError;
use super::stop::StopSignals;
use crate::config::{Database, Loaded};
use crate::output;
use crate::server::{find_store, key_file};
use crate::store;

#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    /// The new file. It must not be there yet.
    file: PathBuf,
}

pub(super) async fn run(args: &BackupArgs, loaded: &Loaded) -> Result<ExitCode, CliError> {
    let config = &loaded.config;
    let Database::Sqlite(path) = &config.store.database else {
        return Err(CliError::Usage {
            what: "the store is on a PostgreSQL server".to_owned(),
            right: "use its own tools: `pg_dump --format=custom --file=tollgate.dump \
                    \"$DATABASE_URL\"`, or continuous archiving; keep TOLLGATE_SECRET_KEY with it"
                .to_owned(),
        });
    };
    if args.file.as_os_str() == "-" {
        return Err(CliError::Usage {
            what: "a backup is written to a file, not to standard output".to_owned(),
            right: "give the name of a new file".to_owned(),
        });
    }
    // Tells of a store that is not there, or of another version.
    let found = find_store(config).await?;
    output::note(&format!("the store is {}", found.place()));
    found.close().await;
    let mut stop = StopSignals::listen()?;
    let bytes = tokio::select! {
        copied = store::backup(path, &args.file) => copied?,
        // What was written so far is removed: it holds what the store holds.
        signal = stop.next() => {
            output::note(&format!("{signal}: there is no backup"));
            return Ok(ExitCode::FAILURE);
        }
    };
    let file = args.file.display();
    output::line(&format!("{file}: {bytes} bytes"));
    let key = if config.store.secret_keys.is_empty() {
        key_file(config).display().to_string()
    } else {
        "TOLLGATE_SECRET_KEY".to_owned()
    };
    output::line(&format!(
        "keep {key} too, in another place: without it the webhook secrets in the backup cannot be \
         decrypted"
    ));
    Ok(ExitCode::SUCCESS)
}
