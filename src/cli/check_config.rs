//! `tollgate check-config`: prints every problem of the settings at once.

use std::process::ExitCode;

use clap::Args;

use super::error::CliError;
use crate::clock::{Clock, SystemClock};
use crate::config::report::report;
use crate::config::{Config, Source};
use crate::output;
use crate::pipeline::reseal::{self, Survey};
use crate::pipeline::secrets;
use crate::queue::rabbitmq::RabbitQueue;
use crate::server::{StartError, open_store, open_vault, rabbit_settings};
use crate::store::Trial;

#[derive(Debug, Args)]
pub(super) struct CheckConfigArgs {
    /// Also connects to the store and the broker, creates whatever the server needs there, tries a
    /// write, and opens the webhook secrets with the key of the settings.
    #[arg(long)]
    connect: bool,
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
            "still under an old secret key: {} webhook secrets ({}), {} answers to requests with \
             an Idempotency-Key; `tollgate rotate-key` seals them anew",
            left.old_secrets.len(),
            left.old_secrets_by_endpoint(),
            left.old_answers
        ));
    }
}

pub(super) async fn run(args: &CheckConfigArgs, source: &Source) -> Result<ExitCode, CliError> {
    let outcome = Config::load(source);
    output::line(report(&outcome).trim_end());
    let Ok(loaded) = outcome else {
        return Ok(ExitCode::FAILURE);
    };
    let mut sound = true;
    if args.connect {
        let store = open_store(&loaded.config).await?;
        store.read().await?;
        output::line("the store answers");
        let now = SystemClock.now();
        store.try_write(Trial::Small, now).await?;
        output::line("the store takes writes");
        let vault = open_vault(&loaded.config).map_err(StartError::from)?;
        for (secret, opened) in secrets::open_current(&store, &vault, now).await? {
            if opened.is_err() {
                sound = false;
                output::line(&format!(
                    "problem: the webhook secret {} of /webhooks/{}/{} does not open with \
                     TOLLGATE_SECRET_KEY: set the key that it was added with, or delete it",
                    secret.id, secret.app, secret.provider
                ));
            }
        }
        if !vault.old_key_ids().is_empty() {
            say_old_keys(&reseal::survey(&store, &vault, now).await?);
        }
        store.close().await;
        if let Some(settings) = rabbit_settings(&loaded.config) {
            RabbitQueue::check(&settings)
                .await
                .map_err(StartError::from)?;
            output::line("the broker answers, and has what is needed");
        }
    }
    Ok(if sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
