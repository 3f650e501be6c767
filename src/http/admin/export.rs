//! Everything that is kept of one customer, in one document.
//!
//! The document is written while it is read, a section or a page at a time, and the next part is
//! read when the one before has been taken: so it takes the memory of one part, and holds no
//! transaction while a slow reader takes his time. The history is read in pages, however long it
//! is; accounts, subscriptions, payments, grants and tokens are each one part, as they are in the
//! API's own lists. Each part is read by itself; what happens meanwhile may stand in a later one.
//! The status has been sent when a later part fails: the answer then breaks off, so that the reader
//! sees a broken transfer and not an end.

mod view;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::IntoResponse;
use futures::{Stream, stream};
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::view::{DocumentView, ExportView, ExportedAccount, ExportedEventView, WaitingView};
use super::audit::AuditView;
use super::payments::PaymentView;
use super::subscriptions::SubscriptionView;
use super::tokens::TokenView;
use crate::causes::chain;
use crate::domain::id::{AppSlug, CustomerId};
use crate::domain::role::Role;
use crate::domain::time::Timestamp;
use crate::http::api::customer::CustomerView;
use crate::http::api::flag::FlagView;
use crate::http::api::license::activation::ActivationView;
use crate::http::api::license::listed;
use crate::http::api::package::{PackageView, packages_of};
use crate::http::api::{customer_id, order_of};
use crate::http::openapi;
use crate::http::{Admin, ApiError, AppState, ValidPath};
use crate::pipeline::customers::{self, CustomerDetails, FindError};
use crate::pipeline::export::{self, EventWalk, PAGE, Subject};
use crate::pipeline::flags::{self, OpenFlag};
use crate::pipeline::licenses::activations;
use crate::pipeline::{licenses, payments, subscriptions, tokens};
use crate::store::{DocumentTable, FlagFilter, Listed, Store, StoreError, Window};
use crate::vault::Vault;

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default().routes(routes!(export));
    openapi::resource("export", "Everything that is kept of a customer.", routes)
}

/// Exports everything that is kept of a customer.
///
/// One document, written while it is read, for whoever asks what is kept of them. It is personal
/// data in bulk, so it needs the role `admin`, and the audit says who asked. Nothing about anybody
/// else is in it: what also names somebody else's billing account is left out, and
/// `payload_withheld` says so.
#[utoipa::path(
    get,
    path = "/customers/{id}/export",
    responses(
        (status = 200, description = "The document. It has come whole if the answer ends as it should: one that breaks off is not.", body = ExportView),
        (status = 403, description = "`role_insufficient`: the token's role is below `admin`."),
    )
)]
async fn export(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
) -> Result<impl IntoResponse, ApiError> {
    admin.require(Role::Admin)?;
    let (order, id) = (order_of(&admin, &state), customer_id(&id)?);
    let (details, subject) = export::begin(&state.store, &order, &id).await?;
    let name = format!("attachment; filename=\"{}.json\"", details.customer.id);
    let walk = Walk {
        store: state.store.clone(),
        vault: state.vault.clone(),
        app: order.app,
        id: details.customer.id.clone(),
        now: order.now,
        subject,
    };
    let head = walk.head(details)?;
    let headers = [
        (CONTENT_TYPE, "application/json".to_owned()),
        (CONTENT_DISPOSITION, name),
        // Nothing on the way shall keep a copy.
        (CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, Body::from_stream(walk.parts(head))))
}

/// The next part of the document.
enum Next {
    /// What comes first, which has been read.
    Head(Vec<u8>),
    Accounts,
    Subscriptions,
    Payments,
    Grants,
    Tokens,
    Licenses(Page),
    Activations(Page),
    Flags(Page),
    Audit(Page),
    Events(EventWalk, Opened),
    /// Behind this place in the queue.
    Waiting(i64, Opened),
    /// Of this table, behind this key.
    Stored(usize, String, Opened),
    End,
}

/// The tables whose rows are shown as they are stored, in order.
const TABLES: [DocumentTable; 6] = [
    DocumentTable::Customers,
    DocumentTable::Accounts,
    DocumentTable::Subscriptions,
    DocumentTable::Payments,
    DocumentTable::Disputes,
    DocumentTable::Refunds,
];

