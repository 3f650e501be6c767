//! What all pages share.

use askama::Template;
use axum::response::{Html, IntoResponse, Response};

use super::place::VERSION;
use super::visitor::Visitor;
use super::when::When;
use crate::http::ApiError;

/// The frame around a page: its title, who looks at it, and where in the menu it is.
#[derive(Debug)]
pub(super) struct Frame {
    /// The version of the files.
    pub(super) version: &'static str,
    /// The title of the page.
    pub(super) title: String,
    /// The entry of the menu that is marked.
    pub(super) entry: &'static str,
    /// The app that is looked at.
    pub(super) app: String,
    /// The token is good for all apps.
    pub(super) sees_all_apps: bool,
    /// The role of the token.
    pub(super) role: &'static str,
    /// The role suffices to act.
    pub(super) may_act: bool,
    /// The role suffices for apps, secrets and admins.
    pub(super) may_own: bool,
    /// Since when workers wait with what they do for the app.
    pub(super) paused: Option<When>,
    /// The token of the session's forms.
    pub(super) csrf: String,
    /// The key of the page's forms that make something.
    pub(super) form_key: String,
    /// The text of the search field.
    pub(super) query: String,
    /// What was just done.
    pub(super) notice: Option<&'static str>,
}

impl Frame {
    /// The frame of a page.
    pub(super) fn new(visitor: &Visitor, entry: &'static str, title: impl Into<String>) -> Self {
        Self {
            version: VERSION,
            title: title.into(),
            entry,
            app: visitor.app.to_string(),
            sees_all_apps: visitor.sees_all_apps,
            role: visitor.admin.role.as_str(),
            may_act: visitor.may_act(),
            may_own: visitor.may_own(),
            paused: visitor.pause.as_ref().map(|pause| When(pause.since)),
            csrf: visitor.session.csrf.clone(),
            form_key: visitor.form_key.clone(),
            query: String::new(),
            notice: None,
        }
    }

    /// The entries of the menu: the path below `/console`, and the name.
    pub(super) const fn menu() -> &'static [(&'static str, &'static str)] {
        MENU
    }
}

const MENU: &[(&str, &str)] = &[
    ("overview", "Overview"),
    ("customers", "Customers"),
    ("events", "Events"),
    ("flags", "Flags"),
    ("policy", "Policy"),
    ("plans", "Plans"),
    ("packages", "Packages"),
    ("endpoints", "Endpoints"),
    ("hooks", "Hooks"),
    ("reconciles", "Reconcile"),
    ("audit", "Audit"),
    ("admins", "Admins"),
];

/// Renders a template.
///
/// # Errors
/// 500, which only a value that cannot be written causes.
pub(super) fn render(page: &impl Template) -> Result<Response, ApiError> {
    let html = page.render().map_err(ApiError::internal)?;
    Ok(Html(html).into_response())
}
