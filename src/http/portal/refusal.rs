//! What stands in a page's place, in words for customers.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};

use super::place::VERSION;
use crate::http::ApiError;
use crate::pipeline::customers::FindError;
use crate::pipeline::tokens::TokenError;

/// A request that gets no page.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The address leads nowhere, or to somebody who is gone.
    Unknown,
    /// The link was good once.
    Ended,
    /// Another site's page sent the form.
    Foreign,
    /// It failed here.
    Failed(ApiError),
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        match error.status() {
            StatusCode::NOT_FOUND | StatusCode::CONFLICT => Self::Unknown,
            _ => Self::Failed(error),
        }
    }
}

impl From<FindError> for Refusal {
    fn from(error: FindError) -> Self {
        ApiError::from(error).into()
    }
}

impl From<TokenError> for Refusal {
    fn from(error: TokenError) -> Self {
        ApiError::from(error).into()
    }
}

#[derive(Template)]
#[template(path = "refusal.html", config = "src/http/portal/askama.toml")]
struct Page {
    version: &'static str,
    title: &'static str,
    sentence: &'static str,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, title, sentence) = match self {
            Self::Unknown => (
                StatusCode::NOT_FOUND,
                "This link leads nowhere",
                "Perhaps a part of it was lost on the way. Ask whoever sent it for another one.",
            ),
            Self::Ended => (
                StatusCode::GONE,
                "This link has run out",
                "Such links are good for a short time only. Ask whoever sent it for another one.",
            ),
            Self::Foreign => (
                StatusCode::FORBIDDEN,
                "Nothing was changed",
                "The order came from a page of another site. Open your link again.",
            ),
            Self::Failed(error) => {
                let status = error.status();
                // The answer of the API logs the cause; what it says is not used otherwise.
                let _logged = error.into_response();
                let title = "This does not work at the moment";
                (status, title, "Please try again in a few minutes.")
            }
        };
        let page = Page {
            version: VERSION,
            title,
            sentence,
        };
        let html = page.render().unwrap_or_default();
        (status, Html(html)).into_response()
    }
}
