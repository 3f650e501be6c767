//! `tollgate copy`: moves the embedded store to PostgreSQL.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use secrecy::{ExposeSecret, SecretString};

use super::error::CliError;
use super::help;
use super::stop::StopSignals;
use crate::config::Database;
use crate::output;
use crate::store::{ComparedTable, CopyStep, StoreCopy};

/// The exit code if the two sides differ.
const DIFFERENT: u8 = 2;

/// The rows of one table after which progress is told where there is no terminal.
const TELL: u64 = 500_000;

/// Copies the embedded store (SQLite) into an empty PostgreSQL database, every table, and compares both
/// sides at the end. Stop the server before: a source that another process uses is refused. A copy that
/// was cut short goes on where it was when the same command is run again; until it has ended, no server
/// serves the target.
///
/// The password of the target may come from PGPASSWORD or ~/.pgpass instead of its URL, which other
/// users of the machine can see. The servers of the target need the secret key of the source.
///
/// Exit code: 0 if every table is the same on both sides, 2 if one differs, 1 if the copy failed.
#[derive(Debug, Args)]
#[command(after_help = help::COPY)]
pub(super) struct CopyArgs {
    /// The store to copy: `sqlite://PATH`.
    #[arg(long, value_name = "URL")]
    from: String,
    /// The empty database: `postgres://USER@HOST/NAME`.
    #[arg(long, value_name = "URL")]
    to: SecretString,
    /// Copies nothing: only compares a source with the copy that was made of it.
    #[arg(long)]
    compare_only: bool,
}

pub(super) async fn run(args: &CopyArgs) -> Result<ExitCode, CliError> {
    let (path, to) = (source(&args.from)?, target(&args.to)?);
    let mut stop = StopSignals::listen()?;
    let progress = Progress::new();
    let copied = async {
        let (mut copy, compared);
        if args.compare_only {
            copy = StoreCopy::open_made(&path, &to).await?;
            compared = copy.compare(|step| progress.at(step)).await?;
        } else {
            copy = StoreCopy::open(&path, &to).await?;
            let place = format!("sqlite://{}", path.display());
            compared = copy.run(&place, |step| progress.at(step)).await?;
        }
        Ok::<_, CliError>((compared, copy.waiting_messages().await?))
    };
    let (compared, waiting) = tokio::select! {
        copied = copied => copied?,
        signal = stop.next() => {
            output::note(&format!("{signal}: the same command goes on with it"));
            return Ok(ExitCode::FAILURE);
        }
    };
    progress.end();
    tell(&compared);
    if !compared.iter().all(ComparedTable::is_same) {
        output::line(if args.compare_only {
            "the two differ"
        } else {
            "the two differ, and no server serves the target: make it anew, and copy again while nobody \
             uses the source"
        });
        return Ok(ExitCode::from(DIFFERENT));
    }
    output::line("every table is the same on both sides");
    if waiting > 0 {
        output::line(&format!(
            "{waiting} messages wait in the built-in queue: they are worked off by a server of the \
             target that has no AMQP_URL; set AMQP_URL when none is left"
        ));
    }
    output::line(
        "give the servers of the target the secret key of the source as TOLLGATE_SECRET_KEY: without \
         it webhook secrets and licence keys cannot be decrypted",
    );
    Ok(ExitCode::SUCCESS)
}

/// The file of the source. Wrong URLs are not repeated: they may have a password.
fn source(url: &str) -> Result<PathBuf, CliError> {
    let wrong = |what: String| CliError::Usage {
        what,
        right: "give the file of the embedded store, such as \
                sqlite:///var/lib/tollgate/tollgate.db"
            .to_owned(),
    };
    match Database::parse(url) {
        Ok(Database::Sqlite(path)) => {
            let path = std::path::absolute(&path).unwrap_or(path);
            if path.is_file() {
                return Ok(path);
            }
            Err(wrong(format!(
                "--from: there is no store at {}",
                path.display()
            )))
        }
        Ok(Database::Postgres(_)) => Err(CliError::Usage {
            what: "--from is on a PostgreSQL server".to_owned(),
            right: "copy between servers with pg_dump and pg_restore".to_owned(),
        }),
        Err(error) => Err(wrong(format!("--from: {error}"))),
    }
}

fn target(url: &SecretString) -> Result<SecretString, CliError> {
    match Database::parse(url.expose_secret()) {
        Ok(Database::Postgres(url)) => Ok(url),
        Ok(Database::Sqlite(_)) => Err(CliError::Usage {
            what: "--to is a file".to_owned(),
            right: "copy an embedded store into another file with `tollgate backup`".to_owned(),
        }),
        Err(error) => Err(CliError::Usage {
            what: format!("--to: {error}"),
            right: "give an empty database, such as postgres://tollgate@db.example.com/tollgate"
                .to_owned(),
        }),
    }
}

fn tell(compared: &[ComparedTable]) {
    for table in compared {
        let (source, target) = (table.source, table.target);
        let short = |digest: String| digest.chars().take(16).collect::<String>();
        let line = format!(
            "{:<20} {:>10} rows  {}",
            table.name,
            source.rows,
            short(source.to_string())
        );
        output::line(&if table.is_same() {
            line
        } else {
            format!(
                "{line}  DIFFERS: the target has {} rows  {}",
                target.rows,
                short(target.to_string())
            )
        });
    }
}

/// A progress bar on a terminal, and a line now and then elsewhere.
struct Progress {
    bar: ProgressBar,
    told: std::cell::Cell<u64>,
}

impl Progress {
    fn new() -> Self {
        let bar = ProgressBar::new(0);
        let template = "{msg} {wide_bar} {pos}/{len} rows, {per_sec}, {elapsed}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self {
            bar,
            told: std::cell::Cell::default(),
        }
    }

    fn at(&self, step: CopyStep<'_>) {
        match step {
            CopyStep::Copied { table, rows, of } => {
                self.bar.set_message(table.to_owned());
                self.bar.set_length(of);
                self.bar.set_position(rows);
                let told = self.told.get();
                if self.bar.is_hidden() && (rows == of || rows < told || rows >= told + TELL) {
                    output::note(&format!("{table}: {rows} of {of} rows"));
                    self.told.set(if rows == of { 0 } else { rows });
                }
            }
            CopyStep::Checking { table } => self.says(&format!("looking through {table}")),
            CopyStep::Comparing { table } => self.says(&format!("comparing {table}")),
        }
    }

    fn says(&self, step: &str) {
        self.bar.set_message(step.to_owned());
        if self.bar.is_hidden() {
            output::note(step);
        }
    }

    fn end(&self) {
        self.bar.finish_and_clear();
    }
}
