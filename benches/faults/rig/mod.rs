//! The rig: one fault under load, and what came of it.
//!
//! [`fault`] says what a fault is and [`table`] lists them. [`stage`] starts the services and the
//! [`process`]es of one run and does to them what the fault says, with a [`proxy`], a small
//! [`disk`] and certificates ([`tls`]) where needed. [`load`] sends webhooks meanwhile, [`watch`]
//! looks at everybody's health, and [`ledger`] counts what became of the events.

pub(crate) mod disk;
pub(crate) mod fault;
pub(crate) mod ledger;
pub(crate) mod load;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod stage;
pub(crate) mod table;
pub(crate) mod tls;
pub(crate) mod watch;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use fault::{Fault, Setup};
use ledger::{Ledger, Verdict};
use load::{Counts, Plan};
use stage::Stage;
use watch::{Seen, Times, Watch};

/// How long everything may take after a restart of all roles.
const AFTER_RESTART: Duration = Duration::from_secs(40);

/// What was seen of a fault.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) sent: usize,
    pub(crate) acknowledged: usize,
    pub(crate) first_try: usize,
    pub(crate) verdict: Verdict,
    pub(crate) seen: Seen,
    /// Acknowledged events that got their outcome only after all roles were restarted.
    pub(crate) stood_still: usize,
    /// Processes that ended by themselves.
    pub(crate) restarts: u32,
}

impl Row {
    /// Everything was acknowledged in the end and had its effect once, and all became normal
    /// by itself.
    pub(crate) fn is_right(&self, fault: &Fault) -> bool {
        let Verdict {
            lost,
            doubled,
            failed,
            wrong,
            ..
        } = self.verdict;
        self.acknowledged == self.sent
            && (lost == 0 || fault.may_lose.is_some())
            && doubled + failed + wrong + self.stood_still == 0
            && self.verdict.compared > 0
            && self.seen.until_normal.is_some()
    }
}

/// Why a fault cannot be run here.
pub(crate) fn cannot_run(fault: &Fault) -> Option<&'static str> {
    let small_disk = matches!(
        fault.setup,
        Setup::ApartOnSmallDisk | Setup::TogetherOnSmallDisk
    );
    if small_disk && !disk::may_mount() {
        return Some("only root may mount a small disk");
    }
    if !fault.clocks().is_empty() && stage::faketime_library().is_none() {
        return Some("needs faketime: apt-get install -y --no-install-recommends faketime");
    }
    None
}

/// Runs a fault under load.
pub(crate) async fn run(fault: &Fault, plan: Plan) -> Row {
    let mut stage = Stage::open(fault).await;
    let (counts, ledger) = (Arc::new(Counts::default()), stage.ledger());
    let load = load::start(stage.entrance(), plan, &counts);
    let watch = Watch::over(&stage, &counts);
    stage.rest(plan.calm).await;
    let began = Instant::now();
    for (at, act) in &fault.steps {
        stage.rest(at.saturating_sub(began.elapsed())).await;
        stage.perform(*act, &counts).await;
    }
    let over = Instant::now();
    counts.fault_is_over();

    let mut last_sent = over;
    let mut settled = false;
    while !settled && last_sent.elapsed() < plan.patience {
        stage.rest(Duration::from_millis(200)).await;
        if counts.flows.load(Ordering::SeqCst) {
            last_sent = Instant::now();
        }
        settled = load.is_finished() && is_worked_off(&ledger, &counts).await;
    }
    counts.give_up();
    load.await.unwrap();
    let without_help = ledger.processed().await.unwrap_or_default();
    if settled {
        // One more look at what is normal.
        stage.rest(Duration::from_secs(1)).await;
    }
    let end = Instant::now();
    if !settled {
        stage.restart_roles();
        while end.elapsed() < AFTER_RESTART && !is_worked_off(&ledger, &counts).await {
            stage.rest(Duration::from_millis(200)).await;
        }
    }
    let with_help = ledger.processed().await.unwrap_or_default();
    let acknowledged = counts.acknowledged.lock().unwrap().clone();
    let verdict = ledger.check(&acknowledged).await;
    // Nobody can wait for what is lost; what came within a second may be on its way.
    let on_the_way = verdict.lost + usize::try_from(plan.rate).unwrap();
    let times = Times { began, over, end };
    Row {
        sent: counts.sent.load(Ordering::SeqCst),
        acknowledged: acknowledged.len(),
        first_try: counts.first_try.load(Ordering::SeqCst),
        seen: watch.finish(times, on_the_way),
        verdict,
        stood_still: with_help.saturating_sub(without_help),
        restarts: stage.restarts(),
    }
}

async fn is_worked_off(ledger: &Ledger, counts: &Counts) -> bool {
    let processed = ledger.processed().await;
    processed.is_some_and(|it| it >= counts.acknowledged())
}
