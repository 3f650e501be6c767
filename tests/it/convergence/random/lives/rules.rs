//! A policy in the oracle's own words.

use serde_json::json;
use tollgate::domain::policy::Policy;

/// The fields of a policy, as words and seconds.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) on_payment_failed: &'static str,
    pub(super) suspend_after: i64,
    pub(super) end_after: i64,
    pub(super) on_end: &'static str,
    pub(super) on_end_unpaid: &'static str,
    pub(super) early_end: &'static str,
    pub(super) freeze_after: i64,
    pub(super) on_pause: &'static str,
    pub(super) on_collection_pause: &'static str,
    pub(super) on_dispute_opened: &'static str,
    pub(super) on_dispute_lost: &'static str,
    pub(super) on_full_refund: &'static str,
    pub(super) on_silence: &'static str,
    pub(super) silence_after: i64,
}

impl Rules {
    /// Draws each field; a zero draws what is usual.
    pub(super) fn drawn(by: &[u8; 14]) -> Self {
        fn one<T: Copy>(of: &[T], by: u8) -> T {
            of[usize::from(by) % of.len()]
        }
        Self {
            on_payment_failed: one(&["suspend", "freeze", "keep"], by[0]),
            suspend_after: one(&[0, 3, 9], by[1]),
            end_after: one(&[25, 8, 60, 100_000], by[2]),
            on_end: one(&["freeze", "freeze", "expire"], by[3]),
            on_end_unpaid: one(&["expire", "freeze"], by[4]),
            early_end: one(&["now", "paid_until"], by[5]),
            freeze_after: one(&[0, 0, 12, 45], by[6]),
            on_pause: one(&["suspend", "freeze", "keep"], by[7]),
            on_collection_pause: one(&["keep", "suspend"], by[8]),
            on_dispute_opened: one(&["flag", "suspend", "expire", "keep"], by[9]),
            on_dispute_lost: one(&["suspend", "expire", "flag", "keep"], by[10]),
            on_full_refund: one(&["flag", "expire", "keep"], by[11]),
            on_silence: one(&["keep", "suspend"], by[12]),
            silence_after: one(&[3, 20], by[13]),
        }
    }

    /// The same as Tollgate is told it.
    pub(super) fn policy(&self) -> Policy {
        let seconds = |seconds: i64| format!("{seconds}s");
        let fields = json!({
            "on_payment_failed": self.on_payment_failed,
            "suspend_after": seconds(self.suspend_after),
            "end_after": seconds(self.end_after),
            "on_end": self.on_end,
            "on_end_unpaid": self.on_end_unpaid,
            "early_end": self.early_end,
            "freeze_after": seconds(self.freeze_after),
            "on_pause": self.on_pause,
            "on_collection_pause": self.on_collection_pause,
            "on_dispute_opened": self.on_dispute_opened,
            "on_dispute_lost": self.on_dispute_lost,
            "on_full_refund": self.on_full_refund,
            "on_silence": self.on_silence,
            "silence_after": seconds(self.silence_after),
        });
        serde_json::from_value(fields).unwrap()
    }
}
