//! The description of the API: whole, sound, and the same wherever it is shown.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::description::{Exchange, Reading, document, valid};

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
    all(document, "$ref", &mut references);
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
    for (path, method, operation) in operations(document) {
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

#[test]
fn every_body_has_an_example_and_every_example_is_valid() {
    fn visit(schema: &'static Value, place: &str, seen: &mut usize) {
        match schema {
            Value::Object(object) => {
                let examples = schema["examples"].as_array().into_iter().flatten();
                // `example` stands beside the schema that it is for.
                let single = object.get("schema").zip(object.get("example"));
                for (schema, example) in examples.map(|it| (schema, it)).chain(single) {
                    *seen += 1;
                    if let Err(fault) = valid(schema, example, Reading::Plain) {
                        panic!("{place}: {example}{fault}");
                    }
                }
                for (key, inner) in object {
                    visit(inner, &format!("{place}/{key}"), seen);
                }
            }
            Value::Array(array) => array.iter().for_each(|it| visit(it, place, seen)),
            _ => {}
        }
    }
    let mut seen = 0;
    visit(document(), "", &mut seen);
    assert!(seen > 200, "{seen} examples");

    for (name, schema) in document()["components"]["schemas"].as_object().unwrap() {
        let is_object = schema["type"] == "object" && schema.get("properties").is_some();
        let is_whole = is_object || schema.get("allOf").is_some();
        assert!(!is_whole || schema.get("examples").is_some(), "{name}");
    }
}

/// The faults that openapi-spec-validator, Spectral and Redocly's linter find in documents of ours,
/// looked for without them. A generator of clients stops at most of these.
#[test]
fn the_description_has_no_fault_that_linters_find() {
    fn visit(value: &Value, place: &str) {
        match value {
            Value::Object(object) => {
                for list in ["required", "enum", "tags", "type"] {
                    let words = object.get(list).and_then(Value::as_array);
                    for word in words.into_iter().flatten() {
                        let times = words.unwrap().iter().filter(|it| *it == word).count();
                        assert_eq!(times, 1, "{place}/{list}: {word}");
                    }
                }
                let is_ambiguous =
                    object.contains_key("example") && object.contains_key("examples");
                assert!(!is_ambiguous, "{place}");
                let [least, most] = ["minimum", "maximum"].map(|it| object.get(it)?.as_f64());
                assert!(least.zip(most).is_none_or(|(a, b)| a <= b), "{place}");
                for (key, inner) in object {
                    // Examples are what they are.
                    if !["example", "examples", "default"].contains(&key.as_str()) {
                        visit(inner, &format!("{place}/{key}"));
                    }
                }
            }
            Value::Array(array) => array.iter().for_each(|it| visit(it, place)),
            _ => {}
        }
    }
    let document = document();
    visit(document, "");

    let schemes = document["components"]["securitySchemes"]
        .as_object()
        .unwrap();
    let tags = document["tags"].as_array().unwrap();
    let tags: Vec<&str> = tags.iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(tags.iter().collect::<BTreeSet<_>>().len(), tags.len());
    let mut shapes = BTreeSet::new();
    for path in document["paths"].as_object().unwrap().keys() {
        let variable = |part: &str| if part.starts_with('{') { "{}" } else { part }.to_owned();
        let shape: Vec<String> = path.split('/').map(variable).collect();
        assert!(shapes.insert(shape), "{path} is served twice");
        assert!(!path.ends_with('/') && !path.contains('?'), "{path}");
    }
    for (path, method, operation) in operations(document) {
        let place = format!("{method} {path}");
        let id = operation["operationId"].as_str().unwrap();
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        assert!(id.bytes().all(is_name), "{place}: {id}");
        let security = operation["security"].as_array();
        let security = security.unwrap_or_else(|| panic!("{place} says nothing of security"));
        for name in security
            .iter()
            .flat_map(|it| it.as_object().unwrap().keys())
        {
            assert!(schemes.contains_key(name), "{place}: {name}");
        }
        for tag in operation["tags"].as_array().into_iter().flatten() {
            assert!(tags.contains(&tag.as_str().unwrap()), "{place}: {tag}");
        }
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let mut names = BTreeSet::new();
        for parameter in parameters {
            let name = (parameter["in"].as_str(), parameter["name"].as_str());
            assert!(names.insert(name), "{place}: {name:?} twice");
            assert!(parameter["schema"].is_object(), "{place}: {name:?}");
        }
        for (status, response) in operation["responses"].as_object().unwrap() {
            let response = match response["$ref"].as_str() {
                Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
                None => response,
            };
            let about = response["description"].as_str().unwrap_or_default();
            assert!(!about.is_empty(), "{place}: {status}");
        }
    }
}

/// Who may call without signing in; everybody else needs a token of some kind.
#[test]
fn only_public_calls_need_no_token() {
    let public = |(.., operation): &(&str, &str, &Value)| operation["security"] == json!([]);
    let public = operations(document()).into_iter().filter(public);
    let public: Vec<&str> = public.map(|(path, ..)| path).collect();
    let expected = [
        "/healthz",
        "/openapi.json",
        "/readyz",
        "/webhooks/{app}/{provider}",
        "/webhooks/{provider}",
    ];
    assert_eq!(public, expected);
}

/// Pages for people, which are no part of the API, a place that refuses everything, and another spelling
/// of what is described.
const UNDESCRIBED: [&str; 6] = [
    "/docs",
    "/docs/",
    "/docs/{*file}",
    "/webhooks/{app}/{provider}/",
    "/webhooks/{provider}/",
    "{PLACE}/",
];

/// `routes!` takes only what is described, so only `route(` could bring in something else.
#[test]
fn no_route_is_missing() {
    fn visit(folder: &Path, undescribed: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.ends_with("http/console") || path.ends_with("http/portal") {
                // Pages for people, all of them.
            } else if path.is_dir() {
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
    undescribed.sort();
    assert_eq!(undescribed, UNDESCRIBED);
}

/// The checker that holds every answer of the other tests against the description.
#[test]
#[expect(clippy::too_many_lines, reason = "most of it is a table")]
fn what_is_not_as_described_is_found() {
    let app = json!({"slug": "a", "name": "A", "connected_accounts": [],
        "identity": {"metadata_key": null, "client_reference_id": false},
        "refetch": "when_unsure", "reconcile_every": null, "repository": null, "held_message": null,
        "paused": null, "created_at": "2026-01-05T12:00:00.000Z"});
    let page = json!({"page": 1, "page_size": 20, "per_page": 20, "total": 1, "total_pages": 1});
    let with = |field: &str, value: Value| {
        let mut app = app.clone();
        app[field] = value;
        app
    };
    let list = |app: Value| json!({"data": [app], "meta": page});
    let body = json!({"name": "A"});
    let unknown = json!({"title": "Not Found", "status": 404, "code": "x", "detail": "y"});
    let (plain, problem) = ("application/json", "application/problem+json");
    let cases = [
        ("GET", "/api/v1/apps/a", None, 200, plain, app.clone(), None),
        (
            "GET",
            "/api/v1/apps/a?x=y",
            None,
            404,
            problem,
            unknown.clone(),
            None,
        ),
        (
            "GET",
            "/api/v1/apps",
            None,
            200,
            plain,
            list(app.clone()),
            None,
        ),
        (
            "PATCH",
            "/api/v1/apps/a",
            Some(&body),
            200,
            plain,
            app.clone(),
            None,
        ),
        ("DELETE", "/api/v1/apps/a", None, 204, "", json!(""), None),
        ("GET", "/nowhere", None, 404, problem, unknown.clone(), None),
        (
            "GET",
            "/nowhere",
            None,
            200,
            plain,
            json!({}),
            Some("no such operation"),
        ),
        (
            "GET",
            "/api/v1/apps/a",
            None,
            201,
            plain,
            app.clone(),
            Some("the status"),
        ),
        (
            "GET",
            "/api/v1/apps/a",
            None,
            404,
            plain,
            unknown,
            Some("not as"),
        ),
        (
            "DELETE",
            "/api/v1/apps/a",
            None,
            204,
            plain,
            app.clone(),
            Some("no body"),
        ),
        (
            "GET",
            "/api/v1/apps/a",
            None,
            200,
            plain,
            with("x", json!(1)),
            Some(".x is not described"),
        ),
        (
            "GET",
            "/api/v1/apps/a",
            None,
            200,
            plain,
            with("name", json!(1)),
            Some(".name is of type"),
        ),
        (
            "GET",
            "/api/v1/apps/a",
            None,
            200,
            plain,
            with("created_at", json!("now")),
            Some("date-time"),
        ),
        (
            "GET",
            "/api/v1/apps/a",
            None,
            200,
            plain,
            json!({"slug": "a"}),
            Some("has no"),
        ),
        (
            "GET",
            "/api/v1/apps",
            None,
            200,
            plain,
            list(with("x", json!(1))),
            Some(".data[0].x"),
        ),
        (
            "GET",
            "/api/v1/apps",
            None,
            200,
            plain,
            json!({"data": [], "meta": {}}),
            Some(".meta fits 0"),
        ),
        (
            "PATCH",
            "/api/v1/apps/a",
            Some(&app),
            200,
            plain,
            app.clone(),
            Some("asked ."),
        ),
    ];
    for (method, path, sent, status, content_type, answer, fault) in cases {
        let exchange = Exchange {
            method,
            path,
            sent,
            status,
            content_type,
            is_tagged: false,
            answer: &answer,
        };
        let found = exchange.conforms().err();
        let is_right = match (&found, fault) {
            (Some(found), Some(fault)) => found.contains(fault),
            (found, fault) => found.is_none() && fault.is_none(),
        };
        assert!(is_right, "{method} {path} {status} {answer}: {found:?}");
    }
}
