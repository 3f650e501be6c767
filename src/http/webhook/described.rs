//! What the description of the API says of webhooks beside their paths.

use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::{IntoParams, IntoResponses};

use crate::provider::{self, Spec};

/// The headers of a signature, one for each provider. They are only described here; `provider`
/// reads them.
pub(super) struct SignatureHeaders;

impl IntoParams for SignatureHeaders {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let text = || ObjectBuilder::new().schema_type(Type::String).build();
        let described = |spec: &&Spec| {
            ParameterBuilder::new()
                .name(spec.header)
                .parameter_in(ParameterIn::Header)
                .required(Required::True)
                .description(Some(spec.header_form))
                .schema(Some(text()))
                .build()
        };
        provider::ALL.iter().map(described).collect()
    }
}

/// The refusals of a webhook, the same for all paths.
#[derive(IntoResponses)]
#[expect(
    dead_code,
    reason = "they are only described; an `ApiError` is answered"
)]
pub(super) enum Refusals {
    #[response(
        status = 400,
        description = "`signature_…`: not signed with a secret of this endpoint, or not lately; `payload_…`: not an event."
    )]
    BadRequest,
    #[response(
        status = 404,
        description = "`endpoint_unknown`: no such endpoint, or none with a current secret."
    )]
    NotFound,
    #[response(status = 408, description = "`body_too_slow`.")]
    RequestTimeout,
    #[response(status = 413, description = "`payload_too_large`: over a megabyte.")]
    PayloadTooLarge,
    #[response(status = 415, description = "`unsupported_media_type`: compressed.")]
    UnsupportedMediaType,
    #[response(
        status = 429,
        description = "`too_many_failures`: too many failing signatures from this address."
    )]
    TooManyRequests,
    #[response(status = 500, description = "`internal`.")]
    Internal,
    #[response(
        status = 503,
        description = "`unavailable`; `too_many_bodies`: too much is being received at this moment; `endpoint_unreadable`: a secret of the endpoint does not open with the server's key."
    )]
    Unavailable,
}
