//! `tollgate events`: shows and replays events of the ledger.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::app::AppArgs;
use super::error::CliError;
use super::event_filter::FilterArgs;
use super::help;
use super::listing::{FormArgs, PageArgs};
use super::replays;
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Loaded};
use crate::domain::event::EventError;
use crate::domain::shown_times::shown;
use crate::domain::validate;
use crate::http::lines;
use crate::output;
use crate::pipeline::acknowledged::{self, Unaccounted};
use crate::pipeline::bulk_replay::{self, How, MAX_PER_SECOND};
use crate::pipeline::dismissal;
use crate::pipeline::events;
use crate::pipeline::order::Order;
use crate::pipeline::replay::{Place, preview_one, replay_in_store};
use crate::server::find_store;
use crate::store::{Actor, EventRecord, FailureGroup, Store};

#[derive(Debug, Subcommand)]
pub(super) enum EventsCommand {
    /// Lists events, newest first.
    #[command(after_help = help::EVENTS_LIST)]
    List(ListArgs),
    /// Groups failed events by reason and type, the largest group first.
    #[command(after_help = help::EVENTS_FAILURES)]
    Failures(FailuresArgs),
    /// Lists webhooks that were acknowledged and have no outcome, oldest first.
    #[command(after_help = help::EVENTS_UNACCOUNTED)]
    Unaccounted {
        #[command(flatten)]
        app: AppArgs,
        #[command(flatten)]
        form: FormArgs,
    },
    /// Shows one event with its payload.
    #[command(after_help = help::EVENTS_SHOW)]
    Show {
        #[command(flatten)]
        app: AppArgs,
        /// The provider's event id.
        id: String,
        #[command(flatten)]
        form: FormArgs,
    },
    /// Dismisses an event that failed or was lost, or all failed events that match the filters. The
    /// payload of one that failed goes after the retention, and until then it can be replayed.
    #[command(after_help = help::EVENTS_DISMISS)]
    Dismiss(DismissArgs),
    /// Publishes an event again, or all events that match the filters.
    #[command(after_help = help::EVENTS_REPLAY)]
    Replay(ReplayArgs),
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    app: AppArgs,
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    page: PageArgs,
}

#[derive(Debug, Args)]
pub(super) struct FailuresArgs {
    #[command(flatten)]
    app: AppArgs,
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    form: FormArgs,
}

#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub(super) struct ReplayArgs {
    #[command(flatten)]
    app: AppArgs,
    /// The provider's event id.
    #[arg(conflicts_with = "FilterArgs")]
    id: Option<String>,
    #[command(flatten)]
    filter: FilterArgs,
    /// All events.
    #[arg(long, conflicts_with_all = ["id", "FilterArgs"])]
    all: bool,
    /// Also replays events that have been applied already.
    #[arg(long)]
    force: bool,
    /// Of many events, at most so many a second. Without it, as many as go without keeping webhooks
    /// waiting.
    #[arg(long, value_name = "N", conflicts_with = "id",
        value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_PER_SECOND)))]
    per_second: Option<u32>,
    /// Returns as soon as the replay of many events is ordered. Without it, shows the progress.
    #[arg(long, conflicts_with = "id")]
    detach: bool,
    /// Only lists the events that would be replayed; for a single event, also the changes.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
pub(super) struct DismissArgs {
    #[command(flatten)]
    app: AppArgs,
    /// The provider's event id.
    #[arg(conflicts_with = "FilterArgs")]
    id: Option<String>,
    #[command(flatten)]
    filter: FilterArgs,
    /// All events that failed.
    #[arg(long, conflicts_with_all = ["id", "FilterArgs"])]
    all: bool,
    /// Why, for the audit.
    #[arg(long, value_name = "TEXT", value_parser = validate::line)]
    reason: Option<String>,
}

impl EventsCommand {
    fn app(&self) -> &AppArgs {
        match self {
            Self::List(ListArgs { app, .. })
            | Self::Failures(FailuresArgs { app, .. })
            | Self::Unaccounted { app, .. }
            | Self::Show { app, .. }
            | Self::Dismiss(DismissArgs { app, .. })
            | Self::Replay(ReplayArgs { app, .. }) => app,
        }
    }
}

