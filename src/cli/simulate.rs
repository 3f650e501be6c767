//! `tollgate simulate`: posts months of signed traffic and checks the result.

use std::process::ExitCode;

use clap::Args;

use super::error::CliError;
use super::server_url::server_url;
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Source};
use crate::domain::time::{TimeError, Timestamp};
use crate::random;
use crate::simulate::{self, DAY, Order, Place, Speed, Verdict, Weather};

/// Without `--url`, a complete server is started in a temporary folder. With it, the traffic goes
/// to a server in use: into an app of its own, `simulation-<seed>`, which is made through the
/// admin API (an older app of that name is deleted first), with its own secrets, plans and token.
/// That needs an owner's token for all apps: `--token`, or `ADMIN_TOKEN` of the settings.
#[derive(Debug, Args)]
pub(super) struct SimulateArgs {
    /// How many people buy something.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    customers: u32,
    /// How many months the traffic covers, of 30 days each.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=120))]
    months: u32,
    /// Seed of all randomness: the same seed makes the same traffic. Random by default.
    #[arg(long)]
    seed: Option<u64>,
    /// When the traffic ends. Default: the last midnight (UTC).
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,
    /// Posts in a random order.
    #[arg(long)]
    shuffle: bool,
    /// The share of events that are posted twice, from 0 to 1.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    duplicate: f64,
    /// The share of events that are held back and posted among later ones.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    delay: f64,
    /// The share of events that are lost. Customers who differ because of a lost event are counted
    /// but do not fail the run.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    drop: f64,
    /// Posts this many events a second. Default: as fast as they are answered.
    #[arg(long, value_name = "N", value_parser = rate)]
    rate: Option<f64>,
    /// How many posts may be in flight at once.
    #[arg(long, value_name = "N", default_value_t = 16,
        value_parser = clap::value_parser!(u16).range(1..=1_000))]
    connections: u16,
    /// Base URL of the server that receives the webhooks, such as `http://127.0.0.1:8080`.
    #[arg(long, value_parser = server_url)]
    url: Option<String>,
    /// Base URL of the admin API, if another process serves it. Default: that of `--url`.
    #[arg(long, value_name = "URL", requires = "url", value_parser = server_url)]
    api_url: Option<String>,
    /// An owner's token for all apps. Default: `ADMIN_TOKEN` of the settings.
    #[arg(long, requires = "url")]
    token: Option<String>,
    /// Posts nothing; only checks the result of an earlier run with the same seed.
    #[arg(long, requires = "url", requires = "seed")]
    check: bool,
    /// Prints the bodies in the order in which they would be posted, one a line, and ends.
    #[arg(long, conflicts_with_all = ["url", "check"])]
    dry_run: bool,
}

fn share(text: &str) -> Result<f64, String> {
    let share: Option<f64> = text.parse().ok();
    share
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| "must be a share from 0 to 1, such as 0.2".to_owned())
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: Option<f64> = text.parse().ok();
    rate.filter(|rate| (0.001..=1_000_000.0).contains(rate))
        .ok_or_else(|| "must be a number of events a second, such as 200".to_owned())
}

fn time(text: &str) -> Result<Timestamp, TimeError> {
    text.parse()
}

pub(super) async fn run(args: SimulateArgs, source: &Source) -> Result<ExitCode, CliError> {
    let seed = match args.seed {
        Some(seed) => seed,
        // Short enough to be typed.
        None => u64::from(u32::from_le_bytes(random::bytes()?)),
    };
    let midnight = SystemClock.now().seconds().div_euclid(DAY) * DAY;
    let order = Order {
        seed,
        until: args.until.map_or(midnight, Timestamp::seconds),
        customers: args.customers,
        months: args.months,
        weather: Weather {
            shuffle: args.shuffle,
            duplicate: args.duplicate,
            delay: args.delay,
            drop: args.drop,
        },
        speed: Speed {
            rate: args.rate,
            connections: args.connections,
        },
    };
    if args.dry_run {
        simulate::print_bodies(&order);
        return Ok(ExitCode::SUCCESS);
    }
    let place = match args.url {
        None => Place::Embedded,
        Some(url) => Place::Server {
            token: match args.token {
                Some(token) => token.into(),
                None => owner_token(source)?,
            },
            api_url: args.api_url.unwrap_or_else(|| url.clone()),
            url,
            check_only: args.check,
        },
    };
    // On the heap: it holds whole servers, and callers would copy it about.
    Ok(match Box::pin(simulate::run(order, place)).await? {
        Verdict::Right => ExitCode::SUCCESS,
        Verdict::Differs => ExitCode::FAILURE,
    })
}

fn owner_token(source: &Source) -> Result<secrecy::SecretString, CliError> {
    let config = Config::load(source).map_err(Box::new)?.config;
    config.admin.token.ok_or_else(|| CliError::Usage {
        what: "there is no token for the admin API".to_owned(),
        right: "give an owner's token with --token, or set ADMIN_TOKEN".to_owned(),
    })
}
