//! Everything that is kept of one customer, for whoever asks what that is.
//!
//! Most of it is what the API shows anyway; here is the rest. Each part is read in a transaction of
//! its own that only reads and is short, so an export keeps nobody waiting however long the history
//! is.
//!
//! Nothing about anybody else is in it. Whose an event is, its payload says, and the ledger's index
//! when that is gone: of one that names an account of somebody else, be it one that was the
//! customer's once, the payload is withheld, and of its changes those that are about another
//! customer. The same goes for what the audit tells of an account that is somebody else's by now,
//! and of a customer who was one with another for a time, for all contacts that the audit tells of.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Value, json};

use super::customers::{CustomerDetails, FindError, details, shown};
use super::order::Order;
use crate::domain::customer::erased::only_ids;
use crate::domain::customer::other_person::OtherPerson;
use crate::domain::id::{CustomerId, ObjectKey, Provider};
use crate::domain::mode::Mode;
use crate::provider;
use crate::queue::message::{Headers, HeadersV1};
use crate::store::{
    AuditFilter, AuditRecord, DocumentTable, EventRecord, GivenGrant, Listed, Part, PlacedEvent,
    Store, StoreError, StoredDocument, Traces, Tx, Window,
};

/// Most rows that are read at once, of those without payloads.
pub const PAGE: u32 = 100;

/// Most payloads that are read at once; each has at most a megabyte.
pub const PAYLOADS: u32 = 16;

/// Most messages at rest that are looked through at once.
const MESSAGES: u32 = 1_000;

/// The bytes of messages at rest from which no more of them are looked through at once.
const BYTES: i64 = 8 * 1_024 * 1_024;

/// Most places in the ledger that are found at once.
pub const PLACES: u32 = 1_000;

/// The customer whose export this is.
#[derive(Clone, Debug)]
pub struct Subject {
    traces: Traces,
    other_person: OtherPerson,
}

/// An event of an export.
#[derive(Clone, Debug)]
pub struct ExportedEvent {
    /// The event.
    pub record: EventRecord,
    /// True if its payload is left out because it is also about somebody else.
    pub is_withheld: bool,
}

/// A webhook that has not been processed yet.
#[derive(Clone, Debug)]
pub struct WaitingMessage {
    /// What is known of it.
    pub headers: HeadersV1,
    /// The bytes as they were received.
    pub body: String,
}

/// Begins the export of a customer, and writes to the audit who asked for it.
///
/// # Errors
/// When there is no such customer.
pub async fn begin(
    store: &Store,
    order: &Order,
    id: &CustomerId,
) -> Result<(CustomerDetails, Subject), FindError> {
    let mut tx = store.read().await?;
    let customer = shown(&mut tx, &order.app, id).await?;
    let subject = subject(&mut tx, order, &customer.id).await?;
    let mut found = details(&mut tx, &order.app, customer, order.now).await?;
    // They name customers with the same address.
    found.granted.links = BTreeMap::new();
    drop(tx);
    let mut tx = store.begin().await?;
    let customer = Some(&found.customer.id);
    order.audit(&mut tx, customer, "export", json!({})).await?;
    tx.commit().await?;
    Ok((found, subject))
}

async fn subject(tx: &mut Tx, order: &Order, id: &CustomerId) -> Result<Subject, StoreError> {
    let traces = tx.export_traces(&order.app, id).await?;
    let is_known = !(traces.former.is_empty() && traces.former_customers.is_empty());
    let former = traces.former_customers.iter().map(ToString::to_string);
    let ids = traces.former_ids.iter().cloned().chain(former).collect();
    let other_person = OtherPerson::new(is_known, ids);
    Ok(Subject {
        traces,
        other_person,
    })
}

/// Lists the grants by hand of a customer, whether or not they count now.
///
/// # Errors
/// When the store failed.
pub async fn grants(store: &Store, subject: &Subject) -> Result<Vec<GivenGrant>, StoreError> {
    let traces = &subject.traces;
    let mut tx = store.read().await?;
    let mut found = tx.grant_list(&traces.app, [&traces.customer]).await?;
    Ok(found.remove(&traces.customer).unwrap_or_default())
}

