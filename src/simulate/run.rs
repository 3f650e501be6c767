//! One simulation: draws the traffic, posts it, and compares the result.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use secrecy::SecretString;

use super::compare::{self, Difference};
use super::delivery::{self, Delivery, Weather};
use super::error::SimulateError;
use super::life;
use super::post::{self, Speed};
use super::report::{self, Compared, Ledger};
use super::target::{Address, Target};
use super::traffic::Traffic;
use crate::clock::{Clock, SystemClock};
use crate::domain::time::Timestamp;
use crate::output::{Paint, line};
use crate::server::embedded::Embedded;

/// How far before the end of the traffic the embedded server's clock is while it is posted:
/// longer than a failed payment takes to end a subscription, so that timers of all kinds are left
/// to run.
const BEFORE_THE_END: Duration = Duration::from_hours(45 * 24);

/// How long to wait without any progress before giving up on the queue.
const STALLED: Duration = Duration::from_mins(1);

/// How long due timers may take. Workers look every ten seconds.
const TIMERS_RUN: Duration = Duration::from_secs(25);

/// The traffic to simulate.
pub(crate) struct Order {
    /// Seed of all randomness.
    pub(crate) seed: u64,
    /// The end of the traffic, in seconds since 1970.
    pub(crate) until: i64,
    /// The number of people who buy something.
    pub(crate) customers: u32,
    /// The length of the traffic, in months of 30 days.
    pub(crate) months: u32,
    /// Disturbances on the way to the server.
    pub(crate) weather: Weather,
    /// Limits of the posting rate.
    pub(crate) speed: Speed,
}

/// The server under test.
pub(crate) enum Place {
    /// A complete server in a temporary folder.
    Embedded,
    /// A server in use.
    Server {
        /// Base URL of the webhooks.
        url: String,
        /// Base URL of the admin API.
        api_url: String,
        /// An owner's token for all apps.
        token: SecretString,
        /// Posts nothing; only checks the result of an earlier run.
        check_only: bool,
    },
}

/// The result of a simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The server has the state that the model expects.
    Right,
    /// Something differs, or an event failed.
    Differs,
}

/// Prints the bodies in the order in which they would be posted.
pub(crate) fn print_bodies(order: &Order) {
    let (traffic, delivery, _) = draw(order);
    for event in &delivery.posts {
        line(&traffic.webhooks[*event].body);
    }
}

/// Runs a simulation and prints its course.
pub(crate) async fn run(order: Order, place: Place) -> Result<Verdict, SimulateError> {
    let (traffic, delivery, tried) = draw(&order);
    let run = Run {
        order,
        traffic,
        delivery,
        tried,
    };
    run.introduce();
    match place {
        // A whole server is in it, which does not belong on the stack of every caller.
        Place::Embedded => Box::pin(run.embedded()).await,
        Place::Server {
            url,
            api_url,
            token,
            check_only,
        } => {
            let base = |url: &str| url.trim_end_matches('/').to_owned();
            let address = Address {
                hooks: base(&url),
                api: base(&api_url),
                owner: token,
                clock: Arc::new(SystemClock),
            };
            run.against(address, check_only).await
        }
    }
}

fn draw(order: &Order) -> (Traffic, Delivery, usize) {
    let mut traffic = Traffic::draw(order.seed, order.customers, order.months, order.until);
    let mut delivery = delivery::plan(order.seed, traffic.webhooks.len(), order.weather);
    traffic.leave_out(&delivery);
    let tried = traffic.try_first(&mut delivery);
    (traffic, delivery, tried)
}

struct Run {
    order: Order,
    traffic: Traffic,
    delivery: Delivery,
    /// So many posts at the front are of test mode, and processed before the first live one.
    tried: usize,
}

