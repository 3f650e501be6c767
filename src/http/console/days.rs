//! How it went, day by day: a chart of customers by status, and refused signatures.

use std::collections::BTreeMap;

use super::when::When;
use crate::domain::customer::row::Status;
use crate::domain::time::Timestamp;
use crate::store::{CustomerDay, RefusedSignatures};

/// The height of the chart, and the width of a day, in units of its drawing.
const HEIGHT: u64 = 100;
const WIDTH: u64 = 10;

/// The colour of a word of status.
pub(super) fn tone(word: &str) -> &'static str {
    match word {
        "active" | "applied" => "good",
        "suspended" | "pending" => "warn",
        "expired" | "failed" => "bad",
        "frozen" => "cold",
        _ => "rest",
    }
}

/// A chart of customers by status: a column a day, its parts one above the other.
#[derive(Debug, Default)]
pub(super) struct Days {
    /// The width of the drawing.
    pub(super) width: u64,
    /// The parts of all columns.
    pub(super) parts: Vec<Part>,
    /// The first day and the last; empty before the second day.
    pub(super) first: String,
    pub(super) last: String,
    /// The chart in words.
    pub(super) words: String,
}

/// A part of a column.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) tone: &'static str,
    pub(super) x: u64,
    pub(super) y: u64,
    pub(super) height: u64,
}

impl Days {
    pub(super) fn of(rows: &[CustomerDay]) -> Self {
        let mut days: BTreeMap<i64, BTreeMap<&str, u64>> = BTreeMap::new();
        for row in rows {
            days.entry(row.day)
                .or_default()
                .insert(&row.status, row.customers);
        }
        let (Some((first, before)), Some((last, now))) =
            (days.first_key_value(), days.last_key_value())
        else {
            return Self::default();
        };
        if first == last {
            return Self::default();
        }
        let most = days.values().map(|counts| counts.values().sum()).max();
        let most: u64 = most.unwrap_or_default();
        let mut parts = Vec::new();
        for (day, counts) in &days {
            let x = WIDTH * u64::try_from(day - first).unwrap_or_default();
            let mut below = 0;
            for word in Status::WORDS {
                let count = counts.get(word).copied().unwrap_or_default();
                let bottom = (HEIGHT * below).checked_div(most).unwrap_or_default();
                below += count;
                let top = (HEIGHT * below).checked_div(most).unwrap_or_default();
                if top > bottom {
                    parts.push(Part {
                        tone: tone(word),
                        x,
                        y: HEIGHT - top,
                        height: top - bottom,
                    });
                }
            }
        }
        let (from, to) = (date(*first), date(*last));
        let told = |counts: &BTreeMap<&str, u64>| {
            let parts = counts.iter().map(|(word, count)| format!("{count} {word}"));
            parts.collect::<Vec<_>>().join(", ")
        };
        Self {
            width: WIDTH * (u64::try_from(last - first).unwrap_or_default() + 1),
            parts,
            words: format!("{from}: {}; {to}: {}", told(before), told(now)),
            first: from,
            last: to,
        }
    }
}

/// The date of a day since 1970.
fn date(day: i64) -> String {
    let at = Timestamp::from_seconds(day.saturating_mul(86_400));
    let text = at.map(|at| at.to_string()).unwrap_or_default();
    text.chars().take(10).collect()
}

/// Refused signatures of an endpoint, for one reason.
pub(super) struct RefusedRow {
    pub(super) provider: String,
    pub(super) reason: String,
    pub(super) meaning: &'static str,
    pub(super) count: u64,
    pub(super) last: When,
}

impl From<RefusedSignatures> for RefusedRow {
    fn from(refused: RefusedSignatures) -> Self {
        Self {
            provider: refused.provider.to_string(),
            meaning: meaning(&refused.reason),
            reason: refused.reason,
            count: refused.count,
            last: When(refused.last_at),
        }
    }
}

/// What a refusal usually comes from.
fn meaning(reason: &str) -> &'static str {
    match reason {
        "signature_missing" => "somebody else posted, or a proxy took the header away",
        "signature_malformed" => "the header is none of this provider's",
        "signature_mismatch" => {
            "another secret signed it: was one rolled at the provider and not added here?"
        }
        "signature_too_old" => {
            "it was signed long before it came: a clock is wrong, or it was kept"
        }
        "signature_in_future" => "the clock of this server is behind",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(day: i64, status: &str, customers: u64) -> CustomerDay {
        let status = status.to_owned();
        CustomerDay {
            day,
            status,
            customers,
        }
    }

    #[test]
    fn days_stand_side_by_side_and_statuses_on_each_other() {
        let rows = [
            row(20_000, "active", 1),
            row(20_002, "active", 3),
            row(20_002, "expired", 1),
        ];
        assert!(Days::of(&[]).words.is_empty());
        assert!(
            Days::of(&rows[..1]).words.is_empty(),
            "one day is no course"
        );
        let days = Days::of(&rows);
        assert_eq!(days.width, 30);
        assert_eq!(
            days.words,
            "2024-10-04: 1 active; 2024-10-06: 3 active, 1 expired"
        );
        let part = |tone, x, y, height| Part { tone, x, y, height };
        let expected = [
            part("good", 0, 75, 25),
            part("good", 20, 25, 75),
            part("bad", 20, 0, 25),
        ];
        assert_eq!(days.parts, expected);
    }
}
