//! A store of the version before, full of rows, is migrated and serves; messages of the version before
//! are worked off.

mod beside;
mod interrupted;

use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest, Sha384};
use tollgate::provider::STRIPE;
use tollgate::store::Store;

use crate::support::stores::{Engine, Place, on_both_stores};
use crate::support::{
    SECRET_KEY, TestServer, environment, seconds_from_now, stripe_customer, stripe_event,
};

/// The checksums of what was released.
const RELEASED: [(&str, &str); 2] = [
    (
        "sqlite",
        "d97470fb939040758089d304a3546f5813740fc41b6ffea6dd021716ffb3c90094062563f470713912a08a449af2414b",
    ),
    (
        "postgres",
        "305c9a0000c474dfa531c6aec1a02f3a3600546a34f4de99067b02b972a08202ebb9fdf7b52086e92e53fc5af49b9f2a",
    ),
];

fn text(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

#[test]
fn the_first_migration_is_the_one_that_was_released() {
    for (engine, sum) in RELEASED {
        let sql = text(&format!("migrations/{engine}/0001_start.sql"));
        let found = hex::encode(Sha384::digest(sql.as_bytes()));
        assert_eq!(found, sum, "a released migration is never edited: {engine}");
    }
}

/// A place with the rows of 0.2.0.
async fn of_the_version_before(engine: Engine) -> Place {
    let name = match engine {
        Engine::Sqlite => "sqlite",
        Engine::Postgres => "postgres",
    };
    let place = match engine {
        Engine::Sqlite => {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("t.db"), "").unwrap();
            Place::Folder(folder)
        }
        Engine::Postgres => Place::Server(crate::support::postgres::empty_database().await),
    };
    let start = text(&format!("migrations/{name}/0001_start.sql"));
    place.try_run(&start).await.unwrap();
    let rows = text(&format!("fixtures/upgrade/0.2.0/{name}.sql"));
    place
        .try_run(&format!("BEGIN;\n{rows}\nCOMMIT;"))
        .await
        .unwrap();
    place
}

async fn open(place: &Place) -> Store {
    match place {
        Place::Folder(folder) => Store::open_sqlite(&folder.path().join("t.db"))
            .await
            .unwrap(),
        Place::Server(url) => Store::open_postgres(url).unwrap(),
    }
}

async fn counts(place: &Place) -> Vec<(String, i64)> {
    let columns = place.columns().await;
    let mut tables: Vec<&str> = columns
        .iter()
        .map(|it| it.split_once('.').unwrap().0)
        .collect();
    tables.retain(|it| !it.starts_with("sqlite_") && !it.starts_with("_sqlx"));
    tables.sort_unstable();
    tables.dedup();
    let mut counts = Vec::new();
    for table in tables {
        let sql = format!("SELECT COUNT(*) FROM {table}");
        counts.push((table.to_owned(), place.count(&sql, &sql).await));
    }
    counts
}

async fn a_store_of_the_version_before_is_migrated_and_serves(engine: Engine) {
    let place = of_the_version_before(engine).await;
    let before = counts(&place).await;
    for (table, rows) in &before {
        assert!(*rows > 0, "the fixture has no row of {table}");
    }
    let store = open(&place).await;
    assert!(
        store.check_schema().await.is_err(),
        "it is not of this version"
    );
    store.migrate().await.unwrap();
    store.check_schema().await.unwrap();
    store.close().await;
    let after = counts(&place).await;
    for (table, rows) in &before {
        let now = after.iter().find(|(it, _)| it == table).unwrap().1;
        assert_eq!(now, *rows, "{table}");
    }

    let dir = tempfile::tempdir().unwrap();
    let mut settings = environment(dir.path());
    settings.insert("DATABASE_URL".into(), place.url().into());
    settings.insert("TOLLGATE_SECRET_KEY".into(), SECRET_KEY.into());
    let server = TestServer::start_over(settings, place, dir).await;
    let get = async |path: &str| {
        let (status, body) = server.get(&format!("/api/v1{path}")).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    };
    let customers = get("/customers?page_size=100").await;
    let customers = customers["data"].as_array().unwrap().clone();
    assert!(customers.len() >= 6, "{customers:?}");
    for customer in &customers {
        let path = format!("/customers/{}", customer["id"].as_str().unwrap());
        for part in [
            "",
            "/explain",
            "/events",
            "/timeline",
            "/tokens",
            "/packages",
            "/payments",
        ] {
            get(&format!("{path}{part}")).await;
        }
    }
    let ada = get("/customers/by-external/erp_1").await;
    assert_eq!(
        (&ada["status"], &ada["status_reason"]),
        (&json!("suspended"), &json!("asked for it"))
    );
    let buyer = get("/customers/by-external/stripe_cus_1").await;
    let buyer = format!("/customers/{}", buyer["id"].as_str().unwrap());
    let access = get(&format!("{buyer}/access?package=acme/tool&version=1.1.0")).await;
    assert_eq!(access["allowed"], true, "{access}");
    let licenses = get("/licenses").await;
    assert!(
        licenses["data"][0]["key"].is_string(),
        "the vault opens it: {licenses}"
    );
    for list in [
        "/events",
        "/flags",
        "/plans",
        "/audit",
        "/replays",
        "/reconciles",
    ] {
        let found = get(list).await;
        assert!(!found["data"].as_array().unwrap().is_empty(), "{list}");
    }

    // New events, a replay, and what waited of a paused app.
    let customer = stripe_customer("cus_new", "new@example.com");
    let event = stripe_event(
        "evt_new",
        "customer.created",
        seconds_from_now(-5),
        customer,
    );
    assert_eq!(
        server.deliver(STRIPE.name, &event).await["outcome"],
        "applied"
    );
    let body = Some(json!({"force": true}));
    let (status, answer) = server
        .call("POST", "/api/v1/events/evt_c1/replay", body)
        .await;
    assert!(status < 300, "{answer}");
    let unchanged = |it: &Value| it["attempts"].as_i64() > Some(1) || it["outcome"] == "unchanged";
    server.until("/api/v1/events/evt_c1", unchanged).await;
    let (status, answer) = server
        .call("POST", "/api/v1/apps/acme/resume", Some(json!({})))
        .await;
    assert_eq!(status, 200, "{answer}");
    let applied = |it: &Value| it["outcome"] == "applied";
    server
        .until("/api/v1/events/evt_acme?app=acme", applied)
        .await;
    server.stop().await;
}

on_both_stores! { a_store_of_the_version_before_is_migrated_and_serves }
