//! What a changing call says and nobody reads is refused: parameters, and conditions.

use serde_json::{Value, json};

use super::rig::{ROOT, Rig, id_of};
use super::walls::Town;
use crate::support::description::document;
use crate::support::stores::{Engine, on_both_stores};

const PLACE: &str = "/api/v1";

/// Method, path and description of every call of the admin API that is no `GET`.
fn changing() -> Vec<(String, String, &'static Value)> {
    let paths = document()["paths"].as_object().unwrap().iter();
    let paths = paths.filter(|(path, _)| path.starts_with(PLACE));
    let of_path = |(path, item): (&String, &'static Value)| {
        let methods = item.as_object().unwrap().iter();
        let methods = methods.filter(|(method, _)| *method != "get");
        let named = methods.map(|(method, it)| (method.to_uppercase(), path.clone(), it));
        named.collect::<Vec<_>>()
    };
    paths.flat_map(of_path).collect()
}

async fn a_parameter_that_nobody_reads_is_refused_everywhere(engine: Engine) {
    let town = Town::start(engine).await;
    let before = town.seen_by_one().await;
    let bearer = format!("Bearer {}", town.one);
    let headers = [("authorization", bearer.as_str())];
    let calls = changing();
    assert!(calls.len() > 50, "{}", calls.len());
    for (method, route, _) in calls {
        let below = &route[PLACE.len()..];
        let path = format!("{PLACE}{}?sotf=true", town.things.path(below));
        let body = town.things.body(&method, below);
        let answer = town.rig.send(&method, &path, &headers, body).await;
        let told = (answer.status, &answer.body["errors"][0]["field"]);
        assert_eq!(
            told,
            (422, &json!("sotf")),
            "{method} {route}: {}",
            answer.body
        );
        assert_eq!(answer.body["code"], "query_invalid", "{method} {route}");
    }
    assert!(town.seen_by_one().await == before, "something changed");
}

async fn a_condition_that_nobody_reads_is_refused_everywhere(engine: Engine) {
    let town = Town::start(engine).await;
    let before = town.seen_by_one().await;
    let bearer = format!("Bearer {}", town.one);
    let (mut honoured, mut refused) = (0, 0);
    for (method, route, described) in changing() {
        let parameters = described["parameters"].as_array();
        let reads = parameters.is_some_and(|it| it.iter().any(|it| it["name"] == "If-Match"));
        let below = &route[PLACE.len()..];
        let path = format!("{PLACE}{}", town.things.path(below));
        let body = town.things.body(&method, below);
        let headers = [
            ("authorization", bearer.as_str()),
            ("if-match", "\"no such tag\""),
        ];
        let answer = town.rig.send(&method, &path, &headers, body).await;
        if reads {
            honoured += 1;
            assert_eq!(answer.status, 400, "{method} {route}: {}", answer.body);
            assert_eq!(answer.body["code"], "if_match_invalid", "{method} {route}");
        } else {
            refused += 1;
            assert_eq!(answer.status, 400, "{method} {route}: {}", answer.body);
            assert_eq!(
                answer.body["code"], "condition_unsupported",
                "{method} {route}"
            );
        }
    }
    assert!(honoured > 10 && refused > 30, "{honoured} {refused}");
    assert!(town.seen_by_one().await == before, "something changed");
}

async fn what_must_not_be_there_yet_is_not_overwritten(engine: Engine) {
    let rig = Rig::start(engine).await;
    let absent = [("if-none-match", "*")];
    let path = "/plans/stripe/price_new";
    let plan = |package: &str| json!({"packages": [{"package": package, "constraint": "*"}]});
    let put = async |headers: &[(&str, &str)], package: &str| {
        let bearer = format!("Bearer {ROOT}");
        let mut all = vec![("authorization", bearer.as_str())];
        all.extend(headers);
        let path = format!("{PLACE}{path}");
        rig.send("PUT", &path, &all, Some(plan(package))).await
    };
    put(&absent, "acme/one").await.expect(201);
    put(&absent, "acme/two")
        .await
        .refused(412, "precondition_failed");
    let kept = rig.get(path).await.expect(200);
    assert_eq!(kept["packages"][0]["package"], "acme/one");
    for headers in [
        vec![("if-none-match", "\"x\"")],
        vec![("if-none-match", "*"), ("if-match", "*")],
    ] {
        put(&headers, "acme/two")
            .await
            .refused(400, "if_none_match_invalid");
    }
    put(&[("if-match", "*")], "acme/two").await.expect(200);
}

async fn a_raw_plus_in_an_external_id_is_understood(engine: Engine) {
    let rig = Rig::start(engine).await;
    let plus = rig
        .customer(json!({"name": "Ada", "external_id": "team+ada"}))
        .await;
    let blank = rig
        .customer(json!({"name": "Bob", "external_id": "team bob"}))
        .await;
    for (external_id, made) in [
        ("team+ada", &plus),
        ("team%2Bada", &plus),
        ("team+bob", &blank),
        ("team%20bob", &blank),
    ] {
        for place in ["", "/apps/default"] {
            let path = format!("{place}/customers/by-external-id?external_id={external_id}");
            let found = rig.get(&path).await.expect(200);
            let found = found.get("data").unwrap_or(&found);
            assert_eq!(id_of(found), id_of(made), "{path}");
        }
        let path = format!("/customers?external_id={external_id}");
        let listed = rig.get(&path).await.expect(200);
        assert_eq!(listed["data"].as_array().unwrap().len(), 1, "{path}");
        assert_eq!(id_of(&listed["data"][0]), id_of(made), "{path}");
    }
    let path = "/customers/by-external-id?external_id=team+eve";
    rig.get(path).await.refused(404, "customer_not_found");
}

on_both_stores! {
    a_parameter_that_nobody_reads_is_refused_everywhere,
    a_condition_that_nobody_reads_is_refused_everywhere,
    what_must_not_be_there_yet_is_not_overwritten,
    a_raw_plus_in_an_external_id_is_understood,
}
