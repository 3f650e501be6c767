//! The answers at paths, and to methods, that do not exist.

use axum::extract::State;
use axum::http::Uri;

use super::AppState;
use super::error::ApiError;
use super::state::Roles;

/// What begins the paths of the role `api`.
const API: [&str; 5] = ["/api", "/access", "/composer", "/console", "/portal"];

/// What begins the paths of the receiver.
const WEBHOOKS: &str = "/webhooks";

/// A path that another process may serve is told apart from one that nobody does: whoever has taken the
/// roles apart asks the wrong process sooner or later.
pub(super) async fn no_such_path(State(state): State<AppState>, uri: Uri) -> ApiError {
    let detail = match role_of(uri.path(), state.settings.roles) {
        Some(role) => {
            format!("this process does not serve this path: one with `--role {role}` does")
        }
        None => "there is nothing at this path".to_owned(),
    };
    ApiError::not_found("path_unknown", detail)
}

pub(super) async fn no_such_method() -> ApiError {
    ApiError::MethodNotAllowed
}

/// The role that serves paths that begin so, if this process does not have it.
fn role_of(path: &str, roles: Roles) -> Option<&'static str> {
    let begins = |with: &str| {
        let rest = path.strip_prefix(with);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if !roles.api && API.iter().any(|it| begins(it)) {
        Some("api")
    } else if !roles.receiver && begins(WEBHOOKS) {
        Some("receiver")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_path_of_a_role_that_is_missing_names_one() {
        let worker = Roles {
            receiver: false,
            worker: true,
            api: false,
        };
        for (path, roles, expected) in [
            ("/api/v1/customers", worker, Some("api")),
            ("/access", worker, Some("api")),
            ("/accessible", worker, None),
            ("/console", worker, Some("api")),
            ("/webhooks/stripe", worker, Some("receiver")),
            ("/", worker, None),
            ("/api/v2/customers", Roles::ALL, None),
            ("/webhooks/stripe/more", Roles::ALL, None),
        ] {
            assert_eq!(role_of(path, roles), expected, "{path}");
        }
    }
}
