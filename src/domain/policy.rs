//! The policy of an app: how billing events affect access (suspend or keep, freeze or expire, and
//! after how long).
//!
//! A policy is an input of the derivation and never state: a change takes effect at once for
//! everybody, because everything that is shown is derived again.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::domain::span::Span;
use crate::domain::validate::FieldError;
use crate::domain::words::words;

/// The policy of one app. Missing fields have their defaults; unknown fields are refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// The effect of a failing subscription after its grace.
    pub on_payment_failed: OnPaymentFailed,
    /// Grace: the time for which a failing subscription stays good after its failure began, unless
    /// the provider has given up on it (Stripe's `unpaid`).
    pub suspend_after: Span,
    /// The time after which a failing subscription counts as ended.
    pub end_after: Span,
    /// The effect of an end: what was paid for stays, or not.
    pub on_end: OnEnd,
    /// The effect of the end of a subscription that nobody ever paid for.
    pub on_end_unpaid: OnEndUnpaid,
    /// The effect of an end in the middle of a paid period.
    pub early_end: EarlyEnd,
    /// The paid time that must have run before anything stays after an end.
    pub freeze_after: Span,
    /// The effect of a pause that somebody wanted.
    pub on_pause: OnPause,
    /// The effect of a pause of collection: the subscription goes on, but the provider does not
    /// collect (Stripe's `pause_collection`).
    pub on_collection_pause: OnCollectionPause,
    /// The effect of an open dispute, for which money has been taken back, on what it is about.
    /// Inquiries are only flagged.
    pub on_dispute_opened: OnDisputeOpened,
    /// The effect of a lost dispute on what it is about.
    pub on_dispute_lost: OnDisputeLost,
    /// The effect of a full refund on a subscription. Something bought once that was refunded in
    /// full is always gone.
    pub on_full_refund: OnFullRefund,
    /// The effect of a period that ended without any news.
    pub on_silence: OnSilence,
    /// The time after the end of a period after which the silence counts.
    pub silence_after: Span,
    /// The effect of an account whose address another customer has.
    pub on_same_email: OnSameEmail,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            on_payment_failed: OnPaymentFailed::Suspend,
            suspend_after: Span::days(7),
            end_after: Span::days(30),
            on_end: OnEnd::Freeze,
            on_end_unpaid: OnEndUnpaid::Expire,
            early_end: EarlyEnd::Now,
            freeze_after: Span::default(),
            on_pause: OnPause::Suspend,
            on_collection_pause: OnCollectionPause::Keep,
            on_dispute_opened: OnDisputeOpened::Flag,
            on_dispute_lost: OnDisputeLost::Suspend,
            on_full_refund: OnFullRefund::Flag,
            on_silence: OnSilence::Keep,
            silence_after: Span::days(3),
            on_same_email: OnSameEmail::Flag,
        }
    }
}

impl Policy {
    /// Returns this policy with some of its fields set from a document.
    ///
    /// # Errors
    /// When the document is wrong, with an error for each wrong field.
    pub fn with(&self, fields: &Map<String, Value>) -> Result<Self, Vec<FieldError>> {
        let whole = |error: serde_json::Error| vec![FieldError::new(".", error.to_string())];
        let mut all = match serde_json::to_value(self).map_err(whole)? {
            Value::Object(all) => all,
            _ => Map::new(),
        };
        // Each field by itself: a whole document would be refused at its first error.
        let field_error = |(name, value): (&String, &Value)| {
            if !all.contains_key(name) {
                return Some(FieldError::new(name, "is not known here"));
            }
            let one = Map::from_iter([(name.clone(), value.clone())]);
            let error = Self::deserialize(Value::Object(one)).err()?;
            Some(FieldError::new(name, error.to_string()))
        };
        // Nobody reads more, and a body can contain many.
        let errors: Vec<FieldError> = fields.iter().filter_map(field_error).take(100).collect();
        if !errors.is_empty() {
            return Err(errors);
        }
        all.extend(fields.clone());
        Self::deserialize(Value::Object(all)).map_err(whole)
    }
}

