//! Posting the traffic: at a rate or as fast as it is answered, over a bounded number of
//! connections.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::Mutex;
use tokio::time::{Interval, MissedTickBehavior};

use super::error::SimulateError;
use super::target::Target;
use super::traffic::Traffic;

/// Limits of the rate at which webhooks are posted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Speed {
    /// Events a second; unlimited if `None`.
    pub(crate) rate: Option<f64>,
    /// Posts in flight at once.
    pub(crate) connections: u16,
}

/// Posts these webhooks; returns how often a post was refused before it was accepted.
pub(super) async fn all(
    target: &Target,
    traffic: &Traffic,
    posts: &[usize],
    speed: Speed,
) -> Result<usize, SimulateError> {
    let bar = bar(posts.len());
    let ticks = speed.rate.map(|rate| Mutex::new(ticks(rate)));
    let posts = stream::iter(posts).then(|event| async {
        if let Some(ticks) = &ticks {
            ticks.lock().await.tick().await;
        }
        &traffic.webhooks[*event]
    });
    let refused = posts
        .map(|webhook| target.post(webhook.provider, &webhook.body))
        .buffer_unordered(usize::from(speed.connections))
        .inspect(|_| bar.inc(1))
        .try_fold(0, |sum, posted| async move { Ok(sum + posted.refused) })
        .await;
    bar.finish_and_clear();
    refused
}

fn ticks(rate: f64) -> Interval {
    let mut ticks = tokio::time::interval(Duration::from_secs_f64(1.0 / rate));
    // Never faster than asked for, even after a pause.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// On standard error, and only if that is a terminal.
fn bar(posts: usize) -> ProgressBar {
    let bar = ProgressBar::new(posts as u64);
    let style = "{wide_bar} {pos}/{len} posts, {per_sec}, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    bar
}
