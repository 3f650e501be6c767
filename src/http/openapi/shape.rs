//! Corrections to the finished document that apply to all schemas and that utoipa cannot know.

use std::collections::BTreeSet;

use serde_json::Value;

/// Corrects the schemas of a document.
pub(super) fn finish(document: &mut Value) {
    for operation in operations(document) {
        if let Some(body) = operation.get_mut("requestBody") {
            let contents = body["content"].as_object_mut();
            for (_, content) in contents.into_iter().flatten() {
                leave_out_null(&mut content["schema"]);
            }
        }
        let parameters = operation.get_mut("parameters");
        let parameters = parameters.and_then(Value::as_array_mut);
        for parameter in parameters.into_iter().flatten() {
            leave_out_null(&mut parameter["schema"]);
        }
    }
    require_nullable(document);
}

/// Returns the operations of a document.
fn operations(document: &mut Value) -> impl Iterator<Item = &mut Value> {
    let items = document["paths"].as_object_mut().into_iter().flatten();
    let methods = items.filter_map(|(_, item)| item.as_object_mut()).flatten();
    methods.map(|(_, operation)| operation)
}

/// Removes null from a schema of something optional: a query or a header cannot be null, and an
/// empty body is left out.
fn leave_out_null(schema: &mut Value) {
    if let Some(types) = schema.get_mut("type")
        && let [one, null] = types.as_array().map_or(&[][..], Vec::as_slice)
        && null == "null"
    {
        *types = one.clone();
    }
    if let Some([one, null]) = schema["oneOf"].as_array().map(Vec::as_slice)
        && null["type"] == "null"
    {
        *schema = one.clone();
    }
}

/// Marks nullable fields of answers as required, because they are always present: in every schema
/// that no request uses.
fn require_nullable(document: &mut Value) {
    let mut asked = BTreeSet::new();
    let paths = document["paths"].as_object().into_iter().flatten();
    for (_, item) in paths {
        for (_, operation) in item.as_object().into_iter().flatten() {
            references(document, &operation["requestBody"], &mut asked);
        }
    }
    let schemas = document["components"]["schemas"].as_object_mut();
    for (name, schema) in schemas.into_iter().flatten() {
        if !asked.contains(name) {
            require(schema);
        }
    }
}

/// Collects the names of all schemas that `value` refers to, directly or indirectly.
fn references(document: &Value, value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            let target = object.get("$ref").and_then(Value::as_str);
            if let Some(name) = target.and_then(|it| it.strip_prefix("#/components/schemas/"))
                && names.insert(name.to_owned())
            {
                references(document, &document["components"]["schemas"][name], names);
            }
            for inner in object.values() {
                references(document, inner, names);
            }
        }
        Value::Array(array) => array.iter().for_each(|it| references(document, it, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn require(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            let properties = object.get("properties").and_then(Value::as_object);
            let properties = properties.into_iter().flatten();
            let nullable: Vec<Value> = properties
                .filter(|(_, property)| may_be_null(property))
                .map(|(name, _)| name.clone().into())
                .collect();
            if !nullable.is_empty() {
                let required = object.entry("required").or_insert(Value::Array(Vec::new()));
                if let Some(required) = required.as_array_mut() {
                    // A schema of one in another says some of them itself.
                    let new = nullable.into_iter().filter(|it| !required.contains(it));
                    required.extend(new.collect::<Vec<_>>());
                }
            }
            object.values_mut().for_each(require);
        }
        Value::Array(array) => array.iter_mut().for_each(require),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn may_be_null(property: &Value) -> bool {
    let types = property["type"].as_array().into_iter().flatten();
    let choices = property["oneOf"].as_array().into_iter().flatten();
    types
        .chain(choices.map(|it| &it["type"]))
        .any(|it| it == "null")
}
