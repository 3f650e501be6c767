//! The description of the API, OpenAPI 3.1, made from the code that serves it.
//!
//! Routers are [`OpenApiRouter`]s, whose `routes!` takes only handlers with a description, so that
//! nothing is served that is not described. [`document`] is the whole of it, whatever this process
//! serves: `GET /openapi.json` and `tollgate openapi` show the same text.
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
mod parts;
mod policy;
mod refusals;
mod schemas;
mod shape;
pub(super) mod words;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use utoipa::ToSchema;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::server::ServerBuilder;
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{Components, InfoBuilder, LicenseBuilder, OpenApi, RefOr};
use utoipa_axum::router::OpenApiRouter;

use super::{AppState, Roles};

/// An admin's token in the header.
const ADMIN_BEARER: &str = "admin_token";
/// An admin's token in the cookie.
const ADMIN_COOKIE: &str = "admin_cookie";
/// A customer's token in the header. Named by `security(…)` of the access check.
const CUSTOMER_BEARER: &str = "customer_token";
/// A customer's token as the password of HTTP Basic.
const CUSTOMER_BASIC: &str = "customer_basic";

/// The description as JSON, the same in every process of this version.
pub fn document() -> &'static str {
    static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
        let described = super::described_routes(Roles::ALL, super::admin_routes())
            .merge(super::merchant::described())
            .merge(super::health::router());
        // Texts, lists and maps always become JSON.
        let described = serde_json::to_value(complete(described.into_openapi()));
        let mut described = described.unwrap_or_default();
        shape::finish(&mut described);
        examples::add(&mut described);
        serde_json::to_string_pretty(&described).unwrap_or_default()
    });
    &DOCUMENT
}

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
            refusals::add(path, method, operation);
        }
    }
    routes
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

/// Adds what belongs to the whole.
fn complete(mut api: OpenApi) -> OpenApi {
    for (path, item) in &mut api.paths.paths {
        for (_, operation) in operations(item) {
            parts::describe(path, operation);
            refusals::fill(operation);
        }
    }
    api.info = InfoBuilder::new()
        .title("Tollgate")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(include_str!("openapi/about.md")))
        .license(Some(LicenseBuilder::new().name("MIT").build()))
        .build();
    let here = ServerBuilder::new()
        .url("/")
        .description(Some("Where this description was read"));
    api.servers = Some(vec![here.build()]);
    let components = api.components.get_or_insert_default();
    refusals::declare(components);
    secure(components);
    api
}

fn secure(components: &mut Components) {
    let http = |scheme, about: &str| {
        let scheme = HttpBuilder::new().scheme(scheme).description(Some(about));
        SecurityScheme::Http(scheme.build())
    };
    let cookie = ApiKeyValue::with_description(
        "access_token",
        "An admin token in a cookie; a change must then come from the same site, as JSON.",
    );
    let schemes = [
        (
            ADMIN_BEARER,
            http(
                HttpAuthScheme::Bearer,
                "An admin token: of one app, or of all. `tollgate token create` makes the first.",
            ),
        ),
        (ADMIN_COOKIE, SecurityScheme::ApiKey(ApiKey::Cookie(cookie))),
        (
            CUSTOMER_BEARER,
            http(HttpAuthScheme::Bearer, "A customer's access token."),
        ),
        (
            CUSTOMER_BASIC,
            http(
                HttpAuthScheme::Basic,
                "A customer's access token as the password; the user is `token` by custom.",
            ),
        ),
    ];
    for (name, scheme) in schemes {
        let scheme = RefOr::T(scheme);
        components.security_schemes.insert(name.to_owned(), scheme);
    }
}
