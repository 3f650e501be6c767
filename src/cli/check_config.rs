//! `tollgate check-config`: prints every problem of the settings at once.

use std::error::Error;
use std::process::ExitCode;

use clap::Args;

use super::error::CliError;
use super::places::{self, Misplaced};
use crate::causes::chain;
use crate::clock::{Clock, SystemClock};
use crate::config::report::report;
use crate::config::{Config, Source};
use crate::domain::time::Timestamp;
use crate::output;
use crate::pipeline::reseal::{self, Survey};
use crate::pipeline::{secrets, setup};
use crate::queue::rabbitmq::RabbitQueue;
use crate::server::{StartError, environment, find_store, find_vault, key_file, rabbit_settings};
use crate::store::{Store, StoreError, Trial};

#[derive(Debug, Args)]
pub(super) struct CheckConfigArgs {
    /// Also connects to the store and the broker, creates whatever the server needs on the broker but
    /// a work queue that was deleted, tries a write, and opens the webhook secrets with the keys of
    /// the settings.
    #[arg(long)]
    connect: bool,
}

pub(super) async fn run(args: &CheckConfigArgs, source: &Source) -> Result<ExitCode, CliError> {
    let outcome = Config::load(source);
    output::line(report(&outcome).trim_end());
    let Ok(loaded) = outcome else {
        return Ok(ExitCode::FAILURE);
    };
    let mut problems = 0;
    for misplaced in places::check(&loaded.config) {
        problems += misplaced_problem(misplaced);
    }
    if args.connect {
        problems += check_store(&loaded.config).await;
        problems += check_broker(&loaded.config).await;
        problems += check_repository(&loaded.config).await;
    }
    let database = &loaded.config.store.database;
    if problems > 0 {
        return Ok(ExitCode::FAILURE);
    }
    let tried = if args.connect {
        ""
    } else {
        "; `--connect` tries the store and the broker too"
    };
    output::line(&format!("all is well; the database is {database}{tried}"));
    Ok(ExitCode::SUCCESS)
}

fn misplaced_problem((setting, text): Misplaced) -> u32 {
    output::line(&format!("problem: {setting}: {text}"));
    1
}

async fn check_repository(config: &Config) -> u32 {
    match places::read_repository(config).await {
        None => 0,
        Some(Ok(())) => {
            output::line("the Composer repository answers");
            0
        }
        Some(Err(misplaced)) => misplaced_problem(misplaced),
    }
}

/// Writes what is wrong with what a setting names.
fn problem(setting: &str, error: &dyn Error) -> u32 {
    output::line(&format!("problem: {setting}: {}", chain(error)));
    1
}

async fn check_broker(config: &Config) -> u32 {
    let Some(settings) = rabbit_settings(config) else {
        return 0;
    };
    let settings = match installation_id(config).await {
        // A store without an id owns no queues yet.
        Ok(id) => settings.of_installation(id.unwrap_or_default()),
        // What is wrong with the store has been said, and whose the queues are cannot be.
        Err(_) => settings,
    };
    match RabbitQueue::check(&settings).await {
        Ok(()) => {
            output::line("the broker answers, and has what is needed");
            0
        }
        Err(error) => problem("AMQP_URL", &error),
    }
}

/// Returns the id of the store, if there are both. Only a server makes one: a command that only looks must
/// leave an empty store empty.
async fn installation_id(config: &Config) -> Result<Option<String>, StartError> {
    let store = match find_store(config).await {
        Ok(store) => store,
        Err(StartError::NoStore(_)) => return Ok(None),
        Err(error) => return Err(error),
    };
    let id = async { store.read().await?.installation_id().await }.await;
    store.close().await;
    Ok(id?)
}

/// Returns the number of problems that it found.
async fn check_store(config: &Config) -> u32 {
    let store = match find_store(config).await {
        Ok(store) => store,
        Err(StartError::NoStore(path)) => {
            let path = path.display();
            output::line(&format!(
                "there is no store yet: `tollgate serve` makes {path}"
            ));
            return 0;
        }
        Err(error) => return problem("DATABASE_URL", &error),
    };
    output::note(&format!("the store is {}", store.place()));
    let now = SystemClock.now();
    let mut problems = match try_store(&store, now).await {
        Ok(()) => 0,
        Err(error) => problem("DATABASE_URL", &error),
    };
    if problems == 0 {
        problems += match check_secrets(config, &store, now).await {
            Ok(found) => found,
            Err(error) => problem("TOLLGATE_SECRET_KEY", &error),
        };
        problems += match tell_of_missing_plans(config, &store).await {
            Ok(()) => 0,
            Err(error) => problem("DATABASE_URL", &error),
        };
    }
    store.close().await;
    problems
}

