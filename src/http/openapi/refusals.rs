//! The refusals of operations: those that follow from the shape of an operation, and their form.

use serde_json::json;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{Components, Content, ContentBuilder, Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use crate::http::named_app::APP;
use crate::http::problem_body::Problem;

/// The content type of problem documents.
const PROBLEM: &str = "application/problem+json";

/// A refusal that many operations share.
struct Refusal {
    status: &'static str,
    /// The name among the components.
    name: &'static str,
    title: &'static str,
    /// The codes and their conditions.
    about: &'static str,
    /// A code for the example.
    code: &'static str,
}

const SHARED: [Refusal; 13] = [
    Refusal {
        status: "400",
        name: "BadRequest",
        title: "Bad Request",
        about: "`body_not_json`, `body_incomplete` when it ended early, \
                `idempotency_key_invalid`, `if_match_invalid` or `if_none_match_invalid`; \
                `condition_unsupported`: the call knows neither of these two headers.",
        code: "body_not_json",
    },
    Refusal {
        status: "401",
        name: "Unauthorized",
        title: "Unauthorized",
        about: "`token_missing`, `token_unknown` or `token_expired`.",
        code: "token_missing",
    },
    Refusal {
        status: "403",
        name: "Forbidden",
        title: "Forbidden",
        about: "`role_insufficient`: the token's role does not allow it; `token_bound`: it is \
                bound to one app; `cross_origin`: a change by cookie from another site.",
        code: "role_insufficient",
    },
    Refusal {
        status: "404",
        name: "NotFound",
        title: "Not Found",
        about: "There is no such thing, or none that the token may see; the code names what is \
                missing.",
        code: "customer_not_found",
    },
    Refusal {
        status: "408",
        name: "BodyTooSlow",
        title: "Request Timeout",
        about: "`body_too_slow`: the body took too long to arrive.",
        code: "body_too_slow",
    },
    Refusal {
        status: "409",
        name: "Conflict",
        title: "Conflict",
        about: "`idempotency_key_in_use`: the first request with this key is still running; \
                `idempotency_answer_lost`: it was carried out, and its answer is lost.",
        code: "idempotency_key_in_use",
    },
    Refusal {
        status: "412",
        name: "PreconditionFailed",
        title: "Precondition Failed",
        about: "`precondition_failed`: it has changed since the state of `If-Match`.",
        code: "precondition_failed",
    },
    Refusal {
        status: "413",
        name: "PayloadTooLarge",
        title: "Payload Too Large",
        about: "`payload_too_large`: the body has more than a megabyte.",
        code: "payload_too_large",
    },
    Refusal {
        status: "415",
        name: "UnsupportedMediaType",
        title: "Unsupported Media Type",
        about: "`unsupported_media_type`: the body is not said to be JSON, or is compressed.",
        code: "unsupported_media_type",
    },
    Refusal {
        status: "422",
        name: "Invalid",
        title: "Unprocessable Entity",
        about: "`body_invalid` or `query_invalid`: it can be read and is wrong; `errors` says \
                which fields. `idempotency_key_reused`: the key came with another request.",
        code: "body_invalid",
    },
    Refusal {
        status: "429",
        name: "TooManyFailures",
        title: "Too Many Requests",
        about: "`too_many_failures`: too many failed tries from this address.",
        code: "too_many_failures",
    },
    Refusal {
        status: "500",
        name: "Internal",
        title: "Internal Server Error",
        about: "`internal`: we are at fault; the log knows why.",
        code: "internal",
    },
    Refusal {
        status: "503",
        name: "Unavailable",
        title: "Service Unavailable",
        about: "`unavailable`: something that is needed is away; the same request may succeed \
                later.",
        code: "unavailable",
    },
];

/// Adds the refusals that follow from the shape of an operation of the admin API, except for
/// statuses that it describes itself.
pub(super) fn add(path: &str, method: &str, operation: &mut Operation) {
    let has_body = operation.request_body.is_some();
    let parameters = operation.parameters.iter().flatten();
    let mut has_app = false;
    let mut has_query = false;
    let mut has_condition = false;
    for parameter in parameters {
        if let RefOr::T(parameter) = parameter {
            has_query |= parameter.parameter_in == ParameterIn::Query;
            has_app |= parameter.name == APP;
            has_condition |= parameter.name == "If-Match";
        }
    }
    let applies = |status: &str| match status {
        "401" | "429" | "500" | "503" => true,
        "403" => method != "get",
        "404" => path.contains('{') || has_app,
        // A change by cookie must be JSON even where the handler reads no body; and conditions that
        // nobody reads are refused.
        "400" | "415" => has_body || method != "get",
        // With an Idempotency-Key the body is read to compare it, even where the handler reads
        // none.
        "408" | "413" => has_body || method == "post",
        "412" => has_condition,
        "409" => method == "post",
        // So are parameters that nobody reads.
        "422" => has_body || has_query || method != "get",
        _ => false,
    };
    for refusal in SHARED.iter().filter(|it| applies(it.status)) {
        let shared = Ref::from_response_name(refusal.name);
        let responses = &mut operation.responses.responses;
        let status = refusal.status.to_owned();
        responses.entry(status).or_insert(RefOr::Ref(shared));
    }
}

/// Gives the problem document to refusals whose body is not described.
pub(super) fn fill(operation: &mut Operation) {
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response
            && status.as_str() >= "400"
            && response.content.is_empty()
        {
            *response = problem(&response.description, None);
            add_retry(status, response);
        }
    }
}

