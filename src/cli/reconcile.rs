//! `tollgate reconcile`: compares what is kept with what a provider says.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::app::{AppArgs, refused};
use super::dates;
use super::error::CliError;
use super::stop::StopSignals;
use crate::clock::{Clock, SystemClock};
use crate::config::Loaded;
use crate::domain::id::AppSlug;
use crate::domain::reconcile::{ReconcileStatus, Stage};
use crate::domain::time::Timestamp;
use crate::output;
use crate::pipeline::api_keys;
use crate::pipeline::apis::Apis;
use crate::pipeline::apps::AppError;
use crate::pipeline::order::Order;
use crate::pipeline::owed_licenses;
use crate::pipeline::reconcile::{self, ReconcileError, Wanted};
use crate::pipeline::setup;
use crate::provider::{self, Spec};
use crate::server::{StartError, apis_of, environment, keys_of, open_store, open_vault};
use crate::store::reconcile::Reconcile;
use crate::store::{Actor, Store};
use crate::vault::Vault;

/// The exit code if something differs and was not repaired.
const DRIFT: u8 = 2;

/// The objects after which progress is told where there is no terminal.
const TELL: u64 = 10_000;

/// The longest time between two looks at a comparison that another process has in hand.
const LOOK: Duration = Duration::from_millis(500);

/// Reads all customers, subscriptions (ended ones too), payments, disputes, refunds and recent events
/// from the provider, and repairs what differs here. On an empty store this is the first import: at
/// its end it names the prices that have no plan yet. Needs the provider's API key.
///
/// A comparison that was cut short goes on where it was when it is ordered again. Subscriptions that
/// the provider does not list any more are counted and named, never removed.
///
/// Exit code: 0 if nothing differed or all of it was repaired; 2 if something still differs (with
/// `--dry-run`, or because it is gone or could not be understood); 1 if it failed.
#[derive(Debug, Args)]
pub(super) struct ReconcileArgs {
    /// `stripe` or `paddle`.
    #[arg(value_parser = provider_of)]
    provider: &'static Spec,
    #[command(flatten)]
    app: AppArgs,
    /// Reads only what the provider made since; a day alone means its beginning, in UTC.
    #[arg(long, value_name = "TIME", value_parser = dates::since)]
    since: Option<Timestamp>,
    /// Changes nothing: only counts what differs.
    #[arg(long)]
    dry_run: bool,
}

fn provider_of(text: &str) -> Result<&'static Spec, String> {
    text.parse()
        .map_err(|error: provider::UnknownProvider| error.to_string())
}

pub(super) async fn run(args: ReconcileArgs, loaded: &Loaded) -> Result<ExitCode, CliError> {
    let store = open_store(&loaded.config).await?;
    let vault = open_vault(&loaded.config).map_err(StartError::from)?;
    let store = store.with_license_maker(owed_licenses::maker(&vault));
    output::note(&format!("the store is {}", store.place()));
    let apis = apis_of(&loaded.config, &vault);
    let by = |app: &AppSlug| Order {
        app: app.clone(),
        actor: Actor::Operator,
        now: SystemClock.now(),
        reason: None,
    };
    let default = by(&AppSlug::default_app());
    prepare(&store, &vault, loaded, &args.app.app, &default).await?;
    let code = compare(&store, &apis, &args, &by(&args.app.app)).await;
    store.close().await;
    code
}

/// Puts the settings in place in a store that is new: this is its first import, and the plans say what is
/// given for what was paid. In others they are the servers', which may have been started with other settings;
/// only an API key is added where there is none.
async fn prepare(
    store: &Store,
    vault: &Vault,
    loaded: &Loaded,
    app: &AppSlug,
    default: &Order,
) -> Result<(), CliError> {
    let environment = environment(&loaded.config);
    if setup::is_new(store).await? {
        setup::prepare(store, default, Some(&environment)).await?;
    } else if *app == default.app && setup::has_other_plans(store, &environment).await? {
        output::note(
            "the plans of these settings are not those in the store, which count here: a worker's \
             start puts its own in place",
        );
    }
    let added = api_keys::add_settings(store, vault, default, &keys_of(&loaded.config)).await;
    added.map_err(StartError::from)?;
    Ok(())
}

async fn compare(
    store: &Store,
    apis: &Apis,
    args: &ReconcileArgs,
    by: &Order,
) -> Result<ExitCode, CliError> {
    let wanted = Wanted {
        provider: args.provider.name,
        since: args.since,
        dry_run: args.dry_run,
    };
    let ordered = match reconcile::order(store, apis, by, wanted).await {
        Ok(ordered) => ordered,
        Err(ReconcileError::Open { id }) => {
            let open = reconcile::find(store, &by.app, &id).await?;
            if (open.dry_run, open.ordered_since) != (wanted.dry_run, wanted.since) {
                return Err(ReconcileError::Open { id }.into());
            }
            output::note(&format!(
                "{id} goes on with {}; {} objects were read before",
                open.stage,
                open.found.total().read
            ));
            open
        }
        Err(ReconcileError::AppNotFound) => return Err(refused(AppError::NotFound, &by.app)),
        Err(error) => return Err(error.into()),
    };
    let mut stop = StopSignals::listen()?;
    let ended = tokio::select! {
        ended = carry_out(store, apis, ordered.clone()) => ended?,
        _ = stop.next() => {
            output::note(&format!(
                "{} stays open: the same command goes on with it, and so does a server with a worker",
                ordered.id
            ));
            return Ok(ExitCode::FAILURE);
        }
    };
    tell(&ended, &by.app);
    Ok(match ended.status() {
        ReconcileStatus::Finished if ended.found.is_settled() => ExitCode::SUCCESS,
        ReconcileStatus::Finished => ExitCode::from(DRIFT),
        ReconcileStatus::Open | ReconcileStatus::Failed | ReconcileStatus::Canceled => {
            ExitCode::FAILURE
        }
    })
}

