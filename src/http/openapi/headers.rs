//! The headers of answers that follow from the shape of an operation.

use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Response};

/// Describes `Location` of what is made, and the `ETag` of what changes only in the state that the
/// caller has seen.
pub(super) fn describe(operation: &mut Operation) {
    let parameters = operation.parameters.iter().flatten();
    let mut names = parameters.filter_map(|it| match it {
        RefOr::T(it) => Some(it.name.as_str()),
        RefOr::Ref(_) => None,
    });
    let has_condition = names.any(|name| name == "If-Match");
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else {
            continue;
        };
        if status == "201" {
            add(
                response,
                "Location",
                "Where what was made is found: its own path, or the list that has it.",
            );
        }
        let shows_it = status.starts_with('2') && !response.content.is_empty();
        if has_condition && shows_it {
            add(response, "ETag", "Its tag, for `If-Match`.");
        }
    }
}

fn add(response: &mut Response, name: &str, about: &str) {
    let text = ObjectBuilder::new().schema_type(Type::String).build();
    let header = HeaderBuilder::new().schema(Some(text));
    let header = header.description(Some(about)).build();
    let headers = &mut response.headers;
    headers.entry(name.to_owned()).or_insert(RefOr::T(header));
}
