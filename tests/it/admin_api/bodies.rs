//! The bodies of every call that takes one: what is not JSON, and fields that nobody knows.
//!
//! The routes come from the API itself, so a new one is walked too.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::walls::Town;
use crate::support::description::document;
use crate::support::stores::{Engine, on_both_stores};

/// Bytes that a provider signed, and whose form is its own.
const SIGNED: [&str; 2] = ["/webhooks/{provider}", "/webhooks/{app}/{provider}"];

/// What a route is below.
const PLACES: [&str; 2] = ["/api/v1", "/api"];

/// Method and path of every call that takes a body, and of every POST.
fn routes() -> Vec<(String, String)> {
    let paths = document()["paths"].as_object().unwrap().iter();
    let of_path = |(path, item): (&String, &Value)| {
        let methods = item.as_object().unwrap().iter();
        let takes = |(method, operation): &(&String, &Value)| {
            *method == "post" || operation.get("requestBody").is_some()
        };
        let methods = methods.filter(takes);
        let named = methods.map(|(method, _)| (method.to_uppercase(), path.clone()));
        named.collect::<Vec<_>>()
    };
    paths.flat_map(of_path).collect()
}

#[test]
fn every_call_with_a_body_describes_it() {
    for (method, path) in routes() {
        let operation = &document()["paths"][&path][method.to_lowercase()];
        let body = &operation["requestBody"]["content"];
        assert!(body["application/json"].is_object(), "{method} {path}");
    }
}

async fn broken_json_and_unknown_fields_are_refused_everywhere(engine: Engine) {
    let town = Town::start(engine).await;
    let before = town.seen_by_one().await;
    let bearer = format!("Bearer {}", town.one);
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
    ];
    let (routes, mut posts) = (routes(), BTreeSet::new());
    for (method, route) in &routes {
        if SIGNED.contains(&route.as_str()) {
            continue;
        }
        let place = PLACES.iter().find(|it| route.starts_with(**it)).unwrap();
        let below = &route[place.len()..];
        let path = format!("{place}{}", town.things.path(below));
        let asked = (method.as_str(), path.as_str());
        for broken in ["{\"x\":", "{", "x", "{\"overlap\": 3600", "{} {}"] {
            let answer = town.rig.send_text(asked, &headers, broken).await;
            assert_eq!(
                answer.status, 400,
                "{method} {route} {broken}: {}",
                answer.body
            );
        }
        let mut body = town.things.body(method, below).unwrap();
        body["no_such_field"] = json!(1);
        let answer = town
            .rig
            .send(asked.0, asked.1, &headers[..1], Some(body))
            .await;
        let refused = match *place {
            "/api/v1" => answer.status == 422,
            _ => [400, 422].contains(&answer.status),
        };
        let text = answer.body.to_string();
        assert!(
            refused && text.contains("no_such_field is not known here")
                || answer.body["errors"][0]["field"] == "no_such_field",
            "{method} {route}: {text}"
        );
        if method == "POST" {
            posts.insert(route);
        }
    }
    assert!(posts.len() > 25, "{posts:?}");
    assert!(town.seen_by_one().await == before, "something changed");
}

on_both_stores! {
    broken_json_and_unknown_fields_are_refused_everywhere,
}
