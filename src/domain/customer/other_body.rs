//! Events that came again with another body.
//!
//! The body that came first counts, and which one that was is chance. So this is no fact that
//! anything is derived from; it is only noted, with the customer that the event belongs to, or by
//! itself if it belongs to nobody.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::flag::{Flag, FlagKind};
use crate::domain::event::Bodies;
use crate::domain::time::Timestamp;

/// The most other bodies of one event that are noted. A sender that writes each delivery
/// differently is found out by the first.
const MAX_OTHERS: usize = 20;

/// The bodies of an event that differ from the one that came first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherBodies {
    /// The digest of the first.
    pub first: String,
    /// Those that came later, by their digests.
    pub others: BTreeMap<String, OtherBody>,
}

/// A body that came later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherBody {
    /// The receiver's time of its first delivery.
    pub at: Timestamp,
    /// Admin act: somebody looked at it. Only of an event without a customer; what was cleared of a
    /// customer is in its row.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cleared: bool,
}

impl OtherBodies {
    /// Creates it for an event with this first body.
    pub fn new(first: String) -> Self {
        Self {
            first,
            others: BTreeMap::new(),
        }
    }

    /// Notes a delivery of another body. Returns true if that was news.
    pub fn note(&mut self, other: &str, at: Timestamp) -> bool {
        if self.others.contains_key(other) || self.others.len() >= MAX_OTHERS {
            return false;
        }
        let body = OtherBody { at, cleared: false };
        self.others.insert(other.to_owned(), body);
        true
    }

    /// Returns the flag of each other body that nobody has looked at.
    pub fn flags(&self, event_id: &str) -> impl Iterator<Item = Flag> {
        let open = self.others.iter().filter(|(_, body)| !body.cleared);
        open.map(move |(other, body)| Flag {
            bodies: Some(Bodies {
                first: self.first.clone(),
                other: other.clone(),
            }),
            ..Flag::new(FlagKind::SameIdOtherBody, event_id, body.at)
        })
    }

    /// Remembers that somebody looked at all that is known.
    pub fn clear(&mut self) {
        for body in self.others.values_mut() {
            body.cleared = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_body_is_noted_once_and_their_number_is_bounded() {
        let mut bodies = OtherBodies::new("first".to_owned());
        let at = Timestamp::from_nanos;
        assert!(bodies.note("a", at(1)));
        assert!(!bodies.note("a", at(2)));
        bodies.clear();
        assert_eq!(bodies.flags("evt_1").count(), 0);
        assert!(!bodies.note("a", at(3)), "somebody has looked at it");
        assert!(bodies.note("b", at(4)));
        let flag = bodies.flags("evt_1").next().unwrap();
        assert_eq!((flag.subject.as_str(), flag.at), ("evt_1", Some(at(4))));
        for n in 0..100 {
            bodies.note(&n.to_string(), at(n));
        }
        assert_eq!(bodies.others.len(), MAX_OTHERS);
    }
}
