//! The line of the log for each message that a worker is done with, written once its transaction
//! has committed.
//!
//! A change is told in a word and never by the values of a person: `contact` says that an address
//! or a name changed, not from what or to what.

use std::collections::BTreeSet;
use std::time::Duration;

use tracing::{info, warn};

use crate::domain::access::plan::PackageGrant;
use crate::domain::apply::change::{Change, Operation, Outcome};
use crate::domain::customer::flag::FlagKind;
use crate::domain::customer::row::Status;
use crate::domain::event::EventError;
use crate::domain::id::CustomerId;
use crate::domain::time::Timestamp;
use crate::queue::Message;

const SUBSCRIPTION: &str = "subscription";

/// Most words of one line about what changed.
const MOST_WORDS: usize = 4;

/// The effect of one event, in the words of its line.
#[derive(Default)]
pub(super) struct Told {
    customer: Option<CustomerId>,
    change: Option<String>,
    flags: BTreeSet<FlagKind>,
    /// The code of the reason why it was ignored, where something is wrong.
    reason: Option<String>,
}

impl Told {
    /// Tells of an event whose payload changes nothing.
    pub(super) fn ignored(reason: Option<&EventError>) -> Self {
        Self {
            reason: reason.map(|it| it.code.clone()),
            ..Self::default()
        }
    }

    /// Adds that the body is another than the event's first one, and whether that was news.
    pub(super) fn add_other_body(&mut self, customer: Option<&CustomerId>, is_news: bool) {
        self.customer = self.customer.take().or_else(|| customer.cloned());
        self.flags
            .extend(is_news.then_some(FlagKind::SameIdOtherBody));
    }

    /// Tells of an event whose facts were applied.
    pub(super) fn of(
        outcome: Outcome,
        customer: Option<&CustomerId>,
        changes: &[Change],
        reason: Option<&EventError>,
    ) -> Self {
        let raised = changes.iter().filter_map(|it| match &it.operation {
            Operation::Flag { flag } => Some(flag.kind),
            _ => None,
        });
        let mut flags: BTreeSet<FlagKind> = raised.collect();
        if outcome == Outcome::Applied && changes.is_empty() {
            // Money without a customer: what is shown of it is the flag of the object.
            flags.insert(FlagKind::Unlinked);
        }
        Self {
            customer: customer.cloned(),
            change: words_of(changes),
            flags,
            reason: reason.map(|it| it.code.clone()),
        }
    }
}

/// Returns what happened, in a few words without blanks; `None` if nothing did.
fn words_of(changes: &[Change]) -> Option<String> {
    let mut all: Vec<String> = Vec::new();
    for word in changes.iter().flat_map(|it| words(&it.operation)) {
        if !all.contains(&word) {
            all.push(word);
        }
    }
    // The view of a subscription changes with every event of it: worth a word only by itself.
    if all.len() > 1 {
        all.retain(|word| word != SUBSCRIPTION);
    }
    let more = all.len().saturating_sub(MOST_WORDS);
    all.truncate(MOST_WORDS);
    if more > 0 {
        all.push(format!("{more}_more"));
    }
    (!all.is_empty()).then(|| all.join(","))
}

fn words(operation: &Operation) -> Vec<String> {
    let word = |word: &str| vec![word.to_owned()];
    let moved = |from: &Status, to: &str| vec![format!("{}->{to}", from.as_str())];
    match operation {
        Operation::Create { .. } => word("created"),
        Operation::Delete => word("deleted"),
        Operation::Suspend { from, .. } => moved(from, "suspended"),
        Operation::Reactivate { from } => moved(from, "active"),
        Operation::Freeze { from, .. } => moved(from, "frozen"),
        Operation::Expire { from, .. } => moved(from, "expired"),
        Operation::UpdateHolds { .. } => word("holds"),
        Operation::Grant {
            packages, price, ..
        } => bought('+', packages, price),
        Operation::Revoke {
            packages, price, ..
        } => bought('-', packages, price),
        Operation::GrantExpire { package, .. } => vec![format!("-{package}")],
        Operation::UpdateContact { .. } => word("contact"),
        Operation::UpdateExternalId { .. } => word("external_id"),
        Operation::UpdateProfile { .. } => word("profile"),
        Operation::UpdateSubscription { .. } => word(SUBSCRIPTION),
        Operation::LinkAccount { .. } => word("linked"),
        Operation::PinAccount { .. } => word("pinned"),
        Operation::Merge { .. } => word("merged"),
        Operation::Split { .. } => word("split"),
        Operation::Hide => word("hidden"),
        Operation::Show => word("shown"),
        // They have a field of their own.
        Operation::Flag { .. } => Vec::new(),
        Operation::Unflag { .. } => word("unflagged"),
    }
}

