//! The simulation's output.

use std::collections::BTreeMap;

use serde_json::Value;

use super::compare::Difference;
use super::traffic::Traffic;
use crate::output::{Paint, line};

/// How many customers have their differences printed in full.
const IN_FULL: usize = 20;

/// A summary of the ledger.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) outcomes: BTreeMap<String, u64>,
    pub(super) duplicates: u64,
    /// Id, type and reason of each failed event.
    pub(super) failed: Vec<String>,
}

impl Ledger {
    pub(super) fn read(events: &[Value]) -> Self {
        let mut ledger = Self::default();
        for event in events {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let outcome = text(&event["outcome"]);
            if outcome == "failed" {
                let why = &event["error"];
                ledger.failed.push(format!(
                    "{} {}: {} {}",
                    text(&event["id"]),
                    text(&event["type"]),
                    text(&why["code"]),
                    text(&why["detail"]),
                ));
            }
            *ledger.outcomes.entry(outcome).or_default() += 1;
            ledger.duplicates += event["duplicates"].as_u64().unwrap_or_default();
        }
        ledger
    }

    pub(super) fn print(&self) {
        let outcomes = self.outcomes.iter();
        let outcomes: Vec<String> = outcomes
            .map(|(name, count)| format!("{count} {name}"))
            .collect();
        line(&format!(
            "processed: {}; {} duplicates",
            outcomes.join(", "),
            self.duplicates
        ));
        for failed in self.failed.iter().take(IN_FULL) {
            line(&format!("  failed: {failed}"));
        }
    }
}

/// The result of the comparison.
#[derive(Debug)]
pub(super) struct Compared {
    /// The number of customers by status.
    pub(super) statuses: BTreeMap<String, usize>,
    /// Customers who differ because an event of theirs was lost.
    pub(super) explained: Vec<Difference>,
    /// Customers who differ without such a reason.
    pub(super) unexplained: Vec<Difference>,
    /// How many people may differ because of lost events.
    pub(super) changed: usize,
}

impl Compared {
    /// Describes the effect of lost events.
    pub(super) fn loss(&self, events: usize) -> String {
        format!(
            "lost: {events} events. They may have changed {} people, who are left out of the \
             verdict; {} of their customers differ. That is to be expected: the next events of \
             their subscriptions heal it",
            self.changed,
            self.explained.len()
        )
    }

    pub(super) fn summary(&self) -> String {
        let statuses = self.statuses.iter();
        let statuses: Vec<String> = statuses
            .map(|(name, count)| format!("{count} {name}"))
            .collect();
        format!(
            "compared: {} customers ({}), {} differences",
            self.statuses.values().sum::<usize>(),
            statuses.join(", "),
            self.unexplained.len()
        )
    }
}

/// Prints the customers who differ, with their events in the true order.
pub(super) fn print_differences(traffic: &Traffic, differences: &[Difference]) {
    let paint = Paint::for_stdout();
    for difference in differences.iter().take(IN_FULL) {
        line("");
        line(&paint.bold(&format!("customer {}", difference.external_id)));
        for (what, expected, found) in &difference.fields {
            line(&format!(
                "  {what:<14} expected {}, found {}",
                paint.green(expected),
                paint.red(found)
            ));
        }
        let Some(person) = traffic.person_of(&difference.external_id) else {
            line("  nobody of the simulation has this id");
            continue;
        };
        line("  its events, in their true order:");
        for webhook in traffic.webhooks.iter().filter(|it| it.person == person) {
            line(&format!(
                "    {:<30}  {:<6}  {:<32}  {}",
                webhook.at.to_string(),
                webhook.provider.to_string(),
                webhook.event_type,
                webhook.id,
            ));
        }
    }
    if let Some(more) = differences
        .len()
        .checked_sub(IN_FULL)
        .filter(|more| *more > 0)
    {
        line(&format!("\nand {more} more"));
    }
}