async fn try_store(store: &Store, now: Timestamp) -> Result<(), StoreError> {
    store.read().await?;
    output::line("the store answers");
    store.try_write(Trial::Small, now).await?;
    output::line("the store takes writes");
    Ok(())
}

/// Opens what is sealed, but for kept answers; returns the number of problems.
async fn check_secrets(config: &Config, store: &Store, now: Timestamp) -> Result<u32, StartError> {
    let Some(vault) = find_vault(config)? else {
        return Ok(say_lost_key(config, reseal::count_sealed(store).await?));
    };
    let mut problems = 0;
    for (secret, opened) in secrets::open_current(store, &vault, now).await? {
        if opened.is_err() {
            problems += 1;
            output::line(&format!(
                "problem: the webhook secret {} of /webhooks/{}/{} does not open with \
                 TOLLGATE_SECRET_KEY: set the key that it was added with, or delete it",
                secret.id, secret.app, secret.provider
            ));
        }
    }
    let left = reseal::survey(store, &vault, now).await?;
    for app in &left.unknown_repositories {
        problems += 1;
        output::line(&format!(
            "problem: the token of the Composer repository of the app {app} does not open with \
             TOLLGATE_SECRET_KEY: set the key that it was set with, or set the token anew"
        ));
    }
    if left.unknown_api_keys > 0 {
        problems += 1;
        output::line(&format!(
            "problem: {} keys of providers' APIs do not open with TOLLGATE_SECRET_KEY: set the key \
             that they were set with, or set the API keys anew",
            left.unknown_api_keys
        ));
    }
    if left.unknown_hook_secrets > 0 {
        problems += 1;
        output::line(&format!(
            "problem: {} secrets of hooks do not open with TOLLGATE_SECRET_KEY: set the key that \
             they were made with, or rotate them",
            left.unknown_hook_secrets
        ));
    }
    if left.unknown_licenses > 0 {
        problems += 1;
        output::line(&format!(
            "problem: the keys of {} licences do not open with TOLLGATE_SECRET_KEY: set the key that \
             they were issued with, or issue them anew",
            left.unknown_licenses
        ));
    }
    if !vault.old_key_ids().is_empty() {
        say_old_keys(&left);
    }
    Ok(problems)
}

/// Says that there is no key for what is sealed: `serve` would make a new one, which opens nothing.
/// Returns the number of problems.
fn say_lost_key(config: &Config, sealed: usize) -> u32 {
    if sealed == 0 {
        return 0;
    }
    output::line(&format!(
        "problem: TOLLGATE_SECRET_KEY is not set and there is no {}, but the store has {sealed} \
         sealed secrets: put back the key file that belongs to this store",
        key_file(config).display()
    ));
    1
}

/// Says whether the old keys can be removed.
fn say_old_keys(left: &Survey) {
    if left.old_keys_in_use.is_empty() {
        output::line(
            "nothing is sealed with the old secret keys any more: once every process has the new \
             one, they can be removed",
        );
    } else {
        output::line(&format!(
            "still under an old secret key: {} webhook secrets ({}), {} tokens of Composer \
             repositories, {} keys of licences, {} API keys, {} secrets of hooks, {} answers to \
             requests with an Idempotency-Key; \
             `tollgate rotate-key` seals them anew",
            left.old_secrets.len(),
            left.old_secrets_by_endpoint(),
            left.old_repositories.len(),
            left.old_licenses,
            left.old_api_keys,
            left.old_hook_secrets,
            left.old_answers
        ));
    }
}

/// Says which plans the next start of a worker with these settings takes away from customers.
async fn tell_of_missing_plans(config: &Config, store: &Store) -> Result<(), StoreError> {
    for missing in setup::missing_plans(store, &environment(config)).await? {
        output::line(&format!("warning: {missing}"));
    }
    Ok(())
}
