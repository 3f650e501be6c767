//! The names of the loops in the log.

use crate::queue::Lane;

/// Returns the name of the loop of a lane in the log.
pub(super) const fn part_of(lane: Lane) -> &'static str {
    match lane {
        Lane::Work => EVENTS,
        Lane::Failed => DEAD_LETTERS,
    }
}

pub(super) const EVENTS: &str = "events";
pub(super) const DEAD_LETTERS: &str = "dead letters";
pub(super) const RELAY: &str = "relay";
pub(super) const ACCOUNTS: &str = "accounts";
pub(super) const RECONCILES: &str = "reconciliations";
pub(super) const REFETCHES: &str = "refetches";
pub(super) const REPLAYS: &str = "replays";
pub(super) const TIMERS: &str = "timers";
pub(super) const PAUSES: &str = "pauses";
pub(super) const UPKEEP: &str = "upkeep";
pub(super) const CHANGES: &str = "changes";
pub(super) const HOOKS: &str = "hooks";
