//! The page of an event.

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use serde_json::Value;
use serde_json::value::RawValue;

use super::event_row::{EventRow, path_of};
use super::page::{Frame, render};
use super::query::Asked;
use super::refusal::Refusal;
use super::visitor::Visitor;
use super::when::When;
use super::words::Badge;
use crate::domain::event::EventOutcome;
use crate::domain::shown_times::shown;
use crate::http::api::problem::event_not_found;
use crate::http::{ApiError, AppState};
use crate::pipeline::events;
use crate::pipeline::replay::preview_one;
use crate::store::{EventFilter, EventRecord, Window};

/// Most events of the same object that are listed.
const SIBLINGS: u32 = 20;

pub(super) fn router() -> Router<AppState> {
    Router::new().route("/events/{id}", get(show))
}

/// A station of an event's life.
struct Station {
    name: &'static str,
    at: Option<When>,
    note: String,
}

#[derive(Template)]
#[template(path = "event.html", config = "src/http/console/askama.toml")]
struct Page {
    frame: Frame,
    id: String,
    path: String,
    event_type: String,
    provider: String,
    mode: &'static str,
    account: Option<String>,
    outcome: Badge,
    customer: Option<String>,
    error: Option<(String, String)>,
    life: Vec<Station>,
    changes: Vec<(String, String)>,
    payload: Payload,
    is_settled: bool,
    has_payload: bool,
    may_dismiss: bool,
    object: Option<String>,
    siblings: Vec<EventRow>,
    trial: Option<Trial>,
}

/// What a replay would do.
struct Trial {
    outcome: Badge,
    error: Option<String>,
    changes: Vec<(String, String)>,
}

/// The body as it came.
enum Payload {
    Text(String),
    Hidden,
    Removed(When),
    Missing,
}

fn notice(done: &str) -> Option<&'static str> {
    match done {
        "replay" => Some("It is in the queue again. Its outcome changes when a worker gets to it."),
        "dismiss" => Some("Dismissed: it counts as seen to, and is not tried again."),
        _ => None,
    }
}