/// Changes the form of an operation's refusals to JSON of this schema.
pub(super) fn dress(operation: &mut Operation, schema: &str) {
    let refusals = operation.responses.responses.iter_mut();
    for (status, response) in refusals.filter(|(status, _)| status.as_str() >= "400") {
        let about = match response {
            RefOr::T(response) => response.description.clone(),
            RefOr::Ref(_) => {
                let shared = SHARED.iter().find(|it| it.status == status);
                shared.map_or("", |it| it.title).to_owned() + "."
            }
        };
        let content: Content = ContentBuilder::new()
            .schema(Some(Ref::from_schema_name(schema)))
            .build();
        let replaced = ResponseBuilder::new().description(about);
        let mut replaced = replaced.content("application/json", content).build();
        add_retry(status, &mut replaced);
        *response = RefOr::T(replaced);
    }
}

/// Declares the shared refusals as components.
pub(super) fn declare(components: &mut Components) {
    let name = Problem::name().into_owned();
    let mut schemas = vec![(name, Problem::schema())];
    Problem::schemas(&mut schemas);
    components.schemas.extend(schemas);
    for refusal in SHARED {
        let status: u16 = refusal.status.parse().unwrap_or_default();
        let example = json!({
            "title": refusal.title,
            "status": status,
            "code": refusal.code,
            "detail": "a sentence for people",
            "request_id": "9f86d081884c7d659a2feaa0c55ad015",
        });
        let mut response = problem(refusal.about, Some(example));
        add_retry(refusal.status, &mut response);
        let name = refusal.name.to_owned();
        components.responses.insert(name, RefOr::T(response));
    }
}

fn problem(about: &str, example: Option<serde_json::Value>) -> Response {
    let schema = Ref::from_schema_name(Problem::name());
    let content: Content = ContentBuilder::new()
        .schema(Some(schema))
        .example(example)
        .build();
    let response = ResponseBuilder::new().description(about);
    response.content(PROBLEM, content).build()
}

fn add_retry(status: &str, response: &mut Response) {
    if ["429", "503"].contains(&status) {
        let seconds = ObjectBuilder::new().schema_type(Type::Integer).build();
        let header = HeaderBuilder::new()
            .schema(Some(seconds))
            .description(Some("Whole seconds until the next try."));
        let header = RefOr::T(header.build());
        response.headers.insert("Retry-After".to_owned(), header);
    }
}
