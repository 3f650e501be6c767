//! The answers at paths, and to methods, that do not exist.

use super::error::ApiError;

pub(super) async fn no_such_path() -> ApiError {
    ApiError::not_found("path_unknown", "there is nothing at this path")
}

pub(super) async fn no_such_method() -> ApiError {
    ApiError::MethodNotAllowed
}
