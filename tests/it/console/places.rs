//! Freeing the places that machines have of a licence.

use serde_json::json;

use super::visit::{Visit, buys};
use crate::support::TestServer;
use crate::support::stores::{Engine, on_both_stores};

on_both_stores! { a_place_is_freed_after_a_question_and_only_once }

async fn a_place_is_freed_after_a_question_and_only_once(engine: Engine) {
    let server = TestServer::start(engine).await;
    let ann = buys(&server, "cus_1", "ann@example.com").await;
    let owner = Visit::owner(&server).await;
    let post = async |path: &str, body: serde_json::Value| {
        let (status, made) = server.call("POST", path, Some(body)).await;
        assert!(status < 300, "{path}: {made}");
        made
    };
    let wanted = json!({"customer_id": ann, "product": "desktop", "activations_limit": 2});
    let license = post("/api/v1/licenses", wanted).await;
    let place = json!({"key": license["key"], "fingerprint": "f-1", "name": "Ann's <laptop>"});
    post("/api/v1/licenses/activate", place).await;
    let page = format!("/console/licenses/{}", license["id"].as_str().unwrap());
    let shown = owner.page(&page).await;
    let (_, rest) = shown
        .split_once(&format!("href=\"{page}/activations/"))
        .unwrap();
    let rest = rest.split('"').next().unwrap();
    let asking = format!("{page}/activations/{rest}");
    let free = asking.split('?').next().unwrap().to_owned();

    let asked = owner.page(&asking).await;
    assert!(asked.contains("<dd>1 → 0</dd>"), "{asked}");
    assert!(asked.contains("Ann&#39;s &#60;laptop&#62;?"), "{asked}");
    // Another admin frees it meanwhile.
    let fields = [("machine", "Ann's <laptop>"), ("reason", "it was sold")];
    let freed = owner.post(&free, &fields).await;
    assert_eq!(
        freed.location(),
        format!("{page}?done=free"),
        "{}",
        freed.text
    );
    let (_, audit) = server
        .get("/api/v1/audit?operation=activation_delete")
        .await;
    assert_eq!(audit["data"][0]["details"]["reason"], "it was sold");
    for answer in [owner.get(&asking).await, owner.post(&free, &fields).await] {
        assert_eq!(answer.status, 404, "{}", answer.text);
        assert!(
            answer
                .text
                .contains("no place for Ann&#39;s &#60;laptop&#62; any more"),
            "{}",
            answer.text
        );
    }
    // The page that frees all counts no further down either.
    let all = owner.page(&format!("{page}/act/free")).await;
    assert!(all.contains("0 → 0"), "{all}");
    let none = owner.post(&format!("{page}/act/free"), &[]).await;
    assert_eq!(none.location(), format!("{page}?done=unchanged"));
    server.stop_and_give_back().await;
}
