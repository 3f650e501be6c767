//! The page of a customer.

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;

use super::composer::{self, Reply};
use super::customer_view::{
    AccountRow, FlagRow, GrantRow, LicenseRow, SourceRow, StepRow, TokenRow, flags_of, grants_of,
};
use super::customers::name_of;
use super::page::{Frame, render};
use super::query::Asked;
use super::refusal::Refusal;
use super::timeline::Line;
use super::undo;
use super::visitor::Visitor;
use super::when::When;
use super::words::{self, Badge};
use crate::domain::customer::act::ActError;
use crate::domain::id::CustomerId;
use crate::http::api::customer_id;
use crate::http::{ApiError, AppState};
use crate::pipeline::customers::FindError;
use crate::pipeline::explain::explain;
use crate::pipeline::timeline::TimelineKind;
use crate::pipeline::timeline_part::part_of;
use crate::pipeline::{customers, licenses, tokens};
use crate::store::Window;

/// Lines of a timeline at once.
const LINES: u32 = 50;

/// Most licences that are shown.
const LICENSES: u32 = 50;

pub(super) fn router() -> Router<AppState> {
    Router::new().route("/customers/{id}", get(show))
}

#[derive(Template)]
#[template(path = "customer.html", config = "src/http/console/askama.toml")]
struct Page {
    frame: Frame,
    id: String,
    name: String,
    email: String,
    external_id: String,
    status: Badge,
    since: When,
    is_deleted: bool,
    is_held: bool,
    undo: Option<String>,
    summary: Vec<String>,
    failures: u64,
    next: Vec<StepRow>,
    sources: Vec<SourceRow>,
    grants: Vec<GrantRow>,
    accounts: Vec<AccountRow>,
    tokens: Vec<TokenRow>,
    licenses: Vec<LicenseRow>,
    flags: Vec<FlagRow>,
    asked_package: String,
    asked_version: String,
    answer: Option<Reply>,
    kinds: Vec<(String, &'static str, bool)>,
    lines: Vec<Line>,
    more: Option<String>,
}

/// What a redirect says was done: a word, so that an address cannot put words in our mouth.
fn notice(done: &str) -> Option<&'static str> {
    Some(match done {
        "suspend" => "Suspended. Nothing can be installed until an admin lifts it.",
        "reactivate" => "Active again.",
        "freeze" => "Frozen. What was released by then can still be installed.",
        "expire" => "Expired. Nothing can be installed until an admin lifts it.",
        "grant" => "Package given.",
        "revoke" => "Package taken back.",
        "link" => "Linked. What the account pays for counts here from now on.",
        "part" => "Billing account parted.",
        "token" => "Access token revoked.",
        "license" => "Licence changed.",
        "clear" => "Flag cleared.",
        "unchanged" => "That was so already; nothing changed.",
        _ => return None,
    })
}

async fn show(
    State(state): State<AppState>,
    visitor: Visitor,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Response, Refusal> {
    let (store, app, now) = (&state.store, &visitor.app, state.clock.now());
    let id = customer_id(&id)?;
    let found = match explain(store, app, &id, now).await {
        // Events and the audit name the customer of their time.
        Err(FindError::Act(ActError::Merged { into })) => {
            return Err(Refusal::Elsewhere(format!("/console/customers/{into}")));
        }
        found => found?,
    };
    let details = found.details;
    let grants = grants_of(&details);
    let flags = flags_of(&details);
    let customer = details.customer;
    let (lines, more) = lines(&state, &visitor, &id, &asked).await?;
    let linked = customers::accounts(store, app, &id).await?;
    let tokens = tokens::list(store, app, &id).await?;
    let first = Window::Walk {
        after: None,
        size: LICENSES,
    };
    let licenses = licenses::list_of(store, app, &id, &first).await?;
    let (explanation, failures) = match found.explained {
        Some(explained) => {
            let failures = explained.failures.iter().map(|group| group.count).sum();
            (Some(explained.explanation), failures)
        }
        None => (None, 0),
    };
    let (summary, sources, next) = explanation.map_or_else(
        || {
            (
                vec!["This customer was deleted.".to_owned()],
                Vec::new(),
                Vec::new(),
            )
        },
        |it| (it.summary, it.sources, it.next),
    );
    let (asked_package, asked_version) = (asked.own("package"), asked.own("version"));
    let answer = composer::reply(&state, &visitor, &id, &asked).await?;
    let mut frame = Frame::new(&visitor, "customers", name_of(&customer));
    frame.notice = asked.get("done").and_then(notice);
    let may_undo = frame.may_act && frame.notice.is_some();
    let email = customer.derived.contact.email.as_deref();
    let page = Page {
        id: id.to_string(),
        name: name_of(&customer),
        email: email.map(words::label).unwrap_or_default(),
        external_id: customer.derived.external_id.clone().unwrap_or_default(),
        status: match customer.deleted_at {
            Some(_) => Badge::new("deleted", "bad"),
            None => Badge::status_with(customer.derived.status.as_str(), &sources),
        },
        since: When(customer.status_since),
        is_deleted: customer.deleted_at.is_some(),
        is_held: customer.hold.is_some() || customer.derived.status.as_str() != "active",
        undo: may_undo.then(|| undo::of(&id, &asked)).flatten(),
        summary,
        failures,
        next: next
            .into_iter()
            .map(|step| StepRow::of(step, now))
            .collect(),
        sources: sources.into_iter().map(SourceRow::from).collect(),
        grants,
        accounts: linked.into_iter().map(AccountRow::from).collect(),
        tokens: tokens.into_iter().map(|it| TokenRow::of(it, now)).collect(),
        licenses: LicenseRow::all(licenses, &customer, now),
        flags,
        asked_package: asked_package.unwrap_or_default(),
        asked_version: asked_version.unwrap_or_default(),
        answer,
        kinds: kinds(&asked),
        lines,
        more,
        frame,
    };
    Ok(render(&page)?)
}

fn kinds(asked: &Asked) -> Vec<(String, &'static str, bool)> {
    let current = asked.get("kind");
    let mut asked = asked.clone();
    asked.remove("before");
    let words = TimelineKind::WORDS.into_iter().map(Some);
    let all = std::iter::once(None).chain(words);
    all.map(|word| {
        let link = format!("{}#timeline", asked.with("kind", word));
        (link, word.unwrap_or("all"), current == word)
    })
    .collect()
}

/// A part of the timeline, and the link to the next one.
async fn lines(
    state: &AppState,
    visitor: &Visitor,
    id: &CustomerId,
    asked: &Asked,
) -> Result<(Vec<Line>, Option<String>), ApiError> {
    let (store, app) = (&state.store, &visitor.app);
    let kind = asked.get("kind").and_then(|word| word.parse().ok());
    // An address that was made up leads to the newest.
    let place = asked.get("before").and_then(|text| text.parse().ok());
    let place = place.unwrap_or_default();
    let part = part_of(store, app, id, kind, place, LINES).await?;
    let next = part.next.map(|next| {
        let link = asked.with("before", Some(&next.to_string()));
        format!("{link}#timeline")
    });
    Ok((part.entries.into_iter().map(Line::from).collect(), next))
}
