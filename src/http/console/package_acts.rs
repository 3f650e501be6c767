//! Acts on packages: how versions are read, taking a release back, reading the repository again.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;

use super::confirm::{self, Confirm};
use super::form::{Form, missing};
use super::page::{Frame, render};
use super::query::Asked;
use super::refusal::Refusal;
use super::undo::{Back, done_at};
use super::visitor::Visitor;
use crate::domain::access::versions::{Scheme, SchemeError};
use crate::domain::role::Role;
use crate::domain::validate;
use crate::http::{ApiError, AppState};
use crate::pipeline::composer::{self, Refreshed};
use crate::pipeline::packages::{self, Declared};
use crate::pipeline::releases::{self, ReleaseError};

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .route("/packages/declare", get(ask_declare).post(declare))
        .route("/packages/remove", get(ask_remove).post(remove))
        .route("/packages/refresh", get(ask_refresh).post(refresh))
}

const LIST: &str = "/console/packages";

fn package_of(text: Option<&str>) -> Result<String, ApiError> {
    let text = text.ok_or_else(|| missing("package"))?;
    validate::any_package(text).map_err(|wrong| ApiError::invalid_field("package", wrong))
}

fn scheme_of(text: Option<&str>) -> Result<Scheme, ApiError> {
    let scheme = text.unwrap_or_default().parse();
    scheme.map_err(|error: SchemeError| ApiError::invalid_field("versions", error.to_string()))
}

async fn ask_declare(
    State(state): State<AppState>,
    visitor: Visitor,
    asked: Asked,
) -> Result<Response, Refusal> {
    visitor.admin.require(Role::Admin)?;
    let package = package_of(asked.get("package"))?;
    let scheme = scheme_of(asked.get("versions"))?;
    let (store, order) = (&state.store, visitor.order(&state));
    let known = packages::find(store, &order.app, &package).await.ok();
    // What is in the way is told here, before anything is sent.
    let Declared { is_new, changed } = packages::preview(store, &order, &package, scheme).await?;
    let before = match &known {
        Some(known) => known.scheme.as_str(),
        None => "nothing names it",
    };
    let read = known.map_or(0, |known| known.releases);
    let mut facts = vec![("Versions are read as", format!("{before} → {scheme}"))];
    if changed && before != scheme.as_str() {
        facts.push((
            "Read anew",
            format!("{read} releases, and all plans and grants of it"),
        ));
    }
    if is_new {
        facts.push(("Declared", "for the first time".to_owned()));
    }
    let act = Confirm {
        title: format!("Read the versions of {package} as {scheme}?"),
        meaning: "All plans, grants and releases of the package can be read so.",
        facts,
        path: format!("{LIST}/declare"),
        hidden: vec![
            ("package", package),
            ("versions", scheme.as_str().to_owned()),
        ],
        button: "Declare it",
        sets_state: true,
        back: LIST.to_owned(),
        ..Confirm::default()
    };
    confirm::ask(&visitor, "packages", act)
}

async fn declare(State(state): State<AppState>, form: Form) -> Result<Response, Refusal> {
    let package = package_of(form.fields.get("package"))?;
    let scheme = scheme_of(form.fields.get("versions"))?;
    let (store, order) = (&state.store, form.order(&state)?);
    let known = packages::find(store, &order.app, &package).await.ok();
    let done = packages::declare(store, &order, &package, scheme).await?;
    if !done.changed {
        return Ok(done_at(LIST, "unchanged", None));
    }
    // What was not declared was read as Composer's.
    let before = known.map(|known| known.scheme).unwrap_or_default();
    let back = (before != scheme).then(|| {
        Back::new("declare")
            .with("package", package)
            .with("versions", before.as_str())
    });
    Ok(done_at(LIST, "declare", back))
}

async fn ask_remove(
    State(state): State<AppState>,
    visitor: Visitor,
    asked: Asked,
) -> Result<Response, Refusal> {
    visitor.admin.require(Role::Admin)?;
    let package = package_of(asked.get("package"))?;
    let version = asked.own("version").unwrap_or_default();
    let known = releases::list(&state.store, &visitor.app, package.clone()).await?;
    let found = known.into_iter().find(|it| it.version == version);
    let found = found.ok_or(ReleaseError::Unknown)?;
    let act = Confirm {
        title: format!("Take the release {version} of {package} back?"),
        meaning: "It counts for nobody any more whose access is frozen to what was released by then.",
        facts: vec![("Released", found.released_at.to_string())],
        path: format!("{LIST}/remove"),
        hidden: vec![("package", package), ("version", version)],
        button: "Take it back",
        back: LIST.to_owned(),
        ..Confirm::default()
    };
    confirm::ask(&visitor, "packages", act)
}

async fn remove(State(state): State<AppState>, form: Form) -> Result<Response, Refusal> {
    let package = package_of(form.fields.get("package"))?;
    let version = form.fields.need("version")?;
    let (store, order) = (&state.store, form.order(&state)?);
    let known = releases::list(store, &order.app, package.clone()).await?;
    let known = known.into_iter().find(|it| it.version == version);
    releases::remove(store, &order, package.clone(), version).await?;
    let back = known.map(|it| {
        let back = Back::new("name").with("package", package);
        let back = back.with("version", it.version);
        back.with("released_at", it.released_at.to_string())
    });
    Ok(done_at(LIST, "remove", back))
}

#[derive(Template)]
#[template(path = "refreshed.html", config = "src/http/console/askama.toml")]
struct RefreshedPage {
    frame: Frame,
    packages: usize,
    releases: usize,
    failed: Vec<String>,
}

async fn ask_refresh(visitor: Visitor) -> Result<Response, Refusal> {
    visitor.admin.require(Role::Admin)?;
    let act = Confirm {
        title: "Read the repository again?".to_owned(),
        meaning: "It is read by itself too, every ten minutes. New versions of packages that releases, plans or \
                  grants name become releases.",
        path: format!("{LIST}/refresh"),
        button: "Read it",
        back: LIST.to_owned(),
        ..Confirm::default()
    };
    confirm::ask(&visitor, "packages", act)
}

async fn refresh(State(state): State<AppState>, form: Form) -> Result<Response, Refusal> {
    let order = form.order(&state)?;
    let Refreshed {
        packages,
        releases,
        failed,
    } = composer::refresh(&state.store, &state.repositories, &order).await?;
    let page = RefreshedPage {
        frame: Frame::new(&form.visitor, "packages", "The repository was read"),
        packages,
        releases,
        failed,
    };
    Ok(render(&page)?)
}
