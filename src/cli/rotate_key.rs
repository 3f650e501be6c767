//! `tollgate rotate-key`: seals what old keys have sealed anew with the present one.
//!
//! If `TOLLGATE_SECRET_KEY` is set, it says which keys there are: the operator puts a new one before
//! the old one. Otherwise the keys are in the data folder's key file, and the command adds the new
//! one itself; running servers notice.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;

use super::error::CliError;
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Loaded};
use crate::data_dir::DataDirLock;
use crate::domain::id::AppSlug;
use crate::output;
use crate::pipeline::reseal::{self, Survey};
use crate::server::{StartError, find_store, find_vault, key_file};
use crate::vault::{self, KeyId, Vault};

/// If `TOLLGATE_SECRET_KEY` is set, put the new key before the old one first
/// (`TOLLGATE_SECRET_KEY=NEW,OLD`) and restart all processes. Otherwise the new key is made and put
/// into `secret.key` in the data folder, and running servers notice. May be interrupted and repeated.
#[derive(Debug, Args)]
pub(super) struct RotateKeyArgs {
    /// Changes nothing; only says what is still sealed with an old key.
    #[arg(long)]
    dry_run: bool,
    /// Also removes the old keys from `secret.key` in the data folder, if nothing is sealed with
    /// them any more.
    #[arg(long, conflicts_with = "dry_run")]
    remove_old: bool,
}

