//! The answers at paths, and to methods, that do not exist.

use axum::Extension;
use axum::extract::State;
use axum::http::Uri;

use super::AppState;
use super::error::ApiError;
use super::state::Roles;

/// What begins the paths of the role `api`.
const API: [&str; 5] = ["/api", "/access", "/composer", "/console", "/portal"];

/// What begins the paths of the receiver.
const WEBHOOKS: &str = "/webhooks";

/// What begins the paths for operators, beside the console's.
const OPERATORS: [&str; 3] = ["/metrics", "/readyz", "/healthz"];

/// Which of a process's addresses answers.
#[derive(Clone, Copy)]
pub(super) enum Address {
    /// The only one.
    Only,
    /// That of the API and of webhooks, where operators have another.
    Service,
    /// That of operators.
    Operators,
}

/// A path that another process, or another address of this one, may serve is told apart from one that
/// nobody does: whoever has taken them apart asks the wrong one sooner or later.
pub(super) async fn no_such_path(
    Extension(address): Extension<Address>,
    State(state): State<AppState>,
    uri: Uri,
) -> ApiError {
    let (path, settings) = (uri.path(), &state.settings);
    let detail = if let Some(role) = role_of(path, settings.roles) {
        format!("this process does not serve this path: one with `--role {role}` does")
    } else if let Some(setting) = address.other(path, settings.console) {
        format!("this address does not serve this path: that of `{setting}` does")
    } else {
        "there is nothing at this path".to_owned()
    };
    ApiError::not_found("path_unknown", detail)
}

impl Address {
    /// The setting of the address that serves paths that begin so, if it is the other one. The path is of
    /// a role that this process has.
    fn other(self, path: &str, has_console: bool) -> Option<&'static str> {
        let is_console = begins(path, "/console");
        let is_of_operators = OPERATORS.iter().any(|it| begins(path, it));
        let is_of_service = begins(path, WEBHOOKS) || API.iter().any(|it| begins(path, it));
        match self {
            Self::Service if is_of_operators || is_console && has_console => {
                Some("TOLLGATE_OPS_LISTEN")
            }
            Self::Operators if is_of_service && !is_console => Some("TOLLGATE_LISTEN"),
            _ => None,
        }
    }
}

pub(super) async fn no_such_method() -> ApiError {
    ApiError::MethodNotAllowed
}

/// The role that serves paths that begin so, if this process does not have it.
fn role_of(path: &str, roles: Roles) -> Option<&'static str> {
    if !roles.api && API.iter().any(|it| begins(path, it)) {
        Some("api")
    } else if !roles.receiver && begins(path, WEBHOOKS) {
        Some("receiver")
    } else {
        None
    }
}

/// Reports whether these are the first parts of a path.
fn begins(path: &str, with: &str) -> bool {
    let rest = path.strip_prefix(with);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
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

    #[test]
    fn a_path_of_the_other_address_names_it() {
        let (service, operators) = (Some("TOLLGATE_LISTEN"), Some("TOLLGATE_OPS_LISTEN"));
        for (address, path, expected) in [
            (Address::Service, "/console", operators),
            (Address::Service, "/console/overview", operators),
            (Address::Service, "/readyz", operators),
            (Address::Service, "/metrics", operators),
            (Address::Service, "/consoles", None),
            (Address::Service, "/api/v2", None),
            (Address::Operators, "/api/v1/stats", service),
            (Address::Operators, "/webhooks/stripe", service),
            (Address::Operators, "/console/nothing", None),
            (Address::Only, "/console/nothing", None),
            (Address::Only, "/api/v2", None),
        ] {
            assert_eq!(address.other(path, true), expected, "{path}");
        }
        assert_eq!(Address::Service.other("/console", false), None);
    }
}
