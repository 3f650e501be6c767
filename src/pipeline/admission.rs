//! Decides which messages of a batch are processed, and which are duplicates, redeliveries or
//! replays of events that are in the ledger already.

use std::collections::{BTreeMap, BTreeSet};

use super::batch::{OtherBody, event_key};
use crate::domain::event::{BodyDigest, EventKey, EventOutcome};
use crate::domain::id::AppSlug;
use crate::domain::mode::Mode;
use crate::provider::{IgnoreReason, Meaning, Reading};
use crate::queue::message::HeadersV1;
use crate::store::LedgerState;

/// The decision about one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// It is processed.
    Process,
    /// It is another delivery of a known event, and is counted.
    Duplicate,
    /// This very message was processed before.
    Redelivered,
}

/// The ledger's state of a batch's events, kept up to date while the batch is admitted.
pub(super) struct Admissions {
    ledger: BTreeMap<EventKey, LedgerState>,
    duplicates: BTreeMap<EventKey, u32>,
    /// Events that failed and that the provider has sent again, each of which is a duplicate too.
    sent_again: BTreeSet<EventKey>,
    forced: BTreeSet<EventKey>,
    other_bodies: Vec<OtherBody>,
}

impl Admissions {
    pub(super) fn new(ledger: BTreeMap<EventKey, LedgerState>) -> Self {
        Self {
            ledger,
            duplicates: BTreeMap::new(),
            sent_again: BTreeSet::new(),
            forced: BTreeSet::new(),
            other_bodies: Vec::new(),
        }
    }

    /// Decides about a message. An admitted event is known from then on, so that the same event
    /// later in the batch is a duplicate.
    pub(super) fn admit(
        &mut self,
        index: usize,
        key: &EventKey,
        headers: &HeadersV1,
        digest: &BodyDigest,
    ) -> Admission {
        let before = self.ledger.get(key);
        let admission = before.map_or(Admission::Process, |state| admission(state, headers));
        let other_body = before.and_then(|state| other_body(index, key, state, headers, digest));
        self.other_bodies.extend(other_body);
        match admission {
            Admission::Process => {
                if before.is_some_and(|state| had_effect(state.outcome)) {
                    self.forced.insert(key.clone());
                }
                if before.is_some_and(|state| is_sent_again(state, headers)) {
                    self.sent_again.insert(key.clone());
                }
                let before = self.ledger.remove(key);
                let admitted = LedgerState {
                    receipt: headers.receipt.clone(),
                    outcome: EventOutcome::Unchanged,
                    wrong_mode: None,
                    test_by_any: false,
                    digest: digest.clone(),
                    customer: None,
                    connected: None,
                    livemode: None,
                };
                let state = match before {
                    // What came first stays the first.
                    Some(before) => LedgerState {
                        receipt: admitted.receipt,
                        outcome: admitted.outcome,
                        wrong_mode: admitted.wrong_mode,
                        test_by_any: false,
                        ..before
                    },
                    None => admitted,
                };
                self.ledger.insert(key.clone(), state);
            }
            Admission::Duplicate => *self.duplicates.entry(key.clone()).or_default() += 1,
            Admission::Redelivered => {}
        }
        admission
    }

    /// Forgets an event whose payload could not be read, so that its next message in the batch is
    /// no duplicate. Whoever notes the failure counts that it was sent again.
    pub(super) fn withdraw(&mut self, key: &EventKey) {
        self.ledger.remove(key);
        self.sent_again.remove(key);
    }

    /// True if the event has arrived so far only with a secret of the wrong mode, or as a test event
    /// with none for test events, which this message's is.
    pub(super) fn came_by_wrong_mode(&self, key: &EventKey, headers: &HeadersV1) -> bool {
        let state = self.ledger.get(key);
        state.is_some_and(|state| state.wrong_mode.is_some() || is_meant(state, headers))
    }

    /// Remembers that an event was signed with a secret of the wrong mode, or of any mode in test mode,
    /// so that a later message with the right one is processed.
    pub(super) fn note_mode(&mut self, key: &EventKey, mode: Mode, reading: &Reading) {
        if reading.meaning == Meaning::Ignored(IgnoreReason::LivemodeMismatch)
            && let Some(state) = self.ledger.get_mut(key)
        {
            state.outcome = EventOutcome::Ignored;
            state.wrong_mode = Some(mode);
        }
        if mode == Mode::Any
            && reading.livemode == Some(false)
            && let Some(state) = self.ledger.get_mut(key)
        {
            state.outcome = EventOutcome::Ignored;
            state.test_by_any = true;
        }
    }

    /// True if the event had its effect before and is applied again because `force` was ordered.
    pub(super) fn is_forced(&self, key: &EventKey) -> bool {
        self.forced.contains(key)
    }

    /// Returns the deliveries of an app whose body was not that of the event's first one.
    pub(super) fn other_bodies(&mut self) -> BTreeMap<AppSlug, Vec<OtherBody>> {
        let mut by_app: BTreeMap<AppSlug, Vec<OtherBody>> = BTreeMap::new();
        for other in std::mem::take(&mut self.other_bodies) {
            by_app.entry(other.key.app.clone()).or_default().push(other);
        }
        by_app
    }