/// Lists the entries of the audit about a customer, the newest first.
///
/// # Errors
/// When the store failed.
pub async fn audit(
    store: &Store,
    subject: &Subject,
    window: &Window,
) -> Result<Listed<AuditRecord>, StoreError> {
    let Subject {
        traces,
        other_person,
    } = subject;
    let filter = AuditFilter {
        customer: Some(traces.customer.clone()),
        ..AuditFilter::default()
    };
    let mut tx = store.read().await?;
    let listed = tx.audit_list(&traces.app, &filter, window).await?;
    let named = listed.rows.iter().filter_map(|it| it.event.as_deref());
    let of_former = tx.export_event_ids_of_former(traces, named).await?;
    Ok(listed.map(|mut entry| {
        let event = entry.event.as_ref();
        entry.details = if event.is_some_and(|id| of_former.contains(id)) {
            only_ids(&entry.details)
        } else {
            other_person.left_out(&entry.operation, entry.details)
        };
        entry
    }))
}

/// The next rows of a table about a customer, behind a key.
///
/// # Errors
/// When the store failed.
pub async fn documents(
    store: &Store,
    subject: &Subject,
    table: DocumentTable,
    after: &str,
) -> Result<Vec<StoredDocument>, StoreError> {
    let mut tx = store.read().await?;
    tx.export_documents(table, &subject.traces, after, PAGE)
        .await
}

/// How far the events of an export are.
#[derive(Clone, Debug, Default)]
pub struct EventWalk {
    /// The places of those that come next.
    next: VecDeque<i64>,
    /// The last place that was found; `None` at the start.
    last: Option<i64>,
    is_at_end: bool,
}

impl EventWalk {
    /// Reads the next events that are about the customer, the newest first; `None` at the end.
    ///
    /// # Errors
    /// When the store failed.
    pub async fn next(
        &mut self,
        store: &Store,
        subject: &Subject,
    ) -> Result<Option<Vec<ExportedEvent>>, StoreError> {
        let mut tx = store.read().await?;
        if self.next.is_empty() && !self.is_at_end {
            let before = self.last.unwrap_or(i64::MAX);
            let found = tx.export_events(&subject.traces, before, PLACES).await?;
            self.is_at_end = found.len() < PLACES as usize;
            self.last = found.last().copied().or(self.last);
            self.next = found.into();
        }
        let count = self.next.len().min(PAYLOADS as usize);
        if count == 0 {
            return Ok(None);
        }
        let places: Vec<i64> = self.next.drain(..count).collect();
        events_at(&mut tx, subject, &places).await.map(Some)
    }
}

async fn events_at(
    tx: &mut Tx,
    subject: &Subject,
    places: &[i64],
) -> Result<Vec<ExportedEvent>, StoreError> {
    let traces = &subject.traces;
    let read = tx.event_at(places).await?;
    let span = (
        places.last().copied().unwrap_or_default(),
        places.first().copied().unwrap_or_default(),
    );
    let of_former = tx.export_events_of_former(traces, span).await?;
    let named: Vec<Named> = read.iter().map(Named::of_event).collect();
    let owners = owners(tx, subject, &named).await?;
    let mut shown = Vec::new();
    for (PlacedEvent { place, record, .. }, named) in read.into_iter().zip(&named) {
        let is_others = of_former.contains(&place) || named.is_of_others(subject, &owners);
        let names_own = named.has_any(&traces.accounts);
        shown.extend(exported(subject, record, names_own, is_others));
    }
    Ok(shown)
}

/// An event without what is about others; `None` if nothing of it is about the customer.
fn exported(
    subject: &Subject,
    mut record: EventRecord,
    names_own: bool,
    is_others: bool,
) -> Option<ExportedEvent> {
    let traces = &subject.traces;
    let is_own = |id: &CustomerId| traces.rows.contains(id);
    let concerned = record.customer.as_ref().is_some_and(is_own);
    let account = record.billing_account.as_ref();
    let names_own = names_own || account.is_some_and(|key| traces.accounts.contains(key));
    let Value::Array(changes) = record.changes else {
        return None;
    };
    let changes = changes.into_iter().filter(|change| {
        let customer = change["customer"].as_str().map(str::parse);
        customer.is_some_and(|it: Result<CustomerId, _>| it.as_ref().is_ok_and(is_own))
    });
    let changes: Vec<Value> = changes
        .map(|change| {
            if is_others {
                only_ids(&change)
            } else {
                let operation = change["operation"].as_str().unwrap_or_default().to_owned();
                subject.other_person.left_out(&operation, change)
            }
        })
        .collect();
    if is_others && !concerned && !names_own && changes.is_empty() {
        return None;
    }
    record.changes = Value::Array(changes);
    record.customer = record.customer.filter(is_own);
    record.billing_account = record
        .billing_account
        .filter(|key| traces.accounts.contains(key));
    let is_withheld = is_others && record.payload.is_some();
    if is_others {
        record.payload = None;
    }
    Some(ExportedEvent {
        record,
        is_withheld,
    })
}

