//! The page of a text that is shown once.

use askama::Template;
use axum::response::Response;

use super::page::{Frame, render};
use super::refusal::Refusal;
use super::visitor::Visitor;

#[derive(Template)]
#[template(path = "issued.html", config = "src/http/console/askama.toml")]
struct IssuedPage {
    frame: Frame,
    back: String,
    what: &'static str,
    text: String,
    note: &'static str,
}

/// Shows a text this once. It is the answer to the form, so no address leads to it again.
pub(super) fn issued(
    visitor: &Visitor,
    back: String,
    what: &'static str,
    text: String,
    note: &'static str,
) -> Result<Response, Refusal> {
    let page = IssuedPage {
        frame: Frame::new(visitor, "customers", what),
        back,
        what,
        text,
        note,
    };
    Ok(render(&page)?)
}
