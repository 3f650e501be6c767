//! Plans: what each price buys.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;

use super::confirm::{self, Confirm};
use super::form::{Form, missing};
use super::page::{Frame, render};
use super::query::Asked;
use super::refusal::Refusal;
use super::visitor::Visitor;
use crate::domain::access::plan::{PackageGrant, Plan, check_plan_id};
use crate::domain::customer::flag::FlagKind;
use crate::domain::precondition::Precondition;
use crate::domain::role::Role;
use crate::http::{ApiError, AppState};
use crate::pipeline::flags::{self, OpenGroup};
use crate::pipeline::plans::{self, Shown};
use crate::provider::Spec;
use crate::store::{FlagFilter, FlagGroup, PlanSource};

/// Most unmapped prices that are shown.
const MOST: u32 = 200;

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .route("/plans", get(list).post(put))
        .route("/plans/delete", get(ask_delete).post(delete))
}

#[derive(Template)]
#[template(path = "plans.html", config = "src/http/console/askama.toml")]
struct Page {
    frame: Frame,
    providers: Vec<String>,
    unmapped: Vec<(String, u64)>,
    rows: Vec<Row>,
    edited: Row,
}

#[derive(Default)]
struct Row {
    provider: String,
    price: String,
    name: String,
    packages: Vec<String>,
    licenses: Vec<String>,
    updates: String,
    counts: bool,
    is_fixed: bool,
    edit: String,
    delete: String,
}

impl From<Shown> for Row {
    fn from(Shown { plan, .. }: Shown) -> Self {
        let packages = plan.packages.iter();
        let packages = packages.map(|it| format!("{} {}", it.package, it.constraint));
        let edit = [
            ("provider".to_owned(), plan.provider.to_string()),
            ("price".to_owned(), plan.price_id.clone()),
        ];
        let query = crate::http::input::written(&edit);
        let query = query.query().unwrap_or_default();
        Self {
            provider: plan.provider.to_string(),
            name: plan.name.unwrap_or_default(),
            packages: packages.collect(),
            licenses: plan.licenses.into_iter().map(|it| it.product).collect(),
            updates: plan.updates.map(|it| it.to_string()).unwrap_or_default(),
            counts: plan.counts,
            is_fixed: plan.source == PlanSource::Environment,
            edit: format!("?{query}#edit"),
            delete: format!("/console/plans/delete?{query}"),
            price: plan.price_id,
        }
    }
}

async fn list(
    State(state): State<AppState>,
    visitor: Visitor,
    asked: Asked,
) -> Result<Response, Refusal> {
    let (store, app) = (&state.store, &visitor.app);
    let all = plans::list(store, app).await?;
    let filter = FlagFilter {
        kind: Some(FlagKind::UnmappedPrice),
        customer: None,
    };
    let unmapped = flags::groups(store, app, &filter, 1, MOST)
        .await?
        .into_iter();
    let unmapped = unmapped.filter_map(|OpenGroup { group, .. }| {
        let FlagGroup { count, first, .. } = group;
        first
            .into_iter()
            .next()
            .map(|held| (held.flag.subject, count))
    });
    let unmapped = unmapped.collect();
    let rows: Vec<Row> = all.into_iter().map(Row::from).collect();
    let (provider, price) = (asked.get("provider"), asked.get("price"));
    let is_asked =
        |row: &&Row| Some(row.provider.as_str()) == provider && Some(row.price.as_str()) == price;
    let edited = rows.iter().find(is_asked).map(|row| Row {
        provider: row.provider.clone(),
        price: row.price.clone(),
        name: row.name.clone(),
        packages: row.packages.clone(),
        updates: row.updates.clone(),
        counts: row.counts,
        ..Row::default()
    });
    let edited = edited.unwrap_or_else(|| Row {
        price: asked.own("price").unwrap_or_default(),
        ..Row::default()
    });
    let mut frame = Frame::new(&visitor, "plans", "Plans");
    frame.notice = match asked.get("done") {
        Some("put") => Some("Saved. It counts at once for everybody who pays this price."),
        Some("delete") => Some("Deleted. Who pays this price has nothing by it now."),
        _ => None,
    };
    let page = Page {
        frame,
        providers: crate::provider::names().map(|it| it.to_string()).collect(),
        unmapped,
        rows,
        edited,
    };
    Ok(render(&page)?)
}

