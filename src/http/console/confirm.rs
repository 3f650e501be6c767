//! The page before an act: what it means, what it changes, a reason, and the button.

use askama::Template;
use axum::response::Response;

use super::effect::Effect;
use super::page::{Frame, render};
use super::refusal::Refusal;
use super::visitor::Visitor;

/// A value that the effect depends on, and that is asked for first.
pub(super) struct Question {
    /// The name of the field.
    pub(super) name: &'static str,
    /// What it is called.
    pub(super) label: &'static str,
    /// The kind of the field: `date` or `number`.
    pub(super) kind: &'static str,
    /// What was given.
    pub(super) value: String,
}

/// Values to choose from, of which each has a word for people.
pub(super) struct Choice {
    /// The name of the field.
    pub(super) name: &'static str,
    /// What it is called.
    pub(super) label: &'static str,
    /// The values and their words, the usual one first.
    pub(super) values: &'static [(&'static str, &'static str)],
}

/// An act that waits for a yes.
#[derive(Default)]
pub(super) struct Confirm {
    /// The title, which is a question.
    pub(super) title: String,
    /// What the act means.
    pub(super) meaning: &'static str,
    /// What is asked for first.
    pub(super) question: Option<Question>,
    /// The difference for the customer.
    pub(super) effect: Option<Effect>,
    /// The difference in words, where it is another one.
    pub(super) facts: Vec<(&'static str, String)>,
    /// What is chosen with the act.
    pub(super) choice: Option<Choice>,
    /// Where the form goes.
    pub(super) path: String,
    /// What the form says beside what a person writes.
    pub(super) hidden: Vec<(&'static str, String)>,
    /// The word on the button.
    pub(super) button: &'static str,
    /// It takes something away that does not come back.
    pub(super) is_final: bool,
    /// It sets a state, and may be meant again after that has changed: the form has no key ([`once`]).
    ///
    /// [`once`]: super::once
    pub(super) sets_state: bool,
    /// Where "Cancel" leads.
    pub(super) back: String,
}

#[derive(Template)]
#[template(path = "confirm.html", config = "src/http/console/askama.toml")]
struct Page {
    frame: Frame,
    act: Confirm,
    /// Everything that the effect depends on is known.
    is_ready: bool,
}

/// Shows the page of an act.
pub(super) fn ask(
    visitor: &Visitor,
    entry: &'static str,
    act: Confirm,
) -> Result<Response, Refusal> {
    let is_ready = act.question.as_ref().is_none_or(|it| !it.value.is_empty());
    let page = Page {
        frame: Frame::new(visitor, entry, act.title.clone()),
        act,
        is_ready,
    };
    Ok(render(&page)?)
}
