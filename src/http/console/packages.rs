//! Packages and their releases.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;

use super::form::Form;
use super::page::{Frame, render};
use super::query::Asked;
use super::refusal::Refusal;
use super::undo::queried_with;
use super::visitor::Visitor;
use super::when::{self, When};
use crate::http::AppState;
use crate::pipeline::packages;
use crate::pipeline::releases::{self, Announced};

pub(super) fn router() -> Router<AppState> {
    Router::new().route("/packages", get(list).post(announce))
}

#[derive(Template)]
#[template(path = "packages.html", config = "src/http/console/askama.toml")]
struct Page {
    frame: Frame,
    packages: Vec<(String, String, i64, &'static str)>,
    asked: Option<String>,
    version: String,
    released_at: String,
    undo: Option<String>,
    releases: Vec<(String, When, String, String)>,
}

async fn list(
    State(state): State<AppState>,
    visitor: Visitor,
    asked: Asked,
) -> Result<Response, Refusal> {
    let (store, app) = (&state.store, &visitor.app);
    let all = packages::list(store, app).await?;
    let link = |package: &str| asked.with("package", Some(package));
    let rows = all.into_iter().map(|it| {
        let link = link(&it.package);
        (link, it.package, it.releases, it.scheme.as_str())
    });
    let releases = match asked.get("package") {
        Some(package) => releases::list(store, app, package.to_owned()).await?,
        None => Vec::new(),
    };
    let mut releases: Vec<_> = releases
        .into_iter()
        .map(|it| (it.released_at, it.version, it.reference.unwrap_or_default()))
        .collect();
    releases.sort();
    let releases = releases.into_iter().rev();
    let mut frame = Frame::new(&visitor, "packages", "Packages");
    frame.notice = match asked.get("done") {
        Some("add") => {
            Some("Named. It counts at once for whoever may have what was released by then.")
        }
        Some("declare") => Some("Declared. Its versions are read so from now on."),
        Some("remove") => Some("Taken back. It counts for nobody any more."),
        Some("unchanged") => Some("That was so already; nothing changed."),
        _ => None,
    };
    let may_undo = frame.may_act && frame.notice.is_some();
    let undo = asked.get("undo").filter(|_| may_undo);
    let undo = undo.and_then(|word| match word {
        "declare" => Some(format!("/console/packages/declare{}", queried_with(&asked))),
        "name" => Some(format!("/console/packages{}#new", queried_with(&asked))),
        _ => None,
    });
    let removing = |version: &str| {
        let package = asked.own("package").unwrap_or_default();
        let query = [
            ("package".to_owned(), package),
            ("version".to_owned(), version.to_owned()),
        ];
        let query = crate::http::input::written(&query);
        let query = query.query().unwrap_or_default();
        format!("/console/packages/remove?{query}")
    };
    let page = Page {
        version: asked.own("version").unwrap_or_default(),
        released_at: asked.own("released_at").unwrap_or_default(),
        undo,
        frame,
        packages: rows.collect(),
        asked: asked.own("package"),
        releases: releases
            .map(|(at, version, reference)| {
                let link = removing(&version);
                (version, When(at), reference, link)
            })
            .collect(),
    };
    Ok(render(&page)?)
}

async fn announce(State(state): State<AppState>, form: Form) -> Result<Response, Refusal> {
    let (order, fields) = (form.order(&state)?, form.fields);
    let package = fields.need("package")?.to_owned();
    let at = fields
        .get("released_at")
        .map(|text| when::parse("released_at", text));
    let release = Announced {
        field: String::new(),
        version: fields.need("version")?.to_owned(),
        released_at: at.transpose()?,
        reference: None,
    };
    releases::add(&state.store, &order, package.clone(), vec![release]).await?;
    let query = [
        ("package".to_owned(), package),
        ("done".to_owned(), "add".to_owned()),
    ];
    let query = crate::http::input::written(&query);
    let target = format!("/console/packages?{}", query.query().unwrap_or_default());
    Ok(Redirect::to(&target).into_response())
}
