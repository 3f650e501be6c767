//! Lists: reading which part of one is asked for, and answering with it.

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::cursor::{Cursors, PARAMETERS};
use crate::domain::time::Timestamp;
use crate::domain::validate::FieldError;
use crate::http::field_errors::FieldErrors;
use crate::http::input::{read_query, refuse_unknown};
use crate::http::{ApiError, AppState};
use crate::store::{Listed, Position, Window};

/// Rows a page unless asked otherwise.
const DEFAULT_SIZE: u32 = 20;
/// Most rows a page.
const MAX_SIZE: u32 = 100;

/// The part of a list that a request asks for: `?page=1&page_size=20` (`per_page` is the same),
/// or `?cursor=` for walks, which begin with an empty cursor.
#[derive(Clone, Debug)]
pub(in crate::http) struct Paging {
    /// The part.
    pub(in crate::http) window: Window,
    cursors: Cursors,
}

/// As it is sent: texts throughout, so that each has its own message.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct PagingQuery {
    /// The number of the page, from 1 on; the first, if there is no `cursor` either. Cannot be
    /// combined with `cursor`.
    #[param(value_type = Option<u64>, minimum = 1, maximum = 4_294_967_295u64)]
    page: Option<String>,
    /// Most rows of the answer.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 20)]
    page_size: Option<String>,
    /// The same as `page_size`.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    per_page: Option<String>,
    /// Walks the list: empty at first, then `meta.next_cursor` of the previous answer.
    cursor: Option<String>,
}

impl FromRequestParts<AppState> for Paging {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let cursors = Cursors::from_request_parts(parts, state).await?;
        let mut field_errors = FieldErrors::default();
        refuse_unknown::<PagingQuery>(&parts.uri, &[], &mut field_errors);
        let query = read_query::<PagingQuery>(&parts.uri, &mut field_errors);
        let window = query.and_then(|query| window(&query, &cursors, &mut field_errors));
        field_errors.finish_query(window.map(|window| Self { window, cursors }))
    }
}

/// The request for a list: a part, and the filters `Q`. One answer names everything that is wrong
/// with either, unknown parameters too: a misspelt filter must not show everything.
#[derive(Debug)]
pub(in crate::http) struct Listing<Q: Filters> {
    /// The part.
    pub(in crate::http) paging: Paging,
    /// The filter that rows must pass.
    pub(in crate::http) filter: Q::Filter,
}

/// The filters of a list, as texts, so that each has its own message.
pub(in crate::http) trait Filters: DeserializeOwned {
    /// The filter that they mean.
    type Filter: Send;

    /// Reads them. What cannot be read is noted, and left out of the filter.
    fn filter(self, now: Timestamp, field_errors: &mut FieldErrors) -> Self::Filter;
}

impl<Q: Filters> FromRequestParts<AppState> for Listing<Q> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let cursors = Cursors::from_request_parts(parts, state).await?;
        let mut field_errors = FieldErrors::default();
        refuse_unknown::<Q>(&parts.uri, &PARAMETERS, &mut field_errors);
        let part = read_query::<PagingQuery>(&parts.uri, &mut field_errors);
        let part = part.and_then(|query| window(&query, &cursors, &mut field_errors));
        let filters = read_query::<Q>(&parts.uri, &mut field_errors);
        let filter = filters.map(|it| it.filter(state.clock.now(), &mut field_errors));
        let listing = part.zip(filter).map(|(window, filter)| Self {
            paging: Paging { window, cursors },
            filter,
        });
        field_errors.finish_query(listing)
    }
}

/// The part that is asked for; `None` if something is wrong with how.
fn window(
    query: &PagingQuery,
    cursors: &Cursors,
    field_errors: &mut FieldErrors,
) -> Option<Window> {
    let size = size(query, field_errors);
    let page = match &query.page {
        Some(text) => field_errors.note(number("page", text, u32::MAX)),
        None => Some(1),
    };
    let Some(cursor) = &query.cursor else {
        let (number, size) = page.zip(size)?;
        return Some(Window::Page { number, size });
    };
    if query.page.is_some() {
        field_errors.add("cursor", "does not go with `page`");
    }
    let after = field_errors.note(cursors.open(cursor))?;
    Some(Window::Walk { after, size: size? })
}

/// The most rows, by whichever name; `None` if something is wrong with it.
fn size(query: &PagingQuery, field_errors: &mut FieldErrors) -> Option<u32> {
    let mut read = |field, text: Option<&String>| match text {
        Some(text) => {
            let size = field_errors.note(number(field, text, MAX_SIZE));
            size.map(Some)
        }
        None => Some(None),
    };
    let page_size = read("page_size", query.page_size.as_ref());
    let per_page = read("per_page", query.per_page.as_ref());
    let (page_size, per_page) = (page_size?, per_page?);
    let size = field_errors.one_of(("page_size", page_size), ("per_page", per_page));
    Some(size.unwrap_or(DEFAULT_SIZE))
}

fn number(field: &str, text: &str, most: u32) -> Result<u32, FieldError> {
    let number = text
        .parse()
        .ok()
        .filter(|number| (1..=most).contains(number));
    number.ok_or_else(|| FieldError::new(field, format!("must be a number from 1 to {most}")))
}

