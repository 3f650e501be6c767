//! A part of a customer's timeline, from a place in it on, for somebody who leafs through all of it.
//!
//! The ledger, the audit and the payments are three lists, each in its own order. A part takes the
//! newest of the three first entries, again and again, and remembers how far it is in each: so every
//! part costs the same, however many came before, and nothing is left out or shown twice, whatever the
//! clocks of receivers say.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;

use super::customers::{FindError, shown};
use super::payments;
use super::timeline::{MOST, TimelineEntry, TimelineKind, of_payment};
use crate::domain::id::{AppSlug, CustomerId};
use crate::store::{AuditFilter, EventFilter, Store, StoreError, Tx, Window};

/// How far somebody is in each of the lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimelinePlace {
    /// The last event that was shown, by its place in the ledger.
    event: Option<i64>,
    /// The last change, by its place in the audit.
    change: Option<i64>,
    /// How many entries of payments and refunds.
    payments: usize,
}

/// The form in addresses: `12.3456.0`, with nothing where nothing was shown yet.
impl fmt::Display for TimelinePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = |place: Option<i64>| place.map(|it| it.to_string()).unwrap_or_default();
        let (event, change) = (place(self.event), place(self.change));
        write!(f, "{event}.{change}.{}", self.payments)
    }
}

impl FromStr for TimelinePlace {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('.');
        let mut part = || parts.next().unwrap_or_default();
        let place = |text: &str| match text {
            "" => Ok(None),
            text => text.parse().map(Some),
        };
        Ok(Self {
            event: place(part())?,
            change: place(part())?,
            payments: part().parse()?,
        })
    }
}

/// A part of the timeline.
#[derive(Clone, Debug)]
pub struct TimelinePart {
    /// The entries, the newest first.
    pub entries: Vec<TimelineEntry>,
    /// Where the next part begins; `None` at the end.
    pub next: Option<TimelinePlace>,
}

/// One of the lists: what is at hand of it, each entry with the place behind it.
#[derive(Default)]
struct Source<P> {
    entries: VecDeque<(P, TimelineEntry)>,
    /// The place behind everything that was read, if there is more.
    rest: Option<P>,
}

impl<P: Copy> Source<P> {
    fn newest(&self) -> Option<&TimelineEntry> {
        self.entries.front().map(|(_, entry)| entry)
    }

    /// Takes the first entry, and moves the place behind it.
    fn take(&mut self, place: &mut P) -> Option<TimelineEntry> {
        let (behind, entry) = self.entries.pop_front()?;
        *place = behind;
        Some(entry)
    }

    /// Moves the place behind what was read and is of no wanted kind; reports whether there is more.
    fn end(&self, place: &mut P) -> bool {
        if let (true, Some(rest)) = (self.entries.is_empty(), self.rest) {
            *place = rest;
        }
        !self.entries.is_empty() || self.rest.is_some()
    }
}

/// Reads the part of a customer's timeline that begins at a place.
///
/// # Errors
/// When there is no such customer.
pub async fn part_of(
    store: &Store,
    app: &AppSlug,
    customer: &CustomerId,
    kind: Option<TimelineKind>,
    mut place: TimelinePlace,
    size: u32,
) -> Result<TimelinePart, FindError> {
    let mut tx = store.read().await?;
    let id = shown(&mut tx, app, customer).await?.id;
    let mut events = events(&mut tx, app, &id, kind, place.event, size).await?;
    let mut changes = changes(&mut tx, app, &id, kind, place.change, size).await?;
    drop(tx);
    let mut payments = paid(store, app, &id, kind, place.payments).await?;
    let mut entries = Vec::new();
    while entries.len() < size as usize {
        let heads = [events.newest(), changes.newest(), payments.newest()];
        let newest = heads.iter().enumerate();
        let newest = newest.filter_map(|(nth, entry)| Some((entry.as_ref()?.position(), nth)));
        let taken = match newest.min() {
            Some((_, 0)) => events.take(&mut place.event),
            Some((_, 1)) => changes.take(&mut place.change),
            Some(_) => payments.take(&mut place.payments),
            None => None,
        };
        match taken {
            Some(entry) => entries.push(entry),
            None => break,
        }
    }
    let more = [
        events.end(&mut place.event),
        changes.end(&mut place.change),
        payments.end(&mut place.payments),
    ];
    Ok(TimelinePart {
        entries,
        next: more.contains(&true).then_some(place),
    })
}

