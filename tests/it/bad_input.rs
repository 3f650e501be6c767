//! Bad input over real connections, on both stores: each row has one precise answer, none is an
//! error of ours, and afterwards the server lives and nothing has changed.

mod api;
mod heads;
mod leftover;
mod rig;
mod webhooks;

use rig::Row;
use tollgate::provider::STRIPE;

use crate::support::stores::{Engine, on_both_stores};
use crate::support::{TestServer, post_signed};

on_both_stores!(
    each_bad_request_has_its_answer_and_changes_nothing,
    wildcards_and_quotes_in_filters_stand_for_themselves,
    what_is_not_read_of_a_payload_may_be_nested_at_will,
);

async fn each_bad_request_has_its_answer_and_changes_nothing(engine: Engine) {
    let server = TestServer::start(engine).await;
    let known = rig::known(&server).await;
    let before = rig::rows_of(&server).await;
    let rows: Vec<Row> = [heads::rows(), api::rows(&known), webhooks::rows()].concat();
    assert!(rows.len() > 150, "{} rows", rows.len());
    let mut wrong = Vec::new();
    for row in &rows {
        let found = rig::ask(&server, row).await;
        if found != (row.status, row.code.to_owned()) {
            wrong.push(format!(
                "{}: {found:?}, not {} {}",
                row.what, row.status, row.code
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(server.get("/healthz").await.0, 200);
    assert_eq!(server.get("/readyz").await.0, 200);
    assert_eq!(rig::rows_of(&server).await, before);
    server.stop().await;
}

async fn wildcards_and_quotes_in_filters_stand_for_themselves(engine: Engine) {
    let server = TestServer::start(engine).await;
    rig::known(&server).await;
    for query in [
        "customers?q=%25",
        "customers?q=kn_wn",
        "customers?email=%25%40%25",
        "customers?email=known_example.com",
        "customers?q=%5C",
        "customers?q=100%zz",
        "customers?q=%ff",
        "customers?external_id=%27%20OR%20%271%27%3D%271",
        "customers?user_id=x%27%3BDROP%20TABLE%20customers%3B--",
        "events?type=%27%20OR%201%3D1%20--",
        "events?type=%25",
        "licenses?product=%25",
    ] {
        let (status, list) = server.get(&format!("/api/v1/{query}")).await;
        assert_eq!(
            (status, &list["meta"]["total"]),
            (200, &0.into()),
            "{query}"
        );
    }
    let (_, list) = server.get("/api/v1/customers?email=known").await;
    assert_eq!(list["meta"]["total"], 1);
    server.stop_and_give_back().await;
}

async fn what_is_not_read_of_a_payload_may_be_nested_at_will(engine: Engine) {
    let server = TestServer::start(engine).await;
    for (id, event_type, outcome) in [
        ("evt_1", "an.unknown.type", "ignored"),
        ("evt_2", "customer.created", "applied"),
    ] {
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        let body = format!(
            r#"{{"id":"{id}","object":"event","type":"{event_type}","created":1760000000,
                "livemode":true,"data":{{"object":{{"id":"cus_1","deep":{deep}}}}}}}"#
        );
        let url = format!("{}/webhooks/stripe", server.base);
        let posted = post_signed(&server.client, &url, STRIPE.name, body.into_bytes()).await;
        assert_eq!(posted.0, 200, "{}", posted.1);
        let event = server.outcome(id).await;
        assert_eq!(event["outcome"], outcome, "{}", event["error"]);
    }
    server.stop_and_give_back().await;
}
