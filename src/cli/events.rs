//! `tollgate events`: shows and replays events of the ledger.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::app::AppArgs;
use super::error::CliError;
use super::replays;
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Loaded};
use crate::domain::event::{EventError, EventOutcome};
use crate::domain::id::CustomerId;
use crate::domain::shown_times::shown;
use crate::domain::time::{TimeError, Timestamp};
use crate::domain::validate;
use crate::output;
use crate::pipeline::acknowledged::{self, Unaccounted};
use crate::pipeline::bulk_replay::{self, How, MAX_PER_SECOND};
use crate::pipeline::dismissal;
use crate::pipeline::events;
use crate::pipeline::order::Order;
use crate::pipeline::replay::{Place, preview_one, replay_in_store};
use crate::provider::Spec;
use crate::server::find_store;
use crate::store::{Actor, EventFilter, EventRecord, ExternalFilter, FailureGroup, Store, Window};

#[derive(Debug, Subcommand)]
pub(super) enum EventsCommand {
    /// Lists events, newest first.
    List(ListArgs),
    /// Groups failed events by reason and type, the largest group first.
    Failures(FailuresArgs),
    /// Lists webhooks that were acknowledged and have no outcome, oldest first.
    Unaccounted {
        #[command(flatten)]
        app: AppArgs,
    },
    /// Shows one event with its payload.
    Show {
        #[command(flatten)]
        app: AppArgs,
        /// The provider's event id.
        id: String,
    },
    /// Dismisses an event that failed or was lost, or all failed events that match the filters. The
    /// payload of one that failed goes after the retention, and until then it can be replayed.
    Dismiss(DismissArgs),
    /// Publishes an event again, or all events that match the filters.
    Replay(ReplayArgs),
}

/// A selection of events.
#[derive(Clone, Debug, Args)]
struct FilterArgs {
    /// Only events with this outcome.
    #[arg(long)]
    outcome: Option<EventOutcome>,
    /// Only events of this provider.
    #[arg(long)]
    provider: Option<&'static Spec>,
    /// Only events of this type.
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// Only events of this customer.
    #[arg(long, value_name = "ID")]
    customer: Option<CustomerId>,
    /// Only events of the customer with this billing account or external id, and of an account that
    /// has no customer yet.
    #[arg(long, visible_alias = "external-id", value_name = "ID")]
    account: Option<String>,
    /// Only events whose payload names this object, such as in_…, ch_…, cs_…, sub_… or txn_….
    #[arg(long, value_name = "ID")]
    object: Option<String>,
    /// Only events that failed, or were ignored, for this reason.
    #[arg(long, value_name = "CODE")]
    error_code: Option<String>,
    /// Only events received at this time or later, such as 2026-01-31T09:30:00Z.
    #[arg(long, value_name = "TIME", value_parser = instant)]
    since: Option<Timestamp>,
    /// Only events received before this time.
    #[arg(long, value_name = "TIME", value_parser = instant)]
    until: Option<Timestamp>,
}

impl From<FilterArgs> for EventFilter {
    fn from(args: FilterArgs) -> Self {
        Self {
            outcome: args.outcome,
            provider: args.provider.map(|spec| spec.name),
            event_type: args.event_type,
            customer: args.customer,
            external: args.account.map(|id| ExternalFilter { id, customer: None }),
            object: args.object,
            error_code: args.error_code,
            since: args.since,
            until: args.until,
        }
    }
}

fn instant(text: &str) -> Result<Timestamp, TimeError> {
    text.parse()
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    app: AppArgs,
    #[command(flatten)]
    filter: FilterArgs,
    /// Maximum number of events.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100))]
    limit: u32,
}

#[derive(Debug, Args)]
pub(super) struct FailuresArgs {
    #[command(flatten)]
    app: AppArgs,
    #[command(flatten)]
    filter: FilterArgs,
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
    let filter = EventFilter::from(filter.clone());
    let says_nothing =
        serde_json::to_value(filter).ok() == serde_json::to_value(EventFilter::default()).ok();
    let is_empty = id.is_some_and(|id| id.trim().is_empty());
    if is_empty || (id.is_none() && !all && says_nothing) {
        return Err(CliError::Usage {
            what: format!("nothing says which events to {verb}"),
            right: "give an event's id, or filters such as `--outcome failed --since \
                    2026-01-05T00:00:00Z`, or `--all`"
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
    match command {
        EventsCommand::List(args) => {
            let filter = args.filter.into();
            let window = Window::Page {
                number: 1,
                size: args.limit,
            };
            let listed = events::list(&store, &args.app.app, &filter, &window).await?;
            for event in &listed.rows {
                output::line(&row(event));
            }
            note_empty(listed.rows.is_empty(), "no events match");
            let missing = acknowledged::overdue(&store, &args.app.app).await?;
            if missing > 0 {
                output::line(&format!(
                    "{missing} acknowledged events have no outcome: \
                     see `tollgate events unaccounted`"
                ));
            }
        }
        EventsCommand::Failures(args) => {
            let groups = events::failures(&store, &args.app.app, &args.filter.into()).await?;
            for group in &groups {
                output::line(&group_row(group));
            }
            note_empty(groups.is_empty(), "no failed events match");
        }
        EventsCommand::Unaccounted { app } => {
            let missing = acknowledged::unaccounted(&store, &app.app).await?;
            for found in &missing {
                output::line(&unaccounted_row(found));
            }
            note_empty(
                missing.is_empty(),
                "every acknowledged event has an outcome",
            );
        }
        EventsCommand::Show { app, id } => {
            let found = events::find(&store, &app.app, &id).await?;
            let event = found.ok_or_else(|| missing(&id))?;
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
        EventsCommand::Replay(args) => replay(args, &store, &loaded.config).await?,
        EventsCommand::Dismiss(args) => dismiss(args, &store).await?,
    }
    store.close().await;
    Ok(ExitCode::SUCCESS)
}

async fn dismiss(args: DismissArgs, store: &Store) -> Result<(), CliError> {
    let order = Order {
        app: args.app.app,
        actor: Actor::Operator,
        now: SystemClock.now(),
    };
    let reason = args.reason.as_deref();
    if let Some(id) = args.id {
        let changed = dismissal::one(store, &order, &id, reason).await?;
        let before = if changed { "" } else { " before" };
        output::line(&format!("{id} was dismissed{before}"));
    } else {
        let filter = args.filter.into();
        let mut dismissed = 0;
        loop {
            let done = dismissal::many(store, &order, &filter, reason).await?;
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
            output::line("queued; the running server will process it");
        }
        None if args.dry_run => {
            let about = bulk_replay::preview(store, &order.app, &args.filter.into(), force).await?;
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
            let replay = bulk_replay::order(store, &order, &args.filter.into(), how).await?;
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
    CliError::Usage {
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
