//! The policy, as sentences with choices: who would change first, then the change.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use serde_json::{Map, Value};

use super::form::Form;
use super::page::{Frame, render};
use super::query::Asked;
use super::refusal::Refusal;
use super::visitor::Visitor;
use super::words::{self, Badge};
use crate::domain::precondition::Precondition;
use crate::http::{ApiError, AppState};
use crate::pipeline::policy::{self, Forecast};

pub(super) fn router() -> Router<AppState> {
    Router::new().route("/policy", get(show).post(apply))
}

/// A field of the policy: its name, its sentence, and its choices; none for a span of time.
struct Field {
    name: &'static str,
    sentence: &'static str,
    choices: &'static [(&'static str, &'static str)],
}

const fn choice(
    name: &'static str,
    sentence: &'static str,
    choices: &'static [(&'static str, &'static str)],
) -> Field {
    Field {
        name,
        sentence,
        choices,
    }
}

const FIELDS: [Field; 15] = [
    choice(
        "on_payment_failed",
        "When a payment failed and the grace is over,",
        &[
            ("suspend", "suspend: no access"),
            ("freeze", "freeze: what was paid for stays"),
            ("keep", "keep the access until it counts as ended"),
        ],
    ),
    choice("suspend_after", "The grace after a failed payment is", &[]),
    choice(
        "end_after",
        "A subscription counts as ended after failing for",
        &[],
    ),
    choice(
        "on_end",
        "When a subscription that was paid ends,",
        &[
            ("freeze", "freeze: what was paid for stays"),
            ("expire", "expire: nothing stays"),
        ],
    ),
    choice(
        "on_end_unpaid",
        "When one ends that was never paid,",
        &[
            ("expire", "expire: nothing stays"),
            ("freeze", "freeze: it is treated as paid"),
        ],
    ),
    choice(
        "early_end",
        "When one ends in the middle of a paid period,",
        &[
            ("now", "it ends now"),
            ("paid_until", "it ends with the period"),
        ],
    ),
    choice(
        "freeze_after",
        "Something stays after an end only if it was paid for at least",
        &[],
    ),
    choice(
        "on_pause",
        "When a customer pauses,",
        &[
            ("suspend", "suspend"),
            ("freeze", "freeze"),
            ("keep", "keep the access"),
        ],
    ),
    choice(
        "on_collection_pause",
        "When the seller pauses collecting,",
        &[("keep", "keep the access"), ("suspend", "suspend")],
    ),
    choice(
        "on_dispute_opened",
        "When a dispute opens, for what was disputed,",
        &[
            ("flag", "raise a flag"),
            ("suspend", "suspend"),
            ("expire", "expire"),
            ("keep", "do nothing"),
        ],
    ),
    choice(
        "on_dispute_lost",
        "When a dispute is lost, for what was disputed,",
        &[
            ("suspend", "suspend"),
            ("expire", "expire"),
            ("flag", "raise a flag"),
            ("keep", "do nothing"),
        ],
    ),
    choice(
        "on_full_refund",
        "When a running subscription's payment goes back,",
        &[
            ("flag", "raise a flag"),
            ("expire", "expire"),
            ("keep", "do nothing"),
        ],
    ),
    choice(
        "on_silence",
        "When a period ended without news,",
        &[
            ("keep", "keep the access, and raise a flag"),
            ("suspend", "suspend, and raise a flag"),
        ],
    ),
    choice("silence_after", "No news counts as silence after", &[]),
    choice(
        "on_same_email",
        "When a new account has another customer's address,",
        &[
            ("flag", "raise a flag on both"),
            ("join", "join them: only if typed addresses are trusted"),
            ("ignore", "do nothing"),
        ],
    ),
];

/// A field with the value that the form shows, and whether that differs from what is in force.
struct Shown {
    field: &'static Field,
    value: String,
    is_changed: bool,
}

