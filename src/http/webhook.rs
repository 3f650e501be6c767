//! The receiver of webhooks.
//!
//! Cheap checks come first: the announced size, the endpoint, the form of the signature. Only then
//! is the body read, within a budget that all bodies share, and its signature checked; then comes
//! just enough parsing to find id and type, then the durable hand-over, then the answer. Nothing is
//! acknowledged before it is durable, nothing unsigned is parsed, and nobody waits for the
//! interpretation of the event, which is the worker's job.
//!
//! # Answers, chosen for the sender
//!
//! Stripe takes any 2xx for success and retries everything else for up to three days
//! (<https://docs.stripe.com/webhooks#behaviors>); Paddle takes only 200, within five seconds,
//! and retries everything else up to 60 times in three days
//! (<https://developer.paddle.com/webhooks/respond-to-webhooks>). Neither looks at the body or
//! distinguishes failures: the other statuses are for people who read the provider's delivery log.
//!
//! | status | code | meaning for the sender |
//! | --- | --- | --- |
//! | 200 | | durable. Also for event types that are ignored here: without a 2xx to `invoice.created` Stripe delays the invoice for up to 72 hours (<https://docs.stripe.com/invoicing/integration/workflow-transitions>) |
//! | 400 | `signature_…` | not signed with a secret of this endpoint, or too long ago (<https://docs.stripe.com/webhooks#verify-manually>, <https://developer.paddle.com/webhooks/signature-verification>). Each retry is signed again, so a corrected secret helps the next one |
//! | 400 | `payload_…` | signed, but not an event |
//! | 404 | `endpoint_unknown` | no such endpoint, or none with a current secret |
//! | 408 | `body_too_slow` | the body took too long |
//! | 413 | `payload_too_large` | over 1 MiB |
//! | 415 | `unsupported_media_type` | compressed: the signature is that of the plain bytes, and no provider compresses |
//! | 429 | `too_many_failures` | too many failing signatures from this address; valid ones are never limited |
//! | 503 | `too_many_bodies` | the bodies under way fill their budget: retry, as both providers do |
//! | 503 | `endpoint_unreadable` | a secret of the endpoint does not open with this server's key: retry, until somebody has mended the settings |
//! | 503 | `unavailable` | it could not be made durable: retry, as both providers do |

mod described;

use std::net::IpAddr;
use std::time::Instant;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde::Serialize;
use tracing::Instrument;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use described::{Refusals, SignatureHeaders};

use super::client_addr::ClientAddr;
use super::endpoints::EndpointError;
use super::error::ApiError;
use super::{AppState, endpoints, input, limits, openapi, request_id};
use crate::causes::chain;
use crate::domain::id::AppSlug;
use crate::pipeline::ingest::{IngestError, ingest};
use crate::provider::{SignatureError, Spec};
use crate::store::AcknowledgedEvent;

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default()
        .routes(routes!(receive_for_default))
        .routes(routes!(receive_for_app))
        // What is pasted into a dashboard may end in a slash, and providers follow no redirects.
        .route("/webhooks/{provider}/", post(receive_for_default))
        .route("/webhooks/{app}/{provider}/", post(receive_for_app));
    openapi::resource("webhooks", "Where providers post.", routes)
}

/// The answer to a webhook that is durable now.
#[derive(Serialize, ToSchema)]
struct Received {
    received: bool,
    event_id: String,
}

/// The endpoint that the path names. `None` marks a name that cannot exist.
pub(super) struct Target {
    app: Option<AppSlug>,
    provider: Option<&'static Spec>,
}

impl Target {
    pub(super) fn new(app: &str, provider: &str) -> Self {
        Self {
            app: app.parse().ok(),
            provider: provider.parse().ok(),
        }
    }

