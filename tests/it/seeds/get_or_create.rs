//! Get-or-create is atomic, in each dialect that has it.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::guide::Guide;
use crate::support::stores::{Engine, on_both_stores};

async fn fifty_at_once_get_one_customer_in_either_dialect(engine: Engine) {
    let guide = Guide::start(engine, "").await;
    let token = guide.app("my-app").await;
    let guide = Arc::new(guide);
    for (place, envelope, name) in [
        ("/api/v1/customers", "", "ada"),
        ("/api/v1/apps/my-app/customers", "/data", "bob"),
    ] {
        let mut tasks = Vec::new();
        for n in 0..50 {
            let (guide, token) = (Arc::clone(&guide), token.clone());
            tasks.push(tokio::spawn(async move {
                // The same person, whatever the case and whatever else is said.
                let domain = if n % 2 == 0 { "x.com" } else { "X.com" };
                let body = json!({"email": format!("{name}@{domain}"), "phone": n.to_string()});
                let path = format!("{place}/get-or-create");
                let answer = guide.call_as(&token, "POST", &path, Some(body)).await;
                (
                    answer.status,
                    answer.body.pointer(envelope).unwrap()["id"].clone(),
                )
            }));
        }
        let (mut made, mut ids) = (0, BTreeSet::new());
        for task in tasks {
            let (status, id): (u16, Value) = task.await.unwrap();
            assert!([200, 201].contains(&status), "{place}: {status}");
            made += usize::from(status == 201);
            ids.insert(id.as_str().unwrap().to_owned());
        }
        assert_eq!((made, ids.len()), (1, 1), "{place}");
    }
    let listed = guide
        .call_as(&token, "GET", "/api/v1/customers", None)
        .await
        .is(200);
    assert_eq!(listed["meta"]["total"], 2);
}

on_both_stores! { fifty_at_once_get_one_customer_in_either_dialect }
