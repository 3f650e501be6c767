//! The part of the overview that says how long events take: a chart of the last day, and the age of
//! the oldest that waits. It costs more than the other figures, so it is asked for less often.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use std::time::Duration;

use super::page::render;
use super::refusal::Refusal;
use super::visitor::Visitor;
use super::when::{from_now, span};
use crate::domain::id::AppSlug;
use crate::domain::time::Timestamp;
use crate::http::{ApiError, AppState};
use crate::pipeline::latency::{self, HOURS, Hour, Latency};

/// How often it is asked for while somebody looks, in seconds.
const POLL: u32 = 30;

/// The height of the chart, and the width of an hour, in units of its drawing.
const HEIGHT: u64 = 100;
const WIDTH: u64 = 10;

/// The time at the foot of the chart, in milliseconds; its height is a logarithm, since what takes
/// milliseconds on a good day takes hours on a bad one.
const SHORTEST: f64 = 1.0;

pub(super) fn router() -> Router<AppState> {
    Router::new().route("/overview/latency", get(show))
}

/// The column of an hour: half of its events ended below `p50`, 99 in 100 below `p99`.
#[derive(Debug, PartialEq, Eq)]
struct Column {
    x: u64,
    p50: u64,
    p99: u64,
    words: String,
}

/// The chart, and what it says.
#[derive(Template)]
#[template(
    path = "overview_latency.html",
    config = "src/http/console/askama.toml"
)]
pub(super) struct Times {
    columns: Vec<Column>,
    width: u64,
    words: String,
    oldest: Option<String>,
    poll: u32,
}

impl Times {
    /// Reads them for an app.
    pub(super) async fn of(
        state: &AppState,
        app: &AppSlug,
        now: Timestamp,
    ) -> Result<Self, ApiError> {
        Ok(Self::drawn(latency::of(&state.store, app, now).await?, now))
    }

    fn drawn(Latency { hours, oldest }: Latency, now: Timestamp) -> Self {
        let longest = hours.iter().map(|hour| hour.p99).max().unwrap_or_default();
        let first = now.seconds().div_euclid(3_600) - i64::from(HOURS);
        let column = |hour: &Hour| {
            let nth = hour.from.seconds().div_euclid(3_600) - first;
            Column {
                x: WIDTH * u64::try_from(nth).unwrap_or_default(),
                p50: height(hour.p50, longest),
                p99: height(hour.p99, longest),
                words: told(hour),
            }
        };
        Self {
            columns: hours.iter().map(column).collect(),
            width: WIDTH * u64::from(HOURS + 1),
            words: match (hours.last(), hours.iter().max_by_key(|hour| hour.p99)) {
                (Some(last), Some(worst)) if last.from != worst.from => {
                    format!("Last: {}. Slowest: {}.", told(last), told(worst))
                }
                (Some(last), _) => format!("Last: {}.", told(last)),
                (None, _) => String::new(),
            },
            oldest: oldest.map(|at| from_now(at, now)),
            poll: POLL,
        }
    }
}

fn told(hour: &Hour) -> String {
    let from = hour.from.to_string();
    let clock = from.get(11..16).unwrap_or_default();
    let (half, most) = (span(hour.p50), span(hour.p99));
    format!("{clock} UTC, half within {half}, 99 in 100 within {most}")
}

/// The height of a time beside the longest one; never none, for there were events.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a share of a hundred, and never negative"
)]
fn height(time: Duration, longest: Duration) -> u64 {
    let of = |time: Duration| (1.0 + time.as_secs_f64() * 1_000.0 / SHORTEST).ln();
    let share = of(time) / of(longest.max(Duration::from_secs(1)));
    ((share * HEIGHT as f64) as u64).clamp(2, HEIGHT)
}

async fn show(State(state): State<AppState>, visitor: Visitor) -> Result<Response, Refusal> {
    let times = Times::of(&state, &visitor.app, state.clock.now()).await?;
    Ok(render(&times)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_stand_in_their_places_and_a_longer_time_stands_higher() {
        let now = Timestamp::from_seconds(30 * 3_600).unwrap();
        let hour = |nth: i64, p50, p99| Hour {
            from: Timestamp::from_seconds(nth * 3_600).unwrap(),
            events: 9,
            p50: Duration::from_millis(p50),
            p99: Duration::from_millis(p99),
        };
        let hours = vec![hour(7, 20, 90), hour(30, 0, 60_000)];
        let oldest = Timestamp::from_seconds(29 * 3_600);
        let times = Times::drawn(Latency { hours, oldest }, now);
        let [early, late] = times.columns.as_slice() else {
            panic!("{:?}", times.columns);
        };
        assert_eq!((early.x, late.x), (10, 240));
        assert!(early.p50 < early.p99 && early.p99 < late.p99);
        assert_eq!((late.p50, late.p99), (2, HEIGHT));
        assert_eq!(
            times.words,
            "Last: 06:00 UTC, half within 0 ms, 99 in 100 within 60 s."
        );
        assert_eq!(times.oldest.as_deref(), Some("1 hour ago"));
        let none = Times::drawn(Latency::default(), now);
        assert!(none.columns.is_empty() && none.words.is_empty());
    }
}
