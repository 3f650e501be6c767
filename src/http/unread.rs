//! What a changing call says and nobody reads.
//!
//! A misspelt parameter of a list is refused; one of a call that changes something must be no less, or
//! `?sotf=true` deletes for good. Nor may a body be passed over: `{"soft": true}` would. Nor may a condition be passed over: whoever sends `If-Match` counts on
//! it that nothing is changed if somebody else was faster. What each call reads, its description says.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::MatchedPath;
use axum::http::header::{CONTENT_LENGTH, IF_MATCH, IF_NONE_MATCH, TRANSFER_ENCODING};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::{OpenApi, PathItem, RefOr};

use super::error::ApiError;
use super::field_errors::FieldErrors;
use super::input::pairs;

/// What the changing calls read beside path and body.
#[derive(Clone, Debug, Default)]
pub(super) struct Reads(Arc<BTreeMap<(String, String), Read>>);

#[derive(Clone, Debug, Default)]
struct Read {
    query: Vec<String>,
    condition: bool,
}

impl Reads {
    /// Collects it from the description of the routes.
    pub(super) fn of(described: &OpenApi) -> Self {
        let paths = described.paths.paths.iter();
        let calls = paths.flat_map(|(path, item)| {
            let calls = operations(item).into_iter();
            calls.filter_map(move |(method, operation)| {
                let read = read_by(operation?);
                Some(((method.to_string(), path.clone()), read))
            })
        });
        Self(Arc::new(calls.collect()))
    }
}

fn operations(item: &PathItem) -> [(Method, Option<&Operation>); 4] {
    [
        (Method::POST, item.post.as_ref()),
        (Method::PUT, item.put.as_ref()),
        (Method::PATCH, item.patch.as_ref()),
        (Method::DELETE, item.delete.as_ref()),
    ]
}

fn read_by(operation: &Operation) -> Read {
    let mut read = Read::default();
    for parameter in operation.parameters.iter().flatten() {
        let RefOr::T(parameter) = parameter else {
            continue;
        };
        match parameter.parameter_in {
            ParameterIn::Query => read.query.push(parameter.name.clone()),
            ParameterIn::Header if parameter.name == "If-Match" => read.condition = true,
            ParameterIn::Header
            | ParameterIn::Path
            | ParameterIn::Cookie
            | ParameterIn::QueryString => {}
        }
    }
    read
}

/// Refuses what a changing call says and nobody reads.
///
/// # Errors
/// 422 `query_invalid` with the parameters, 400 `condition_unsupported`.
pub(super) fn refuse(parts: &Parts) -> Result<(), ApiError> {
    let path = parts.extensions.get::<MatchedPath>();
    let (Some(reads), Some(path)) = (parts.extensions.get::<Reads>(), path) else {
        return Ok(());
    };
    let call = (parts.method.to_string(), path.as_str().to_owned());
    let Some(read) = reads.0.get(&call) else {
        return Ok(());
    };
    let mut field_errors = FieldErrors::default();
    for (name, _) in pairs(&parts.uri) {
        if !read.query.contains(&name) {
            field_errors.add(name, "is not known here");
        }
    }
    field_errors.finish_query(Some(()))?;
    if parts.method == Method::DELETE && has_body(&parts.headers) {
        return Err(ApiError::Invalid {
            code: "body_invalid",
            detail: "DELETE reads no body: what it reads is in the query, such as `?reason=`"
                .into(),
            errors: Vec::new(),
        });
    }
    if read.condition || !has_condition(&parts.headers) {
        return Ok(());
    }
    Err(ApiError::BadRequest {
        code: "condition_unsupported",
        detail:
            "this call knows no `If-Match` and no `If-None-Match`: nothing that it changes has a \
                 tag of its own"
                .into(),
    })
}

/// True if a body comes that may say something. Some clients send `{}` with everything.
fn has_body(headers: &HeaderMap) -> bool {
    let length = headers.get(CONTENT_LENGTH).and_then(|it| it.to_str().ok());
    let says_nothing = length.is_none_or(|it| matches!(it, "0" | "1" | "2"));
    !says_nothing || headers.contains_key(TRANSFER_ENCODING)
}

fn has_condition(headers: &HeaderMap) -> bool {
    headers.contains_key(IF_MATCH) || headers.contains_key(IF_NONE_MATCH)
}