#[derive(Template)]
#[template(path = "policy.html", config = "src/http/console/askama.toml")]
struct Page {
    frame: Frame,
    fields: Vec<Shown>,
    pending: bool,
    changes: Vec<(&'static str, String, String)>,
    forecast: Option<Told>,
}

/// What would happen to whom.
struct Told {
    examined: usize,
    is_cut: bool,
    counts: Vec<(Badge, Badge, usize)>,
    customers: Vec<(String, String, Badge, Badge)>,
}

impl From<Forecast> for Told {
    fn from(forecast: Forecast) -> Self {
        let counts = forecast.counts.into_iter();
        let counts =
            counts.map(|((from, to), count)| (Badge::status(from), Badge::status(to), count));
        let customers = forecast.customers.into_iter().map(|it| {
            let id = it.id.to_string();
            let name = it.email.map_or_else(|| id.clone(), |it| words::label(&it));
            let (from, to) = (it.from.as_str(), it.to.as_str());
            (id, name, Badge::status(from), Badge::status(to))
        });
        Self {
            examined: forecast.examined,
            is_cut: forecast.next.is_some(),
            counts: counts.collect(),
            customers: customers.collect(),
        }
    }
}

/// The fields that differ from what is in force.
fn changed<'t>(
    current: &Map<String, Value>,
    get: impl Fn(&str) -> Option<&'t str>,
) -> Map<String, Value> {
    let differing = FIELDS.iter().filter_map(|field| {
        let wanted = get(field.name)?;
        let is_same = current.get(field.name).and_then(Value::as_str) == Some(wanted);
        (!is_same).then(|| (field.name.to_owned(), Value::String(wanted.to_owned())))
    });
    differing.collect()
}

async fn current(
    state: &AppState,
    visitor: &Visitor,
) -> Result<(Map<String, Value>, bool), ApiError> {
    let in_force = policy::show(&state.store, &visitor.app).await?;
    match serde_json::to_value(&in_force.policy).map_err(ApiError::internal)? {
        Value::Object(fields) => Ok((fields, in_force.pending)),
        _ => Ok((Map::new(), in_force.pending)),
    }
}

async fn show(
    State(state): State<AppState>,
    visitor: Visitor,
    asked: Asked,
) -> Result<Response, Refusal> {
    let (current, pending) = current(&state, &visitor).await?;
    let wanted = changed(&current, |name| asked.get(name));
    let text = |from: &Map<String, Value>, name: &str| {
        let value = from.get(name).and_then(Value::as_str);
        value.unwrap_or_default().to_owned()
    };
    let fields = FIELDS.iter().map(|field| Shown {
        field,
        value: text(
            if wanted.contains_key(field.name) {
                &wanted
            } else {
                &current
            },
            field.name,
        ),
        is_changed: wanted.contains_key(field.name),
    });
    let changes = FIELDS
        .iter()
        .filter(|field| wanted.contains_key(field.name));
    let changes = changes.map(|field| {
        let name = field.name;
        (name, text(&current, name), text(&wanted, name))
    });
    let forecast = if wanted.is_empty() {
        None
    } else {
        let now = state.clock.now();
        let forecast = policy::simulate(&state.store, &visitor.app, &wanted, None, now).await?;
        Some(Told::from(forecast))
    };
    let mut frame = Frame::new(&visitor, "policy", "Policy");
    frame.notice = match asked.get("done") {
        Some("put") => Some("It is in force. Customers follow one after the other."),
        _ => None,
    };
    let page = Page {
        frame,
        fields: fields.collect(),
        pending,
        changes: changes.collect(),
        forecast,
    };
    Ok(render(&page)?)
}

async fn apply(State(state): State<AppState>, form: Form) -> Result<Response, Refusal> {
    let order = form.order(&state)?;
    let (current, _) = current(&state, &form.visitor).await?;
    let wanted = changed(&current, |name| form.fields.get(name));
    policy::put(&state.store, &order, &wanted, &Precondition::None).await?;
    Ok(Redirect::to("/console/policy?done=put").into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::policy::Policy;

    #[test]
    fn every_field_of_the_policy_and_every_choice_is_on_the_form() {
        let policy = Policy::default();
        let Value::Object(all) = serde_json::to_value(&policy).unwrap() else {
            panic!("a policy is an object");
        };
        let mut names: Vec<&str> = FIELDS.iter().map(|field| field.name).collect();
        names.sort_unstable();
        let mut expected: Vec<&str> = all.keys().map(String::as_str).collect();
        expected.sort_unstable();
        assert_eq!(names, expected);
        for field in &FIELDS {
            for (word, _) in field.choices {
                let one = Map::from_iter([(field.name.to_owned(), Value::from(*word))]);
                assert!(policy.with(&one).is_ok(), "{} = {word}", field.name);
            }
        }
    }
}
