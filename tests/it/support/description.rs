//! Holds answers against the description of the API: whether a status is described there, and
//! whether a body has the form that is promised for it.
//!
//! Knows as much of JSON Schema as the description uses, and is stricter in one point: an answer
//! may have no field that is not described. A word of a schema that it does not know is a fault,
//! so that nothing is promised that nobody checks.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use chrono::DateTime;
use serde_json::Value;
use tollgate::http::description;

/// The whole description.
pub(crate) fn document() -> &'static Value {
    static DOCUMENT: LazyLock<Value> =
        LazyLock::new(|| serde_json::from_str(description::document()).unwrap());
    &DOCUMENT
}

/// One request and its answer.
pub(crate) struct Exchange<'a> {
    pub(crate) method: &'a str,
    /// With or without a query.
    pub(crate) path: &'a str,
    /// The body, if it was JSON.
    pub(crate) sent: Option<&'a Value>,
    pub(crate) status: u16,
    pub(crate) content_type: &'a str,
    /// An `ETag` came with it.
    pub(crate) is_tagged: bool,
    pub(crate) answer: &'a Value,
}

impl Exchange<'_> {
    /// Ends the test if this is not as described.
    #[track_caller]
    pub(crate) fn check(&self) {
        if let Err(fault) = self.conforms() {
            let Self {
                method,
                path,
                status,
                answer,
                ..
            } = self;
            panic!("{method} {path}: {status} is not as described: {fault}\n{answer}");
        }
    }

    /// Whether all of it is as described; what is not.
    pub(crate) fn conforms(&self) -> Result<(), String> {
        let path = self.path.split('?').next().unwrap();
        let Some(operation) = operation(self.method, path) else {
            return match self.status {
                404 | 405 => Ok(()),
                // Pages for people are not described.
                _ if path.starts_with("/docs") => Ok(()),
                _ => Err("there is no such operation".to_owned()),
            };
        };
        let response = &operation["responses"][self.status.to_string()];
        let response = resolved(response);
        if response.is_null() {
            return Err("the status is not described".to_owned());
        }
        if self.is_tagged && !response["headers"]["ETag"].is_object() {
            return Err("its ETag is not described".to_owned());
        }
        match response["content"].as_object() {
            None if self.answer.as_str() == Some("") => {}
            None => return Err("no body is described".to_owned()),
            Some(contents) => {
                let content = contents.get(self.content_type);
                let content = content.ok_or_else(|| format!("not as {}", self.content_type))?;
                valid(&content["schema"], self.answer, Reading::Answer)?;
            }
        }
        if let Some(sent) = self.sent
            && self.status < 400
        {
            let content = &operation["requestBody"]["content"]["application/json"];
            valid(&content["schema"], sent, Reading::Plain).map_err(|it| format!("asked {it}"))?;
        }
        Ok(())
    }
}

/// The operation that a path without a query belongs to: of the paths that fit, the one with the
/// fewest variable parts.
fn operation(method: &str, path: &str) -> Option<&'static Value> {
    let parts: Vec<&str> = path.split('/').collect();
    let is_variable = |part: &str| part.starts_with('{');
    let fits = |template: &str| {
        let template: Vec<&str> = template.split('/').collect();
        let mut pairs = template.iter().zip(&parts);
        template.len() == parts.len()
            && pairs.all(|(told, is)| told == is || is_variable(told) && !is.is_empty())
    };
    let paths = document()["paths"].as_object().unwrap().iter();
    let (_, item) = paths
        .filter(|(template, _)| fits(template))
        .min_by_key(|(template, _)| template.split('/').filter(|it| is_variable(it)).count())?;
    item.get(method.to_lowercase())
}

fn resolved(value: &'static Value) -> &'static Value {
    match value["$ref"].as_str() {
        Some(reference) => document().pointer(&reference[1..]).unwrap(),
        None => value,
    }
}

/// How strict a value is read.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Reading {
    /// As the schema says.
    Plain,
    /// Also without fields that the schema does not name.
    Answer,
}

/// Words of schemas that say nothing about validity, or are read together with others.
const SILENT: [&str; 7] = [
    "description",
    "examples",
    "default",
    "required",
    "additionalProperties",
    "propertyNames",
    "pattern",
];

/// Whether a value is what a schema says; what is wrong, with the place.
pub(crate) fn valid(schema: &'static Value, value: &Value, reading: Reading) -> Result<(), String> {
    if reading == Reading::Answer
        && let Some(object) = value.as_object()
    {
        let mut known = Some(BTreeSet::new());
        collect(schema, value, &mut known);
        if let Some(known) = known
            && let Some(field) = object.keys().find(|it| !known.contains(it.as_str()))
        {
            return Err(format!(".{field} is not described"));
        }
    }
    plainly(schema, value, reading)
}