impl ReplayArgs {
    fn refuse_all_by_default(&self) -> Result<(), CliError> {
        refuse_all_by_default(self.id.as_deref(), &self.filter, self.all, "replay")
    }
}

/// Refuses an order that does not say which events.
fn refuse_all_by_default(
    id: Option<&str>,
    filter: &FilterArgs,
    all: bool,
    verb: &str,
) -> Result<(), CliError> {
    let is_empty = id.is_some_and(|id| id.trim().is_empty());
    if is_empty || (id.is_none() && !all && filter.is_empty()) {
        return Err(CliError::Usage {
            what: format!("nothing says which events to {verb}"),
            right: "give an event's id, or filters such as `--outcome failed --since \
                    2026-01-05`, or `--all`"
                .to_owned(),
        });
    }
    Ok(())
}

pub(super) async fn run(command: EventsCommand, loaded: &Loaded) -> Result<ExitCode, CliError> {
    if let EventsCommand::Replay(args) = &command {
        args.refuse_all_by_default()?;
    }
    if let EventsCommand::Dismiss(args) = &command {
        refuse_all_by_default(args.id.as_deref(), &args.filter, args.all, "dismiss")?;
    }
    let store = find_store(&loaded.config).await?;
    output::note(&format!("the store is {}", store.place()));
    command.app().must_exist(&store).await?;
    match command {
        EventsCommand::List(args) => list(args, &store).await?,
        EventsCommand::Failures(args) => {
            let filter = args.filter.filter(&store, &args.app.app).await?;
            let groups = events::failures(&store, &args.app.app, &filter).await?;
            note_empty(groups.is_empty(), "no failed events match");
            for group in groups {
                output::line(&if args.form.json {
                    lines::failure(group)
                } else {
                    group_row(&group)
                });
            }
        }
        EventsCommand::Unaccounted { app, form } => {
            let missing = acknowledged::unaccounted(&store, &app.app).await?;
            note_empty(
                missing.is_empty(),
                "every acknowledged event has an outcome",
            );
            let now = SystemClock.now();
            for found in missing {
                output::line(&if form.json {
                    lines::unaccounted(found, now)
                } else {
                    unaccounted_row(&found)
                });
            }
        }
        EventsCommand::Show { app, id, form } => {
            let found = events::find(&store, &app.app, &id).await?;
            let event = found.ok_or_else(|| missing(&id))?;
            show(event, form);
        }
        EventsCommand::Replay(args) => replay(args, &store, &loaded.config).await?,
        EventsCommand::Dismiss(args) => dismiss(args, &store).await?,
    }
    store.close().await;
    Ok(ExitCode::SUCCESS)
}

async fn list(args: ListArgs, store: &Store) -> Result<(), CliError> {
    let app = &args.app.app;
    let filter = args.filter.filter(store, app).await?;
    let form = args.page.form;
    let print = args.page.print(
        async |window| Ok(events::list(store, app, &filter, window).await?),
        |event| {
            if form.json {
                lines::event(event)
            } else {
                row(&event)
            }
        },
        "no events match",
    );
    print.await?;
    let missing = acknowledged::overdue(store, app).await?;
    if missing > 0 {
        output::note(&format!(
            "{missing} acknowledged events have no outcome: see `tollgate events unaccounted`"
        ));
    }
    Ok(())
}

fn show(event: EventRecord, form: FormArgs) {
    if form.json {
        return output::line(&lines::whole_event(event));
    }
    output::line(&row(&event));
    output::line(&format!(
        "duplicates {}  attempts {}",
        event.duplicates, event.attempts
    ));
    output::line(&format!("changes {}", shown(event.changes.clone())));
    match (&event.payload, event.payload_removed_at) {
        (Some(payload), _) => output::line(payload),
        (None, Some(at)) => output::line(&format!("its payload was removed at {at}")),
        (None, None) => output::line("its payload was removed"),
    }
}

