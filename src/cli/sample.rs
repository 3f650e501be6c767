//! Sample events: the built-in payloads with some values replaced.

use serde_json::Value;

use super::error::CliError;
use crate::provider::Spec;

/// Objects whose keys the seller chooses.
const SELLERS_OWN: [&str; 2] = ["metadata", "custom_data"];

/// A payload under construction.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    provider: &'static Spec,
    payload: Value,
}

impl Sample {
    /// Starts from the built-in sample of a type.
    pub(super) fn new(provider: &'static Spec, event_type: &str) -> Result<Self, CliError> {
        let text = provider.sample(event_type).ok_or_else(|| {
            let types: Vec<&str> = provider.types.iter().map(|it| it.name).collect();
            let nearest = nearest(&types, event_type);
            CliError::Usage {
                what: format!("there is no sample of {}'s `{event_type}`", provider.name),
                right: format!("{nearest}one of: {}", types.join(", ")),
            }
        })?;
        let payload = serde_json::from_str(text).map_err(|error| CliError::Usage {
            what: format!("the sample of `{event_type}` is not JSON: {error}"),
            right: "this is a defect of the program".to_owned(),
        })?;
        Ok(Self { provider, payload })
    }

    /// Sets the value at a path such as `data.object.items.data.0.price.id`. Every part of it must
    /// be there, so that a misspelt one does not pass for a changed event; but what is null, or the
    /// seller's own (`metadata`, `custom_data`), takes new keys. Lists accept only existing indexes.
    pub(super) fn set(&mut self, path: &str, value: Value) -> Result<(), CliError> {
        self.put(path, value, false)
    }

    /// Sets the value at a path like [`set`](Self::set), and makes keys that are missing.
    pub(super) fn add(&mut self, path: &str, value: Value) -> Result<(), CliError> {
        self.put(path, value, true)
    }

    fn put(&mut self, path: &str, value: Value, adds: bool) -> Result<(), CliError> {
        let wrong = |part: &str, right: String| CliError::Usage {
            what: format!("`{path}` does not lead anywhere at `{part}`"),
            right,
        };
        let form = || "a path names keys and indexes, such as data.object.items.data.0.price.id";
        let mut place = &mut self.payload;
        let mut takes_new = adds;
        for part in path.split('.') {
            if part.is_empty() {
                return Err(wrong(part, form().to_owned()));
            }
            match place {
                Value::Array(list) => {
                    let count = list.len();
                    let index = part.parse::<usize>().ok();
                    place = index.and_then(|index| list.get_mut(index)).ok_or_else(|| {
                        wrong(part, format!("that is a list of {count}, counted from 0"))
                    })?;
                    continue;
                }
                Value::Null => {
                    *place = Value::Object(serde_json::Map::new());
                    takes_new = true;
                }
                _ => {}
            }
            let Value::Object(object) = place else {
                return Err(wrong(part, form().to_owned()));
            };
            if !takes_new && !object.contains_key(part) {
                return Err(wrong(part, possible(object, part)));
            }
            takes_new |= SELLERS_OWN.contains(&part);
            place = object.entry(part).or_insert(Value::Null);
        }
        *place = value;
        Ok(())
    }

    /// Sets the event id, so that the event is not a duplicate of an earlier one.
    pub(super) fn set_id(&mut self, id: &str) -> Result<(), CliError> {
        match self.provider.event_id {
            Some(path) => self.set(path, Value::String(id.to_owned())),
            None => Ok(()),
        }
    }

    /// Returns the bytes to sign and send.
    pub(super) fn body(&self) -> Vec<u8> {
        self.payload.to_string().into_bytes()
    }
}

/// Asks whether the nearest of some words was meant, if one is near.
fn nearest(words: &[&str], wrong: &str) -> String {
    let far = |word: &&&str| strsim::osa_distance(word, wrong);
    let nearest = words.iter().min_by_key(far).filter(|it| far(it) <= 2);
    nearest.map_or_else(String::new, |word| format!("did you mean `{word}`? "))
}

/// Says which keys an object of the sample has, the nearest to a wrong one first.
fn possible(object: &serde_json::Map<String, Value>, wrong: &str) -> String {
    let mut keys: Vec<&str> = object.keys().map(String::as_str).collect();
    let nearest = nearest(&keys, wrong);
    keys.sort_unstable();
    format!(
        "{nearest}the sample has {} there; `--add` adds a key that it does not have",
        keys.join(", ")
    )
}

/// Parses `path=value`; a value that is not valid JSON is taken as text.
pub(super) fn assignment(text: &str) -> Result<(String, Value), String> {
    let (path, value) = text.split_once('=').ok_or("should be PATH=VALUE")?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
    Ok((path.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sample() -> Sample {
        let payload = json!({ "a": { "list": [{ "x": 1 }] }, "n": null });
        Sample {
            provider: crate::provider::STRIPE,
            payload,
        }
    }

    #[test]
    fn a_path_goes_through_objects_and_lists_and_creates_what_is_missing() {
        let mut sample = sample();
        sample.set("a.list.0.x", json!(2)).unwrap();
        sample.set("n.deep.er", json!("here")).unwrap();
        let expected = json!({ "a": { "list": [{ "x": 2 }] }, "n": { "deep": { "er": "here" } } });
        assert_eq!(sample.payload, expected);
    }

    #[test]
    fn a_path_that_leads_nowhere_is_refused() {
        for path in ["a.list.1.x", "a.list.x", "a.list.0.x.y", "a..b", ""] {
            assert!(sample().set(path, json!(1)).is_err(), "{path:?}");
            assert!(sample().add(path, json!(1)).is_err(), "{path:?}");
        }
    }

    #[test]
    fn an_invented_key_is_refused_with_those_that_there_are() {
        let refused = sample().set("a.lists.0.x", json!(1)).unwrap_err();
        let said = "`a.lists.0.x` does not lead anywhere at `lists`; did you mean `list`? the \
                    sample has list there; `--add` adds a key that it does not have";
        assert_eq!(refused.to_string(), said);
        let mut sample = sample();
        sample.payload["metadata"] = json!({});
        sample.set("metadata.user_id", json!("u1")).unwrap();
        sample.add("a.new.deep", json!(2)).unwrap();
        assert_eq!(sample.payload["metadata"]["user_id"], "u1");
        assert_eq!(sample.payload["a"]["new"]["deep"], 2);
    }

    #[test]
    fn an_assignment_is_json_or_text() {
        assert_eq!(assignment("a.b=12").unwrap(), ("a.b".to_owned(), json!(12)));
        assert_eq!(
            assignment("a=cus_1").unwrap(),
            ("a".to_owned(), json!("cus_1"))
        );
        assert_eq!(assignment("a=x=y").unwrap(), ("a".to_owned(), json!("x=y")));
        assert!(assignment("a").is_err());
    }
}
