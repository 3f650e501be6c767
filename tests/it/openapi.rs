//! The description of the API: whole, sound, and the same wherever it is shown.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use tollgate::http::openapi;

fn document() -> Value {
    serde_json::from_str(openapi::document()).unwrap()
}

/// Path, method and operation of everything that is described.
fn operations(document: &Value) -> Vec<(&str, &str, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().iter();
            methods.map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
        })
        .collect()
}

/// Every value of the document with this key.
fn all<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get(key));
            object.values().for_each(|it| all(it, key, found));
        }
        Value::Array(array) => array.iter().for_each(|it| all(it, key, found)),
        _ => {}
    }
}

#[test]
fn every_reference_resolves() {
    let document = document();
    let mut references = Vec::new();
    all(&document, "$ref", &mut references);
    assert!(references.len() > 100, "{} references", references.len());
    for reference in references {
        let pointer = reference.as_str().unwrap().strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[test]
fn every_operation_says_what_it_does_and_how_it_answers() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    let mut ids = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        let place = format!("{method} {path}");
        let id = operation["operationId"].as_str().unwrap_or_default();
        assert!(!id.is_empty() && ids.insert(id), "{place}: id {id:?}");
        let summary = operation["summary"].as_str().unwrap_or_default();
        assert!(summary.ends_with('.'), "{place}: {summary:?}");
        let responses = operation["responses"].as_object().unwrap();
        assert!(
            responses.keys().any(|status| status.starts_with('2')),
            "{place} never succeeds"
        );
        if path.starts_with("/api/") {
            for status in ["401", "429", "500", "503"] {
                assert!(responses.contains_key(status), "{place}: {status}");
            }
        }
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let told: BTreeSet<&str> = parameters
            .filter(|it| it["in"] == "path")
            .inspect(|it| assert!(it["description"].is_string(), "{place}: {it}"))
            .map(|it| it["name"].as_str().unwrap())
            .collect();
        let parts = path.split('/').filter_map(|part| part.strip_prefix('{'));
        let parts: BTreeSet<&str> = parts.map(|part| part.trim_end_matches('}')).collect();
        assert_eq!(told, parts, "{place}");
    }
}

/// Pages for people, which are no part of the API.
const PAGES: [&str; 3] = ["/docs", "/docs/", "/docs/{*file}"];

/// `routes!` takes only what is described, so only `route(` could bring in something else.
#[test]
fn no_route_is_missing() {
    fn visit(folder: &Path, undescribed: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                visit(&path, undescribed);
            } else if !path.to_str().unwrap().ends_with("_tests.rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                // Routers of a file's own tests serve nobody.
                let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
                for word in [".route(", ".route_service(", ".nest_service("] {
                    let routes = text.split(word).skip(1);
                    undescribed.extend(routes.map(|it| it.split('"').nth(1).unwrap().to_owned()));
                }
            }
        }
    }
    let mut undescribed = Vec::new();
    visit(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut undescribed,
    );
    assert_eq!(undescribed, PAGES);
}
