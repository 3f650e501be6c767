//! The access check about no package in particular: is the token good for anything at all?

use super::check::{self, AccessCode, Holder, PackageAccess};
use crate::domain::time::Timestamp;

/// Decides whether the holder may have any version of any package. If not, and several packages are
/// refused for different reasons, the code is that of the first.
pub fn anything(holder: Holder<'_>, now: Timestamp) -> AccessCode {
    if let Err(code) = check::check_holder(holder, now) {
        return code;
    }
    let mut refused = None;
    for package in check::packages(holder) {
        let code = PackageAccess::new(holder, package, now).asked(None);
        if code.is_allowed() {
            return code;
        }
        refused.get_or_insert(code);
    }
    let without_token = Holder {
        token: None,
        ..holder
    };
    refused.unwrap_or_else(|| {
        if check::packages(without_token).is_empty() {
            AccessCode::PackageNotGranted
        } else {
            AccessCode::TokenScope
        }
    })
}