async fn dismiss(args: DismissArgs, store: &Store) -> Result<(), CliError> {
    let order = Order {
        app: args.app.app,
        actor: Actor::Operator,
        now: SystemClock.now(),
        reason: args.reason,
    };
    if let Some(id) = args.id {
        let changed = dismissal::one(store, &order, &id).await?;
        let before = if changed { "" } else { " before" };
        output::line(&format!("{id} was dismissed{before}"));
    } else {
        let filter = args.filter.filter(store, &order.app).await?;
        let mut dismissed = 0;
        loop {
            let done = dismissal::many(store, &order, &filter).await?;
            dismissed += done.dismissed;
            // None dismissed: a server did the rest just now, or more fail than are dismissed.
            if done.remaining == 0 || done.dismissed == 0 {
                break;
            }
            output::note(&format!("{dismissed} dismissed, {} to go", done.remaining));
        }
        output::line(&format!("events dismissed: {dismissed}"));
    }
    Ok(())
}

async fn replay(args: ReplayArgs, store: &Store, config: &Config) -> Result<(), CliError> {
    let force = args.force;
    let order = Order {
        app: args.app.app,
        actor: Actor::Operator,
        now: SystemClock.now(),
        reason: None,
    };
    match args.id {
        Some(id) if args.dry_run => {
            let preview = preview_one(store, &order.app, &id, force, order.now).await?;
            let error = preview.error.map_or_else(String::new, |it| error_text(&it));
            output::line(&format!("{id} would be {}{error}", preview.outcome));
            output::line(&format!("changes {}", shown(preview.changes)));
        }
        Some(id) => {
            let place = match config.queue.amqp_url {
                None => Place::BuiltInQueue,
                Some(_) => Place::Spool,
            };
            replay_in_store(store, place, &order, &id, force).await?;
            output::line("queued; a server processes it as soon as one runs");
        }
        None if args.dry_run => {
            let filter = args.filter.filter(store, &order.app).await?;
            let about = bulk_replay::preview(store, &order.app, &filter, force).await?;
            let replayed = about.count - about.skipped;
            output::line(&format!("{replayed} events would be replayed"));
            if about.skipped > 0 {
                output::line(&format!("{} more have no payload any more", about.skipped));
            }
            about.first.iter().for_each(|id| output::line(id));
        }
        None => {
            let how = How {
                force,
                per_second: args.per_second,
            };
            let filter = args.filter.filter(store, &order.app).await?;
            let replay = bulk_replay::order(store, &order, &filter, how).await?;
            output::line(&format!(
                "{}: {} events; the running server will process them",
                replay.id, replay.matched
            ));
            if !args.detach {
                replays::watch(store, &order.app, &replay.id).await?;
            }
        }
    }
    Ok(())
}

/// Says that a list is empty, beside what a pipe gets.
fn note_empty(is_empty: bool, text: &str) {
    if is_empty {
        output::note(text);
    }
}

fn missing(id: &str) -> CliError {
    CliError::Missing {
        code: "event_not_found",
        what: format!("the ledger has no event `{id}`"),
        right: "`tollgate events list` shows what it has".to_owned(),
    }
}

fn row(event: &EventRecord) -> String {
    let error = event.error.as_ref().map_or_else(String::new, error_text);
    format!(
        "{}  {:<7} {:<11} {:<40} {}{error}",
        event.received_at,
        event.key.provider.as_str(),
        event.outcome.as_str(),
        event.event_type,
        event.key.id,
    )
}

fn group_row(group: &FailureGroup) -> String {
    format!(
        "{:>7}  {:<7} {:<40} {:<24} {} to {}  such as {}",
        group.count,
        group.provider.as_str(),
        group.event_type,
        group.error_code,
        group.oldest,
        group.newest,
        group.sample,
    )
}

fn unaccounted_row(found: &Unaccounted) -> String {
    let event = &found.event;
    let word = if found.overdue { "lost" } else { "waiting" };
    format!(
        "{}  {:<7} {word:<11} {:<40} {}",
        event.received_at,
        event.provider.as_str(),
        event.event_type,
        event.id,
    )
}

fn error_text(error: &EventError) -> String {
    format!("  {}: {}", error.code, error.detail)
}