/// What has been written of a list.
#[derive(Clone, Copy, Default)]
struct Opened {
    has_begun: bool,
    has_members: bool,
}

/// The place in a list of the API.
#[derive(Default)]
struct Page {
    after: Option<String>,
    opened: Opened,
}

impl Page {
    fn window(&self) -> Window {
        Window::Walk {
            after: self.after.clone(),
            size: PAGE,
        }
    }
}

/// A part of the document could not be read.
#[derive(Debug, thiserror::Error)]
enum ExportError {
    /// The customer was deleted meanwhile, or the store failed.
    #[error(transparent)]
    Find(#[from] FindError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A part could not be written.
    #[error("a part of the document could not be written")]
    Json(#[from] serde_json::Error),
}

struct Walk {
    store: Store,
    vault: Vault,
    app: AppSlug,
    id: CustomerId,
    now: Timestamp,
    subject: Subject,
}

impl Walk {
    fn head(&self, details: CustomerDetails) -> Result<Vec<u8>, ApiError> {
        let CustomerDetails { customer, granted } = details;
        let packages = packages_of(&customer, &granted);
        let customer = CustomerView::of(&self.app, customer, &granted);
        let mut part = b"{".to_vec();
        let written = field(&mut part, "exported_at", &self.now.to_string())
            .and_then(|()| field(&mut part, "customer", &customer))
            .and_then(|()| field(&mut part, "packages", &packages));
        written.map_err(ApiError::internal)?;
        Ok(part)
    }

    /// The parts of the document, in order.
    fn parts(self, head: Vec<u8>) -> impl Stream<Item = Result<Vec<u8>, ExportError>> {
        stream::try_unfold((self, Next::Head(head)), |(walk, next)| async move {
            let step = walk.step(next).await.inspect_err(broken_off)?;
            Ok(step.map(|(part, next)| (part, (walk, next))))
        })
    }

    async fn step(&self, next: Next) -> Result<Option<(Vec<u8>, Next)>, ExportError> {
        let (store, app, id) = (&self.store, &self.app, &self.id);
        let mut part = Vec::new();
        let next = match next {
            Next::Head(head) => {
                part = head;
                Next::Accounts
            }
            Next::Accounts => {
                let all = customers::accounts(store, app, id).await?;
                list::<ExportedAccount, _>(&mut part, "accounts", all)?;
                Next::Subscriptions
            }
            Next::Subscriptions => {
                let all = subscriptions::list_of(store, app, id, self.now).await?;
                let all: Vec<_> = all.into_iter().map(SubscriptionView::new).collect();
                field(&mut part, "subscriptions", &all)?;
                Next::Payments
            }
            Next::Payments => {
                let all = payments::list_of(store, app, id).await?;
                list::<PaymentView, _>(&mut part, "payments", all)?;
                Next::Grants
            }
            Next::Grants => {
                let all = export::grants(store, &self.subject).await?;
                list::<PackageView, _>(&mut part, "grants", all)?;
                Next::Tokens
            }
            Next::Tokens => {
                let all = tokens::list(store, app, id).await?;
                list::<TokenView, _>(&mut part, "tokens", all)?;
                Next::Licenses(Page::default())
            }
            Next::Licenses(page) => {
                let found = licenses::list_of(store, app, id, &page.window()).await?;
                let found = listed(&self.vault, app, found, self.now);
                let next = some(&mut part, "licenses", &page, found, |it| it)?;
                next.map_or(Next::Activations(Page::default()), Next::Licenses)
            }
            Next::Activations(page) => {
                let found = activations::list_of(store, app, id, &page.window()).await?;
                let next = some(&mut part, "activations", &page, found, ActivationView::from)?;
                next.map_or(Next::Flags(Page::default()), Next::Activations)
            }
            Next::Flags(page) => {
                let filter = FlagFilter {
                    kind: None,
                    customer: Some(id.clone()),
                };
                let found = flags::list(store, app, &filter, &page.window()).await?;
                let next = some(&mut part, "flags", &page, found, unlinked)?;
                next.map_or(Next::Audit(Page::default()), Next::Flags)
            }
            Next::Audit(page) => {
                let found = export::audit(store, &self.subject, &page.window()).await?;
                let view = |record| AuditView::of(app, record);
                let next = some(&mut part, "audit", &page, found, view)?;
                let events = Next::Events(EventWalk::default(), Opened::default());
                next.map_or(events, Next::Audit)
            }
            Next::Events(mut events, mut opened) => {
                let found = events.next(store, &self.subject).await?;
                let is_last = found.is_none();
                let views = found.into_iter().flatten().map(ExportedEventView::from);
                more(&mut part, "events", &mut opened, views)?;
                if is_last {
                    part.push(b']');
                    Next::Waiting(0, Opened::default())
                } else {
                    Next::Events(events, opened)
                }
            }
            Next::Waiting(after, mut opened) => {
                let (found, next) = export::messages(store, &self.subject, after).await?;
                let views = found.into_iter().map(WaitingView::from);
                more(&mut part, "waiting", &mut opened, views)?;
                if let Some(last) = next {
                    Next::Waiting(last, opened)
                } else {
                    part.push(b']');
                    Next::Stored(0, String::new(), Opened::default())
                }
            }
            Next::Stored(index, after, opened) => {
                self.stored(&mut part, (index, after, opened)).await?
            }
            Next::End => return Ok(None),
        };
        Ok(Some((part, next)))
    }

    /// Writes the next rows as they are stored.
    async fn stored(
        &self,
        part: &mut Vec<u8>,
        (index, after, mut opened): (usize, String, Opened),
    ) -> Result<Next, ExportError> {
        let Some(table) = TABLES.get(index) else {
            part.extend_from_slice(b"]}");
            return Ok(Next::End);
        };
        let found = export::documents(&self.store, &self.subject, *table, &after).await?;
        let last = found.last().filter(|_| found.len() >= PAGE as usize);
        let last = last.map(|row| row.key.clone());
        let views = found.into_iter().map(|row| DocumentView::of(*table, row));
        more(part, "stored", &mut opened, views)?;
        let (index, after) = last.map_or((index + 1, String::new()), |last| (index, last));
        Ok(Next::Stored(index, after, opened))
    }
}

/// A flag without the call that would make the customer one with another.
fn unlinked(flag: OpenFlag) -> FlagView {
    FlagView::from(OpenFlag { link: None, ..flag })
}

/// Writes a field, and a comma before it unless it is the first.
fn field(part: &mut Vec<u8>, name: &str, value: &impl Serialize) -> Result<(), serde_json::Error> {
    if part.last() != Some(&b'{') {
        part.push(b',');
    }
    serde_json::to_writer(&mut *part, name)?;
    part.push(b':');
    serde_json::to_writer(part, value)
}

/// Writes a whole list.
fn list<V: Serialize + From<T>, T>(
    part: &mut Vec<u8>,
    name: &str,
    all: Vec<T>,
) -> Result<(), serde_json::Error> {
    let all: Vec<V> = all.into_iter().map(V::from).collect();
    field(part, name, &all)
}

/// Writes a page of a list, and its end if nothing follows. Returns the next page.
fn some<V: Serialize, T>(
    part: &mut Vec<u8>,
    name: &str,
    page: &Page,
    found: Listed<T>,
    view: impl Fn(T) -> V,
) -> Result<Option<Page>, serde_json::Error> {
    let mut opened = page.opened;
    more(part, name, &mut opened, found.rows.into_iter().map(view))?;
    if found.next.is_none() {
        part.push(b']');
    }
    Ok(found.next.map(|after| Page {
        after: Some(after),
        opened,
    }))
}

/// Writes members of a list, and its beginning before the first.
fn more<V: Serialize>(
    part: &mut Vec<u8>,
    name: &str,
    opened: &mut Opened,
    views: impl IntoIterator<Item = V>,
) -> Result<(), serde_json::Error> {
    if !opened.has_begun {
        part.push(b',');
        serde_json::to_writer(&mut *part, name)?;
        part.extend_from_slice(b":[");
        opened.has_begun = true;
    }
    for view in views {
        if opened.has_members {
            part.push(b',');
        }
        serde_json::to_writer(&mut *part, &view)?;
        opened.has_members = true;
    }
    Ok(())
}

fn broken_off(error: &ExportError) {
    tracing::error!(
        error = chain(error),
        "export broken off: a later part could not be read"
    );
}
