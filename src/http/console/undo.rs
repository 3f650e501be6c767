//! Undoing what was just done, where something leads back.
//!
//! What leads back from an act is another act with a page of its own that shows its effect and asks.
//! The address after an act names that page in one word and gives its query, so an address that
//! somebody else made up leads to a question at most.

use axum::response::{IntoResponse, Redirect, Response};

use super::query::Asked;
use crate::domain::id::CustomerId;
use crate::http::input::{pairs_of, written};

/// The page that leads back from an act, and what it has to be told.
pub(super) struct Back {
    /// Its word.
    pub(super) word: &'static str,
    /// Its query.
    pub(super) query: Vec<(&'static str, String)>,
}

impl Back {
    pub(super) fn new(word: &'static str) -> Self {
        let query = Vec::new();
        Self { word, query }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }
}

/// The act that undoes another one, on a customer who was active and held by nobody before.
fn undo_of(done: &str) -> Option<&'static str> {
    matches!(done, "suspend" | "freeze" | "expire").then_some("reactivate")
}

/// The words of pages that lead back, with what is behind the customer's address.
const PAGES: [(&str, &str); 7] = [
    ("grant", "grant"),
    ("revoke", "revoke"),
    ("link", "link"),
    ("part", "part"),
    ("suspend", "act/suspend"),
    ("freeze", "act/freeze"),
    ("expire", "act/expire"),
];

/// Leads to a page that says what was done, and how it is undone.
pub(super) fn done_at(page: &str, done: &str, back: Option<Back>) -> Response {
    let mut query = vec![("done".to_owned(), done.to_owned())];
    if let Some(Back { word, query: more }) = back {
        query.push(("undo".to_owned(), word.to_owned()));
        let more = more
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value));
        let more: Vec<_> = more.collect();
        if !more.is_empty() {
            query.push(("with".to_owned(), queried(&more)));
        }
    }
    Redirect::to(&format!("{page}?{}", queried(&query))).into_response()
}

/// Leads to the page of a customer.
pub(super) fn done_to(id: &CustomerId, done: &str, back: Option<Back>) -> Response {
    done_at(&format!("/console/customers/{id}"), done, back)
}

/// The page that leads back from what was done to a customer, and asks first.
pub(super) fn of(id: &CustomerId, asked: &Asked) -> Option<String> {
    let word = asked.get("undo")?;
    if word == "1" {
        let act = asked.get("done").and_then(undo_of)?;
        return Some(format!("/console/customers/{id}/act/{act}"));
    }
    let (_, path) = PAGES.iter().find(|(known, _)| *known == word)?;
    let query = queried_with(asked);
    Some(format!("/console/customers/{id}/{path}{query}"))
}

/// The query of the page that leads back, written anew.
pub(super) fn queried_with(asked: &Asked) -> String {
    match asked.get("with") {
        Some(with) => format!("?{}", queried(&pairs_of(with))),
        None => String::new(),
    }
}

fn queried(pairs: &[(String, String)]) -> String {
    written(pairs).query().unwrap_or_default().to_owned()
}
