//! The receiver of webhooks.
//!
//! Each step is cheaper to refuse than the next is to do: size, endpoint, signature, then as much
//! parsing as finds id and type, then the durable hand-over, then the answer. Nothing is
//! acknowledged before it is durable, nothing unsigned is parsed, and nobody waits for what the
//! event means: that is the worker's.
//!
//! # Answers, chosen for the sender
//!
//! Stripe takes any 2xx for success and sends everything else again for up to three days
//! (<https://docs.stripe.com/webhooks#behaviors>); Paddle takes 200 alone, within five seconds,
//! and sends everything else again up to 60 times in three days
//! (<https://developer.paddle.com/webhooks/respond-to-webhooks>). Neither looks at the body, nor at
//! which failure it is: the other statuses are for whoever reads the provider's delivery log.
//!
//! | status | code | what the sender should take from it |
//! | --- | --- | --- |
//! | 200 | | durable. Also for types that nobody here reads: without a 2xx to `invoice.created` Stripe holds the invoice back for up to 72 hours (<https://docs.stripe.com/invoicing/integration/workflow-transitions>) |
//! | 400 | `signature_…` | not signed with a secret of this endpoint, or not lately (<https://docs.stripe.com/webhooks#verify-manually>, <https://developer.paddle.com/webhooks/signature-verification>). Each try is signed anew, so a right secret helps the next one |
//! | 400 | `payload_…` | signed, but not an event |
//! | 404 | `endpoint_unknown` | no such endpoint, or none with a current secret |
//! | 408 | `body_too_slow` | the body took too long |
//! | 413 | `payload_too_large` | over 1 MiB |
//! | 429 | `too_many_failures` | too many failing signatures from this address; valid ones are never limited |
//! | 503 | `unavailable` | it could not be made durable: come again, as both providers do |

use std::net::IpAddr;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tracing::Instrument;
use utoipa::{IntoParams, IntoResponses, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::client_addr::ClientAddr;
use super::endpoints::EndpointError;
use super::error::ApiError;
use super::{AppState, input, limits, openapi, request_id};
use crate::causes::chain;
use crate::domain::id::{AppSlug, Provider};
use crate::pipeline::ingest::{IngestError, ingest};
use crate::provider::{self, EventHead, SignatureError};

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default()
        .routes(routes!(receive_for_default))
        .routes(routes!(receive_for_app));
    openapi::resource("webhooks", "Where providers post.", routes)
}

/// The answer to a webhook that is durable now.
#[derive(Serialize, ToSchema)]
struct Received {
    received: bool,
    event_id: String,
}

/// What the path names, as far as it can exist.
struct Place {
    app: Option<AppSlug>,
    provider: Option<Provider>,
}

impl Place {
    fn new(app: &str, provider: &str) -> Self {
        Self {
            app: app.parse().ok(),
            provider: provider.parse().ok(),
        }
    }

    fn endpoint(&self) -> Option<(&AppSlug, Provider)> {
        self.app.as_ref().zip(self.provider)
    }
}

/// The header that a webhook is signed in.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(
    dead_code,
    reason = "it is only described; `provider` reads signatures"
)]
struct SignatureHeaders {
    /// From Stripe: `t=…,v1=…`.
    #[param(rename = "Stripe-Signature")]
    stripe: String,
    /// From Paddle: `ts=…;h1=…`.
    #[param(rename = "Paddle-Signature")]
    paddle: String,
}

/// How a webhook is refused, wherever it is posted.
#[derive(IntoResponses)]
#[expect(
    dead_code,
    reason = "they are only described; an `ApiError` is answered"
)]
enum Refusals {
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
    #[response(
        status = 429,
        description = "`too_many_failures`: too many failing signatures from this address."
    )]
    TooManyRequests,
    #[response(status = 500, description = "`internal`.")]
    Internal,
    #[response(status = 503, description = "`unavailable`.")]
    Unavailable,
}

/// Takes a webhook of the app `default`.
#[utoipa::path(
    post,
    path = "/webhooks/{provider}",
    params(SignatureHeaders),
    request_body(content = serde_json::Value, description = "The event, as the provider signed it."),
    responses((status = 200, description = "It is durable.", body = Received), Refusals)
)]
async fn receive_for_default(
    State(state): State<AppState>,
    client: ClientAddr,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    // A path that is no text names nothing, as any other unknown word.
    let provider = path.map_or_else(|_| String::new(), |Path(provider)| provider);
    let place = Place::new(AppSlug::default_app().as_str(), &provider);
    receive(&state, &place, client.0, request).await
}

/// Takes a webhook of an app.
#[utoipa::path(
    post,
    path = "/webhooks/{app}/{provider}",
    params(SignatureHeaders),
    request_body(content = serde_json::Value, description = "The event, as the provider signed it."),
    responses((status = 200, description = "It is durable.", body = Received), Refusals)
)]
async fn receive_for_app(
    State(state): State<AppState>,
    client: ClientAddr,
    path: Result<Path<(String, String)>, PathRejection>,
    request: Request,
) -> Response {
    let (app, provider) = path.map_or_else(|_| Default::default(), |Path(place)| place);
    let place = Place::new(&app, &provider);
    receive(&state, &place, client.0, request).await
}