/// Packages as a person lists them: one a line, with its constraint behind it.
fn packages_of(text: &str) -> Vec<PackageGrant> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let grant = |line: &str| {
        let (package, constraint) = line.split_once(char::is_whitespace).unwrap_or((line, "*"));
        PackageGrant {
            package: package.to_owned(),
            constraint: constraint.trim().to_owned(),
        }
    };
    lines.map(grant).collect()
}

/// The price that a form or a query names.
fn price_of<'a>(
    get: impl Fn(&str) -> Option<&'a str>,
) -> Result<(&'static Spec, String), ApiError> {
    let provider = get("provider").ok_or_else(|| missing("provider"))?;
    let spec = provider.parse::<&Spec>();
    let spec = spec.map_err(|error| ApiError::invalid_field("provider", error.to_string()))?;
    let price = get("price").ok_or_else(|| missing("price"))?.to_owned();
    check_plan_id(&price).map_err(|error| ApiError::invalid_field("price", error))?;
    Ok((spec, price))
}

async fn put(State(state): State<AppState>, form: Form) -> Result<Response, Refusal> {
    let (store, order, fields) = (&state.store, form.order(&state)?, form.fields);
    let (spec, price) = price_of(|name| fields.get(name))?;
    let known = plans::find(store, &order.app, spec.name, &price).await.ok();
    let updates = fields.get("updates").filter(|text| *text != "forever");
    let updates = updates.map(str::parse).transpose();
    let updates = updates.map_err(|error: crate::domain::span::SpanError| {
        ApiError::invalid_field("updates", error.to_string())
    })?;
    let wanted = Plan {
        name: fields.line("name")?,
        packages: packages_of(fields.get("packages").unwrap_or_default()),
        // What this form does not show stays as it is.
        licenses: known.map(|known| known.plan.licenses).unwrap_or_default(),
        counts: fields.get("counts").is_some(),
        updates,
    };
    plans::put(store, &order, spec.name, price, wanted, &Precondition::None).await?;
    let target = match fields.get("back") {
        Some("flags") => super::flags::list_of(|name| fields.get(name), Some("map")),
        _ => "/console/plans?done=put".to_owned(),
    };
    Ok(Redirect::to(&target).into_response())
}

async fn ask_delete(
    State(state): State<AppState>,
    visitor: Visitor,
    asked: Asked,
) -> Result<Response, Refusal> {
    visitor.admin.require(Role::Admin)?;
    let (spec, price) = price_of(|name| asked.get(name))?;
    let found = plans::find(&state.store, &visitor.app, spec.name, &price).await?;
    let row = Row::from(found);
    let nothing = || "nothing".to_owned();
    let gives = Some(row.packages.join(", ")).filter(|text| !text.is_empty());
    let act = Confirm {
        title: format!("Delete the plan of {price}?"),
        meaning: "Who pays this price has nothing by it any more, at once.",
        facts: vec![
            ("Provider", row.provider),
            ("It gives", gives.unwrap_or_else(nothing)),
        ],
        path: "/console/plans/delete".to_owned(),
        hidden: vec![("provider", spec.name.to_string()), ("price", price)],
        button: "Delete it",
        is_final: true,
        back: "/console/plans".to_owned(),
        ..Confirm::default()
    };
    confirm::ask(&visitor, "plans", act)
}

async fn delete(State(state): State<AppState>, form: Form) -> Result<Response, Refusal> {
    let order = form.order(&state)?;
    let (spec, price) = price_of(|name| form.fields.get(name))?;
    plans::delete(&state.store, &order, spec.name, &price, &Precondition::None).await?;
    Ok(Redirect::to("/console/plans?done=delete").into_response())
}
