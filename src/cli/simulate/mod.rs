//! `tollgate simulate`: a test rig for users and for us.
//!
//! The lives of some customers over some months are drawn from a seed, at both providers and in
//! several payload forms. Their webhooks are signed and posted as providers would post them in
//! bad weather: shuffled, held back, twice, or not at all. When the queue is worked off, the
//! store is read through the admin API and held against a model that saw everything happen in
//! order ([`model`]). Every difference is a defect, of the model or of the server.
//!
//! Without a URL a whole server is started in a temporary folder. Its clock stands some weeks
//! before the end of the traffic while it is posted, and then goes there, so that timers run.

mod compare;
mod delivery;
mod draw;
mod life;
mod model;
mod person;
mod post;
mod provider;
mod report;
mod shop;
mod target;
mod traffic;
mod wire;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use clap::Args;

use super::embedded::Embedded;
use super::output::{Paint, line};
use super::{CliError, load};
use crate::clock::{Clock, SystemClock};
use crate::config::Source;
use crate::domain::time::Timestamp;
use crate::random;
use compare::Difference;
use delivery::{Delivery, Weather};
use report::{Compared, Ledger};
use target::{Address, Target};
use traffic::Traffic;

/// How far before the end of the traffic the embedded server's clock stands while it is posted:
/// longer than the grace of a failed payment, so that all kinds of timers are left to run.
const BEFORE_THE_END: Duration = Duration::from_hours(20 * 24);

/// How long nothing may move before the wait for the queue is given up.
const STALLED: Duration = Duration::from_mins(1);

/// How long timers may take that are due. Workers look every ten seconds.
const TIMERS_RUN: Duration = Duration::from_secs(25);

/// Without `--url`, everything is started in a temporary folder. With it, the traffic goes to a
/// server in use: into an app of its own, `simulation-<seed>`, which is made through the admin
/// API (an older one of the name is deleted first), with its own secrets, plans and token. That
/// needs an owner's token for all apps: `--token`, or `ADMIN_TOKEN` of the settings.
#[derive(Debug, Args)]
pub(super) struct SimulateArgs {
    /// How many people buy something.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    customers: u32,
    /// How many months their lives last, of 30 days each.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=120))]
    months: u32,
    /// What all chance comes from: the same seed makes the same traffic. Random unless given.
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
    /// The share of events that are lost. Customers who differ for it are counted, not blamed.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    drop: f64,
    /// Posts so many events a second. Default: as fast as they are answered.
    #[arg(long, value_name = "N", value_parser = rate)]
    rate: Option<f64>,
    /// How many posts may be under way at once.
    #[arg(long, value_name = "N", default_value_t = 16,
        value_parser = clap::value_parser!(u16).range(1..=1_000))]
    connections: u16,
    /// Base URL of the server that takes the webhooks, such as `http://127.0.0.1:8080`.
    #[arg(long)]
    url: Option<String>,
    /// Base URL of the admin API, where another process serves it. Default: that of `--url`.
    #[arg(long, value_name = "URL", requires = "url")]
    api_url: Option<String>,
    /// An owner's token for all apps. Default: `ADMIN_TOKEN` of the settings.
    #[arg(long, requires = "url")]
    token: Option<String>,
    /// Posts nothing; only compares what an earlier run with the same seed left.
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

fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).ok_or_else(|| "must be a time such as 2026-01-31T00:00:00Z".to_owned())
}