pub(super) async fn run(args: &RotateKeyArgs, loaded: &Loaded) -> Result<ExitCode, CliError> {
    let config = &loaded.config;
    let in_file = config.store.secret_keys.is_empty();
    let path = key_file(config);
    if args.remove_old && !in_file {
        return Err(CliError::Usage {
            what: "the keys are in TOLLGATE_SECRET_KEY".to_owned(),
            right: "remove the old one there, and restart".to_owned(),
        });
    }
    let store = find_store(config).await?;
    output::note(&format!("the store is {}", store.place()));
    let vault = find(config)?;
    // Two that make a key at once would each begin a rotation.
    let _alone = if in_file && !args.dry_run {
        Some(DataDirLock::take_for_rotation(&config.store.data_dir).map_err(StartError::from)?)
    } else {
        None
    };
    if in_file && !args.dry_run && !args.remove_old && vault.old_key_ids().is_empty() {
        let new = vault::add_key(&path).map_err(StartError::from)?;
        output::line(&format!("added the new key {new} to {}", path.display()));
    }
    // With the key that was added.
    let vault = find(config)?;
    say_keys(&vault);
    let now = SystemClock.now();
    if !args.dry_run && !vault.old_key_ids().is_empty() {
        let done = reseal::reseal(&store, &vault, now).await?;
        output::line(&format!(
            "sealed anew: {} webhook secrets, {} tokens of Composer repositories, {} answers to \
             requests with an Idempotency-Key, {} keys of licences, {} API keys, {} secrets of hooks",
            done.secrets,
            done.repositories,
            done.answers,
            done.licenses,
            done.api_keys,
            done.hook_secrets
        ));
    }
    let left = reseal::survey(&store, &vault, now).await?;
    store.close().await;
    say(&left);
    let known = left.unknown_secrets.is_empty()
        && left.unknown_repositories.is_empty()
        && left.unknown_api_keys == 0
        && left.unknown_hook_secrets == 0
        && left.unknown_licenses == 0;
    // With something that nothing explains, no key is called superfluous.
    if known && left.old_keys_in_use.is_empty() {
        finish(args, in_file.then_some(&*path), &vault)?;
    }
    let complete = known && (args.dry_run || left.old_keys_in_use.is_empty());
    Ok(if complete {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn find(config: &Config) -> Result<Vault, CliError> {
    let found = find_vault(config).map_err(StartError::from)?;
    found.ok_or_else(|| CliError::Usage {
        what: format!("there is no key file {}", key_file(config).display()),
        right: "run this where `serve` runs, with the same settings".to_owned(),
    })
}

fn say_keys(vault: &Vault) {
    let old = vault.old_key_ids();
    let old = match &old[..] {
        [] => "there is no old key".to_owned(),
        old => format!("old: {}", names(old)),
    };
    output::line(&format!("key {} seals; {old}", vault.key_id()));
}

/// Says what other keys than the present one have sealed.
fn say(left: &Survey) {
    if !left.old_secrets.is_empty() {
        output::line(&format!(
            "webhook secrets under an old key: {} ({})",
            left.old_secrets.len(),
            left.old_secrets_by_endpoint()
        ));
    }
    if !left.old_repositories.is_empty() {
        output::line(&format!(
            "tokens of Composer repositories under an old key: {} ({})",
            left.old_repositories.len(),
            slugs(&left.old_repositories)
        ));
    }
    if !left.unknown_repositories.is_empty() {
        output::line(&format!(
            "problem: the tokens of these apps' Composer repositories were sealed with a key that \
             is not set, or are damaged: {}; set that key, or set the tokens anew",
            slugs(&left.unknown_repositories)
        ));
    }
    if left.old_hook_secrets > 0 {
        output::line(&format!(
            "secrets of hooks under an old key: {}",
            left.old_hook_secrets
        ));
    }
    if left.unknown_hook_secrets > 0 {
        output::line(&format!(
            "problem: {} secrets of hooks were sealed with a key that is not set, or are damaged; \
             set that key, or rotate the secrets",
            left.unknown_hook_secrets
        ));
    }
    if left.old_api_keys > 0 {
        output::line(&format!(
            "keys of providers' APIs under an old key: {}",
            left.old_api_keys
        ));
    }
    if left.unknown_api_keys > 0 {
        output::line(&format!(
            "problem: {} keys of providers' APIs were sealed with a key that is not set, or are \
             damaged; set that key, or set the API keys anew",
            left.unknown_api_keys
        ));
    }
    if left.old_licenses > 0 {
        output::line(&format!(
            "keys of licences under an old key: {}",
            left.old_licenses
        ));
    }
    if left.unknown_licenses > 0 {
        output::line(&format!(
            "problem: the keys of {} licences were sealed with a key that is not set, or are \
             damaged; set that key, or issue them anew",
            left.unknown_licenses
        ));
    }
    if left.old_answers > 0 {
        output::line(&format!(
            "answers to requests with an Idempotency-Key under an old key: {}",
            left.old_answers
        ));
    }
    if left.unknown_answers > 0 {
        output::line(&format!(
            "answers under a key that is not set: {}; they are kept for a day, and nobody can \
             have them again",
            left.unknown_answers
        ));
    }
    for secret in &left.unknown_secrets {
        let what = match secret.key {
            Some(key) => format!(
                "was sealed with the key {key}, which is not set: set that key, or delete the secret"
            ),
            None => "is damaged: delete it, and add it anew".to_owned(),
        };
        output::line(&format!(
            "problem: the webhook secret {} of /webhooks/{}/{} {what}",
            secret.id, secret.app, secret.provider
        ));
    }
}

/// Says how a rotation ends, or ends it.
fn finish(args: &RotateKeyArgs, file: Option<&Path>, vault: &Vault) -> Result<(), CliError> {
    let old = vault.old_key_ids();
    let removable = format!("nothing is sealed with {} any more", names(&old));
    match file {
        _ if old.is_empty() && file.is_some() => {
            output::line("everything is sealed with the present key");
        }
        _ if old.is_empty() => output::line(
            "everything is sealed with the present key; for another one, set \
             TOLLGATE_SECRET_KEY=NEW,OLD, restart all processes, and run this again",
        ),
        Some(path) if args.remove_old => {
            vault::remove_old_keys(path).map_err(StartError::from)?;
            output::line(&format!("{removable}: removed from {}", path.display()));
        }
        Some(_) => output::line(&format!(
            "{removable}: `tollgate rotate-key --remove-old` removes it"
        )),
        None => output::line(&format!(
            "{removable}: once every process has the new key {}, it can be removed from \
             TOLLGATE_SECRET_KEY; if {0} is the old key, put the new one before it, because the \
             first seals",
            vault.key_id()
        )),
    }
    Ok(())
}

fn slugs(apps: &[AppSlug]) -> String {
    let apps: Vec<&str> = apps.iter().map(AppSlug::as_str).collect();
    apps.join(", ")
}

fn names(keys: &[KeyId]) -> String {
    let keys: Vec<String> = keys.iter().map(KeyId::to_string).collect();
    keys.join(", ")
}
