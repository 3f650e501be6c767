//! The ids that a payload names, for finding events by any of them.
//!
//! Nothing has to be understood for this, and much may be wrong: it serves for events of types that
//! are not read, and for those whose facts could not be. Only fields that refer to an object are
//! followed, wherever a known container has them. Left out are prices, products, items and payment
//! methods: one price stands in thousands of events, so it finds nothing in particular, and every
//! id costs each event room in an index.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::metadata::MAX_ID;
use crate::domain::id::ObjectKey;

/// The most ids that are kept of one event: several times what the providers' own events name.
pub const MAX_NAMED: usize = 16;

/// How deep objects are followed. The deepest place of a known version is
/// `payments.data[].payment.charge`.
const MAX_DEPTH: usize = 8;

/// What a payload names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// The billing account that it is about, if it says so in the usual place.
    pub account: Option<ObjectKey>,
    /// The providers' ids of its objects, the object of the event first; at most [`MAX_NAMED`].
    pub ids: Vec<String>,
}

/// Where a provider's payloads have ids.
#[derive(Clone, Copy)]
pub(super) struct Places {
    /// How deep the fields of the event's own object are: 1 if it is what is looked through.
    pub(super) top: usize,
    /// Fields that hold the id of an object, or the object itself.
    pub(super) references: &'static [&'static str],
    /// Fields that hold objects or lists with more of them.
    pub(super) containers: &'static [&'static str],
}

/// The ids that were found, in the order of the payload.
pub(super) struct Found {
    top: usize,
    seen: Vec<Seen>,
    /// The kind of the event's own object, as Stripe names kinds.
    pub(super) kind: Option<String>,
}

struct Seen {
    depth: usize,
    /// The field that referred to it; `id` for an object's own.
    via: &'static str,
    id: String,
}

impl Found {
    /// Looks for ids in JSON. What was found before a fault counts.
    pub(super) fn within(json: Option<&RawValue>, places: Places) -> Self {
        let found = RefCell::new(Self {
            top: places.top,
            seen: Vec::new(),
            kind: None,
        });
        if let Some(json) = json {
            let walk = Walk {
                places,
                via: None,
                depth: 0,
                found: &found,
            };
            let mut deserializer = serde_json::Deserializer::from_str(json.get());
            // A fault ends the walk, and that is all: the head was read, so it is a limit of ours.
            let _ = walk.deserialize(&mut deserializer);
        }
        found.into_inner()
    }

    /// The id that the object of the event has in the first of these fields that it has.
    pub(super) fn top(&self, fields: &[&str]) -> Option<&str> {
        let at_top = |field: &&str| {
            let mut all = self.seen.iter();
            all.find(|seen| seen.depth == self.top && seen.via == *field)
        };
        fields.iter().find_map(at_top).map(|seen| seen.id.as_str())
    }

    /// The ids: the object's own, then the others, those nearer to the top first.
    pub(super) fn into_ids(mut self) -> Vec<String> {
        self.seen.sort_by_key(|seen| (seen.depth, seen.via != OWN));
        let mut ids: Vec<String> = Vec::new();
        for seen in self.seen {
            if ids.len() < MAX_NAMED && !ids.contains(&seen.id) {
                ids.push(seen.id);
            }
        }
        ids
    }
}

/// The field of an object's own id.
const OWN: &str = "id";

/// The field that Stripe's objects name their kind in; in the envelope it holds the object.
const OBJECT: &str = "object";

/// Follows the fields that lead to ids, and skips all others without building them.
#[derive(Clone, Copy)]
struct Walk<'a> {
    places: Places,
    /// The field whose value this is, if that can be an id.
    via: Option<&'static str>,
    depth: usize,
    found: &'a RefCell<Found>,
}

impl Walk<'_> {
    fn note(self, id: &str) {
        let mut found = self.found.borrow_mut();
        match self.via {
            Some(OBJECT) if self.depth == found.top => found.kind = Some(id.to_owned()),
            Some(via) if via != OBJECT && is_id(id) => {
                let beside = found.seen.iter().filter(|seen| seen.depth == self.depth);
                // A list may be long, and those nearer to the top count first.
                if beside.count() < MAX_NAMED {
                    found.seen.push(Seen {
                        depth: self.depth,
                        via,
                        id: id.to_owned(),
                    });
                }
            }
            Some(_) | None => {}
        }
    }

    /// The walk for the value of a field; `None` if it leads nowhere.
    fn into_field(self, name: &str) -> Option<Self> {
        if self.depth >= MAX_DEPTH {
            return None;
        }
        let field = |known: &&'static str| **known == *name;
        let references = self.places.references;
        if name == OWN {
            // An object that stands where its id could stand is named by the field.
            let via = self.via.filter(|via| *via != OBJECT).unwrap_or(OWN);
            let depth = self.depth - usize::from(via != OWN);
            let via = Some(via);
            return Some(Self { via, depth, ..self });
        }
        let via = if name == OBJECT {
            Some(OBJECT)
        } else {
            references.iter().find(|known| field(known)).copied()
        };
        let follows = via.is_some() || self.places.containers.iter().any(field);
        follows.then_some(Self { via, ..self })
    }
}

/// True for what may be an id. An address is none, whatever field it stands in.
fn is_id(text: &str) -> bool {
    let fits = (1..=MAX_ID).contains(&text.len());
    fits && !text.contains('@') && !text.chars().any(char::is_control)
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.note(&value.to_string());
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.note(&value.to_string());
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.note(value);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let inner = Self {
            depth: self.depth + 1,
            ..self
        };
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            match inner.into_field(&name) {
                Some(walk) => map.next_value_seed(walk)?,
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}