/// The effect of a failing subscription on a customer without a good one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnPaymentFailed {
    /// No access until it is paid.
    Suspend,
    /// What was paid for when it began to fail.
    Freeze,
    /// A failing subscription counts as good, until `end_after`.
    Keep,
}

words!(OnPaymentFailed, all {
    Suspend = "suspend",
    Freeze = "freeze",
    Keep = "keep",
});

/// The effect of the end of a subscription that nobody ever paid for: a trial, a free plan, a first
/// debit that bounced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnEndUnpaid {
    /// Nothing stays.
    Expire,
    /// What it had stays, as released until the end.
    Freeze,
}

words!(OnEndUnpaid, all {
    Expire = "expire",
    Freeze = "freeze",
});

/// The effect of an end in the middle of a paid period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EarlyEnd {
    /// It has ended.
    Now,
    /// It goes on as good until what was paid for has run out, unless a part of it was given back.
    PaidUntil,
}

words!(EarlyEnd, all {
    Now = "now",
    PaidUntil = "paid_until",
});

/// The effect of a period that ended without any news.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnSilence {
    /// A flag only.
    Keep,
    /// No access until there is news.
    Suspend,
}

words!(OnSilence, all {
    Keep = "keep",
    Suspend = "suspend",
});

/// The effect of the end of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnEnd {
    /// What was paid for stays, as released until the end or until the date it was paid to.
    Freeze,
    /// Nothing stays.
    Expire,
}

words!(OnEnd, all {
    Freeze = "freeze",
    Expire = "expire",
});

/// The effect of a paused subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnPause {
    /// No access.
    Suspend,
    /// What an end at that moment would leave.
    Freeze,
    /// A paused subscription counts as good.
    Keep,
}

words!(OnPause, all {
    Suspend = "suspend",
    Freeze = "freeze",
    Keep = "keep",
});

/// The effect of a pause of collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnCollectionPause {
    /// No effect.
    Keep,
    /// No access.
    Suspend,
}

words!(OnCollectionPause, all {
    Keep = "keep",
    Suspend = "suspend",
});

/// The effect of an open dispute on the subscription or purchase that it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDisputeOpened {
    /// A flag only.
    Flag,
    /// It is held while the dispute is open.
    Suspend,
    /// It has ended and leaves nothing.
    Expire,
    /// No effect, and no flag.
    Keep,
}

words!(OnDisputeOpened, all {
    Flag = "flag",
    Suspend = "suspend",
    Expire = "expire",
    Keep = "keep",
});

/// The effect of a lost dispute on the subscription or purchase that it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDisputeLost {
    /// It is held until an admin waives that, or until a later payment of the subscription.
    Suspend,
    /// It has ended and leaves nothing.
    Expire,
    /// A flag only.
    Flag,
    /// No effect.
    Keep,
}

words!(OnDisputeLost, all {
    Suspend = "suspend",
    Expire = "expire",
    Flag = "flag",
    Keep = "keep",
});

/// The effect of a full refund on the subscription whose payment it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFullRefund {
    /// A flag; the seller ends the subscription if access is to end.
    Flag,
    /// It has ended and leaves nothing, unless a later payment of it counts.
    Expire,
    /// No effect, and no flag.
    Keep,
}

words!(OnFullRefund, all {
    Flag = "flag",
    Expire = "expire",
    Keep = "keep",
});

/// The effect of an account whose e-mail address another customer has. No provider proves that a
/// buyer owns the address that he types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnSameEmail {
    /// They stay two customers, and both are flagged.
    Flag,
    /// They are one customer, if the address is the first that the account had.
    Join,
    /// They stay two customers.
    Ignore,
}

words!(OnSameEmail, all {
    Flag = "flag",
    Join = "join",
    Ignore = "ignore",
});

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