/// Carries a comparison out, or watches whoever does.
async fn carry_out(store: &Store, apis: &Apis, mut it: Reconcile) -> Result<Reconcile, CliError> {
    let progress = Progress::new();
    let mut waits_for = None;
    while it.status() == ReconcileStatus::Open {
        let turn = reconcile::carry_on(store, apis, &SystemClock, Some(&it.id)).await?;
        if let Some(worked) = turn.worked {
            it = worked;
        } else {
            tokio::time::sleep(turn.rest.min(LOOK)).await;
            it = reconcile::find(store, &it.app, &it.id).await?;
        }
        progress.at(&it);
        let error = it.error.as_ref().map(|error| error.detail.clone());
        if error != waits_for && it.status() == ReconcileStatus::Open {
            if let Some(error) = &error {
                output::note(&format!("{error}; trying again at {}", it.leased_until));
            }
            waits_for = error;
        }
    }
    progress.end();
    Ok(it)
}

fn tell(it: &Reconcile, app: &AppSlug) {
    let found = &it.found;
    for (stage, tally) in &found.kinds {
        // What is asked for one by one: mostly there is nothing.
        let is_told_below = found.not_read.contains_key(stage);
        let is_one_by_one = matches!(stage, Stage::Features | Stage::Gone);
        if tally.read == 0 && (is_one_by_one || is_told_below) {
            continue;
        }
        let unreadable = match tally.unreadable {
            0 => String::new(),
            count => format!(", {count} not understood"),
        };
        output::line(&format!(
            "{:<14} {:>8} read, {:>6} missing here, {:>6} different{unreadable}",
            match stage {
                Stage::Gone => "not listed",
                listed => listed.as_str(),
            },
            tally.read,
            tally.missing,
            tally.different,
        ));
    }
    for (stage, said) in &found.not_read {
        output::line(&format!(
            "{:<14} not compared: the API key may not read them ({said})",
            stage.as_str()
        ));
    }
    if found.gone > 0 {
        let more = match found.gone - found.gone_ids.len() as u64 {
            0 => String::new(),
            count => format!(" and {count} more"),
        };
        let are = if found.gone == 1 { "is" } else { "are" };
        output::line(&format!(
            "{} {are} kept here and not listed by {}: {}{more}",
            counted(found.gone, "subscription"),
            it.provider,
            found.gone_ids.join(", ")
        ));
    }
    let drift = found.drift();
    let unreadable = found.total().unreadable;
    output::line(&match it.status() {
        ReconcileStatus::Failed | ReconcileStatus::Canceled | ReconcileStatus::Open => {
            let why = it.error.as_ref().map(|error| error.detail.as_str());
            format!("{}: {}", it.status(), why.unwrap_or("by an admin"))
        }
        ReconcileStatus::Finished if drift == 0 && unreadable == 0 => {
            let whole = found.not_read.is_empty();
            if whole {
                "nothing differs"
            } else {
                "nothing differs in what was read"
            }
            .to_owned()
        }
        ReconcileStatus::Finished if drift == 0 => {
            format!("nothing differs, but {unreadable} answers were not understood")
        }
        ReconcileStatus::Finished if it.dry_run => {
            format!("{drift} differences; nothing was changed (dry run)")
        }
        ReconcileStatus::Finished => format!("{drift} differences, {} repaired", found.repaired),
    });
    output::line(&format!("{} answers of {}", found.requests, it.provider));
    tell_unmapped(it, app);
}

/// A number of things.
fn counted(number: u64, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        number => format!("{number} {what}s"),
    }
}

/// Names the prices without a plan, and how each gets one.
fn tell_unmapped(it: &Reconcile, app: &AppSlug) {
    if it.found.unmapped.is_empty() {
        return;
    }
    output::line("");
    output::line("these prices are paid for and give nothing, because no plan maps them:");
    for unmapped in &it.found.unmapped {
        output::line(&format!(
            "  {:<40} {} of {}",
            unmapped.price,
            counted(unmapped.subscriptions, "running subscription"),
            counted(unmapped.customers, "customer")
        ));
    }
    output::line("map each of them to packages, such as:");
    for unmapped in &it.found.unmapped {
        output::line(&format!(
            "  curl -X PUT \"$TOLLGATE/api/v1/plans/{}/{}?app={app}\" \\\n    \
             -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/json' \\\n    \
             -d '{{\"packages\": [{{\"package\": \"vendor/package\", \"constraint\": \"*\"}}]}}'",
            it.provider, unmapped.price
        ));
    }
}

/// A progress bar on a terminal, and a line now and then elsewhere.
struct Progress {
    bar: ProgressBar,
    told: std::cell::Cell<(Option<Stage>, u64)>,
}

impl Progress {
    fn new() -> Self {
        let bar = ProgressBar::new_spinner();
        let template = "{spinner} {msg}: {pos} objects read, {per_sec}, {elapsed}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self {
            bar,
            told: std::cell::Cell::default(),
        }
    }

    fn at(&self, it: &Reconcile) {
        let read = it.found.total().read;
        self.bar.set_message(it.stage.as_str());
        self.bar.set_position(read);
        let (stage, told) = self.told.get();
        if self.bar.is_hidden() && (stage != Some(it.stage) || read >= told + TELL) {
            output::note(&format!("{read} objects read; now {}", it.stage));
            self.told.set((Some(it.stage), read));
        }
    }

    fn end(&self) {
        self.bar.finish_and_clear();
    }
}
