//! Cursors of every list that the API describes: those that the list gave go on, others do not.

use serde_json::{Value, json};

use super::rig::{Answer, Rig, id_of, path_of};
use super::walls::Town;
use crate::support::description::document;
use crate::support::stores::{Engine, on_both_stores};

/// Method and path, below `/api/v1`, of everything that takes a cursor.
fn lists() -> Vec<(String, String)> {
    let mut lists = Vec::new();
    for (path, item) in document()["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let mut parameters = operation["parameters"].as_array().into_iter().flatten();
            if parameters.any(|it| it["name"] == "cursor") {
                let path = path.strip_prefix("/api/v1").unwrap().to_owned();
                lists.push((method.to_uppercase(), path));
            }
        }
    }
    assert!(lists.len() > 20, "{lists:?}");
    lists
}

fn next_of(list: &Answer) -> String {
    let next = list.body["meta"]["next_cursor"].as_str();
    next.unwrap_or_else(|| panic!("nothing follows: {}", list.body))
        .to_owned()
}

#[track_caller]
fn refuses(answer: &Answer, what: &str) {
    assert_eq!(answer.status, 422, "{what}: {}", answer.body);
    assert_eq!(answer.body["code"], "query_invalid", "{what}");
    assert_eq!(answer.body["errors"][0]["field"], "cursor", "{what}");
}

async fn every_list_refuses_cursors_that_it_did_not_give(engine: Engine) {
    let town = Town::start(engine).await;
    for name in ["b", "c"] {
        let body = Some(json!({"name": name}));
        let made = town.rig.as_admin(&town.one, "POST", "/customers", body);
        made.await.expect(201);
    }
    let of_one = async |path: &str| town.rig.as_admin(&town.one, "GET", path, None).await;
    let customers = next_of(&of_one("/customers?cursor=&page_size=1").await);
    let audit = next_of(&of_one("/audit?cursor=&page_size=1").await);
    let made_up = ["x", "cust_1", "1", "%25", "%27%20OR%201%3D1", "AA", "{}"];
    let id = "cust_01939f1bf0007cc8a4d0b1c2d3e4f506";
    for (method, route) in lists() {
        let ask = async |cursor: &str| {
            let path = town.things.path(&route);
            let path = format!("{path}?cursor={}", cursor.replace('{', "%7B"));
            let body = (method == "POST").then(|| json!({}));
            town.rig.as_admin(&town.one, &method, &path, body).await
        };
        let start = ask("").await;
        assert_eq!(start.status, 200, "{route}: {}", start.body);
        for cursor in made_up.into_iter().chain([id]) {
            refuses(&ask(cursor).await, &format!("{route} {cursor}"));
        }
        for (list, cursor) in [("/customers", &customers), ("/audit", &audit)] {
            let answer = ask(cursor).await;
            if route == list {
                assert_eq!(answer.status, 200, "{route}: {}", answer.body);
            } else {
                refuses(&answer, &format!("{route} with a cursor of {list}"));
            }
        }
    }
    let narrower = of_one(&format!("/customers?q=a&cursor={customers}")).await;
    refuses(&narrower, "another filter");
    let path = format!("/customers?cursor={customers}");
    let other = town.rig.as_admin(&town.two, "GET", &path, None).await;
    refuses(&other, "another app");
    let larger = of_one(&format!("/customers?page_size=50&cursor={customers}")).await;
    assert_eq!(larger.expect(200)["data"].as_array().unwrap().len(), 3);
}

async fn a_walk_goes_on_although_its_last_row_has_gone(engine: Engine) {
    let rig = Rig::start(engine).await;
    let tokens = format!(
        "{}/tokens",
        path_of(&rig.customer(json!({"name": "A"})).await)
    );
    let mut made = Vec::new();
    for name in ["b", "c", "d", "e"] {
        rig.pass(1);
        let token = rig.post(&tokens, json!({"name": name})).await.expect(201);
        made.push(id_of(&token));
    }
    let ids = |list: &Value| -> Vec<String> {
        let rows = list["data"].as_array().unwrap();
        rows.iter().map(id_of).collect()
    };
    let first = rig.get(&format!("{tokens}?cursor=&page_size=2")).await;
    assert_eq!(ids(&first.body), [made[3].clone(), made[2].clone()]);
    for gone in [&made[2], &made[1]] {
        rig.delete(&format!("{tokens}/{gone}")).await.expect(204);
    }
    let path = format!("{tokens}?cursor={}", next_of(&first));
    let rest = ids(&rig.get(&path).await.expect(200));
    assert_eq!((rest.len(), &rest[0]), (2, &made[0]));
}

on_both_stores! {
    every_list_refuses_cursors_that_it_did_not_give,
    a_walk_goes_on_although_its_last_row_has_gone,
}