/// The answer to a list.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct List<T> {
    data: Vec<T>,
    meta: Meta,
}

/// The part of the list that this is.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum Meta {
    /// For pages.
    Page {
        page: u32,
        page_size: u32,
        per_page: u32,
        total: u64,
        total_pages: u64,
    },
    /// For a walk.
    Walk {
        page_size: u32,
        per_page: u32,
        /// Null at the end.
        next_cursor: Option<String>,
    },
}

impl Paging {
    /// Returns the cursor from which a walk goes on behind a part; `None` at its end.
    pub(in crate::http) fn next<T>(&self, part: &Listed<T>) -> Result<Option<String>, ApiError> {
        self.cursors.seal(part.next.as_deref())
    }

    /// The answer with a part that the store cut.
    pub(in crate::http) fn answer<T>(self, part: Listed<T>) -> Result<Json<List<T>>, ApiError> {
        let meta = match self.window {
            Window::Page { number, size } => {
                let total = part.total.unwrap_or_default();
                let total_pages = total.div_ceil(u64::from(size));
                Meta::Page {
                    page: number,
                    page_size: size,
                    per_page: size,
                    total,
                    total_pages,
                }
            }
            Window::Walk { size, .. } => Meta::Walk {
                page_size: size,
                per_page: size,
                next_cursor: self.next(&part)?,
            },
        };
        Ok(Json(List {
            data: part.rows,
            meta,
        }))
    }

    /// Cuts a list that is in memory as a whole, and answers with views of the part. `position`
    /// is what the list is sorted by, and different for all of its rows.
    pub(in crate::http) fn cut<T, U, P: Position>(
        self,
        all: Vec<T>,
        position: impl Fn(&T) -> P,
        view: impl FnMut(T) -> U,
    ) -> Result<Json<List<U>>, ApiError> {
        let part = Listed::of(all, &self.window, position)?;
        self.answer(map(part, view))
    }
}

/// Maps the rows of a part to what shows them.
pub(in crate::http) fn map<T, U>(part: Listed<T>, view: impl FnMut(T) -> U) -> Listed<U> {
    let rows = part.rows.into_iter().map(view).collect();
    Listed {
        rows,
        total: part.total,
        next: part.next,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::Vault;

    fn cursors() -> Cursors {
        Cursors::of(Vault::new(&[7; 32]), &"list").unwrap()
    }

    fn asked(
        page: Option<&str>,
        page_size: Option<&str>,
        per_page: Option<&str>,
        cursor: Option<&str>,
    ) -> Result<Window, String> {
        let own = |text: Option<&str>| text.map(str::to_owned);
        let query = PagingQuery {
            page: own(page),
            page_size: own(page_size),
            per_page: own(per_page),
            cursor: own(cursor),
        };
        let mut field_errors = FieldErrors::default();
        let window = window(&query, &cursors(), &mut field_errors);
        match field_errors.finish_query(window) {
            Ok(window) => Ok(window),
            Err(ApiError::Invalid { errors, .. }) => Err(errors[0].field.clone()),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn parts_are_asked_for_by_page_or_by_cursor() {
        let page = |number, size| Ok(Window::Page { number, size });
        let walk = |after: Option<&str>, size| {
            Ok(Window::Walk {
                after: after.map(str::to_owned),
                size,
            })
        };
        let wrong = |field: &str| Err(field.to_owned());
        let given = cursors().seal(Some("x")).unwrap();
        let cases = [
            ("nothing", asked(None, None, None, None), page(1, 20)),
            ("page", asked(Some("3"), None, None, None), page(3, 20)),
            (
                "page_size",
                asked(None, Some("100"), None, None),
                page(1, 100),
            ),
            ("per_page", asked(None, None, Some("7"), None), page(1, 7)),
            (
                "start of a walk",
                asked(None, None, None, Some("")),
                walk(None, 20),
            ),
            (
                "further on",
                asked(None, None, Some("5"), given.as_deref()),
                walk(Some("x"), 5),
            ),
            (
                "made up",
                asked(None, None, None, Some("x")),
                wrong("cursor"),
            ),
            ("page 0", asked(Some("0"), None, None, None), wrong("page")),
            (
                "no number",
                asked(Some("one"), None, None, None),
                wrong("page"),
            ),
            (
                "too large",
                asked(None, Some("101"), None, None),
                wrong("page_size"),
            ),
            (
                "too small",
                asked(None, None, Some("0"), None),
                wrong("per_page"),
            ),
            (
                "the same by both names",
                asked(None, Some("7"), Some("07"), None),
                page(1, 7),
            ),
            (
                "two sizes",
                asked(None, Some("7"), Some("8"), None),
                wrong("per_page"),
            ),
            (
                "a size and nonsense",
                asked(None, Some("7"), Some("x"), None),
                wrong("per_page"),
            ),
            (
                "both ways",
                asked(Some("1"), None, None, Some("")),
                wrong("cursor"),
            ),
        ];
        for (description, window, expected) in cases {
            assert_eq!(window, expected, "{description}");
        }
    }
}
