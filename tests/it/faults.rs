//! The short form of `cargo bench --bench faults`: a few faults, a few hundred events.

use std::time::Duration;

use crate::fault_rig::load::Plan;
use crate::fault_rig::{run, table};

const PLAN: Plan = Plan {
    events: 300,
    rate: 50,
    seed: 1,
    calm: Duration::from_secs(2),
    patience: Duration::from_secs(40),
};

/// Runs the faults of a name, and refuses any that did harm.
async fn passes(name: &str) {
    // The first installation counts; later ones are refused and change nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let faults = table::all();
    let fault = faults.iter().find(|it| it.name == name).unwrap();
    let row = run(fault, PLAN).await;
    assert!(row.is_right(fault), "{name}: {row:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_workers_lose_nothing_and_leave_right_states() {
    passes("kill both workers").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_everything_killed_at_once_nothing_is_lost() {
    passes("all at once").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_between_workers_and_the_broker_heals() {
    passes("cut worker–broker").await;
}

/// The other side of a link is gone and nobody was told. A broker keeps for a vanished worker what
/// it has in hand, until heartbeats stay away.
#[tokio::test(flavor = "multi_thread")]
async fn half_open_links_to_the_broker_are_noticed_within_seconds() {
    for name in ["half-open worker–broker", "half-open receiver–broker"] {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let faults = table::all();
        let fault = faults.iter().find(|it| it.name == name).unwrap();
        let row = run(fault, PLAN).await;
        assert!(row.is_right(fault), "{name}: {row:#?}");
        let normal = row.seen.until_normal.unwrap();
        // It takes six to nine; with heartbeats of ten seconds it was up to thirty.
        assert!(normal < 14.0, "{name}: {row:#?}");
    }
}
