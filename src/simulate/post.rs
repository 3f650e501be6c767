//! Posting the traffic: at a rate or as fast as it is answered, over a bounded number of
//! connections.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::Mutex;
use tokio::time::{Interval, MissedTickBehavior};

use super::delivery::Delivery;
use super::target::Target;
use super::traffic::Traffic;
use crate::cli::CliError;

/// How fast.
#[derive(Clone, Copy, Debug)]
pub(super) struct How {
    /// Events a second; unbounded without.
    pub(super) rate: Option<f64>,
    /// Posts under way at once.
    pub(super) connections: u16,
}

/// Posts everything; how often a post was refused before it was taken.
pub(super) async fn all(
    target: &Target,
    traffic: &Traffic,
    delivery: &Delivery,
    how: How,
) -> Result<usize, CliError> {
    let bar = bar(delivery.posts.len());
    let ticks = how.rate.map(|rate| Mutex::new(ticks(rate)));
    let posts = stream::iter(&delivery.posts).then(|event| async {
        if let Some(ticks) = &ticks {
            ticks.lock().await.tick().await;
        }
        &traffic.webhooks[*event]
    });
    let refused = posts
        .map(|webhook| target.post(webhook.provider, &webhook.body))
        .buffer_unordered(usize::from(how.connections))
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
