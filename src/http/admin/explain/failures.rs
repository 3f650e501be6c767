//! What an explanation says of failed events.

use std::collections::BTreeSet;

use crate::store::FailureGroup;

/// The sentences of an explanation, and one about failed events.
pub(super) fn summary(mut sentences: Vec<String>, failures: &[FailureGroup]) -> Vec<String> {
    let count: u64 = failures.iter().map(|group| group.count).sum();
    if let Some(newest) = failures.iter().map(|group| group.newest).max() {
        let codes: BTreeSet<&str> = failures.iter().map(|it| it.error_code.as_str()).collect();
        let codes: Vec<&str> = codes.into_iter().collect();
        let events = if count == 1 { "event" } else { "events" };
        sentences.push(format!(
            "{count} {events} of its billing accounts failed ({}), the last on {newest}: what is \
             shown does not know of them until a replay succeeds.",
            codes.join(", ")
        ));
    }
    sentences
}
