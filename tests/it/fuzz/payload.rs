//! What holds of every payload of every provider.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use tollgate::provider::{self, Mode, Spec};

/// Reads a body as receiver and worker do.
pub(crate) fn check(spec: &'static Spec, body: &[u8]) {
    let head = spec.head(body);
    assert_eq!(head, spec.head(body), "the same twice");
    if let Ok(text) = std::str::from_utf8(body) {
        assert_eq!(spec.digest(text), spec.digest(text), "the same twice");
    }
    let Ok(head) = head else { return };
    for name in [&head.id, &head.event_type] {
        assert!((1..=100).contains(&name.len()), "{name}");
        assert!(
            name.bytes().all(|byte| matches!(byte, b' '..=b'~')),
            "{name}"
        );
    }
    let read = |body: &[u8], mode| provider::read(spec.name, &head.event_type, body, mode);
    for mode in [Mode::Any, Mode::Live, Mode::Test] {
        assert_eq!(read(body, mode), read(body, mode), "the same twice");
    }
    // The same values written otherwise mean the same.
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        return;
    };
    let (short, long) = (
        serde_json::to_vec(&value).unwrap(),
        serde_json::to_vec_pretty(&value).unwrap(),
    );
    assert_eq!(
        read(&short, Mode::Any),
        read(&long, Mode::Any),
        "written otherwise"
    );
    let digest = |body: &[u8]| spec.digest(std::str::from_utf8(body).unwrap());
    assert_eq!(digest(&short), digest(&long), "written otherwise");
    let is_plain = serde_json::from_slice::<Plain>(body).is_ok_and(|plain| plain.0);
    if is_plain {
        assert_eq!(spec.head(&short).as_ref(), Ok(&head));
        assert_eq!(
            read(body, Mode::Any),
            read(&short, Mode::Any),
            "written anew"
        );
    }
}

/// Whether a body says everything once, with whole numbers: only then the values are all of it.
struct Plain(bool);

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PlainOf)
    }
}

struct PlainOf;

impl<'de> Visitor<'de> for PlainOf {
    type Value = Plain;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Plain, E> {
        Ok(Plain(true))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Plain, E> {
        Ok(Plain(true))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Plain, E> {
        Ok(Plain(true))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Plain, E> {
        Ok(Plain(true))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Plain, E> {
        Ok(Plain(false))
    }

    fn visit_str<E>(self, _: &str) -> Result<Plain, E> {
        Ok(Plain(true))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Plain, A::Error> {
        let mut plain = true;
        while let Some(Plain(inner)) = list.next_element()? {
            plain &= inner;
        }
        Ok(Plain(plain))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Plain, A::Error> {
        let mut plain = true;
        let mut names = BTreeSet::new();
        while let Some((name, Plain(inner))) = object.next_entry::<String, Plain>()? {
            plain &= inner && names.insert(name);
        }
        Ok(Plain(plain))
    }
}