/// Runs on from the time it is set to.
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
    /// Prints what will be posted, and the command that repeats it.
    fn introduce(&self) {
        let Self { order, traffic, .. } = self;
        let weather = order.weather;
        line(&Paint::for_stdout().bold(&format!("Tollgate simulation, seed {}", order.seed)));
        let shares = [
            ("duplicate", weather.duplicate),
            ("delay", weather.delay),
            ("drop", weather.drop),
        ];
        let shares = shares.iter().filter(|(_, share)| *share > 0.0);
        let shares = shares.map(|(name, share)| format!(" --{name} {share}"));
        let shares = shares.collect::<Vec<_>>().concat();
        let shuffle = if weather.shuffle { " --shuffle" } else { "" };
        let again = format!(
            "tollgate simulate --seed {} --until {} --customers {} --months {}{shuffle}{shares}",
            order.seed,
            life::seconds(order.until),
            order.customers,
            order.months
        );
        line(&format!("again: {again}"));
        let kinds = traffic.kinds();
        let kinds: Vec<String> = kinds
            .iter()
            .map(|(kind, count)| format!("{count} {kind}"))
            .collect();
        line(&format!(
            "accounts of one address: {}",
            traffic.same_email.word()
        ));
        line(&format!(
            "{} customers, {} months: {} events ({}), {} posts, {} events lost on the way",
            order.customers,
            order.months,
            traffic.webhooks.len(),
            kinds.join(", "),
            self.delivery.posts.len(),
            self.delivery.dropped.len()
        ));
    }

    fn app(&self) -> String {
        format!("simulation-{}", self.order.seed)
    }

    /// Runs against a complete server in a temporary folder.
    async fn embedded(self) -> Result<Verdict, SimulateError> {
        let clock = Arc::new(OffsetClock(AtomicI64::new(0)));
        let end = life::seconds(self.order.until);
        clock.set(end.minus(BEFORE_THE_END));
        let shared = Arc::clone(&clock) as Arc<dyn Clock>;
        let server = Embedded::start("simulation", &[], Arc::clone(&shared)).await?;
        let address = Address {
            hooks: server.base(),
            api: server.base(),
            owner: server.owner_token().into(),
            clock: shared,
        };
        let target = Target::fresh(address, self.app(), self.traffic.same_email).await?;
        self.post(&target).await?;
        clock.set(end);
        let verdict = self.judge(&target, true).await;
        server.stop().await;
        verdict
    }

    /// Runs against a server in use.
    async fn against(self, address: Address, check_only: bool) -> Result<Verdict, SimulateError> {
        let target = if check_only {
            Target::again(address, self.app()).await?
        } else {
            let target = Target::fresh(address, self.app(), self.traffic.same_email).await?;
            self.post(&target).await?;
            target
        };
        let verdict = self.judge(&target, !check_only).await?;
        target.leave().await?;
        line(&format!(
            "the app `{}` stays until the next run or its deletion",
            self.app()
        ));
        Ok(verdict)
    }

    /// Posts everything and waits until it is processed.
    async fn post(&self, target: &Target) -> Result<(), SimulateError> {
        for person in &self.traffic.people {
            if let Some(customer) = &person.admin_made {
                target.make(customer).await?;
            }
        }
        let probes = target.probe().await?;
        self.act(target, true).await?;
        let (posts, speed) = (&self.delivery.posts, self.order.speed);
        let half = self.traffic.half(&self.delivery).max(self.tried);
        let started = Instant::now();
        let tried = &posts[..self.tried];
        let mut refused = post::all(target, &self.traffic, tried, speed).await?;
        self.wait(target, tried, probes).await?;
        refused += post::all(target, &self.traffic, &posts[self.tried..half], speed).await?;
        if self.traffic.acts(false).next().is_some() {
            self.wait(target, &posts[..half], probes).await?;
            self.act(target, false).await?;
        }
        refused += post::all(target, &self.traffic, &posts[half..], speed).await?;
        let posts = self.delivery.posts.len();
        let seconds = started.elapsed().as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
        let rate = posts as f64 / seconds.max(0.001);
        line(&format!(
            "posted: {posts} in {seconds:.1} s ({rate:.0} a second), all answered 200 in the \
             end, {refused} times refused at first"
        ));
        self.wait(target, &self.delivery.posts, probes).await
    }

    /// Does what an admin does by hand, before the first webhook or between webhooks.
    async fn act(&self, target: &Target, early: bool) -> Result<(), SimulateError> {
        for (account, kind, external_id) in self.traffic.acts(early) {
            target.put(account, kind, &external_id).await?;
        }
        Ok(())
    }

    /// Waits until every event of these posts has an outcome and every duplicate is counted.
    async fn wait(
        &self,
        target: &Target,
        posts: &[usize],
        probes: usize,
    ) -> Result<(), SimulateError> {
        let sent = posts.iter().collect::<BTreeSet<_>>().len();
        let duplicates = (posts.len() - sent) as u64;
        let events = (sent + probes) as u64;
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
                return Err(SimulateError::Server(what));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Compares the server with the model.
    async fn judge(&self, target: &Target, has_posted: bool) -> Result<Verdict, SimulateError> {
        let ledger = Ledger::read(&target.all("/api/v1/events").await?);
        ledger.print();
        let started = Instant::now();
        let compared = loop {
            let compared = self.compare(target).await?;
            // Due timers may still have to run, unless the events were posted by an earlier run.
            let waits = has_posted && started.elapsed() < TIMERS_RUN;
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
        let (paint, summary) = (Paint::for_stdout(), compared.summary());
        line(&if is_right {
            paint.green(&summary)
        } else {
            paint.red(&summary)
        });
        Ok(if is_right {
            Verdict::Right
        } else {
            Verdict::Differs
        })
    }

    async fn compare(&self, target: &Target) -> Result<Compared, SimulateError> {
        let expected = self.traffic.expected(target.now());
        let found = compare::look(target).await?;
        let mut differences = compare::differences(&expected, &found);
        if self.delivery.dropped.is_empty() {
            let nobodys = compare::nobodys(target).await?;
            let nobodys = compare::difference_of_nobodys(&self.traffic.nobodys(), &nobodys);
            differences.extend(nobodys);
        }
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