async fn show(
    State(state): State<AppState>,
    visitor: Visitor,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Response, Refusal> {
    let (store, app) = (&state.store, &visitor.app);
    let found = events::find(store, app, &id).await?;
    let event = found.ok_or_else(event_not_found)?;
    let object = event.payload.as_deref().and_then(object_of);
    let siblings = match &object {
        Some(object) => {
            let filter = EventFilter {
                object: Some(object.clone()),
                ..EventFilter::default()
            };
            let first = Window::Walk {
                after: None,
                size: SIBLINGS,
            };
            events::list(store, app, &filter, &first).await?.rows
        }
        None => Vec::new(),
    };
    let others = siblings.into_iter().filter(|it| it.key != event.key);
    let others = others.map(EventRow::from).collect();
    let wants_trial = asked.get("try").is_some() && visitor.may_act();
    let trial = if wants_trial {
        Some(trial(&state, &visitor, &event).await?)
    } else {
        None
    };
    let mut frame = Frame::new(&visitor, "events", event.event_type.clone());
    frame.notice = asked.get("done").and_then(notice);
    let sees_payload = visitor.admin.role.allows(state.settings.payloads_for);
    let page = Page {
        frame,
        path: path_of(&event.key.id),
        provider: event.key.provider.to_string(),
        mode: match event.livemode {
            Some(true) => "live",
            Some(false) => "test",
            None => "",
        },
        outcome: Badge::outcome(event.outcome),
        life: life_of(&event),
        changes: changes_of(&shown(event.changes.clone())),
        is_settled: event.outcome.is_settled(),
        // Without it nothing can be tried again.
        has_payload: event.payload.is_some(),
        may_dismiss: event.outcome == EventOutcome::Failed,
        payload: payload_of(&event, sees_payload),
        id: event.key.id,
        event_type: event.event_type,
        account: event.account,
        customer: event.customer.map(Into::into),
        error: event.error.map(|error| (error.code, error.detail)),
        object,
        siblings: others,
        trial,
    };
    Ok(render(&page)?)
}

async fn trial(
    state: &AppState,
    visitor: &Visitor,
    event: &EventRecord,
) -> Result<Trial, ApiError> {
    let (force, now) = (event.outcome.is_settled(), state.clock.now());
    let preview = preview_one(&state.store, &visitor.app, &event.key.id, force, now).await?;
    Ok(Trial {
        outcome: Badge::outcome(preview.outcome),
        error: preview.error.map(|error| error.detail),
        changes: changes_of(&shown(preview.changes)),
    })
}

fn payload_of(event: &EventRecord, sees_payload: bool) -> Payload {
    match (&event.payload, event.payload_removed_at) {
        (Some(_), _) if !sees_payload => Payload::Hidden,
        (Some(text), _) => Payload::Text(indented(text)),
        (None, Some(at)) => Payload::Removed(When(at)),
        (None, None) => Payload::Missing,
    }
}

/// The object that a payload is about: Stripe's `data.object.id`, Paddle's `data.id`
/// (<https://docs.stripe.com/api/events/object>,
/// <https://developer.paddle.com/webhooks/about/notifications>).
fn object_of(payload: &str) -> Option<String> {
    let payload: Value = serde_json::from_str(payload).ok()?;
    let data = payload.get("data")?;
    let id = data.pointer("/object/id").or_else(|| data.get("id"))?;
    id.as_str().map(str::to_owned)
}

/// The most bytes of a body that is laid out: four times as many as a webhook may have.
const LAID_MAX: usize = 4 << 20;

/// Lays a body out for reading. Only blanks change: numbers of any size stay as they were sent, which
/// a reader of JSON would round.
///
/// A body that would become too long by it stays as it is: lists in each other, of two letters each, are
/// indented by as many blanks as there are lists around them.
fn indented(body: &str) -> String {
    if serde_json::from_str::<&RawValue>(body).is_err() {
        return body.to_owned();
    }
    let (mut laid, mut depth) = (String::with_capacity(body.len() * 2), 0_usize);
    let (mut in_text, mut is_escaped) = (false, false);
    let line = |laid: &mut String, depth: usize| {
        laid.push('\n');
        laid.extend(std::iter::repeat_n("  ", depth));
    };
    let mut rest = body.chars().peekable();
    while let Some(letter) = rest.next() {
        if laid.len() > LAID_MAX {
            return body.to_owned();
        }
        if in_text {
            laid.push(letter);
            in_text = is_escaped || letter != '"';
            is_escaped = !is_escaped && letter == '\\';
            continue;
        }
        match letter {
            '"' => {
                in_text = true;
                laid.push(letter);
            }
            '{' | '[' => {
                laid.push(letter);
                while rest.next_if(char::is_ascii_whitespace).is_some() {}
                if !matches!(rest.peek(), Some('}' | ']')) {
                    depth += 1;
                    line(&mut laid, depth);
                }
            }
            '}' | ']' => {
                if !laid.ends_with(['{', '[']) {
                    depth = depth.saturating_sub(1);
                    line(&mut laid, depth);
                }
                laid.push(letter);
            }
            ',' => {
                laid.push(letter);
                line(&mut laid, depth);
            }
            ':' => laid.push_str(": "),
            blank if blank.is_ascii_whitespace() => {}
            other => laid.push(other),
        }
    }
    laid
}

/// The stations from the provider to the outcome.
fn life_of(event: &EventRecord) -> Vec<Station> {
    let times = |count: i64, what: &str| match count {
        0 => String::new(),
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    };
    let mut life = vec![
        Station {
            name: "happened",
            at: event.occurred_at.map(When),
            note: "at the provider".to_owned(),
        },
        Station {
            name: "received",
            at: Some(When(event.received_at)),
            note: times(event.duplicates, "more delivery").replace("deliverys", "deliveries"),
        },
        Station {
            name: "tried",
            at: None,
            note: times(event.attempts, "attempt"),
        },
    ];
    life.push(Station {
        name: event.outcome.as_str(),
        at: event.processed_at.map(When),
        note: String::new(),
    });
    life
}

/// Fields of a change that its words say, or the page does.
const IN_WORDS: [&str; 13] = [
    "operation",
    "customer",
    "customer_id",
    "from",
    "to",
    "packages",
    "package",
    "constraint",
    "reason",
    "flag",
    "price",
    "name",
    "at",
];

/// The changes as names and texts, as far down as they differ.
fn changes_of(changes: &Value) -> Vec<(String, String)> {
    let brief = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => "none".to_owned(),
        other => other.to_string(),
    };
    let one = |change: &Value| {
        let operation = change.get("operation").and_then(Value::as_str);
        let name = super::timeline::operation(operation.unwrap_or("change")).to_owned();
        let rest = change.as_object().into_iter().flatten();
        let rest =
            rest.filter(|(name, value)| !IN_WORDS.contains(&name.as_str()) && !value.is_null());
        let rest = rest.map(|(name, value)| format!("{name}: {}", brief(value)));
        let texts = rest.chain(super::timeline::changes(change));
        (name, texts.collect::<Vec<_>>().join("\n"))
    };
    match changes {
        Value::Array(all) => all.iter().map(one).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), brief(value)))
            .collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_laid_out_and_its_numbers_stay_exact() {
        let body =
            r#"{"id":"a\"{b","n":12345678901234567890123.10, "e":{}, "l":[1,[ ]],"s":"x: y, z"}"#;
        let laid = indented(body);
        let expected = "{\n  \"id\": \"a\\\"{b\",\n  \"n\": 12345678901234567890123.10,\n  \"e\": {},\n  \
                        \"l\": [\n    1,\n    []\n  ],\n  \"s\": \"x: y, z\"\n}";
        assert_eq!(laid, expected);
        assert_eq!(indented("not JSON"), "not JSON");
    }

    #[test]
    fn lists_in_each_other_make_no_page_of_gigabytes() {
        let deep = |lists: usize| format!("{}{}", "[".repeat(lists), "]".repeat(lists));
        assert!(indented(&deep(100)).contains('\n'));
        let body = deep(400_000);
        assert_eq!(indented(&body), body);
    }
}
