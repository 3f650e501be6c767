//! Refusals as pages.

use std::borrow::Cow;

use askama::Template;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Redirect, Response};

use super::place::{PLACE, VERSION};
use crate::domain::validate::FieldError;
use crate::http::ApiError;
use crate::http::input::written;

/// A request that gets no page, or another one.
pub(super) enum Refusal {
    /// Nobody is signed in: the sign-in page, which leads back to `path`.
    SignIn {
        /// What was asked for.
        path: String,
        /// htmx asked, which would put the page into a part of another.
        is_part: bool,
        /// A form was sent, of which nothing is done.
        was_lost: bool,
    },
    /// Another page.
    Elsewhere(String),
    /// An error.
    Error(ApiError),
    /// A page of one sentence.
    Plain(StatusCode, Cow<'static, str>),
}

impl Refusal {
    /// The page for an address that leads nowhere.
    pub(super) const fn no_such_page() -> Self {
        Self::Plain(
            StatusCode::NOT_FOUND,
            Cow::Borrowed("There is no such page."),
        )
    }
}

impl<E: Into<ApiError>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}

#[derive(Template)]
#[template(path = "refusal.html", config = "src/http/console/askama.toml")]
struct Page {
    version: &'static str,
    status: u16,
    title: &'static str,
    detail: String,
    code: &'static str,
    errors: Vec<FieldError>,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, detail, code, errors) = match self {
            Self::SignIn {
                path,
                is_part,
                was_lost,
            } => return sign_in(&path, is_part, was_lost),
            Self::Elsewhere(target) => return Redirect::to(&target).into_response(),
            Self::Plain(status, sentence) => (status, sentence, "", Vec::new()),
            Self::Error(error) => {
                let (status, detail, code) = (error.status(), error.detail(), error.code());
                let errors = match &error {
                    ApiError::Invalid { errors, .. } => errors.clone(),
                    _ => Vec::new(),
                };
                // The answer of the API logs the cause; what it says is not used otherwise.
                let _logged = error.into_response();
                (status, detail, code, errors)
            }
        };
        let page = Page {
            version: VERSION,
            status: status.as_u16(),
            title: status.canonical_reason().unwrap_or("Error"),
            detail: capitalised(&detail),
            code,
            errors,
        };
        let html = page.render().unwrap_or_default();
        (status, Html(html)).into_response()
    }
}

/// Sentences of the API begin with a small letter.
fn capitalised(sentence: &str) -> String {
    let mut letters = sentence.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

fn sign_in(path: &str, is_part: bool, was_lost: bool) -> Response {
    let mut query = Vec::new();
    if path != PLACE {
        query.push(("next".to_owned(), path.to_owned()));
    }
    if was_lost {
        query.push(("lost".to_owned(), "1".to_owned()));
    }
    let target = match query.as_slice() {
        [] => format!("{PLACE}/sign-in"),
        query => format!(
            "{PLACE}/sign-in?{}",
            written(query).query().unwrap_or_default()
        ),
    };
    if is_part {
        // The part is not swapped; the whole page is loaded again, and leads to the sign-in page.
        let reload = [(
            HeaderName::from_static("hx-refresh"),
            HeaderValue::from_static("true"),
        )];
        return (StatusCode::UNAUTHORIZED, reload).into_response();
    }
    Redirect::to(&target).into_response()
}
