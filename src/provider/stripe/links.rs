//! Ids that one event names together.

use std::collections::BTreeSet;

use super::super::event::Event;
use super::super::fields::Fields;
use super::super::reading::ReadError;
use crate::domain::billing::fact::Fact;
use crate::domain::id::{Kind, ObjectKey, Scope};

/// The keys of those of the object's ids that are there: each with the place where it stands and
/// the kind of object that it names.
pub(super) fn keys(
    event: &Event<'_>,
    places: &[(&str, Kind)],
) -> Result<BTreeSet<ObjectKey>, ReadError> {
    keys_of(&event.scope, &event.object, places)
}

/// Like [`keys`], of an object within the event's.
pub(super) fn keys_of(
    scope: &Scope,
    object: &Fields<'_>,
    places: &[(&str, Kind)],
) -> Result<BTreeSet<ObjectKey>, ReadError> {
    let mut ids = BTreeSet::new();
    for (place, kind) in places {
        let id = object.id(&[place])?;
        ids.extend(id.map(|id| scope.key(*kind, id)));
    }
    Ok(ids)
}

/// The fact that ids belong together, if there are two.
pub(super) fn link(ids: BTreeSet<ObjectKey>) -> Option<Fact> {
    (ids.len() > 1).then_some(Fact::PaymentLink { ids })
}
