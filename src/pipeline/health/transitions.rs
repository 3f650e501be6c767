//! Says when parts stop being ready and are ready again.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tracing::{info, warn};

use super::fault::Fault;

/// The parts that were not ready when they were last looked at, with the reason's code. Probes come
/// every few seconds and would fill the log with one outage, so only changes are logged.
#[derive(Debug, Default)]
pub(super) struct Transitions(Mutex<BTreeMap<&'static str, &'static str>>);

impl Transitions {
    pub(super) fn note(&self, part: &'static str, fault: Option<&Fault>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match fault {
            Some(fault) if known.insert(part, fault.code) != Some(fault.code) => {
                warn!(
                    part,
                    code = fault.code,
                    reason = &*fault.reason,
                    "not ready"
                );
            }
            None if known.remove(part).is_some() => info!(part, "ready again"),
            Some(_) | None => {}
        }
    }
}