/// The fields that a schema names; `None` if any may be there.
fn collect(schema: &'static Value, value: &Value, known: &mut Option<BTreeSet<&'static str>>) {
    let schema = resolved(schema);
    if let Some(properties) = schema["properties"].as_object() {
        let names = properties.keys().map(String::as_str);
        if let Some(known) = known {
            known.extend(names);
        }
    }
    let parts = schema["allOf"].as_array().into_iter().flatten();
    parts.for_each(|it| collect(it, value, known));
    let choices = schema["oneOf"].as_array().into_iter().flatten();
    for choice in choices.filter(|it| valid(it, value, Reading::Plain).is_ok()) {
        collect(choice, value, known);
    }
    let is_free = schema.get("properties").is_none()
        && schema.get("allOf").is_none()
        && schema.get("oneOf").is_none();
    if is_free || schema["additionalProperties"].is_object() {
        *known = None;
    }
}

fn plainly(schema: &'static Value, value: &Value, reading: Reading) -> Result<(), String> {
    let schema = resolved(schema);
    let Some(words) = schema.as_object() else {
        return Ok(());
    };
    for (word, told) in words {
        match word.as_str() {
            "type" => of_type(told, value)?,
            "enum" if !told.as_array().unwrap().contains(value) => {
                return Err(format!(" {value} is none of {told}"));
            }
            "properties" | "items" | "enum" => {}
            "allOf" => {
                for part in told.as_array().unwrap() {
                    plainly(part, value, reading)?;
                }
            }
            "oneOf" => {
                let choices = told.as_array().unwrap().iter();
                let fitting = choices
                    .filter(|it| valid(it, value, reading).is_ok())
                    .count();
                if fitting != 1 {
                    return Err(format!(
                        " fits {fitting} of {} choices",
                        told.as_array().unwrap().len()
                    ));
                }
            }
            "format" => of_format(told.as_str().unwrap(), value, reading)?,
            "minimum" | "maximum" | "minLength" | "maxLength" | "maxItems" => {
                within(word, told.as_f64().unwrap(), value)?;
            }
            _ if SILENT.contains(&word.as_str()) => {}
            _ => return Err(format!(" the schema's `{word}` is not known here")),
        }
    }
    of_fields(schema, value, reading)?;
    let items = value.as_array().filter(|_| schema.get("items").is_some());
    for (index, item) in items.into_iter().flatten().enumerate() {
        valid(&schema["items"], item, reading).map_err(|it| format!("[{index}]{it}"))?;
    }
    Ok(())
}

fn of_fields(schema: &'static Value, value: &Value, reading: Reading) -> Result<(), String> {
    let Some(object) = value.as_object() else {
        return Ok(());
    };
    for field in schema["required"].as_array().into_iter().flatten() {
        if !object.contains_key(field.as_str().unwrap()) {
            return Err(format!(" has no {field}"));
        }
    }
    for (field, value) in object {
        let told = schema["properties"].get(field);
        let told = told.unwrap_or(&schema["additionalProperties"]);
        if told == false {
            return Err(format!(".{field} is too many"));
        }
        valid(told, value, reading).map_err(|it| format!(".{field}{it}"))?;
    }
    Ok(())
}

fn of_type(told: &Value, value: &Value) -> Result<(), String> {
    let is = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let fits = |told: &Value| told == is || told == "number" && is == "integer";
    let fits = match told {
        Value::Array(all) => all.iter().any(fits),
        one => fits(one),
    };
    if fits {
        Ok(())
    } else {
        Err(format!(" is of type {is}, not {told}"))
    }
}

fn of_format(told: &str, value: &Value, reading: Reading) -> Result<(), String> {
    let Some(text) = value.as_str() else {
        return Ok(());
    };
    let fits = match told {
        "date-time" if reading == Reading::Answer => is_shown_time(text),
        "date-time" => DateTime::parse_from_rfc3339(text).is_ok(),
        "email" => text.contains('@'),
        other => return Err(format!(" the format `{other}` is not known here")),
    };
    if fits {
        Ok(())
    } else {
        Err(format!(" {text:?} is no {told}"))
    }
}

/// Whether a text is a time as all answers have them: in UTC, with three fraction digits.
pub(crate) fn is_shown_time(text: &str) -> bool {
    let form = "0000-00-00T00:00:00.000Z";
    let fits = |(is, told): (u8, u8)| is == told || told == b'0' && is.is_ascii_digit();
    text.len() == form.len()
        && text.bytes().zip(form.bytes()).all(fits)
        && DateTime::parse_from_rfc3339(text).is_ok()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "lengths here are far below what a float counts exactly"
)]
fn within(word: &str, bound: f64, value: &Value) -> Result<(), String> {
    let size = match (word, value) {
        ("minimum" | "maximum", Value::Number(number)) => number.as_f64().unwrap(),
        ("minLength" | "maxLength", Value::String(text)) => text.chars().count() as f64,
        ("maxItems", Value::Array(items)) => items.len() as f64,
        _ => return Ok(()),
    };
    let fits = if word.starts_with("min") {
        size >= bound
    } else {
        size <= bound
    };
    if fits {
        Ok(())
    } else {
        Err(format!(" {size} is beyond the {word} of {bound}"))
    }
}