async fn receive(state: &AppState, place: &Place, client: IpAddr, request: Request) -> Response {
    let span = tracing::info_span!(
        "http.webhook.receive",
        app = place.app.as_ref().map(AppSlug::as_str),
        provider = place.provider.map(Provider::as_str),
        event.id = tracing::field::Empty,
        event.type = tracing::field::Empty,
    );
    let accepted = accept(state, place, client, request)
        .instrument(span.clone())
        .await;
    match accepted {
        Ok(head) => {
            span.record("event.id", &head.id);
            span.record("event.type", &head.event_type);
            span.in_scope(|| tracing::debug!("webhook received"));
            Json(Received {
                received: true,
                event_id: head.id,
            })
            .into_response()
        }
        Err(refusal) => span.in_scope(|| refuse(refusal, place, client)),
    }
}

/// The order of work that the module's page promises.
async fn accept(
    state: &AppState,
    place: &Place,
    client: IpAddr,
    request: Request,
) -> Result<EventHead, ApiError> {
    let limits = state.settings.limits;
    let (parts, body) = request.into_parts();
    let headers = &parts.headers;
    let body = input::read_body(headers, body, limits::WEBHOOK_BODY, limits.body_time).await?;
    // The age of a signature is judged by the moment at which all of it was here.
    let now = state.clock.now();

    let (app, provider) = place.endpoint().ok_or_else(endpoint_unknown)?;
    let secrets = state
        .endpoints
        .secrets(app, provider, now)
        .map_err(no_endpoint)?;

    let header = headers.get(provider::header_name(provider));
    let header = header.map(HeaderValue::as_bytes);
    let tolerance = state.settings.signature_tolerance;
    let webhook = provider::verify(provider, header, body, &secrets, now, tolerance)
        .map_err(|error| not_signed(error, state, client))?;
    if let Some(id) = webhook.secret() {
        state.usage.note_secret(id, now);
    }

    let handed_over = ingest(state.publisher.as_ref(), app.clone(), webhook, now);
    match tokio::time::timeout(limits.hand_over_time, handed_over).await {
        Ok(head) => head.map_err(not_ingested),
        Err(elapsed) => Err(ApiError::Unavailable {
            cause: Some(elapsed.into()),
        }),
    }
}

fn endpoint_unknown() -> ApiError {
    ApiError::not_found("endpoint_unknown", "there is no such webhook endpoint")
}

fn no_endpoint(error: EndpointError) -> ApiError {
    match error {
        EndpointError::Unknown => endpoint_unknown(),
        EndpointError::Undetermined => ApiError::Unavailable {
            cause: Some(error.into()),
        },
    }
}

/// Failing signatures are counted, and only they: a webhook that got through needs no patience.
fn not_signed(error: SignatureError, state: &AppState, client: IpAddr) -> ApiError {
    match state.bad_signatures.fail(client) {
        Ok(()) => ApiError::BadRequest {
            code: error.code(),
            detail: error.to_string().into(),
        },
        Err(retry_after) => ApiError::TooManyFailures { retry_after },
    }
}

fn not_ingested(error: IngestError) -> ApiError {
    match error {
        IngestError::Payload(error) => ApiError::BadRequest {
            code: error.code(),
            detail: error.to_string().into(),
        },
        IngestError::Queue(error) => error.into(),
        IngestError::Random(error) => ApiError::internal(error),
    }
}

/// Answers a webhook that is not accepted, and writes the one line about it. Whatever the sender
/// wrote stays out of the line, except names that are known to be well-formed.
fn refuse(mut refusal: ApiError, place: &Place, client: IpAddr) -> Response {
    let cause = refusal.take_cause().map(|cause| chain(cause.as_ref()));
    // All fields stand in the line itself: a filter that leaves only warnings drops the spans.
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                app = place.app.as_ref().map(AppSlug::as_str),
                provider = place.provider.map(Provider::as_str),
                error.code = refusal.code(),
                error = cause,
                client.address = %client,
                request.id = request_id::request_id(),
                "webhook refused"
            )
        };
    }
    match refusal.status() {
        // Somebody must act.
        StatusCode::INTERNAL_SERVER_ERROR => line!(error),
        // Somebody may want to know: a wrong secret, a forger, a store that is away.
        StatusCode::BAD_REQUEST | StatusCode::SERVICE_UNAVAILABLE => line!(warn),
        // A log that grows with every try would be what the limit guards against.
        StatusCode::TOO_MANY_REQUESTS => line!(debug),
        // Strangers who try paths and sizes.
        _ => line!(info),
    }
    refusal.into_response()
}
