//! The description of the API, OpenAPI 3.1, made from the code that serves it.
//!
//! Routers are [`OpenApiRouter`]s, whose `routes!` takes only handlers with a description, so that
//! nothing is served that is not described. `description.rs` puts them together, whatever this
//! process serves.
//!
//! # How a handler is described
//!
//! ```text
//! /// Suspends a customer.
//! ///
//! /// More details, after the summary.
//! #[utoipa::path(
//!     post,
//!     path = "/customers/{id}/suspend",
//!     request_body = Option<ReasonBody>,      // its type derives `ToSchema`
//!     params(PagingQuery, ListQuery),         // the types of its queries derive `IntoParams`
//!     responses(
//!         (status = 200, description = "The customer.", body = ActedView),
//!         (status = 409, description = "`customer_deleted`: it takes no changes."),
//!     )
//! )]
//! async fn suspend(…)
//! ```
//!
//! Only what is the handler's own is written there. The rest follows from the shape of the
//! operation, in one place:
//!
//! - `resource` gives all operations of a file their heading and their ids (`customers_suspend`).
//! - `guarded`, called once for all of the admin API, adds who may ask and the refusals that the
//!   operation's shape brings along: 401, 403, 429; with a body 400, 408, 413, 415 and 422; with a
//!   query 422; with variable parts in its path 404; 500 and 503; for POST also `Idempotency-Key`
//!   and what it can bring. What the handler says itself about a status stays; its own 409, and a
//!   404 without a variable path, only it can know.
//! - `refusing` is for a dialect whose refusals have another form.
//! - Variable parts of a path are described in `parts`; words of a fixed set (`status`,
//!   `provider`) in `words`, for `#[schema(schema_with = words::status)]`; schemas of domain
//!   types, which know nothing of HTTP, in `schemas`.
//! - A status of 400 and above without a body of its own gets the problem document.
//! - Examples are written once, on fields (`#[schema(examples("acme/tool"))]`), or on a body whose
//!   fields do not go together; `examples` puts together those of bodies.
//! - A field of an answer that may be null is always there; one that may be missing says so with
//!   `#[schema(nullable = false)]` on its `Option`.
//!
//! Types are shown under their names without the `View` of the code (`#[schema(as = Customer)]`);
//! the names are one set for the whole API.

mod examples;
mod headers;
mod parts;
mod refusals;
mod schemas;
mod shape;
pub(super) mod words;

use std::collections::BTreeSet;

use utoipa::ToSchema;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{OpenApi, RefOr};
use utoipa_axum::router::OpenApiRouter;

use super::named_app::APP;
use super::state::AppState;

/// An admin's token in the header.
pub(super) const ADMIN_BEARER: &str = "admin_token";
/// An admin's token in the cookie.
pub(super) const ADMIN_COOKIE: &str = "admin_cookie";

/// Puts the operations of one file under a heading, and names each after it and its handler.
pub(super) fn resource(
    name: &str,
    about: &str,
    mut routes: OpenApiRouter<AppState>,
) -> OpenApiRouter<AppState> {
    let api = routes.get_openapi_mut();
    let tag = TagBuilder::new().name(name).description(Some(about));
    api.tags.get_or_insert_default().push(tag.build());
    let prefix = name.replace('-', "_");
    for item in api.paths.paths.values_mut() {
        let mut taken = BTreeSet::new();
        for (method, operation) in operations(item) {
            operation.tags = Some(vec![name.to_owned()]);
            let handler = operation.operation_id.take().unwrap_or_default();
            let mut id = format!("{prefix}_{handler}");
            // A handler of two methods, such as PUT and PATCH.
            if !taken.insert(id.clone()) {
                id = format!("{id}_{method}");
            }
            operation.operation_id = Some(id);
        }
    }
    routes
}

/// Says of every operation that an admin must ask, and how it is refused.
pub(super) fn guarded(mut routes: OpenApiRouter<AppState>) -> OpenApiRouter<AppState> {
    let api = routes.get_openapi_mut();
    for (path, item) in &mut api.paths.paths {
        for (method, operation) in operations(item) {
            operation.security = Some(vec![
                SecurityRequirement::new::<_, _, String>(ADMIN_BEARER, []),
                SecurityRequirement::new::<_, _, String>(ADMIN_COOKIE, []),
            ]);
            if method == "post" {
                let parameters = operation.parameters.get_or_insert_default();
                parameters.push(RefOr::T(idempotency_key()));
            }
            let parameters = operation.parameters.get_or_insert_default();
            let is_told = |it: &RefOr<Parameter>| matches!(it, RefOr::T(it) if it.name == APP);
            if !parameters.iter().any(is_told) {
                parameters.push(RefOr::T(named_app()));
            }
            refusals::add(path, method, operation);
        }
    }
    routes
}

fn named_app() -> Parameter {
    let slug = ObjectBuilder::new().schema_type(Type::String);
    ParameterBuilder::new()
        .name(APP)
        .parameter_in(ParameterIn::Query)
        .description(Some(
            "The slug of the app that is meant, for tokens of all apps; `default` if left out. The \
             token is then as one that is bound to this app.",
        ))
        .schema(Some(slug))
        .build()
}

fn idempotency_key() -> Parameter {
    let key = ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some("^[ -~]{1,255}$"));
    ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .description(Some(
            "With a key of your choice the request does its work once, however often it is sent; \
             each time the first answer comes again. A request that is still running is 409, \
             another request with the same key 422.",
        ))
        .schema(Some(key))
        .build()
}

/// Says that refusals are JSON of another form than the problem document.
pub(super) fn refusing<T: ToSchema>(
    mut routes: OpenApiRouter<AppState>,
) -> OpenApiRouter<AppState> {
    let api = routes.get_openapi_mut();
    for item in api.paths.paths.values_mut() {
        for (_, operation) in operations(item) {
            refusals::dress(operation, &T::name());
        }
    }
    let mut schemas = vec![(T::name().into_owned(), T::schema())];
    T::schemas(&mut schemas);
    let components = api.components.get_or_insert_default();
    components.schemas.extend(schemas);
    routes
}

/// The operations of a path, with their methods.
fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    [
        ("get", &mut item.get),
        ("put", &mut item.put),
        ("post", &mut item.post),
        ("patch", &mut item.patch),
        ("delete", &mut item.delete),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// Describes the variable parts of all paths, and the refusals that follow from the operations, and
/// says of those without a way to sign in that they need none.
pub(super) fn complete(api: &mut OpenApi) {
    for (path, item) in &mut api.paths.paths {
        for (_, operation) in operations(item) {
            parts::describe(path, operation);
            refusals::fill(operation);
            headers::describe(operation);
            // Who leaves it out may mean everybody or may have forgotten it.
            operation.security.get_or_insert_default();
        }
    }
    refusals::declare(api.components.get_or_insert_default());
}

/// Gives the finished description its final shape, and adds examples.
pub(super) fn finish(described: &mut serde_json::Value) {
    shape::finish(described);
    examples::add(described);
}
