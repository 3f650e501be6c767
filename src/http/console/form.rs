//! Forms: reading one, and knowing that it is ours.
//!
//! Two things must hold, each of which would do alone. The browser must not say that another site's
//! page sent the form (`Sec-Fetch-Site`, else `Origin`), and the form must hold the token of its
//! session, which no other page can read.

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::HeaderMap;
use axum::http::request::Parts;

use super::refusal::Refusal;
use super::visitor::Visitor;
use super::when;
use crate::domain::role::Role;
use crate::domain::time::Timestamp;
use crate::domain::validate;
use crate::http::field_errors::{FieldErrors, checked};
use crate::http::input::{pairs_of, read_body};
use crate::http::{ApiError, AppState, auth};
use crate::pipeline::order::Order;

/// The largest form, in bytes: a webhook secret, a reason, a list of packages.
const LARGEST: usize = 64 * 1024;

/// Refuses a field, or a parameter of a page with a form, that must be filled in.
pub(super) fn missing(name: &str) -> ApiError {
    ApiError::invalid_field(name, "must be filled in")
}

/// The fields of a form, in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Returns a field without blanks around it; `None` if it is empty or missing.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found
            .map(|(_, value)| value.trim())
            .filter(|value| !value.is_empty())
    }

    /// Checks that they are of a page that this visitor looks at.
    ///
    /// # Errors
    /// 403 `form_outdated`, 409 `app_changed`.
    pub(super) fn check_page(&self, visitor: &Visitor) -> Result<(), ApiError> {
        let csrf = self.get("csrf").unwrap_or_default();
        visitor.check_form(csrf, self.get("app").unwrap_or_default())
    }

    /// Returns a field that must be filled in.
    ///
    /// # Errors
    /// 422 with the field.
    pub(super) fn need(&self, name: &str) -> Result<&str, ApiError> {
        self.get(name).ok_or_else(|| missing(name))
    }

    /// Returns a field of one line for people, such as a reason.
    ///
    /// # Errors
    /// 422 with the field.
    pub(super) fn line(&self, name: &str) -> Result<Option<String>, ApiError> {
        let mut errors = FieldErrors::default();
        let text = self.get(name);
        let line = text.and_then(|it| errors.note(checked(name, validate::line(it))));
        errors.into_result()?;
        Ok(line)
    }

    /// Returns a field of one line that must be filled in.
    ///
    /// # Errors
    /// 422 with the field.
    pub(super) fn need_line(&self, name: &str) -> Result<String, ApiError> {
        self.line(name)?.ok_or_else(|| missing(name))
    }

    /// Returns the field `expires_at`, which may be empty, and is in the future otherwise.
    ///
    /// # Errors
    /// 422 with the field.
    pub(super) fn expires_at(&self, now: Timestamp) -> Result<Option<Timestamp>, ApiError> {
        const NAME: &str = "expires_at";
        let Some(text) = self.get(NAME) else {
            return Ok(None);
        };
        let at = when::parse(NAME, text)?;
        if at <= now {
            return Err(ApiError::invalid_field(NAME, "must be in the future"));
        }
        Ok(Some(at))
    }

    /// Returns a field that must parse.
    ///
    /// # Errors
    /// 422 with the field.
    pub(super) fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(
        &self,
        name: &str,
    ) -> Result<T, ApiError> {
        let text = self.need(name)?;
        text.parse()
            .map_err(|error: T::Err| ApiError::invalid_field(name, error.to_string()))
    }
}

/// A form of a signed-in admin, whose role suffices to act.
pub(super) struct Form {
    /// Who sent it.
    pub(super) visitor: Visitor,
    /// What it says.
    pub(super) fields: Fields,
}

impl Form {
    /// Refuses those who are no owners.
    ///
    /// # Errors
    /// 403 `role_insufficient`.
    pub(super) fn of_owner(self) -> Result<Self, ApiError> {
        self.visitor.admin.require(Role::Owner)?;
        Ok(self)
    }

    /// The order of an act, with the reason that the form gives.
    ///
    /// # Errors
    /// 422 with the field.
    pub(super) fn order(&self, state: &AppState) -> Result<Order, ApiError> {
        Ok(Order {
            reason: self.fields.line("reason")?,
            ..self.visitor.order(state)
        })
    }
}

impl FromRequest<AppState> for Form {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Refusal> {
        let AnyForm { visitor, fields } = AnyForm::from_request(request, state).await?;
        visitor.admin.require(Role::Admin)?;
        Ok(Self { visitor, fields })
    }
}

/// A form that needs no role, such as signing out.
pub(super) struct AnyForm {
    /// Who sent it.
    pub(super) visitor: Visitor,
    /// What it says.
    pub(super) fields: Fields,
}

impl FromRequest<AppState> for AnyForm {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Refusal> {
        let (mut parts, body) = request.into_parts();
        let visitor = Visitor::from_request_parts(&mut parts, state).await?;
        let fields = read(&parts, body, state).await?;
        fields.check_page(&visitor)?;
        Ok(Self { visitor, fields })
    }
}

/// Reads a form that comes from one of our pages, whoever sends it.
///
/// # Errors
/// 403 `cross_origin`, 413, 415.
pub(super) async fn read(parts: &Parts, body: Body, state: &AppState) -> Result<Fields, ApiError> {
    check_sender(parts)?;
    fields_of(&body_of(parts, body, state).await?)
}

/// Refuses what is no form of one of our pages, as far as its headers tell.
///
/// # Errors
/// 403 `cross_origin`, 400 `body_not_form`.
pub(super) fn check_sender(parts: &Parts) -> Result<(), ApiError> {
    if !auth::is_same_origin(&parts.headers) {
        return Err(ApiError::Forbidden {
            code: "cross_origin",
            detail: "this form was sent by a page of another site".into(),
        });
    }
    if !is_form(&parts.headers) {
        return Err(ApiError::BadRequest {
            code: "body_not_form",
            detail: "the body must be a form".into(),
        });
    }
    Ok(())
}

/// Reads the body of a form.
///
/// # Errors
/// 413, or what else reading meets.
pub(super) async fn body_of(
    parts: &Parts,
    body: Body,
    state: &AppState,
) -> Result<Bytes, ApiError> {
    let time = state.settings.limits.body_time;
    let mut share = state.api_bodies().share();
    read_body(&parts.headers, body, LARGEST, time, &mut share).await
}

/// The fields of a body.
///
/// # Errors
/// 400 `body_not_form`.
pub(super) fn fields_of(bytes: &[u8]) -> Result<Fields, ApiError> {
    let text = std::str::from_utf8(bytes).map_err(|_| ApiError::BadRequest {
        code: "body_not_form",
        detail: "the body must be a form in UTF-8".into(),
    })?;
    let mut pairs = pairs_of(text);
    // PostgreSQL keeps no U+0000, and nobody means it.
    for (_, value) in &mut pairs {
        value.retain(|c| c != '\0');
    }
    Ok(Fields(pairs))
}

fn is_form(headers: &HeaderMap) -> bool {
    let content_type = headers.get("content-type").and_then(|it| it.to_str().ok());
    let essence = content_type.and_then(|it| it.split(';').next());
    essence.is_some_and(|it| {
        it.trim()
            .eq_ignore_ascii_case("application/x-www-form-urlencoded")
    })
}