    fn endpoint(&self) -> Option<(&AppSlug, &'static Spec)> {
        self.app.as_ref().zip(self.provider)
    }
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
    // A path that is not UTF-8 names nothing, like any other unknown word.
    let provider = path.map_or_else(|_| String::new(), |Path(provider)| provider);
    let target = Target::new(AppSlug::default_app().as_str(), &provider);
    receive(&state, &target, client.0, parts_of(request)).await
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
    let (app, provider) = path.map_or_else(|_| Default::default(), |Path(target)| target);
    let target = Target::new(&app, &provider);
    receive(&state, &target, client.0, parts_of(request)).await
}

/// What is needed of a request. The rest goes at once.
fn parts_of(request: Request) -> (HeaderMap, Body) {
    let (head, body) = request.into_parts();
    (head.headers, body)
}

async fn receive(
    state: &AppState,
    target: &Target,
    client: IpAddr,
    (headers, body): (HeaderMap, Body),
) -> Response {
    let began = Instant::now();
    let span = tracing::info_span!(
        "http.webhook.receive",
        app = target.app.as_ref().map(AppSlug::as_str),
        provider = target.provider.map(|spec| spec.name.as_str()),
        event.id = tracing::field::Empty,
        event.type = tracing::field::Empty,
    );
    let accepted = accept(state, target, (client, Sender::Provider), headers, body)
        .instrument(span.clone())
        .await;
    match accepted {
        Ok(event) => {
            if let Some(spec) = target.provider {
                let webhooks = &state.metrics.webhooks;
                webhooks.acknowledged(spec.name.as_str(), began.elapsed());
            }
            span.record("event.id", &event.id);
            span.record("event.type", &event.event_type);
            span.in_scope(|| {
                tracing::debug!(
                    app = target.app.as_ref().map(AppSlug::as_str),
                    provider = target.provider.map(|spec| spec.name.as_str()),
                    event.id,
                    event.type = event.event_type,
                    "webhook received"
                );
            });
            Json(Received {
                received: true,
                event_id: event.id,
            })
            .into_response()
        }
        Err(refusal) => span.in_scope(|| refuse(refusal, target, client)),
    }
}

/// Whose word a webhook is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    /// The provider's.
    Provider,
    /// An admin's who tries the endpoint: that it came says nothing of the provider.
    Admin,
}

/// Accepts a webhook in the steps that the module documentation describes.
pub(super) async fn accept(
    state: &AppState,
    target: &Target,
    (client, sender): (IpAddr, Sender),
    headers: HeaderMap,
    body: Body,
) -> Result<AcknowledgedEvent, ApiError> {
    let limits = state.settings.limits;
    let body = input::refuse_announced(&headers, body, limits::WEBHOOK_BODY).await?;
    let (app, provider) = match expected(state, target, &headers, client) {
        Ok(endpoint) => endpoint,
        Err(refusal) => {
            input::discard(&headers, body);
            return Err(refusal);
        }
    };
    // Held until the webhook is handed over.
    let mut share = state.bodies().share();
    let time = limits.body_time;
    let body = input::read_body(&headers, body, limits::WEBHOOK_BODY, time, &mut share).await?;

    // The age of a signature is judged by the moment at which the webhook was complete, and so are
    // the secrets.
    let now = state.clock.now();
    let secrets = (state.endpoints.secrets(app, provider.name, now)).map_err(no_endpoint)?;
    let tolerance = state.settings.signature_tolerance;
    let header = signature_header(provider, &headers);
    let webhook = provider
        .verify(header, body, &secrets, now, tolerance)
        .map_err(|error| match error {
            // Perhaps signed with the secret that cannot be read: the sender must try again.
            SignatureError::Mismatch if state.endpoints.has_unreadable(app, provider.name, now) => {
                endpoint_unreadable()
            }
            error => not_signed(error, (app, provider), state, client),
        })?;
    // They lie in the buffer that the connection read them into, which is free without them.
    drop(headers);
    // Those of the settings come first.
    let place = webhook.secret().is_none().then(|| webhook.place());
    let metrics = &state.metrics.webhooks;
    metrics.verified(provider.name.as_str(), place);
    if sender == Sender::Provider {
        (state.usage).note_receipt(app, provider.name, webhook.secret(), now);
        if let Some(id) = webhook.secret() {
            state.usage.note_secret(id, now);
        }
    }

    let handed_over = ingest(
        state.publisher.as_ref(),
        app.clone(),
        webhook,
        request_id::origin(),
        now,
    );
    let head = match tokio::time::timeout(limits.hand_over_time, handed_over).await {
        Ok(head) => head.map_err(not_ingested)?,
        Err(elapsed) => {
            return Err(ApiError::Unavailable {
                cause: Some(elapsed.into()),
            });
        }
    };
    let event = AcknowledgedEvent {
        provider: provider.name,
        id: head.id,
        event_type: head.event_type,
        received_at: now,
    };
    state.acknowledged.note(app, &event);
    Ok(event)
}