fn window(after: Option<i64>, size: u32) -> Window {
    let after = after.map(|place| place.to_string());
    Window::Walk { after, size }
}

async fn events(
    tx: &mut Tx,
    app: &AppSlug,
    id: &CustomerId,
    kind: Option<TimelineKind>,
    after: Option<i64>,
    size: u32,
) -> Result<Source<Option<i64>>, StoreError> {
    if kind.is_some_and(|kind| kind != TimelineKind::Webhook) {
        return Ok(Source::default());
    }
    let filter = EventFilter {
        customer: Some(id.clone()),
        ..EventFilter::default()
    };
    let read = tx.event_list(app, &filter, &window(after, size)).await?;
    let last = read.rows.last().map(|event| event.seq);
    let rows = read.rows.into_iter();
    Ok(Source {
        entries: rows.map(|it| (Some(it.seq), it.into())).collect(),
        rest: read.next.map(|_| last),
    })
}

async fn changes(
    tx: &mut Tx,
    app: &AppSlug,
    id: &CustomerId,
    kind: Option<TimelineKind>,
    after: Option<i64>,
    size: u32,
) -> Result<Source<Option<i64>>, StoreError> {
    let size = match kind {
        None => size,
        // What is of another kind is left out afterwards.
        Some(
            TimelineKind::Change | TimelineKind::Act | TimelineKind::Timer | TimelineKind::Flag,
        ) => MOST,
        Some(TimelineKind::Webhook | TimelineKind::Payment | TimelineKind::Refund) => {
            return Ok(Source::default());
        }
    };
    let filter = AuditFilter {
        customer: Some(id.clone()),
        ..AuditFilter::default()
    };
    let read = tx.audit_list(app, &filter, &window(after, size)).await?;
    let last = read.rows.last().map(|change| change.seq);
    let rows = read.rows.into_iter();
    let entries = rows.map(|it| (Some(it.seq), TimelineEntry::from(it)));
    Ok(Source {
        entries: entries
            .filter(|(_, it)| kind.is_none_or(|kind| kind == it.kind))
            .collect(),
        rest: read.next.map(|_| last),
    })
}

async fn paid(
    store: &Store,
    app: &AppSlug,
    id: &CustomerId,
    kind: Option<TimelineKind>,
    shown: usize,
) -> Result<Source<usize>, FindError> {
    let all = match kind {
        None | Some(TimelineKind::Payment | TimelineKind::Refund) => {
            payments::list_of(store, app, id).await?
        }
        Some(_) => Vec::new(),
    };
    let mut entries: Vec<_> = all.iter().flat_map(of_payment).collect();
    entries.retain(|it| kind.is_none_or(|kind| kind == it.kind));
    entries.sort_by_cached_key(TimelineEntry::position);
    Ok(Source {
        entries: (1..).zip(entries).skip(shown).collect(),
        rest: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_is_written() {
        for (place, text) in [
            (TimelinePlace::default(), "..0"),
            (
                TimelinePlace {
                    event: Some(12),
                    change: None,
                    payments: 3,
                },
                "12..3",
            ),
        ] {
            assert_eq!(place.to_string(), text);
            assert_eq!(text.parse(), Ok(place));
        }
        for wrong in ["", "a.b.c", "1.2", "1.2.-3"] {
            assert!(wrong.parse::<TimelinePlace>().is_err(), "{wrong}");
        }
    }
}
