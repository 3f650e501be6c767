//! Event types and what a reader gets of an event.

use serde_json::Value;

use super::fields::Fields;
use super::reading::ReadError;
use crate::domain::billing::fact::Fact;
use crate::domain::id::Scope;
use crate::domain::time::Timestamp;

/// An event type that is read.
#[derive(Clone, Copy, Debug)]
pub struct EventType {
    /// The provider's name for it.
    pub name: &'static str,
    /// The meaning of the type in a sentence, for the documentation.
    pub says: &'static str,
    /// A payload of the type, as the provider would post it: of several API versions, in the
    /// newest that the fixtures have.
    pub sample: Option<&'static str>,
    /// The function that reads it.
    pub(super) reader: Reader,
}

/// Reads the facts of an event. There are none if the event says nothing that matters here.
pub(super) type Reader = fn(&Event<'_>) -> Result<Vec<Fact>, ReadError>;

/// A provider's table of event types. First the folder of its fixtures and the end of their
/// names; then in a row the type, the middle of its sample's file name if there is a sample, its
/// reader, and what it says.
macro_rules! event_types {
    ($folder:literal, $end:literal; $($name:literal $($what:literal)? => $reader:path, $says:literal;)*) => {
        &[$($crate::provider::event::EventType {
            name: $name,
            says: $says,
            sample: event_types!(@ $folder, $end, $name $(, $what)?),
            reader: $reader,
        }),*]
    };
    (@ $folder:literal, $end:literal, $name:literal) => { None };
    (@ $folder:literal, $end:literal, $name:literal, $what:literal) => {
        Some(include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"), "/fixtures/", $folder, "/", $name, "--", $what, $end
        )))
    };
}
pub(super) use event_types;

/// An event whose object is about to be read.
pub(super) struct Event<'a> {
    /// The provider's name for its type.
    pub(super) type_name: &'a str,
    /// When it happened by the provider's clock.
    pub(super) at: Timestamp,
    /// Within what the ids in it are unique.
    pub(super) scope: Scope,
    /// The object as it was when the event was made.
    pub(super) object: Fields<'a>,
    /// The fields that changed, as they were before, where the provider says so.
    pub(super) previous: Option<&'a Value>,
    /// The id of the API call behind the event, where the provider says so.
    pub(super) request: Option<String>,
}
