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

/// How long a question may take. A probe gives up after a second or two.
const ANSWER: Duration = Duration::from_millis(1500);

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
    /// Ready and able, or not ready and unable.
    pub(crate) right: f64,
    /// Ready, and could not do its work.
    pub(crate) too_good: f64,
    /// Not ready, and did its work.
    pub(crate) too_bad: f64,
    /// No answer.
    pub(crate) silent: f64,
}

/// All that was seen of one fault.
pub(crate) struct Seen {
    pub(crate) health: Vec<(Part, Health)>,
    /// From the end of the fault; `None` if it did not become normal.
    pub(crate) until_normal: Option<f64>,
}

impl Watch {
    pub(crate) fn over(stage: &Stage, counts: &Arc<Counts>) -> Self {
        let samples = Arc::new(Mutex::new(Vec::new()));
        let (parts, ports): (Vec<_>, Vec<_>) = stage.ports().into_iter().unzip();
        let looking = look(
            ports,
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

    /// Ends it. `lost` are events that nobody can wait for; as many as `rate` may be on their
    /// way while all is normal.
    pub(crate) fn finish(self, began: Instant, over: Instant, lost: usize, rate: u32) -> Seen {
        self.task.abort();
        let samples = std::mem::take(&mut *self.samples.lock().unwrap());
        let on_the_way = lost + usize::try_from(rate).unwrap();
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
                match (pair[1].ready[index], able) {
                    (None, _) => health.silent += seconds,
                    (Some(true), Some(false)) => health.too_good += seconds,
                    (Some(false), Some(true)) => health.too_bad += seconds,
                    _ => health.right += seconds,
                }
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

/// What a process could do. The workers are judged together: the ledger does not say who worked.
fn able(part: Part, before: &Sample, now: &Sample, on_the_way: usize) -> Option<bool> {
    match part {
        Part::Receiver => receives(before, now),
        Part::Worker | Part::SecondWorker => Some(works(before, now, on_the_way)),
        Part::Api => Some(now.api),
        Part::Whole => {
            let received = receives(before, now).unwrap_or(true);
            Some(received && now.api && works(before, now, on_the_way))
        }
        Part::Broker | Part::Database => None,
    }
}

async fn look(
    ports: Vec<u16>,
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
    // The API, or the one process, is the last.
    let api = ports[ports.len() - 1];
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
