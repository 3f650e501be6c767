//! The table, as it is printed.

use std::fmt::Write;

use crate::rig::Row;
use crate::rig::fault::Fault;

/// Prints the heads of the columns.
pub(crate) fn head() {
    println!(
        "{:<60}{:>6}{:>7}{:>7}{:>6}{:>8}{:>7}{:>9}{:>8}",
        "fault", "sent", "acked", "first", "lost", "doubled", "failed", "wrong", "normal"
    );
}

/// Prints what was seen of a fault.
pub(crate) fn row(fault: &Fault, row: &Row) {
    let verdict = &row.verdict;
    let normal = row.seen.until_normal;
    let normal = normal.map_or_else(|| "never".to_owned(), |it| format!("{it:.1} s"));
    let wrong = format!("{}/{}", verdict.wrong, verdict.compared);
    println!(
        "{:<60}{:>6}{:>7}{:>7}{:>6}{:>8}{:>7}{wrong:>9}{normal:>8}{}",
        fault.name,
        row.sent,
        row.acknowledged,
        row.first_try,
        verdict.lost,
        verdict.doubled,
        verdict.failed,
        if row.is_right(fault) {
            ""
        } else {
            "  NOT RIGHT"
        }
    );
    for (part, health) in &row.seen.health {
        let mut said = format!(
            "ready {:.0} s, able {:.0} s, of {:.0} s",
            health.ready, health.able, health.seen
        );
        for (seconds, what) in [
            (health.too_good, "ready but unable"),
            (health.too_bad, "able but not ready"),
            (health.silent, "silent"),
        ] {
            if seconds >= 1.0 {
                let _ = write!(said, "; {what} {seconds:.0} s");
            }
        }
        println!("    {:<16}{said}", part.name());
    }
    if row.stood_still > 0 {
        let count = row.stood_still;
        println!("    {count} events got their outcome only after a restart of all roles");
    }
    if row.restarts > 0 {
        let count = row.restarts;
        println!("    processes ended by themselves and were started again {count} times");
    }
    if verdict.lost > 0 && verdict.resting > 0 {
        let count = verdict.resting;
        println!("    {count} messages rest in the store, and nobody took them");
    }
    if let Some(reason) = fault.may_lose.filter(|_| verdict.lost > 0) {
        println!("    lost: {reason}");
    }
    if let Some(example) = &verdict.example {
        println!("    wrong: {example}");
    }
}
