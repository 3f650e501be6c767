//! The operations that the audit names.

/// All of them, in the order of the alphabet. The store refuses to write any other in debug builds.
pub const OPERATIONS: [&str; 73] = [
    "activation_add",
    "activation_delete",
    "admin_token_create",
    "admin_token_revoke",
    "api_key_delete",
    "api_key_put",
    "app_create",
    "app_delete",
    "app_pause",
    "app_registry",
    "app_rename",
    "app_resume",
    "app_settings",
    "create",
    "delete",
    "endpoint_test",
    "event_dismiss",
    "event_dismiss_many",
    "event_replay",
    "event_replay_cancel",
    "event_replay_many",
    "expire",
    "export",
    "flag",
    "freeze",
    "grant",
    "grant_expire",
    "hide",
    "hook_change",
    "hook_create",
    "hook_delete",
    "hook_disable",
    "hook_resend",
    "hook_rotate",
    "hook_test",
    "license_change",
    "license_create",
    "license_delete",
    "license_reinstate",
    "license_reissue",
    "license_renew",
    "license_revoke",
    "link_account",
    "merge",
    "package_delete",
    "package_put",
    "pin_account",
    "plan_delete",
    "plan_put",
    "policy_put",
    "portal_link",
    "purge",
    "reactivate",
    "reconcile",
    "reconcile_cancel",
    "release_add",
    "release_remove",
    "revoke",
    "secret_add",
    "secret_delete",
    "secret_expire",
    "show",
    "split",
    "suspend",
    "token_create",
    "token_revoke",
    "token_rotate",
    "unflag",
    "update_contact",
    "update_external_id",
    "update_holds",
    "update_profile",
    "update_subscription",
];

/// Checks that a word names an operation.
///
/// # Errors
/// When the value is wrong, with the end of a sentence about it.
pub fn operation(word: &str) -> Result<String, String> {
    if OPERATIONS.contains(&word) {
        Ok(word.to_owned())
    } else {
        Err("must be the name of an operation, such as `suspend` or `token_create`".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operation_stands_once_in_its_place() {
        assert!(OPERATIONS.is_sorted_by(|one, next| one < next));
        assert!(OPERATIONS.iter().all(|it| operation(it).is_ok()));
        for wrong in ["", "bogus", "Suspend", "suspend ", "sus"] {
            assert!(operation(wrong).is_err(), "{wrong}");
        }
    }
}
