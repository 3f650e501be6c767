//! `tollgate app`: pauses an app and lets it go on.

use std::process::ExitCode;

use clap::Subcommand;

use super::app::{AppArgs, refused};
use super::error::CliError;
use super::help;
use super::listing::FormArgs;
use crate::clock::{Clock, SystemClock};
use crate::config::Loaded;
use crate::domain::validate;
use crate::http::lines;
use crate::output;
use crate::pipeline::apps::{self, AppWithRegistry};
use crate::pipeline::order::Order;
use crate::pipeline::pauses;
use crate::server::find_store;
use crate::store::{Actor, Store};

#[derive(Debug, Subcommand)]
pub(super) enum AppCommand {
    /// Lists apps, and whether they are paused.
    #[command(after_help = help::APP_LIST)]
    List {
        #[command(flatten)]
        form: FormArgs,
    },
    /// Lets nothing of an app be applied until it is resumed. Webhooks are received and wait; due times,
    /// replays and comparisons wait too. What admins do takes effect, and access checks are answered.
    #[command(after_help = help::APP_PAUSE)]
    Pause {
        #[command(flatten)]
        app: AppArgs,
        /// Why, for the audit and whoever looks.
        #[arg(long, value_name = "TEXT", value_parser = validate::line)]
        reason: Option<String>,
    },
    /// Lets a paused app go on.
    #[command(after_help = help::APP_RESUME)]
    Resume {
        #[command(flatten)]
        app: AppArgs,
        /// Why, for the audit.
        #[arg(long, value_name = "TEXT", value_parser = validate::line)]
        reason: Option<String>,
    },
}

pub(super) async fn run(command: AppCommand, loaded: &Loaded) -> Result<ExitCode, CliError> {
    let store = find_store(&loaded.config).await?;
    output::note(&format!("the store is {}", store.place()));
    match command {
        AppCommand::List { form } => {
            for app in apps::list(&store).await? {
                let text = if form.json {
                    lines::app(app)
                } else {
                    row(&app)
                };
                output::line(&text);
            }
        }
        AppCommand::Pause { app, reason } => {
            let order = order(app).because(reason);
            let paused = pauses::pause(&store, &order).await;
            let changed = paused.map_err(|error| refused(error, &order.app))?;
            let before = if changed { "" } else { " before" };
            output::line(&format!("the app {} was paused{before}", order.app));
            tell_waiting(&store, &order).await?;
        }
        AppCommand::Resume { app, reason } => {
            let order = order(app).because(reason);
            let resumed = pauses::resume(&store, &order).await;
            let changed = resumed.map_err(|error| refused(error, &order.app))?;
            output::line(&if changed {
                format!("the app {} goes on", order.app)
            } else {
                format!("the app {} was not paused", order.app)
            });
        }
    }
    store.close().await;
    Ok(ExitCode::SUCCESS)
}

fn order(app: AppArgs) -> Order {
    Order {
        app: app.app,
        actor: Actor::Operator,
        now: SystemClock.now(),
        reason: None,
    }
}

async fn tell_waiting(store: &Store, order: &Order) -> Result<(), CliError> {
    let pause = pauses::find(store, &order.app).await?;
    if let Some(waiting) = pause.map(|it| it.waiting).filter(|waiting| *waiting > 0) {
        output::note(&format!("{waiting} messages wait"));
    }
    Ok(())
}

fn row(shown: &AppWithRegistry) -> String {
    let state = match &shown.pause {
        None => "active".to_owned(),
        Some(pause) => {
            let reason = pause.reason.as_deref().unwrap_or("no reason given");
            let (since, waiting) = (pause.since, pause.waiting);
            format!("paused since {since}, {waiting} messages wait: {reason}")
        }
    };
    // The words of people last: letters of some scripts are two columns wide.
    format!(
        "{:<20} {state}  {}",
        shown.app.slug.as_str(),
        shown.app.name
    )
}
