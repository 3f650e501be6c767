//! The variable parts of paths.

use serde_json::json;
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Required};

use super::words;

/// A part by its name, where that says enough, else with what stands before it; what it is; an
/// example.
const PARTS: &[(&str, &str, &str)] = &[
    (
        "customers/{id}",
        "The customer's id.",
        "cust_01939f1bf0007cc8a4d0b1c2d3e4f506",
    ),
    (
        "events/{id}",
        "The provider's id of the event.",
        "evt_1Q2w3e4R5t6Y7u8I",
    ),
    (
        "replays/{id}",
        "The id of the replay of many events.",
        "rpl_01939f1bf0007cc8a4d0b1c2d3e4f506",
    ),
    (
        "reconciles/{id}",
        "The id of the comparison.",
        "rcn_01939f1bf0007cc8a4d0b1c2d3e4f506",
    ),
    (
        "admin-tokens/{id}",
        "The id of the admin token.",
        "atok_01939f1bf0007cc8a4d0b1c2d3e4f506",
    ),
    (
        "secrets/{id}",
        "The id of the secret.",
        "whs_01939f1bf0007cc8a4d0b1c2d3e4f506",
    ),
    (
        "licenses/{id}",
        "The id of the licence.",
        "lic_01939f1bf0007cc8a4d0b1c2d3e4f506",
    ),
    (
        "hooks/{id}",
        "The id of the hook.",
        "hook_01939f1bf0007cc8a4d0b1c2d3e4f506",
    ),
    (
        "{delivery}",
        "The id of the delivery.",
        "dlv_01939f1bf0007cc8a4d0b1c2d3e4f506",
    ),
    (
        "flags/{id}",
        "The id of the flag.",
        "flag_MTg4N2Q5ZjFiZjAwMDdjYzp1bmxpbmtlZDpkaXNwdXRlOnN0cmlwZTpsaXZlOjpkcF8xOmRwXzE",
    ),
    (
        "{token_id}",
        "The id of the customer's token.",
        "ctok_01939f1bf0007cc8a4d0b1c2d3e4f506",
    ),
    (
        "{activation_id}",
        "The id of the licence's activation.",
        "act_01939f1bf0007cc8a4d0b1c2d3e4f506",
    ),
    ("{slug}", "The slug of the app.", "default"),
    ("{app}", "The slug of the app.", "default"),
    ("{provider}", "`stripe` or `paddle`.", "stripe"),
    (
        "{provider}/{account}",
        "The connected account of the price.",
        "acct_1Q2w3e4R5t6Y7u8I",
    ),
    (
        "{price_id}",
        "The provider's id of the price or product.",
        "price_1Q2w3e4R5t6Y7u8I",
    ),
    (
        "{account}",
        "The provider's id of a billing account, with or without `stripe_` or `paddle_` before it.",
        "cus_QwErTy123456",
    ),
    ("{vendor}", "The package's vendor.", "acme"),
    (
        "{file}",
        "The package's name after its vendor, with `.json`, or `~dev.json` for its branches.",
        "tool.json",
    ),
    (
        "{archive}",
        "The name of an archive, as the metadata has it.",
        "1.0.0-0123456789abcdef.zip",
    ),
    ("{name}", "The package's name after its vendor.", "tool"),
    (
        "{package}",
        "The package, its slash written as `%2F`.",
        "acme%2Ftool",
    ),
    ("{version}", "The version of the release.", "1.2.0"),
    (
        "{external_id}",
        "The customer's id elsewhere, or the id of a billing account, with or without `stripe_` \
         or `paddle_` before it.",
        "cus_QwErTy123456",
    ),
];

/// Describes the variable parts of the path that the operation itself does not.
pub(super) fn describe(path: &str, operation: &mut Operation) {
    let parameters = operation.parameters.get_or_insert_default();
    let mut before = "";
    for part in path.split('/') {
        let name = part.strip_prefix('{').and_then(|it| it.strip_suffix('}'));
        let is_told = |name: &str| {
            parameters.iter().any(|it| match it {
                RefOr::T(it) => it.parameter_in == ParameterIn::Path && it.name == name,
                RefOr::Ref(_) => false,
            })
        };
        if let Some(name) = name
            && !is_told(name)
        {
            let long = format!("{before}/{part}");
            let known = PARTS.iter().find(|(it, ..)| *it == long || *it == part);
            let schema = match name {
                "provider" => words::provider(),
                _ => ObjectBuilder::new().schema_type(Type::String).build(),
            };
            let parameter = ParameterBuilder::new()
                .name(name)
                .parameter_in(ParameterIn::Path)
                .required(Required::True)
                .description(known.map(|(_, about, _)| *about))
                .example(known.map(|(.., example)| json!(example)))
                .schema(Some(schema));
            parameters.push(RefOr::T(parameter.build()));
        }
        before = part;
    }
    if parameters.is_empty() {
        operation.parameters = None;
    }
}
