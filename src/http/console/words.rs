//! What the words of the API mean, for people, and the colours of the important ones.

use std::borrow::Cow;
use std::fmt;

use crate::domain::access::license::LicenseCode;
use crate::domain::customer::explain::{SourceCause, Uncounted};
use crate::domain::event::EventOutcome;

/// The longest name that is shown, in letters. Providers set no limit.
const LONGEST_NAME: usize = 200;

/// A name or an address as a page has it: not longer than a few lines, and without what turns around what
/// stands beside it.
pub(super) fn label(name: &str) -> String {
    let name = unturned(name);
    match name.char_indices().nth(LONGEST_NAME) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.into_owned(),
    }
}

/// A text without the characters that set the direction of others: `bdi` keeps what is around it as it is,
/// but titles and lines of several texts have none, and nobody has to read "fdp.exe" as a document
/// (<https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters>).
pub(super) fn unturned(text: &str) -> Cow<'_, str> {
    let turns = |it: char| matches!(it, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if text.contains(turns) {
        Cow::Owned(text.replace(turns, ""))
    } else {
        Cow::Borrowed(text)
    }
}

/// A short word in a coloured pill. The word says everything; the colour only helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Badge {
    word: &'static str,
    tone: &'static str,
}

/// Writes an element. It holds words of ours alone, so templates need not escape it.
impl fmt::Display for Badge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { word, tone } = self;
        write!(f, r#"<span class="badge {tone}">{word}</span>"#)
    }
}

impl askama::filters::HtmlSafe for Badge {}

impl Badge {
    /// A word and its colour: `good`, `warn`, `bad`, `cold`, or none.
    pub(super) const fn new(word: &'static str, tone: &'static str) -> Self {
        Self { word, tone }
    }

    /// A customer's status.
    pub(super) fn status(word: &'static str) -> Self {
        let tone = match word {
            "active" => "good",
            "suspended" => "warn",
            "frozen" => "cold",
            _ => "bad",
        };
        Self { word, tone }
    }

    /// The status of somebody of whom these sources are known. Who only began to buy has no access by
    /// it and lost none: "active" alone would read as paid.
    pub(super) fn status_with(word: &'static str, sources: &[SourceCause]) -> Self {
        let is_pending = |source: &SourceCause| source.uncounted == Some(Uncounted::Pending);
        if word == "active" && !sources.is_empty() && sources.iter().all(is_pending) {
            Self::new("not paid yet", "warn")
        } else {
            Self::status(word)
        }
    }

    /// An event's outcome.
    pub(super) fn outcome(outcome: EventOutcome) -> Self {
        let word = outcome.as_str();
        let tone = match word {
            "applied" => "good",
            "failed" => "bad",
            "pending" => "warn",
            _ => "",
        };
        Self { word, tone }
    }

    /// Whether a licence is valid.
    pub(super) fn validity(code: LicenseCode) -> Self {
        if code.is_valid() {
            Self::new("valid", "good")
        } else {
            Self::new(code.as_str(), "warn")
        }
    }

    /// The answer to an access check.
    pub(super) const fn allowed(is_allowed: bool) -> Self {
        if is_allowed {
            Self::new("allowed", "good")
        } else {
            Self::new("refused", "bad")
        }
    }
}

/// The kinds of entries of a timeline.
pub(super) fn kind(word: &'static str) -> Badge {
    let tone = match word {
        "act" => "cold",
        "flag" => "warn",
        "payment" => "good",
        "refund" => "bad",
        _ => "",
    };
    Badge::new(word, tone)
}

/// Says of a flag of this kind what it means, and what to do.
pub(super) fn flag(kind: &str) -> &'static str {
    match kind {
        "ambiguous" => {
            "The events do not tell which state came last; the one with the least access counts."
        }
        "unknown_status" => {
            "The provider gave a status that this version does not know; the one before it counts."
        }
        "items_incomplete" => {
            "The newest event lists only some of the subscription's items, or of the account's features."
        }
        "unmapped_price" => "Somebody pays a price that no plan names, and gets nothing for it.",
        "open_dispute" => "A dispute or an inquiry is open.",
        "lost_dispute" => "A dispute was lost.",
        "fraud_warning" => "A payment service suspects fraud; the payment may be disputed soon.",
        "paid_though_held" => {
            "A dispute or refund would hold a subscription that was paid again since."
        }
        "full_refund" => "All of a payment was given back.",
        "overdue" => "A period ended, and no word came since.",
        "unlinked" => "A dispute could not be traced to a customer.",
        "refund_unlinked" => "A refund could not be traced to a payment.",
        "api_key_needed" => "An event asks for a call to the provider, and no API key is set.",
        "api_key_exposed" => "A secret API key was found in public: roll it at the provider.",
        "unknown_connected_account" => {
            "Events come from a connected account that the app does not name."
        }
        "wrong_mode" => {
            "Events of test mode came to a live endpoint, or the reverse; they count for nothing."
        }
        "releases_unknown" => {
            "A frozen customer's package has no known releases, so nothing can be installed."
        }
        "account_deleted" => "Billing goes on for an account whose customer was deleted here.",
        "same_email" => "Another customer has the same e-mail address.",
        "seller_ids_differ" => {
            "Subscriptions of this billing account carry different ids of yours: all of them are with \
             the customer that was named last."
        }
        "same_id_other_body" => "An event came again with another body; what came first counts.",
        "hook_disabled" => {
            "A hook was disabled because its receiver took nothing: changes are told to it no more."
        }
        "failed_events" => "Events of this customer failed, so what is shown may be out of date.",
        _ => "Somebody should look at this.",
    }
}

/// Says how a billing account came to its customer.
pub(super) fn tie(word: &str) -> &'static str {
    match word {
        "admin" => "linked by an admin",
        "external_id" => "the customer's external id names it",
        "seller_id" => "carries the seller's own id",
        "email" => "first had the customer's e-mail address",
        _ => "a customer of its own",
    }
}

/// Says who did something, of an author as the audit writes it.
pub(super) fn author(actor: &str) -> String {
    match actor.split_once(':') {
        Some(("event", event)) => {
            let (_, id) = event.split_once(':').unwrap_or(("", event));
            format!("webhook {id}")
        }
        Some(("admin", "root")) => "ADMIN_TOKEN".to_owned(),
        Some(("admin", id)) => format!("admin {id}"),
        _ => match actor {
            "timer" => "a timer".to_owned(),
            "policy" => "a change of policy or plans".to_owned(),
            "operator" => "somebody at the server".to_owned(),
            "customer" => "the customer".to_owned(),
            other => other.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_and_turn_nothing() {
        assert_eq!(label("Ann"), "Ann");
        assert_eq!(label("abc\u{202e}gpj.exe"), "abcgpj.exe");
        assert_eq!(label("\u{2066}a\u{2069}"), "a");
        // Joiners and marks that names are written with stay.
        for name in ["می\u{200c}خواهم", "👩\u{200d}💻", "ש\u{200f}"] {
            assert_eq!(label(name), name);
        }
        assert_eq!(label(&"ä".repeat(200)), "ä".repeat(200));
        assert_eq!(label(&"ä".repeat(201)), format!("{}…", "ä".repeat(200)));
    }
}
