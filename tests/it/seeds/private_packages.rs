//! The guide to private packages: `/api/v1/customers` with a bearer token.

use serde_json::json;

use super::guide::Guide;
use crate::support::ADMIN_TOKEN;
use crate::support::stores::{Engine, on_both_stores};

const CREATE: &str = r#"curl -X POST https://packages.example.com/api/v1/customers \
  -H "Authorization: Bearer $ADMIN_TOKEN" \
  -H "Content-Type: application/json" \
  -d '{
    "name": "Acme Corporation",
    "email": "dev@acme.com",
    "external_id": "stripe_cus_abc123"
  }'"#;

const CREATED: &str = r#"{
  "id": "cust_xyz789",
  "name": "Acme Corporation",
  "email": "dev@acme.com",
  "external_id": "stripe_cus_abc123",
  "token": "tok_secret_xyz",
  "status": "active",
  "created_at": "2024-01-15T10:30:00Z"
}"#;

const SUSPEND: &str = r#"curl -X POST https://packages.example.com/api/v1/customers/cust_xyz789/suspend \
  -H "Authorization: Bearer $ADMIN_TOKEN" \
  -H "Content-Type: application/json" \
  -d '{"reason": "Payment failed"}'"#;

const REACTIVATE: &str = r#"curl -X POST https://packages.example.com/api/v1/customers/cust_xyz789/reactivate \
  -H "Authorization: Bearer $ADMIN_TOKEN""#;

const FREEZE: &str = r#"curl -X POST https://packages.example.com/api/v1/customers/cust_xyz789/freeze \
  -H "Authorization: Bearer $ADMIN_TOKEN" \
  -H "Content-Type: application/json" \
  -d '{
    "versions": [
      {"package": "vendor/package", "version": "2.0.0"}
    ]
  }'"#;

const GRANT: &str = r#"curl -X POST https://packages.example.com/api/v1/customers/cust_xyz789/packages \
  -H "Authorization: Bearer $ADMIN_TOKEN" \
  -H "Content-Type: application/json" \
  -d '{
    "package": "vendor/package",
    "constraint": "^2.0"
  }'"#;

const REVOKE: &str = r#"curl -X DELETE https://packages.example.com/api/v1/customers/cust_xyz789/packages/vendor%2Fpackage \
  -H "Authorization: Bearer $ADMIN_TOKEN""#;

const FIND: &str = r#"# Find customer by Stripe customer ID
curl https://packages.example.com/api/v1/customers/by-external/stripe_cus_abc123 \
  -H "Authorization: Bearer $ADMIN_TOKEN""#;

/// The page's customer; the guide knows its id, and the token that opens packages is returned.
async fn begun(engine: Engine) -> (Guide, String) {
    let mut guide = Guide::start(engine, "https://packages.example.com").await;
    guide.means("$ADMIN_TOKEN", ADMIN_TOKEN);
    let made = guide.run(CREATE).await;
    let made = made.shows(201, CREATED, &["id", "token", "created_at"]);
    let id = made["id"].as_str().unwrap();
    assert!(id.starts_with("cust_"), "{made}");
    guide.means("cust_xyz789", id);
    let token = made["token"].as_str().unwrap().to_owned();
    assert!(token.starts_with("tok_"), "{made}");
    (guide, token)
}

/// What the registry is told about a version of the page's package.
async fn access(guide: &Guide, token: &str, version: &str) -> u16 {
    let path = format!("/access?package=vendor/package&version={version}");
    guide.call_as(token, "GET", &path, None).await.status
}

async fn every_command_works_as_written(engine: Engine) {
    let (guide, token) = begun(engine).await;
    let suspended = guide.run(SUSPEND).await.is(200);
    assert_eq!(suspended["status"], "suspended");
    assert_eq!(suspended["status_reason"], "Payment failed");
    assert_eq!(guide.run(REACTIVATE).await.is(200)["status"], "active");
    let frozen = guide.run(FREEZE).await.is(200);
    assert_eq!(frozen["status"], "frozen");
    let version = json!([{"package": "vendor/package", "version": "2.0.0"}]);
    assert_eq!(frozen["frozen_versions"], version);
    guide.run(REACTIVATE).await.is(200);

    let granted = guide.run(GRANT).await.is(201);
    assert_eq!(granted["package"], "vendor/package");
    assert_eq!(granted["constraint"], "^2.0");
    assert_eq!(access(&guide, &token, "2.1.0").await, 200);
    guide.run(REVOKE).await.is(204);
    assert_eq!(access(&guide, &token, "2.1.0").await, 403);

    let found = guide.run(FIND).await.is(200);
    assert_eq!(found["email"], "dev@acme.com");
    assert_eq!(found["external_id"], "stripe_cus_abc123");
    assert_eq!(found["token"], json!(null), "the token is shown once");
}

async fn each_status_gives_the_access_that_the_table_says(engine: Engine) {
    let (guide, token) = begun(engine).await;
    guide.run(GRANT).await.is(201);
    let expire = "curl -X POST https://packages.example.com/api/v1/customers/cust_xyz789/expire \
                  -H 'Authorization: Bearer $ADMIN_TOKEN'";
    let table = [
        ("active", REACTIVATE, (200, 200), "full access"),
        ("suspended", SUSPEND, (403, 403), "no access"),
        ("frozen", FREEZE, (200, 403), "limited access"),
        ("expired", expire, (403, 403), "no access"),
    ];
    for (status, command, (granted, newer), meaning) in table {
        let shown = guide.run(command).await.is(200);
        assert_eq!(shown["status"], status, "{meaning}");
        let found = guide.run(FIND).await.is(200);
        assert_eq!(found["status"], status, "{meaning}");
        let given = (
            access(&guide, &token, "2.0.0").await,
            access(&guide, &token, "2.1.0").await,
        );
        assert_eq!(given, (granted, newer), "{status}: {meaning}");
    }
}

async fn each_constraint_lets_through_what_the_table_says(engine: Engine) {
    let (guide, token) = begun(engine).await;
    let versions = ["0.9.0", "1.0.0", "2.0.0", "2.5.0", "3.0.0"];
    let table = [
        ("*", [true; 5], "all versions"),
        (
            "^2.0",
            [false, false, true, true, false],
            "compatible with 2.x",
        ),
        (">=1.0 <3.0", [false, true, true, true, false], "range"),
        ("2.0.0", [false, false, true, false, false], "exact version"),
    ];
    for (constraint, allowed, meaning) in table {
        let granted = guide.run(&GRANT.replace("^2.0", constraint)).await;
        assert!([200, 201].contains(&granted.status), "{constraint}");
        assert_eq!(granted.body["constraint"], constraint);
        for (version, allowed) in versions.iter().zip(allowed) {
            let expected = if allowed { 200 } else { 403 };
            let given = access(&guide, &token, version).await;
            assert_eq!(given, expected, "{constraint} ({meaning}): {version}");
        }
    }
}

on_both_stores! {
    every_command_works_as_written,
    each_status_gives_the_access_that_the_table_says,
    each_constraint_lets_through_what_the_table_says,
}
