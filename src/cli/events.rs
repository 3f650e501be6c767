//! `tollgate events`: the ledger, from the command line.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{AppArgs, CliError, output};
use crate::clock::{Clock, SystemClock};
use crate::config::Loaded;
use crate::domain::event::EventOutcome;
use crate::domain::id::Provider;
use crate::pipeline::replay::{Place, replay_in_store};
use crate::server::open_store;
use crate::store::{EventFilter, EventRecord, Window};

#[derive(Debug, Subcommand)]
pub(super) enum EventsCommand {
    /// Lists events, newest first.
    List(ListArgs),
    /// Shows one event with its payload.
    Show {
        #[command(flatten)]
        app: AppArgs,
        /// The provider's event id.
        id: String,
    },
    /// Publishes an event again.
    Replay {
        #[command(flatten)]
        app: AppArgs,
        /// The provider's event id.
        id: String,
        /// Also when it has been applied already.
        #[arg(long)]
        force: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    app: AppArgs,
    /// Only those with this outcome.
    #[arg(long)]
    outcome: Option<EventOutcome>,
    /// Only those of this provider.
    #[arg(long)]
    provider: Option<Provider>,
    /// Only those of this type.
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// How many at most.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100))]
    limit: u32,
}

pub(super) async fn run(command: EventsCommand, loaded: &Loaded) -> Result<ExitCode, CliError> {
    let store = open_store(&loaded.config).await?;
    match command {
        EventsCommand::List(args) => {
            let filter = EventFilter {
                outcome: args.outcome,
                provider: args.provider,
                event_type: args.event_type,
                ..EventFilter::default()
            };
            let window = Window::Page {
                number: 1,
                size: args.limit,
            };
            let listed = store
                .read()
                .await?
                .event_list(&args.app.app, &filter, &window)
                .await?;
            for event in &listed.rows {
                output::line(&row(event));
            }
        }
        EventsCommand::Show { app, id } => {
            let found = store.read().await?.event_find(&app.app, &id).await?;
            let event = found.ok_or_else(|| missing(&id))?;
            output::line(&row(&event));
            output::line(&format!(
                "duplicates {}  attempts {}",
                event.duplicates, event.attempts
            ));
            output::line(&format!("changes {}", event.changes));
            output::line(event.payload.as_deref().unwrap_or_default());
        }
        EventsCommand::Replay { app, id, force } => {
            let place = match loaded.config.queue.amqp_url {
                None => Place::BuiltInQueue,
                Some(_) => Place::Spool,
            };
            let now = SystemClock.now();
            replay_in_store(&store, place, &app.app, &id, force, now).await?;
            output::line("queued; the running server works it off");
        }
    }
    store.close().await;
    Ok(ExitCode::SUCCESS)
}

fn missing(id: &str) -> CliError {
    CliError::Usage {
        what: format!("the ledger has no event `{id}`"),
        right: "`tollgate events list` shows what it has".to_owned(),
    }
}

fn row(event: &EventRecord) -> String {
    let error = event.error.as_ref();
    let error = error.map_or_else(String::new, |it| format!("  {}: {}", it.code, it.detail));
    format!(
        "{}  {:<7} {:<11} {:<40} {}{error}",
        event.received_at,
        event.key.provider.as_str(),
        event.outcome.as_str(),
        event.event_type,
        event.key.id,
    )
}
