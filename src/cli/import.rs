//! `tollgate import`: takes over customers from another system.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use secrecy::ExposeSecret;

use super::app::AppArgs;
use super::error::CliError;
use super::help;
use crate::clock::{Clock, SystemClock};
use crate::config::Loaded;
use crate::domain::access::token::TokenHash;
use crate::domain::id::AppSlug;
use crate::output;
use crate::pipeline::import::{self, Column, Surveyed, Table, Tally, Totals};
use crate::pipeline::order::Order;
use crate::pipeline::setup;
use crate::server::open_store;
use crate::store::{Actor, Store};

/// The lines after which progress is told where there is no terminal.
const TELL: u64 = 10_000;

#[derive(Debug, Subcommand)]
pub(super) enum ImportCommand {
    /// Takes over customers, the packages that they may have, and the tokens that they use.
    #[command(after_help = help::IMPORT)]
    Customers(CustomersArgs),
}

/// The first line of the file names its columns, in any order: `name`, `email`, `external_id`,
/// `user_id`, `token` or `token_sha256`, `package`, `constraint`, `expires_at`, `billing`. Each
/// further line names a customer by `external_id` or `email`, and may have a package that is granted
/// to it, a token, or both; several lines can be of one customer. Tokens are taken over as they are
/// (32 to 255 printable ASCII characters) or as the SHA-256 of their text (64 hexadecimal digits), so
/// that nobody has to change an `auth.json`.
///
/// The whole file is checked first. If any line is wrong, all wrong lines are named, nothing is
/// changed, and the exit code is 1. Running an import again changes nothing, and completes one that
/// was cut short; tokens that were rotated or revoked here since are not brought back.
#[derive(Debug, Args)]
pub(super) struct CustomersArgs {
    /// A CSV file in UTF-8.
    file: PathBuf,
    #[command(flatten)]
    app: AppArgs,
    /// Only checks the file and says what would be made.
    #[arg(long)]
    dry_run: bool,
    /// What separates the columns: `,`, `;`, `|` or `tab`. Found in the first line by default.
    #[arg(long, value_name = "CHARACTER", value_parser = delimiter)]
    delimiter: Option<u8>,
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text {
        "," | ";" | "|" => Ok(text.as_bytes()[0]),
        "tab" | "\t" | "\\t" => Ok(b'\t'),
        _ => Err("must be `,`, `;`, `|` or `tab`".to_owned()),
    }
}

pub(super) async fn run(command: ImportCommand, loaded: &Loaded) -> Result<ExitCode, CliError> {
    let ImportCommand::Customers(args) = command;
    // Before a store is made for nothing.
    let mut table = open(&args)?;
    let store = open_store(&loaded.config).await?;
    output::note(&format!("the store is {}", store.place()));
    // Of a store that no server has used yet.
    setup::prepare(
        &store,
        &order(&AppSlug::default_app(), Actor::Operator),
        None,
    )
    .await?;
    let reserved = loaded.config.admin.token.as_ref();
    let reserved = reserved.map(|token| TokenHash::of(token.expose_secret()));
    let code = customers(&store, &args, reserved, &mut table).await;
    store.close().await;
    code
}

async fn customers(
    store: &Store,
    args: &CustomersArgs,
    reserved: Option<TokenHash>,
    table: &mut Table<File>,
) -> Result<ExitCode, CliError> {
    let app = &args.app.app;
    if store.read().await?.app_find(app).await?.is_none() {
        return Err(CliError::Missing {
            code: "app_not_found",
            what: format!("there is no app `{app}`"),
            right: "name one that exists with --app, or make it first".to_owned(),
        });
    }
    let bar = Progress::new("checked");
    let now = order(app, Actor::Import);
    let surveyed = import::survey(store, &now, reserved, table, |lines| bar.at(lines)).await?;
    bar.end();
    if surveyed.fault_count > 0 {
        tell_faults(&surveyed);
        return Ok(ExitCode::FAILURE);
    }
    if args.dry_run {
        output::line(&format!(
            "{} lines are right; nothing was changed, and an import would make:",
            surveyed.totals.lines
        ));
        tell(&surveyed.totals);
        return Ok(ExitCode::SUCCESS);
    }
    let bar = Progress::new("imported");
    let mut table = open(args)?;
    let orders = || order(app, Actor::Import);
    let done = import::carry_out(store, orders, reserved, &mut table, |lines| bar.at(lines));
    let done = done.await.map_err(CliError::ImportStopped)?;
    bar.end();
    output::line(&format!("{} lines were imported:", done.lines));
    tell(&surveyed.totals.after(done));
    Ok(ExitCode::SUCCESS)
}

fn order(app: &AppSlug, actor: Actor) -> Order {
    Order {
        app: app.clone(),
        actor,
        now: SystemClock.now(),
        reason: None,
    }
}

fn open(args: &CustomersArgs) -> Result<Table<File>, CliError> {
    let opening = |path: &Path| CliError::io(format!("opening {}", path.display()));
    let file = File::open(&args.file).map_err(opening(&args.file))?;
    let kind = file.metadata().map_err(opening(&args.file))?;
    if !kind.is_file() {
        return Err(CliError::Usage {
            what: format!("{} is not a file", args.file.display()),
            right: "give a file, which is read twice".to_owned(),
        });
    }
    Ok(Table::open(file, args.delimiter).map_err(import::ImportError::from)?)
}

fn tell_faults(surveyed: &Surveyed) {
    for fault in &surveyed.faults {
        output::line(&fault.to_string());
    }
    let named = u64::try_from(surveyed.faults.len()).unwrap_or_default();
    match surveyed.fault_count - named {
        0 => {}
        more => output::line(&format!("and {more} more")),
    }
    output::line(&format!(
        "nothing was changed: {} values in {} lines are wrong; the columns are {}",
        surveyed.fault_count,
        surveyed.totals.lines,
        Column::ALL.map(Column::as_str).join(", ")
    ));
}

fn tell(totals: &Totals) {
    let row = |what: &str, tally: Tally, changed: &str| {
        let changed = match tally.changed {
            0 => String::new(),
            count => format!(", {count} {changed}"),
        };
        output::line(&format!(
            "{what:<10} {} new{changed}, {} already there",
            tally.made, tally.known
        ));
    };
    row("customers", totals.customers, "given an id");
    row("grants", totals.grants, "changed");
    row("tokens", totals.tokens, "changed");
    match totals.retired_tokens {
        0 => {}
        1 => output::line(
            "1 token is left out: it was rotated or revoked here since it was taken over",
        ),
        more => output::line(&format!(
            "{more} tokens are left out: they were rotated or revoked here since they were taken over"
        )),
    }
}

/// A progress bar on a terminal, and a line now and then elsewhere.
struct Progress {
    bar: ProgressBar,
    what: &'static str,
}

impl Progress {
    fn new(what: &'static str) -> Self {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{pos} lines {msg}, {per_sec}") {
            bar.set_style(style);
        }
        bar.set_message(what);
        Self { bar, what }
    }

    fn at(&self, lines: u64) {
        self.bar.set_position(lines);
        if self.bar.is_hidden() && lines.is_multiple_of(TELL) {
            output::note(&format!("{lines} lines {}", self.what));
        }
    }

    fn end(&self) {
        self.bar.finish_and_clear();
    }
}