/// The next messages at rest that name an account of the customer, and the place to go on from;
/// `None` at the end.
///
/// # Errors
/// When the store failed.
pub async fn messages(
    store: &Store,
    subject: &Subject,
    after: i64,
) -> Result<(Vec<WaitingMessage>, Option<i64>), StoreError> {
    let Traces { app, accounts, .. } = &subject.traces;
    let part = Part {
        after,
        most: MESSAGES,
        most_bytes: BYTES,
    };
    let mut tx = store.read().await?;
    let ids = accounts.iter().map(|key| key.id.as_str());
    let (found, next) = tx.message_naming(app, ids, part).await?;
    let waiting = found.into_iter().filter_map(|message| {
        let headers: Headers = serde_json::from_str(&message.headers).ok()?;
        let Headers::V1(headers) = headers;
        let body = message.body;
        Some(WaitingMessage { headers, body })
    });
    let waiting: Vec<WaitingMessage> = waiting.collect();
    let named: Vec<Named> = waiting.iter().map(Named::of_message).collect();
    let owners = owners(&mut tx, subject, &named).await?;
    let waiting = waiting.into_iter().zip(&named);
    let own = waiting.filter(|(_, named)| {
        named.is_of_customer(subject) && !named.is_of_others(subject, &owners)
    });
    Ok((own.map(|(message, _)| message).collect(), next))
}

/// The accounts that a payload names.
struct Named {
    accounts: Vec<String>,
    /// The one that it is about, if it says so in the usual place.
    account: Option<ObjectKey>,
}

impl Named {
    fn of_event(event: &PlacedEvent) -> Self {
        let EventRecord {
            key,
            event_type,
            payload,
            ..
        } = &event.record;
        let payload = payload.as_deref().unwrap_or_default();
        Self::in_payload(key.provider, event_type, payload, event.mode)
    }

    fn of_message(message: &WaitingMessage) -> Self {
        let HeadersV1 {
            provider,
            event_type,
            mode,
            ..
        } = &message.headers;
        Self::in_payload(*provider, event_type, &message.body, *mode)
    }

    fn in_payload(provider: Provider, event_type: &str, payload: &str, mode: Mode) -> Self {
        let named = provider::named(provider, event_type, payload, mode);
        let spec = provider::spec(provider);
        let is_account = |id: &String| spec.is_some_and(|spec| spec.is_account(id));
        Self {
            accounts: named.ids.into_iter().filter(is_account).collect(),
            account: named.account,
        }
    }

    /// Reports whether it names an account. In another mode there may be one of the same id.
    fn has(&self, key: &ObjectKey) -> bool {
        let scope = self.account.as_ref().map(|account| &account.scope);
        scope.is_none_or(|scope| key.scope == *scope) && self.accounts.contains(&key.id)
    }

    fn has_any(&self, keys: &BTreeSet<ObjectKey>) -> bool {
        keys.iter().any(|key| self.has(key))
    }

    /// Reports whether it is about the customer: not if it is about an account that is not the
    /// customer's, be it one that nobody knows yet, and not if it only mentions one.
    fn is_of_customer(&self, subject: &Subject) -> bool {
        let own = &subject.traces.accounts;
        match &self.account {
            Some(account) => own.contains(account),
            None => self.has_any(own),
        }
    }

    fn is_of_others(&self, subject: &Subject, owners: &BTreeSet<ObjectKey>) -> bool {
        let mut named = owners.iter().filter(|key| self.has(key));
        named.any(|key| !subject.traces.accounts.contains(key))
    }
}

/// The accounts that there are of these ids.
async fn owners(
    tx: &mut Tx,
    subject: &Subject,
    named: &[Named],
) -> Result<BTreeSet<ObjectKey>, StoreError> {
    let ids: BTreeSet<&str> = named
        .iter()
        .flat_map(|it| it.accounts.iter().map(String::as_str))
        .collect();
    let known = tx.account_owners(&subject.traces.app, ids).await?;
    Ok(known.into_iter().map(|(key, _)| key).collect())
}
