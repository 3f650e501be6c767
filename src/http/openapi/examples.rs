//! Builds an example of every body from the examples of its fields, so that each example is written
//! only once and none becomes outdated.

use serde_json::{Map, Value, json};

/// The maximum depth: enough for every body, and a limit for recursive schemas.
const DEPTH: usize = 32;

/// Gives an example to each schema of an object that has none.
pub(super) fn add(document: &mut Value) {
    let schemas = document["components"]["schemas"].clone();
    let all = document["components"]["schemas"].as_object_mut();
    for (_, schema) in all.into_iter().flatten() {
        let is_object = schema["type"] == "object" || schema.get("allOf").is_some();
        if is_object && schema.get("examples").is_none() {
            let example = example(&schemas, schema, DEPTH);
            if example.as_object().is_some_and(|it| !it.is_empty()) {
                schema["examples"] = json!([example]);
            }
        }
    }
}

fn example(schemas: &Value, schema: &Value, depth: usize) -> Value {
    if let Some(first) = schema["examples"].as_array().and_then(|it| it.first()) {
        return first.clone();
    }
    if depth == 0 {
        return Value::Null;
    }
    if let Some(name) = schema["$ref"].as_str().and_then(|it| it.rsplit('/').next()) {
        return example(schemas, &schemas[name], depth - 1);
    }
    if let Some(default) = schema.get("default") {
        return default.clone();
    }
    for words in ["enum", "oneOf"] {
        if let Some(first) = schema[words].as_array().and_then(|it| it.first()) {
            return if words == "enum" {
                first.clone()
            } else {
                example(schemas, first, depth - 1)
            };
        }
    }
    if let Some(parts) = schema["allOf"].as_array() {
        let parts = parts.iter().map(|it| example(schemas, it, depth - 1));
        let objects = parts.filter_map(|it| it.as_object().cloned());
        return Value::Object(objects.flatten().collect());
    }
    let types = schema["type"].as_array().map_or(&[][..], Vec::as_slice);
    let may_be_null = types.iter().any(|it| it == "null");
    let one = types.iter().find(|it| *it != "null");
    match one.unwrap_or(&schema["type"]).as_str() {
        Some("object") => of_object(schemas, schema, depth),
        Some("array") => json!([example(schemas, &schema["items"], depth - 1)]),
        Some("string") if schema["format"] == "date-time" => json!("2026-01-31T09:30:00Z"),
        Some("string") if !may_be_null => json!("…"),
        Some("integer") => json!(schema["minimum"].as_u64().unwrap_or_default().max(1)),
        Some("boolean") => json!(true),
        _ => Value::Null,
    }
}

fn of_object(schemas: &Value, schema: &Value, depth: usize) -> Value {
    let mut object = Map::new();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        object.insert(name.clone(), example(schemas, property, depth - 1));
    }
    let extra = &schema["additionalProperties"];
    if extra.is_object() {
        object.insert("acme/tool".to_owned(), example(schemas, extra, depth - 1));
    }
    Value::Object(object)
}
