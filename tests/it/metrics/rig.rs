//! Reads figures as a monitoring system does.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::support::{ADMIN_TOKEN, PATIENCE, client};

/// The longest time for a scrape, whatever is away; a busy test machine gets some more.
const SCRAPE: Duration = Duration::from_secs(4);

/// The figures of one moment, in whole numbers: fractions of a second are cut off.
pub(super) struct Figures {
    pub(super) text: String,
    series: BTreeMap<String, i64>,
}

impl Figures {
    pub(super) fn parse(text: String) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let series = lines.map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let value: f64 = value.parse().unwrap();
            let whole = format!("{:.0}", value.floor());
            (name.to_owned(), whole.parse().unwrap())
        });
        Self {
            series: series.collect(),
            text,
        }
    }

    /// The value of a series; 0 if it is not there, as a sum over series would have it.
    pub(super) fn get(&self, name: &str) -> i64 {
        self.find(name).unwrap_or_default()
    }

    pub(super) fn find(&self, name: &str) -> Option<i64> {
        self.series.get(name).copied()
    }

    /// The number of series.
    pub(super) fn len(&self) -> usize {
        self.series.len()
    }
}

/// Asks for figures; the answer's status and text.
pub(super) async fn scrape(base: &str, token: Option<&str>) -> (u16, String) {
    let asked = Instant::now();
    let request = client().get(format!("{base}/metrics"));
    let request = match token {
        Some(token) => request.bearer_auth(token),
        None => request,
    };
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    let took = asked.elapsed();
    assert!(took < SCRAPE, "answered after {took:?}: {status} {text}");
    (status, text)
}

/// Reads the figures with the owner's token.
pub(super) async fn figures(base: &str) -> Figures {
    let (status, text) = scrape(base, Some(ADMIN_TOKEN)).await;
    assert_eq!(status, 200, "{text}");
    Figures::parse(text)
}

/// Reads the figures until they are as they should be.
pub(super) async fn until(base: &str, right: impl Fn(&Figures) -> bool) -> Figures {
    let started = Instant::now();
    loop {
        let figures = figures(base).await;
        if right(&figures) {
            return figures;
        }
        assert!(started.elapsed() < PATIENCE * 2, "{}", figures.text);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
