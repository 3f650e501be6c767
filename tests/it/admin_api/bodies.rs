//! The bodies of every call that takes one: what is not JSON, and fields that nobody knows.
//!
//! The routes come from the API itself, so a new one is walked too.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::rig::{ROOT, Rig, id_of, path_of};
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

async fn a_compressed_body_is_refused_everywhere(engine: Engine) {
    let town = Town::start(engine).await;
    let before = town.seen_by_one().await;
    let bearer = format!("Bearer {}", town.one);
    let deletions = document()["paths"].as_object().unwrap().iter();
    let deletions = deletions.filter(|(_, item)| item.get("delete").is_some());
    let deletions = deletions.map(|(path, _)| ("DELETE".to_owned(), path.clone()));
    let routes = routes().into_iter().chain(deletions);
    for (method, route) in routes.filter(|(_, route)| !SIGNED.contains(&route.as_str())) {
        let place = PLACES.iter().find(|it| route.starts_with(**it)).unwrap();
        let below = &route[place.len()..];
        let path = format!("{place}{}", town.things.path(below));
        for coding in ["gzip", "GZIP", "identity, br", "zstd"] {
            let headers = [
                ("authorization", bearer.as_str()),
                ("content-type", "application/json"),
                ("content-encoding", coding),
            ];
            let asked = (method.as_str(), path.as_str());
            let answer = town.rig.send_text(asked, &headers, "{}").await;
            assert_eq!(answer.status, 415, "{method} {route}: {}", answer.body);
            let is_dressed = answer.body["error"].is_string();
            assert_eq!(is_dressed, *place == "/api", "{}", answer.body);
        }
    }
    assert!(town.seen_by_one().await == before, "something changed");
}

async fn what_metadata_holds_comes_back_exactly(engine: Engine) {
    let rig = Rig::start(engine).await;
    let bearer = format!("Bearer {ROOT}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
    ];
    let send = async |asked: (&str, &str), body: &str| {
        let path = format!("/api/v1{}", asked.1);
        rig.send_text((asked.0, &path), &headers, body).await
    };
    let made = rig.customer(json!({"name": "Acme"})).await;
    let path = path_of(&made);
    let kept = r#"{"a":9007199254740993,"b":18446744073709551615,"c":-9223372036854775808,
        "d":0.1,"e":1.5e-7,"f":[1e22,{"g":12345678.25}],"h":-1,"i":"18446744073709551616"}"#;
    let body = format!(r#"{{"metadata": {kept}}}"#);
    send(("PATCH", &path), &body).await.expect(200);
    let shown = rig.get(&path).await.expect(200);
    let expected: Value = serde_json::from_str(kept).unwrap();
    assert_eq!(shown["metadata"], expected);

    let license = json!({"customer_id": id_of(&made), "product": "x"});
    let license = rig.post("/licenses", license).await.expect(201);
    for (wrong, field) in [
        (r#"{"n": 18446744073709551616}"#, "metadata.n"),
        (r#"{"n": [1, -9223372036854775809]}"#, "metadata.n[1]"),
        (r#"{"n": 0.12345678901234567890123}"#, "metadata.n"),
        (r#"{"n": 1e-500}"#, "metadata.n"),
        (r#"{"k": 1, "k": 1}"#, "metadata.k"),
        (r#"{"k": {"x": [], "\u0078": {}}}"#, "metadata.k.x"),
    ] {
        let create = format!(r#"{{"email": "b@x.com", "metadata": {wrong}}}"#);
        let change = format!(r#"{{"metadata": {wrong}}}"#);
        let sell = format!(
            r#"{{"customer_id": {}, "product": "x", "metadata": {wrong}}}"#,
            made["id"]
        );
        for (asked, body) in [
            (("POST", "/customers"), &create),
            (("POST", "/customers/get-or-create"), &create),
            (("POST", "/apps/default/customers"), &create),
            (("PUT", path.as_str()), &change),
            (("PATCH", path.as_str()), &change),
            (("POST", "/licenses"), &sell),
        ] {
            let problem = send(asked, body).await.refused(422, "body_invalid");
            assert_eq!(problem["errors"][0]["field"], field, "{asked:?} {body}");
            assert_eq!(problem["errors"].as_array().unwrap().len(), 1);
        }
        let answer = rig
            .send_text(("POST", "/api/customers"), &headers, &create)
            .await;
        assert_eq!(answer.status, 400, "{}", answer.body);
    }
    assert_eq!(rig.get(&path).await.expect(200)["metadata"], expected);
    for (asked, body, field) in [
        (
            ("PUT", "/policy"),
            r#"{"on_end": "expire", "on_end": "freeze"}"#,
            "on_end",
        ),
        (
            ("PUT", "/plans/stripe/p"),
            r#"{"packages": [{"package": "a/b", "package": "a/c"}]}"#,
            "packages[0].package",
        ),
    ] {
        let problem = send(asked, body).await.refused(422, "body_invalid");
        assert_eq!(problem["errors"][0]["field"], field, "{body}");
    }
    let total = &rig.get("/customers").await.expect(200)["meta"]["total"];
    assert_eq!((total, &license["metadata"]), (&json!(1), &json!({})));
}

on_both_stores! {
    a_compressed_body_is_refused_everywhere,
    what_metadata_holds_comes_back_exactly,
    broken_json_and_unknown_fields_are_refused_everywhere,
}
