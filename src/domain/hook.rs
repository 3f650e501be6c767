//! Webhooks of an app's own: what they are told, and how a delivery stands.

use serde::{Deserialize, Serialize};

use crate::domain::words::words;

/// Most filters of kinds of one hook.
pub const MAX_KINDS: usize = 50;

/// What the bodies of a hook hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HookBody {
    /// Kind, time and ids: the receiver asks for the rest.
    Thin,
    /// What changed, too.
    #[default]
    Full,
}

words!(HookBody, or "a form of bodies (`thin` or `full`)" {
    Thin = "thin",
    Full = "full",
});

/// Whether a hook is delivered to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HookStatus {
    /// It is.
    #[default]
    Enabled,
    /// It is not, and nothing new waits for it.
    Disabled,
}

words!(HookStatus, or "a status of a hook (`enabled` or `disabled`)" {
    Enabled = "enabled",
    Disabled = "disabled",
});

/// How a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// It is still to be delivered.
    Waiting,
    /// The receiver said 2xx.
    Delivered,
    /// It was given up.
    Failed,
}

words!(DeliveryState, or "a state of a delivery (`waiting`, `delivered` or `failed`)" {
    Waiting = "waiting",
    Delivered = "delivered",
    Failed = "failed",
});

/// Why a hook was disabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisabledBecause {
    /// An admin said so.
    Admin,
    /// Nothing was delivered for longer than the setting allows.
    Failing,
    /// The receiver said 410 Gone.
    Gone,
}

words!(DisabledBecause, or "a reason to disable a hook" {
    Admin = "admin",
    Failing = "failing",
    Gone = "gone",
});
