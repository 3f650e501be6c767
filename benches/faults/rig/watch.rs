//! What each role says of its health during a fault, beside what it can do.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio::task::JoinHandle;

use super::fault::Part;
use super::ledger::Ledger;
use super::load::Counts;
use super::stage::Stage;
use crate::support::ADMIN_TOKEN;

const INTERVAL: Duration = Duration::from_millis(500);

/// How long a question may take: what usual probes wait, and some.
const ANSWER: Duration = Duration::from_secs(2);

/// What was seen at one moment.
struct Sample {
    at: Instant,
    /// What `/readyz` of each process said: 200, something else, or nothing.
    ready: Vec<Option<bool>>,
    /// The API answers a question about the store.
    api: bool,
    processed: Option<usize>,
    acknowledged: usize,
    good: usize,
    bad: usize,
    flows: bool,
}

/// Looks at everything twice a second until it is finished.
pub(crate) struct Watch {
    parts: Vec<Part>,
    samples: Arc<Mutex<Vec<Sample>>>,
    task: JoinHandle<()>,
}

/// Seconds of one process during a fault and until all was normal again.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Health {
    /// All of them.
    pub(crate) seen: f64,
    /// `/readyz` said 200.
    pub(crate) ready: f64,
    /// It said nothing.
    pub(crate) silent: f64,
    /// Work was done, as far as that can be told: a receiver without webhooks counts as able.
    pub(crate) able: f64,
    /// Ready, and unable.
    pub(crate) too_good: f64,
    /// Said that it was not ready, and was able.
    pub(crate) too_bad: f64,
}

impl Health {
    fn add(&mut self, seconds: f64, ready: Option<bool>, able: bool) {
        let count = |is_so: bool, sum: &mut f64| *sum += if is_so { seconds } else { 0.0 };
        count(true, &mut self.seen);
        count(ready == Some(true), &mut self.ready);
        count(ready.is_none(), &mut self.silent);
        count(able, &mut self.able);
        count(ready == Some(true) && !able, &mut self.too_good);
        count(ready == Some(false) && able, &mut self.too_bad);
    }
}

/// When a fault began and was over, and when it was left to itself no longer.
#[derive(Clone, Copy)]
pub(crate) struct Times {
    pub(crate) began: Instant,
    pub(crate) over: Instant,
    pub(crate) end: Instant,
}

/// All that was seen of one fault.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) health: Vec<(Part, Health)>,
    /// From the end of the fault; `None` if it did not become normal.
    pub(crate) until_normal: Option<f64>,
}

impl Watch {
    pub(crate) fn over(stage: &Stage, counts: &Arc<Counts>) -> Self {
        let samples = Arc::new(Mutex::new(Vec::new()));
        let (parts, addresses): (Vec<_>, Vec<_>) = stage.health_ports().into_iter().unzip();
        let looking = look(
            addresses,
            stage.api(),
            stage.ledger(),
            Arc::clone(counts),
            Arc::clone(&samples),
        );
        Self {
            parts,
            samples,
            task: tokio::spawn(looking),
        }
    }

    /// Ends it. `on_the_way` says how many events may have no outcome while all is normal.
    pub(crate) fn finish(self, times: Times, on_the_way: usize) -> Seen {
        self.task.abort();
        let Times { began, over, end } = times;
        let mut samples = std::mem::take(&mut *self.samples.lock().unwrap());
        samples.retain(|it| it.at < end);
        let mut normal = None;
        for pair in samples.windows(2).rev() {
            if pair[1].at < over || !is_normal(&pair[0], &pair[1], on_the_way) {
                break;
            }
            normal = Some(pair[1].at);
        }
        let end = normal.or(samples.last().map(|it| it.at)).unwrap_or(over);
        let mut health: Vec<_> = self
            .parts
            .iter()
            .map(|it| (*it, Health::default()))
            .collect();
        for pair in samples.windows(2) {
            if pair[1].at < began || pair[1].at > end {
                continue;
            }
            let seconds = pair[1].at.duration_since(pair[0].at).as_secs_f64();
            for (index, (part, health)) in health.iter_mut().enumerate() {
                let able = able(*part, &pair[0], &pair[1], on_the_way);
                health.add(seconds, pair[1].ready[index], able);
            }
        }
        let until_normal = normal.map(|at| at.saturating_duration_since(over).as_secs_f64());
        Seen {
            health,
            until_normal,
        }
    }
}

fn backlog(sample: &Sample) -> Option<usize> {
    Some(sample.acknowledged.saturating_sub(sample.processed?))
}

/// New webhooks are acknowledged, and no more wait for their outcome than usual.
fn is_normal(before: &Sample, now: &Sample, on_the_way: usize) -> bool {
    let worked_off = backlog(now).is_some_and(|it| it <= on_the_way);
    worked_off && receives(before, now) != Some(false) && now.bad == before.bad
}

/// Whether webhooks were acknowledged between two moments; not known without webhooks.
fn receives(before: &Sample, now: &Sample) -> Option<bool> {
    let (good, bad) = (now.good - before.good, now.bad - before.bad);
    (now.flows || good + bad > 0).then_some(good > bad)
}

/// Whether events got outcomes between two moments, or none waited.
fn works(before: &Sample, now: &Sample, on_the_way: usize) -> bool {
    let moved = before.processed.zip(now.processed);
    moved.is_some_and(|(before, now)| now > before)
        || backlog(now).is_some_and(|it| it <= on_the_way)
}

/// Whether a process could do its work. The workers are judged together: the ledger does not say
/// who worked.
fn able(part: Part, before: &Sample, now: &Sample, on_the_way: usize) -> bool {
    let received = receives(before, now) != Some(false);
    let worked = works(before, now, on_the_way);
    match part {
        Part::Receiver => received,
        Part::Worker | Part::SecondWorker => worked,
        Part::Api => now.api,
        Part::Whole => received && worked && now.api,
        Part::Broker | Part::Database => true,
    }
}

async fn look(
    ports: Vec<u16>,
    api: u16,
    ledger: Ledger,
    counts: Arc<Counts>,
    samples: Arc<Mutex<Vec<Sample>>>,
) {
    let client = reqwest::Client::builder()
        .timeout(ANSWER)
        // A connection of its own for each question: one that is kept may be a dead one.
        .pool_max_idle_per_host(0)
        .build()
        .unwrap();
    let url = format!("http://127.0.0.1:{api}/api/v1/customers?per_page=1");
    loop {
        let ready = ports.iter().map(async |port| {
            let url = format!("http://127.0.0.1:{port}/readyz");
            let answer = client.get(url).send().await.ok()?;
            Some(answer.status() == 200)
        });
        let asks = client.get(&url).bearer_auth(ADMIN_TOKEN).send();
        let (acknowledged, good, bad) = (
            counts.acknowledged(),
            counts.good.load(Ordering::SeqCst),
            counts.bad.load(Ordering::SeqCst),
        );
        let flows = counts.flows.load(Ordering::SeqCst);
        let (ready, api, processed) = tokio::join!(join_all(ready), asks, ledger.processed());
        samples.lock().unwrap().push(Sample {
            at: Instant::now(),
            ready,
            api: api.is_ok_and(|answer| answer.status() == 200),
            processed,
            acknowledged,
            good,
            bad,
            flows,
        });
        tokio::time::sleep(INTERVAL).await;
    }
}