    /// Returns how many duplicates of each event were counted.
    pub(super) fn into_duplicates(mut self) -> BTreeMap<EventKey, u32> {
        for key in self.sent_again {
            *self.duplicates.entry(key).or_default() += 1;
        }
        self.duplicates
    }
}

/// True if an event that failed comes by another webhook.
pub(super) fn is_sent_again(state: &LedgerState, headers: &HeadersV1) -> bool {
    state.outcome == EventOutcome::Failed
        && headers.replay.is_none()
        && state.receipt != headers.receipt
}

/// Returns what there is to note of a message of a known event. A replay of ours is made of the body
/// that came first, and a message that comes again is itself.
fn other_body(
    index: usize,
    key: &EventKey,
    state: &LedgerState,
    headers: &HeadersV1,
    digest: &BodyDigest,
) -> Option<OtherBody> {
    if headers.replay.is_some() || state.receipt == headers.receipt {
        return None;
    }
    Some(OtherBody {
        index,
        key: key.clone(),
        bodies: state.digest.against(digest)?,
        at: headers.received_at,
        object: event_key(key, state.livemode, state.connected.clone()),
        customer: state.customer.clone(),
    })
}

/// True for the outcomes of events whose facts were compared with the stored state.
const fn had_effect(outcome: EventOutcome) -> bool {
    match outcome {
        EventOutcome::Applied | EventOutcome::Unchanged | EventOutcome::Superseded => true,
        EventOutcome::Ignored | EventOutcome::Pending | EventOutcome::Failed => false,
    }
}

/// True if a test event came by a secret of any mode before, and comes now by one for test events.
fn is_meant(state: &LedgerState, headers: &HeadersV1) -> bool {
    state.test_by_any && headers.mode == Mode::Test
}

fn admission(state: &LedgerState, headers: &HeadersV1) -> Admission {
    let same_message = state.receipt == headers.receipt;
    let outcome = state.outcome;
    if let Some(replay) = headers.replay {
        let is_done = same_message && outcome.is_settled();
        return if is_done || had_effect(outcome) && !replay.force {
            Admission::Redelivered
        } else {
            Admission::Process
        };
    }
    match outcome {
        // The retry of a pending event is still in the queue and will decide.
        EventOutcome::Pending if !same_message => Admission::Duplicate,
        // A failed event that the provider sends again gets another chance.
        EventOutcome::Pending | EventOutcome::Failed => Admission::Process,
        EventOutcome::Applied
        | EventOutcome::Unchanged
        | EventOutcome::Superseded
        | EventOutcome::Ignored => {
            // A secret of the wrong mode must not hide the event from the right one.
            let by_wrong_mode = state.wrong_mode.is_some_and(|mode| mode != headers.mode);
            if same_message {
                Admission::Redelivered
            } else if by_wrong_mode || is_meant(state, headers) {
                Admission::Process
            } else {
                Admission::Duplicate
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;
    use crate::queue::message::Replay;

    fn headers(receipt: &str, replay: Option<Replay>) -> HeadersV1 {
        HeadersV1 {
            app: AppSlug::default_app(),
            provider: crate::provider::STRIPE.name,
            event_id: "evt_1".to_owned(),
            event_type: "invoice.paid".to_owned(),
            received_at: Timestamp::from_nanos(0),
            mode: Mode::Live,
            receipt: receipt.to_owned(),
            attempt: 0,
            origin: crate::queue::Origin::default(),
            replay,
            error: None,
        }
    }

    fn state(outcome: EventOutcome, receipt: &str, wrong_mode: Option<Mode>) -> LedgerState {
        LedgerState {
            receipt: receipt.to_owned(),
            outcome,
            wrong_mode,
            test_by_any: false,
            digest: crate::provider::digest(crate::provider::STRIPE.name, "{}"),
            customer: None,
            connected: None,
            livemode: None,
        }
    }

    #[test]
    fn each_known_event_is_admitted_by_its_outcome_and_order() {
        use Admission::{Duplicate, Process, Redelivered};
        use EventOutcome::{Applied, Failed, Ignored, Pending};
        let (plain, forced) = (
            Replay {
                force: false,
                tries_before: 0,
            },
            Replay {
                force: true,
                tries_before: 0,
            },
        );
        for (outcome, receipt, replay, expected) in [
            (Applied, "new", None, Duplicate),
            (Applied, "same", None, Redelivered),
            (Applied, "new", Some(plain), Redelivered),
            (Applied, "new", Some(forced), Process),
            (Applied, "same", Some(forced), Redelivered),
            (Ignored, "new", None, Duplicate),
            (Ignored, "new", Some(plain), Process),
            (Pending, "new", None, Duplicate),
            (Pending, "same", None, Process),
            (Pending, "same", Some(plain), Process),
            (Failed, "new", None, Process),
            (Failed, "same", Some(plain), Process),
        ] {
            let state = state(outcome, "same", None);
            let found = admission(&state, &headers(receipt, replay));
            assert_eq!(found, expected, "{outcome}, {receipt}, {replay:?}");
        }
    }

    #[test]
    fn an_event_of_the_wrong_mode_waits_for_the_right_one() {
        let state = state(EventOutcome::Ignored, "first", Some(Mode::Test));
        assert_eq!(
            admission(&state, &headers("second", None)),
            Admission::Process
        );
    }
}