pub(super) async fn run(args: SimulateArgs, source: &Source) -> Result<ExitCode, CliError> {
    let seed = match args.seed {
        Some(seed) => seed,
        // Short enough to be typed.
        None => u64::from(u32::from_le_bytes(random::bytes()?)),
    };
    let midnight = SystemClock.now().seconds().div_euclid(life::DAY) * life::DAY;
    let until = args.until.map_or(midnight, Timestamp::seconds);
    let traffic = Traffic::draw(seed, args.customers, args.months, until);
    let weather = Weather {
        shuffle: args.shuffle,
        duplicate: args.duplicate,
        delay: args.delay,
        drop: args.drop,
    };
    let delivery = delivery::plan(seed, traffic.webhooks.len(), weather);
    if args.dry_run {
        for event in &delivery.posts {
            line(&traffic.webhooks[*event].body);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let run = Run {
        args,
        seed,
        until,
        traffic,
        delivery,
    };
    run.introduce();
    match run.args.url.clone() {
        Some(url) => run.against(url, source).await,
        None => run.embedded().await,
    }
}

/// One simulation.
struct Run {
    args: SimulateArgs,
    seed: u64,
    /// In seconds since 1970.
    until: i64,
    traffic: Traffic,
    delivery: Delivery,
}

/// Goes on from wherever it is set to.
struct OffsetClock(AtomicI64);

impl OffsetClock {
    fn set(&self, now: Timestamp) {
        let offset = now.nanos() - SystemClock.now().nanos();
        self.0.store(offset, Ordering::SeqCst);
    }
}

impl Clock for OffsetClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(SystemClock.now().nanos() + self.0.load(Ordering::SeqCst))
    }
}

impl Run {
    /// Says what will happen, and how it can be had again.
    fn introduce(&self) {
        let Self { args, traffic, .. } = self;
        line(&Paint::for_stdout().bold(&format!("Tollgate simulation, seed {}", self.seed)));
        let shares = [
            ("duplicate", args.duplicate),
            ("delay", args.delay),
            ("drop", args.drop),
        ];
        let shares = shares.iter().filter(|(_, share)| *share > 0.0);
        let shares = shares.map(|(name, share)| format!(" --{name} {share}"));
        let shares = shares.collect::<Vec<_>>().concat();
        let shuffle = if args.shuffle { " --shuffle" } else { "" };
        let again = format!(
            "tollgate simulate --seed {} --until {} --customers {} --months {}{shuffle}{shares}",
            self.seed,
            life::seconds(self.until),
            args.customers,
            args.months
        );
        line(&format!("again: {again}"));
        let kinds = traffic.kinds();
        let kinds: Vec<String> = kinds
            .iter()
            .map(|(kind, count)| format!("{count} {kind}"))
            .collect();
        line(&format!(
            "{} customers, {} months: {} events ({}), {} posts, {} events lost on the way",
            args.customers,
            args.months,
            traffic.webhooks.len(),
            kinds.join(", "),
            self.delivery.posts.len(),
            self.delivery.dropped.len()
        ));
    }

    fn app(&self) -> String {
        format!("simulation-{}", self.seed)
    }

    /// Against a whole server in a temporary folder.
    async fn embedded(self) -> Result<ExitCode, CliError> {
        let clock = Arc::new(OffsetClock(AtomicI64::new(0)));
        let end = life::seconds(self.until);
        clock.set(end.minus(BEFORE_THE_END));
        let shared = Arc::clone(&clock) as Arc<dyn Clock>;
        let server = Embedded::start("simulation", &[], Arc::clone(&shared)).await?;
        let address = Address {
            hooks: server.base(),
            api: server.base(),
            owner: server.owner_token().into(),
            clock: shared,
        };
        let target = Target::fresh(address, self.app()).await?;
        self.post(&target).await?;
        clock.set(end);
        let code = self.judge(&target).await;
        server.stop().await;
        code
    }

    /// Against a server in use.
    async fn against(self, url: String, source: &Source) -> Result<ExitCode, CliError> {
        let owner = match &self.args.token {
            Some(token) => token.clone().into(),
            None => load(source)?
                .config
                .admin
                .token
                .ok_or_else(|| CliError::Usage {
                    what: "there is no token for the admin API".to_owned(),
                    right: "give an owner's token with --token, or set ADMIN_TOKEN".to_owned(),
                })?,
        };
        let base = |url: &str| url.trim_end_matches('/').to_owned();
        let address = Address {
            api: base(self.args.api_url.as_deref().unwrap_or(&url)),
            hooks: base(&url),
            owner,
            clock: Arc::new(SystemClock),
        };
        let target = if self.args.check {
            Target::again(address, self.app()).await?
        } else {
            let target = Target::fresh(address, self.app()).await?;
            self.post(&target).await?;
            target
        };
        let code = self.judge(&target).await?;
        target.leave().await?;
        line(&format!(
            "the app `{}` stays until the next run or its deletion",
            self.app()
        ));
        Ok(code)
    }

