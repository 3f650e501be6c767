//! The description of the whole API, as `GET /openapi.json` and `tollgate openapi` show it.

use std::sync::LazyLock;

use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::server::ServerBuilder;
use utoipa::openapi::{Components, InfoBuilder, LicenseBuilder, OpenApi, RefOr};

use super::openapi::{self, ADMIN_BEARER, ADMIN_COOKIE};
use super::state::Roles;
use super::{health, merchant, metrics, routes};

/// A customer's token in the header. Named by `security(…)` of the access check.
const CUSTOMER_BEARER: &str = "customer_token";
/// A customer's token as the password of HTTP Basic.
const CUSTOMER_BASIC: &str = "customer_basic";

/// The description as JSON, the same in every process of this version.
pub fn document() -> &'static str {
    static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
        let described = routes::described(Roles::ALL, routes::admin(), document)
            .merge(merchant::described())
            .merge(health::router())
            .merge(metrics::router());
        // Texts, lists and maps always become JSON.
        let described = serde_json::to_value(complete(described.into_openapi()));
        let mut described = described.unwrap_or_default();
        openapi::finish(&mut described);
        serde_json::to_string_pretty(&described).unwrap_or_default()
    });
    &DOCUMENT
}

/// Adds what belongs to the whole.
fn complete(mut api: OpenApi) -> OpenApi {
    openapi::complete(&mut api);
    let license = LicenseBuilder::new().name("MIT").identifier(Some("MIT"));
    api.info = InfoBuilder::new()
        .title("Tollgate")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(include_str!("openapi/about.md")))
        .license(Some(license.build()))
        .build();
    let here = ServerBuilder::new()
        .url("/")
        .description(Some("Where this description was read"));
    api.servers = Some(vec![here.build()]);
    let components = api.components.get_or_insert_default();
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
