//! `tollgate replays`: shows and cancels replays of many events.

use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;

use super::app::AppArgs;
use super::error::CliError;
use super::help;
use super::listing::{FormArgs, PageArgs};
use super::stop::StopSignals;
use crate::clock::{Clock, SystemClock};
use crate::config::Loaded;
use crate::domain::id::{AppSlug, ReplayId};
use crate::http::lines;
use crate::output;
use crate::pipeline::bulk_replay;
use crate::pipeline::order::Order;
use crate::pipeline::replay::ReplayError;
use crate::server::find_store;
use crate::store::replay::{BulkReplay, ReplayStatus};
use crate::store::{Actor, Store};

/// The time between looks at the progress of a replay.
const LOOK: Duration = Duration::from_millis(500);

/// The number of looks without any progress after which a hint is given.
const PATIENCE: u32 = 20;

/// The number of looks after which a replay that has not begun is left to itself: whoever runs it begins
/// within a second.
const NOBODY: u32 = 60;

#[derive(Debug, Subcommand)]
pub(super) enum ReplaysCommand {
    /// Lists replays of many events, newest first.
    #[command(after_help = help::REPLAYS_LIST)]
    List {
        #[command(flatten)]
        app: AppArgs,
        #[command(flatten)]
        page: PageArgs,
    },
    /// Shows the progress of one.
    #[command(after_help = help::REPLAYS_SHOW)]
    Show {
        #[command(flatten)]
        app: AppArgs,
        /// Its id.
        id: ReplayId,
        #[command(flatten)]
        form: FormArgs,
    },
    /// Cancels one: nothing more of it is published.
    #[command(after_help = help::REPLAYS_CANCEL)]
    Cancel {
        #[command(flatten)]
        app: AppArgs,
        /// Its id.
        id: ReplayId,
        #[command(flatten)]
        form: FormArgs,
    },
}

pub(super) async fn run(command: ReplaysCommand, loaded: &Loaded) -> Result<ExitCode, CliError> {
    let store = find_store(&loaded.config).await?;
    output::note(&format!("the store is {}", store.place()));
    let (ReplaysCommand::List { app, .. }
    | ReplaysCommand::Show { app, .. }
    | ReplaysCommand::Cancel { app, .. }) = &command;
    app.must_exist(&store).await?;
    match command {
        ReplaysCommand::List { app, page } => {
            let form = page.form;
            let print = page.print(
                async |window| Ok(bulk_replay::list(&store, &app.app, window).await?),
                |replay| shown(replay, form),
                "nothing was replayed in bulk",
            );
            print.await?;
        }
        ReplaysCommand::Show { app, id, form } => {
            let replay = find(&store, &app.app, &id).await?;
            let filter = serde_json::to_string(&replay.filter).unwrap_or_default();
            output::line(&shown(replay, form));
            if !form.json {
                output::line(&format!("filter {filter}"));
            }
        }
        ReplaysCommand::Cancel { app, id, form } => {
            let order = Order {
                app: app.app,
                actor: Actor::Operator,
                now: SystemClock.now(),
                reason: None,
            };
            let cancelled = bulk_replay::cancel(&store, &order, &id).await;
            let (replay, _) = cancelled.map_err(|error| match error {
                ReplayError::ReplayNotFound => no_such(&order.app, &id),
                error => error.into(),
            })?;
            output::line(&shown(replay, form));
        }
    }
    store.close().await;
    Ok(ExitCode::SUCCESS)
}

/// Shows the progress of a replay until its end, or until the command is interrupted, which leaves
/// the replay alone.
pub(super) async fn watch(store: &Store, app: &AppSlug, id: &ReplayId) -> Result<(), CliError> {
    let mut stop = StopSignals::listen()?;
    let (mut shown, mut looks) = (0, 0);
    loop {
        let replay = find(store, app, id).await?;
        let done = replay.published + replay.skipped;
        if replay.status() != ReplayStatus::Open {
            output::line(&row(&replay));
            return Ok(());
        }
        if done == shown {
            looks += 1;
        } else {
            let skipped = match replay.skipped {
                0 => String::new(),
                skipped => format!(", {skipped} skipped"),
            };
            let (published, matched) = (replay.published, replay.matched);
            output::line(&format!(
                "{published} of {matched} events published{skipped}"
            ));
            (shown, looks) = (done, 0);
        }
        if looks == PATIENCE {
            output::line("no progress for ten seconds: is a server with a worker running?");
        }
        if looks == NOBODY && done == 0 {
            return Err(CliError::Usage {
                what: format!(
                    "nothing of the replay was published in {} seconds: no server with a worker seems \
                     to run over this store",
                    LOOK.as_secs_f64() * f64::from(NOBODY)
                ),
                right: format!(
                    "`tollgate serve` begins it as soon as it runs, and `tollgate replays cancel {id}{}` \
                     cancels it",
                    of_app(app)
                ),
            });
        }
        tokio::select! {
            _ = stop.next() => {
                output::line(&format!(
                    "the replay goes on without this command; \
                     `tollgate replays cancel {id}{}` stops it",
                    of_app(app)
                ));
                return Ok(());
            }
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

fn of_app(app: &AppSlug) -> String {
    if *app == AppSlug::default_app() {
        String::new()
    } else {
        format!(" --app {app}")
    }
}

async fn find(store: &Store, app: &AppSlug, id: &ReplayId) -> Result<BulkReplay, CliError> {
    let found = bulk_replay::find(store, app, id).await?;
    found.ok_or_else(|| no_such(app, id))
}

fn no_such(app: &AppSlug, id: &ReplayId) -> CliError {
    CliError::Missing {
        code: "replay_not_found",
        what: format!("the app `{app}` has no replay `{id}`"),
        right: format!("`tollgate replays list{}` shows what it has", of_app(app)),
    }
}

fn shown(replay: BulkReplay, form: FormArgs) -> String {
    if form.json {
        lines::replay(replay)
    } else {
        row(&replay)
    }
}

fn row(replay: &BulkReplay) -> String {
    let more = |count: i64, what: &str| match count {
        0 => String::new(),
        count => format!(", {count} {what}"),
    };
    format!(
        "{}  {}  {:<8} {} of {} events published{}{}",
        replay.created_at,
        replay.id,
        replay.status().as_str(),
        replay.published,
        replay.matched,
        more(replay.skipped, "skipped"),
        replay
            .per_second
            .map_or_else(String::new, |pace| format!(", {pace} a second")),
    )
}