    /// Posts everything, and waits until it is worked off.
    async fn post(&self, target: &Target) -> Result<(), CliError> {
        for person in &self.traffic.people {
            if let Some(customer) = &person.admin_made {
                target.make(customer).await?;
            }
        }
        let knocks = target.knock().await?;
        let started = Instant::now();
        let how = post::How {
            rate: self.args.rate,
            connections: self.args.connections,
        };
        let refused = post::all(target, &self.traffic, &self.delivery, how).await?;
        let posts = self.delivery.posts.len();
        let seconds = started.elapsed().as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
        let rate = posts as f64 / seconds.max(0.001);
        line(&format!(
            "posted: {posts} in {seconds:.1} s ({rate:.0} a second), all answered 200 in the \
             end, {refused} times refused at first"
        ));
        let events = self.traffic.webhooks.len() - self.delivery.dropped.len() + knocks;
        self.wait(target, events as u64).await
    }

    /// Waits until every event has an outcome and every duplicate was seen.
    async fn wait(&self, target: &Target, events: u64) -> Result<(), CliError> {
        let sent = self.traffic.webhooks.len() - self.delivery.dropped.len();
        let duplicates = (self.delivery.posts.len() - sent) as u64;
        let (mut moved, mut last) = (Instant::now(), 0);
        loop {
            let known = target.count("/api/v1/events").await?;
            let pending = target.count("/api/v1/events?outcome=pending").await?;
            let mut done = known.saturating_sub(pending);
            if done >= events {
                let ledger = Ledger::read(&target.all("/api/v1/events").await?);
                done += ledger.duplicates;
                if ledger.duplicates >= duplicates {
                    return Ok(());
                }
            }
            if done != last {
                (moved, last) = (Instant::now(), done);
            }
            if moved.elapsed() > STALLED {
                let what = format!(
                    "{} s without progress: {done} of {} events and duplicates have an outcome",
                    STALLED.as_secs(),
                    events + duplicates
                );
                return Err(CliError::Simulation(what));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Compares, and says whether all is as it should be.
    async fn judge(&self, target: &Target) -> Result<ExitCode, CliError> {
        let ledger = Ledger::read(&target.all("/api/v1/events").await?);
        ledger.print();
        let started = Instant::now();
        let compared = loop {
            let compared = self.compare(target).await?;
            // Timers that are due may still have to run; after an older run all have.
            let waits = !self.args.check && started.elapsed() < TIMERS_RUN;
            if compared.unexplained.is_empty() || !waits {
                break compared;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        };
        if !self.delivery.dropped.is_empty() {
            line(&compared.loss(self.delivery.dropped.len()));
        }
        report::print_differences(&self.traffic, &compared.unexplained);
        let is_right = compared.unexplained.is_empty() && ledger.failed.is_empty();
        let (paint, verdict) = (Paint::for_stdout(), compared.verdict());
        line(&if is_right {
            paint.green(&verdict)
        } else {
            paint.red(&verdict)
        });
        Ok(if is_right {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }

    async fn compare(&self, target: &Target) -> Result<Compared, CliError> {
        let expected = self.traffic.expected(target.now());
        let found = compare::look(target).await?;
        let differences = compare::differences(&expected, &found);
        let changed = self.traffic.changed_by_loss(&self.delivery);
        let is_explained = |it: &Difference| {
            let person = self.traffic.person_of(&it.external_id);
            person.is_some_and(|person| changed.contains(&person))
        };
        let (explained, unexplained) = differences.into_iter().partition(is_explained);
        Ok(Compared {
            statuses: compare::statuses(&found),
            explained,
            unexplained,
            changed: changed.len(),
        })
    }
}
