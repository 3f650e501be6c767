//! A subscription as it is shown.

use serde::{Deserialize, Serialize};

use crate::domain::billing::assessment::{Assessment, Standing};
use crate::domain::billing::fact::{Item, SubscriptionStatus};
use crate::domain::billing::payment::Payment;
use crate::domain::id::ObjectKey;
use crate::domain::time::Timestamp;

/// A subscription as it is shown and compared: what its customer or an admin would notice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionView {
    /// The account that pays.
    pub account: Option<ObjectKey>,
    /// The provider's status; `None` while no known status was seen.
    pub status: Option<SubscriptionStatus>,
    /// The standing of the subscription.
    #[serde(rename = "class")]
    pub standing: Standing,
    /// The bought items.
    pub items: Vec<Item>,
    /// End of the paid period.
    #[serde(default, with = "crate::domain::time::rfc3339::option")]
    pub period_end: Option<Timestamp>,
    /// The time of its scheduled end.
    #[serde(default, with = "crate::domain::time::rfc3339::option")]
    pub cancel_at: Option<Timestamp>,
    /// True if the collection of payments is paused.
    pub collection_paused: bool,
    /// The start of the current failure.
    #[serde(default, with = "crate::domain::time::rfc3339::option")]
    pub failing_since: Option<Timestamp>,
    /// The time of its end.
    #[serde(default, with = "crate::domain::time::rfc3339::option")]
    pub ended_at: Option<Timestamp>,
    /// The newest time at which a payment of it failed.
    #[serde(default, with = "crate::domain::time::rfc3339::option")]
    pub last_payment_failed_at: Option<Timestamp>,
    /// The time of the next try to collect what has failed and is not paid.
    #[serde(default, with = "crate::domain::time::rfc3339::option")]
    pub next_payment_attempt: Option<Timestamp>,
}

impl SubscriptionView {
    /// Makes the view of an assessment.
    pub fn new(
        assessment: &Assessment,
        account: Option<&ObjectKey>,
        payments: &[&Payment<'_>],
    ) -> Self {
        let state = assessment.state.as_ref();
        let failed = payments.iter().filter_map(|it| it.history.failed);
        let is_tried = |it: &&&Payment<'_>| it.paid().is_none() && it.history.void_at.is_none();
        let tried = payments.iter().filter(is_tried);
        let next = tried.filter_map(|it| it.history.failed?.next_attempt);
        // Providers stop collecting what an ended subscription owes.
        let next = next
            .max()
            .filter(|_| assessment.standing != Standing::Ended);
        Self {
            account: account.cloned(),
            status: state.map(|s| s.status.clone()),
            standing: assessment.standing,
            items: assessment.items().to_vec(),
            period_end: state.and_then(|s| s.period_end),
            cancel_at: state.and_then(|s| s.cancel_at),
            collection_paused: state.is_some_and(|s| s.collection_paused),
            failing_since: assessment
                .failing_since
                .filter(|_| matches!(assessment.standing, Standing::Failing | Standing::Ended)),
            ended_at: assessment.ended_at,
            last_payment_failed_at: failed.map(|failed| failed.last).max(),
            next_payment_attempt: next,
        }
    }
}
