//! Reading the query of a page.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use std::convert::Infallible;
use std::fmt::Display;
use std::str::FromStr;

use super::form::missing;
use super::refusal::Refusal;
use crate::domain::id::CustomerId;
use crate::http::input::{pairs, written};
use crate::http::{ApiError, AppState};
use crate::store::Window;

/// Rows of a page of a list.
pub(super) const SIZE: u32 = 50;

/// Parameters that say what was just done.
const SAID: [&str; 3] = ["done", "undo", "with"];

/// The parameters of a page, in their order. An unknown one is no fault: an address may be older than
/// this version.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked(Vec<(String, String)>);

impl Asked {
    /// Returns a parameter without blanks around it; `None` if it is empty or missing.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found
            .map(|(_, value)| value.trim())
            .filter(|value| !value.is_empty())
    }

    /// Returns a parameter as a text.
    pub(super) fn own(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    /// Returns a parameter that must be there and parse.
    ///
    /// # Errors
    /// 422 with the parameter.
    pub(super) fn parse<T: FromStr<Err: Display>>(&self, name: &str) -> Result<T, ApiError> {
        let text = self.get(name).ok_or_else(|| missing(name))?;
        text.parse()
            .map_err(|error: T::Err| ApiError::invalid_field(name, error.to_string()))
    }

    /// Returns the customer that a list is narrowed to.
    pub(super) fn customer(&self) -> Result<Option<CustomerId>, ApiError> {
        let id = self.get("customer").map(str::parse).transpose();
        id.map_err(|_| ApiError::invalid_field("customer", "is no customer's id"))
    }

    /// Takes a parameter away.
    pub(super) fn remove(&mut self, name: &str) {
        self.0.retain(|(known, _)| known != name);
    }

    /// Sets a parameter.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.0.retain(|(known, _)| known != name);
        self.0.push((name.to_owned(), value.to_owned()));
    }

    /// Returns the number of the page that is asked for.
    pub(super) fn page(&self) -> u32 {
        let number = self.get("page").and_then(|text| text.parse().ok());
        number.filter(|number| *number > 0).unwrap_or(1)
    }

    /// Returns the part of a list that is asked for.
    pub(super) fn window(&self) -> Window {
        Window::Page {
            number: self.page(),
            size: SIZE,
        }
    }

    /// Writes the query anew with one parameter set, or without it, from the first page on. What was just
    /// done is said once.
    pub(super) fn with(&self, name: &str, value: Option<&str>) -> String {
        let mut pairs = self.0.clone();
        pairs.retain(|(known, value)| {
            let is_said = SAID.contains(&known.as_str());
            known != name && known != "page" && !value.is_empty() && !is_said
        });
        pairs.extend(value.map(|value| (name.to_owned(), value.to_owned())));
        let query = written(&pairs);
        format!("?{}", query.query().unwrap_or_default())
    }

    /// The links to other pages of a list of so many rows.
    ///
    /// # Errors
    /// Leads to the last page from one behind it: rows may have gone since the link was made, and an empty
    /// page looks as if there were none.
    pub(super) fn pager(&self, total: u64) -> Result<Pager, Refusal> {
        let number = self.page();
        let pages = total.div_ceil(u64::from(SIZE)).max(1);
        if u64::from(number) > pages {
            return Err(Refusal::Elsewhere(
                self.with("page", Some(&pages.to_string())),
            ));
        }
        let link = |number: u32| self.with("page", Some(&number.to_string()));
        Ok(Pager {
            total,
            number,
            pages,
            before: (number > 1).then(|| link(number - 1)),
            after: (u64::from(number) < pages).then(|| link(number + 1)),
        })
    }
}

impl FromRequestParts<AppState> for Asked {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Infallible> {
        let mut pairs = pairs(&parts.uri);
        // No name has a control character, and PostgreSQL refuses to search for U+0000.
        for (_, value) in &mut pairs {
            value.retain(|c| !c.is_control());
        }
        Ok(Self(pairs))
    }
}

/// Links to other pages of a list.
pub(super) struct Pager {
    pub(super) total: u64,
    pub(super) number: u32,
    pub(super) pages: u64,
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
}
