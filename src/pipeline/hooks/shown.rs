//! Hooks as the audit and admins see them.

use serde_json::{Value, json};

use crate::domain::role::Role;
use crate::store::hook::Hook;

/// A hook for the audit.
pub(super) fn described(hook: &Hook) -> Value {
    json!({"url": origin(hook), "kinds": hook.kinds, "body": hook.body.as_str(),
        "description": hook.description, "status": hook.status.as_str()})
}

/// Returns the scheme, host and port of a hook's address: what follows may be a secret, as in the addresses of
/// chat services.
fn origin(hook: &Hook) -> String {
    let url = reqwest::Url::parse(&hook.url);
    url.map_or_else(|_| String::new(), |url| url.origin().ascii_serialization())
}

/// Returns a hook as somebody of this role sees it: who may not manage hooks learns only where they lead.
pub fn shown_to(role: Role, hook: Hook) -> Hook {
    if role.allows(Role::Owner) {
        return hook;
    }
    Hook {
        url: origin(&hook),
        ..hook
    }
}