/// Names the packages that a price buys, or the price where it has no plan.
fn bought(sign: char, packages: &[PackageGrant], price: &str) -> Vec<String> {
    if packages.is_empty() {
        return vec![format!("{sign}{price}")];
    }
    let names = packages.iter().map(|it| &it.package);
    names.map(|name| format!("{sign}{name}")).collect()
}

/// True for flags about money that is or may be wrong until somebody looks: they make the line a
/// warning.
const fn is_urgent(kind: FlagKind) -> bool {
    match kind {
        FlagKind::UnmappedPrice
        | FlagKind::OpenDispute
        | FlagKind::LostDispute
        | FlagKind::FraudWarning
        | FlagKind::PaidThoughHeld
        | FlagKind::FullRefund
        | FlagKind::Overdue
        | FlagKind::Unlinked
        | FlagKind::RefundUnlinked
        | FlagKind::ApiKeyExposed
        | FlagKind::UnknownConnectedAccount
        | FlagKind::WrongMode
        | FlagKind::AccountDeleted
        | FlagKind::SameEmail
        | FlagKind::SellerIdsDiffer
        | FlagKind::SameIdOtherBody => true,
        FlagKind::Ambiguous
        | FlagKind::UnknownStatus
        | FlagKind::ItemsIncomplete
        | FlagKind::ApiKeyNeeded
        | FlagKind::ReleasesUnknown
        | FlagKind::FailedEvents
        | FlagKind::HookDisabled => false,
    }
}

/// Writes the line of a message whose batch has committed. Failures are the worker's to report,
/// which knows what becomes of them.
pub(super) fn write(message: &Message, outcome: &str, told: Option<&Told>, now: Timestamp) {
    let headers = message.headers();
    let nothing = Told::default();
    let told = told.unwrap_or(&nothing);
    let flags = told.flags.iter().map(|kind| kind.as_str());
    let flags = flags.collect::<Vec<_>>().join(",");
    let is_first_try = headers.attempt == 0;
    let is_replay = headers.replay.is_some();
    // Of the whole program, so that the file's path does not take up a tenth of the line.
    macro_rules! line {
        ($level:ident) => {
            $level!(
                target: "tollgate",
                app = %headers.app,
                provider = %headers.provider,
                event.id = %headers.event_id,
                event.r#type = %headers.event_type,
                outcome = %outcome,
                error.code = told.reason,
                customer.id = told.customer.as_ref().map(tracing::field::display),
                change = told.change.as_ref().map(tracing::field::display),
                flags = (!flags.is_empty()).then_some(tracing::field::display(&flags)),
                request.id = headers.origin.request_id().map(tracing::field::display),
                attempt = (!is_first_try).then_some(headers.attempt + 1),
                replay = is_replay.then_some(true),
                // Of a replay, the time since the first receipt would say nothing.
                duration_ms = (!is_replay).then(|| millis_since(headers.received_at, now)),
                "event done"
            )
        };
    }
    if told.flags.iter().copied().any(is_urgent) {
        line!(warn);
    } else {
        line!(info);
    }
}

/// Returns the time since a receipt; 0 where the receiver's clock is ahead of the worker's.
pub(crate) fn since_receipt(received_at: Timestamp, now: Timestamp) -> Duration {
    let nanos = now.nanos().saturating_sub(received_at.nanos());
    Duration::from_nanos(u64::try_from(nanos).unwrap_or_default())
}

/// The same in whole milliseconds.
pub(crate) fn millis_since(received_at: Timestamp, now: Timestamp) -> u64 {
    let since = since_receipt(received_at, now).as_millis();
    u64::try_from(since).unwrap_or(u64::MAX)
}