/// Returns the endpoint of a request whose head promises a webhook: the endpoint exists, and the
/// header of the signature has the right form.
fn expected<'a>(
    state: &AppState,
    target: &'a Target,
    headers: &HeaderMap,
    client: IpAddr,
) -> Result<(&'a AppSlug, &'static Spec), ApiError> {
    let (app, provider) = target.endpoint().ok_or_else(endpoint_unknown)?;
    let now = state.clock.now();
    (state.endpoints.exists(app, provider.name, now)).map_err(no_endpoint)?;
    if input::is_compressed(headers) {
        return Err(ApiError::UnsupportedMediaType);
    }
    provider
        .check_header(signature_header(provider, headers))
        .map_err(|error| not_signed(error, (app, provider), state, client))?;
    Ok((app, provider))
}

fn signature_header<'a>(provider: &Spec, headers: &'a HeaderMap) -> Option<&'a [u8]> {
    headers.get(provider.header).map(HeaderValue::as_bytes)
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
        EndpointError::Unreadable => endpoint_unreadable(),
    }
}

fn endpoint_unreadable() -> ApiError {
    ApiError::NotReady {
        code: endpoints::UNREADABLE,
        detail: "a secret of this endpoint cannot be read here; try again later".into(),
    }
}

/// Counts a failed signature. Valid webhooks are not counted, so they are never limited.
fn not_signed(
    error: SignatureError,
    (app, provider): (&AppSlug, &'static Spec),
    state: &AppState,
    client: IpAddr,
) -> ApiError {
    let code = error.code();
    (state.metrics.webhooks).signature_refused(provider.name.as_str(), code);
    (state.usage).note_refused(app, provider.name, code, state.clock.now());
    match state.bad_signatures.fail(client) {
        Ok(()) => ApiError::BadRequest {
            code,
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

/// Answers a webhook that is not accepted, and logs it in one line. The line contains nothing that
/// the sender wrote, except names that are known to be well-formed.
fn refuse(mut refusal: ApiError, target: &Target, client: IpAddr) -> Response {
    let cause = refusal.take_cause().map(|cause| chain(cause.as_ref()));
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                app = target.app.as_ref().map(AppSlug::as_str),
                provider = target.provider.map(|spec| spec.name.as_str()),
                error.code = refusal.code(),
                error = cause,
                client.address = %client,
                "webhook refused"
            )
        };
    }
    match refusal.status() {
        // Somebody must act.
        StatusCode::INTERNAL_SERVER_ERROR => line!(error),
        // Somebody may want to know: a wrong secret, a forger, a store that is away.
        StatusCode::BAD_REQUEST | StatusCode::SERVICE_UNAVAILABLE => line!(warn),
        // A log that grows with every attempt is part of what the limit prevents.
        StatusCode::TOO_MANY_REQUESTS => line!(debug),
        // Strangers who probe paths and sizes.
        _ => line!(info),
    }
    refusal.into_response()
}
