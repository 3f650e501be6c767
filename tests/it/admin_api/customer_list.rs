//! The list of customers: filters, pages and walks.

use serde_json::{Value, json};

use super::rig::{Rig, path_of};
use crate::support::stores::{Engine, on_both_stores};

async fn names(rig: &Rig, query: &str) -> Vec<String> {
    let listed = rig.get(&format!("/customers?{query}")).await.expect(200);
    let rows = listed["data"].as_array().unwrap();
    rows.iter()
        .map(|row| row["name"].as_str().unwrap().to_owned())
        .collect()
}

async fn the_list_is_filtered_and_newest_first(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.customer(json!({"name": "Ada", "email": "ada@x.com", "external_id": "e-1"}))
        .await;
    rig.pass(10);
    let bob = json!({"name": "Bob", "email": "b_b@y.com", "user_id": "u-1"});
    let bob = rig.customer(bob).await;
    rig.post(&format!("{}/suspend", path_of(&bob)), json!({}))
        .await
        .expect(200);
    rig.pass(10);
    let cy = rig.customer(json!({"name": "Cy 100%"})).await;
    let tokens = rig
        .get(&format!("{}/tokens", path_of(&cy)))
        .await
        .expect(200);
    let token = tokens["data"][0]["id"].as_str().unwrap();
    rig.delete(&format!("{}/tokens/{token}", path_of(&cy)))
        .await
        .expect(204);

    let cases: [(&str, &[&str]); 14] = [
        ("", &["Cy 100%", "Bob", "Ada"]),
        ("email=X.COM", &["Ada"]),
        ("email=b_b", &["Bob"]),
        ("email=a_a", &[]),
        ("external_id=e-1", &["Ada"]),
        ("user_id=u-1", &["Bob"]),
        ("status=suspended", &["Bob"]),
        ("status=active&q=ADA", &["Ada"]),
        ("q=100%25", &["Cy 100%"]),
        ("q=B_B", &["Bob"]),
        ("created_after=2026-01-05T12:00:10Z", &["Cy 100%"]),
        ("has_token=true", &["Bob", "Ada"]),
        ("has_token=false", &["Cy 100%"]),
        ("page=2&per_page=2", &["Ada"]),
    ];
    for (query, expected) in cases {
        assert_eq!(names(&rig, query).await, expected, "{query}");
    }
    for query in [
        "status=dead",
        "created_after=now",
        "has_token=perhaps",
        "page=0",
        "page_size=101",
        &format!("q={}", "a".repeat(513)),
        &format!("email={}", "a".repeat(7_000)),
    ] {
        rig.get(&format!("/customers?{query}"))
            .await
            .refused(422, "query_invalid");
    }
}

async fn a_walk_by_cursor_sees_everybody_once(engine: Engine) {
    let rig = Rig::start(engine).await;
    for n in 0..5 {
        rig.pass(1);
        rig.customer(json!({"name": format!("c{n}")})).await;
    }
    let (mut seen, mut cursor) = (Vec::new(), Some(String::new()));
    while let Some(at) = cursor {
        let part = rig
            .get(&format!("/customers?cursor={at}&page_size=2"))
            .await
            .expect(200);
        let rows = part["data"].as_array().unwrap().clone();
        seen.extend(rows.into_iter().map(|row| row["name"].clone()));
        assert!(part["meta"].get("total").is_none(), "{}", part["meta"]);
        cursor = part["meta"]["next_cursor"].as_str().map(str::to_owned);
        assert!(seen.len() <= 5, "the walk does not end");
    }
    let expected: Vec<Value> = (0..5).rev().map(|n| json!(format!("c{n}"))).collect();
    assert_eq!(seen, expected);
}

async fn a_plus_that_is_not_encoded_is_found_in_addresses(engine: Engine) {
    let rig = Rig::start(engine).await;
    let made = json!({"name": "Ada Lace", "email": "Ada+Shop@x.com"});
    let made = rig.customer(made).await;
    rig.customer(json!({"name": "Bob", "email": "bob@x.com"}))
        .await;
    for place in ["/customers", "/apps/default/customers"] {
        for query in [
            "email=ada+shop",
            "email=ADA%2Bshop@x.com",
            "email=ada%20shop@x.com",
            "email=+",
            "q=ada+shop@x",
            "q=Ada%2BShop",
            "q=ada+lace",
        ] {
            let found = rig.get(&format!("{place}?{query}")).await.expect(200);
            let found = found["data"].as_array().unwrap();
            assert_eq!(found.len(), 1, "{place} {query}");
            assert_eq!(found[0]["id"], made["id"], "{place} {query}");
        }
    }
    for place in [
        "/customers/by-email?email=ada+shop@x.com",
        "/apps/default/customers/by-email?email=ada%2Bshop@x.com",
    ] {
        rig.get(place).await.expect(200);
    }
}

on_both_stores! {
    a_plus_that_is_not_encoded_is_found_in_addresses,
    the_list_is_filtered_and_newest_first,
    a_walk_by_cursor_sees_everybody_once,
}
