//! Sample events: the built-in payloads with some values replaced.

use serde_json::Value;

use super::error::CliError;
use crate::provider::Spec;

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
            CliError::Usage {
                what: format!("there is no sample of {}'s `{event_type}`", provider.name),
                right: format!("one of: {}", types.join(", ")),
            }
        })?;
        let payload = serde_json::from_str(text).map_err(|error| CliError::Usage {
            what: format!("the sample of `{event_type}` is not JSON: {error}"),
            right: "this is a defect of the program".to_owned(),
        })?;
        Ok(Self { provider, payload })
    }

    /// Sets the value at a path such as `data.object.items.data.0.price.id`. Missing objects are
    /// created; lists accept only existing indexes.
    pub(super) fn set(&mut self, path: &str, value: Value) -> Result<(), CliError> {
        let wrong = |part: &str| CliError::Usage {
            what: format!("`{path}` does not lead anywhere at `{part}`"),
            right: "a path names keys and indexes, such as data.object.items.data.0.price.id"
                .to_owned(),
        };
        let mut place = &mut self.payload;
        for part in path.split('.') {
            if part.is_empty() {
                return Err(wrong(part));
            }
            if let Value::Array(list) = place {
                let index: usize = part.parse().map_err(|_| wrong(part))?;
                place = list.get_mut(index).ok_or_else(|| wrong(part))?;
                continue;
            }
            if place.is_null() {
                *place = Value::Object(serde_json::Map::new());
            }
            let Value::Object(object) = place else {
                return Err(wrong(part));
            };
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
        }
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
