//! The calls of two documented APIs, one after the other, as their guides write them.

use serde_json::json;

use super::rig::{ROOT, Rig, path_of};
use crate::support::stores::{Engine, on_both_stores};

async fn a_guide_to_private_packages_works_as_written(engine: Engine) {
    let rig = Rig::start(engine).await;
    let made = rig
        .post(
            "/customers",
            json!({
                "name": "Acme Corporation",
                "email": "dev@acme.com",
                "external_id": "stripe_cus_abc123"
            }),
        )
        .await
        .expect(201);
    assert!(made["id"].as_str().unwrap().starts_with("cust_"), "{made}");
    assert!(
        made["token"].as_str().unwrap().starts_with("tok_"),
        "{made}"
    );
    assert_eq!(made["name"], "Acme Corporation");
    assert_eq!(made["email"], "dev@acme.com");
    assert_eq!(made["external_id"], "stripe_cus_abc123");
    assert_eq!(made["status"], "active");
    assert_eq!(made["created_at"], "2026-01-05T12:00:00Z");
    let customer = path_of(&made);

    let suspend = format!("{customer}/suspend");
    let suspended = rig
        .post(&suspend, json!({"reason": "Payment failed"}))
        .await
        .expect(200);
    assert_eq!(suspended["status"], "suspended");
    assert_eq!(suspended["status_reason"], "Payment failed");
    assert_eq!(suspended["holds"], json!(["manual"]));

    // The guide's call has no body.
    let reactivate = format!("{customer}/reactivate");
    let active = rig
        .as_admin(ROOT, "POST", &reactivate, None)
        .await
        .expect(200);
    assert_eq!(active["status"], "active");

    let versions = json!([{"package": "vendor/package", "version": "2.0.0"}]);
    let freeze = format!("{customer}/freeze");
    let frozen = rig
        .post(&freeze, json!({"versions": versions}))
        .await
        .expect(200);
    assert_eq!(frozen["status"], "frozen");
    assert_eq!(frozen["frozen_versions"], versions);

    let packages = format!("{customer}/packages");
    for constraint in ["^2.0", "*", ">=1.0 <3.0", "2.0.0"] {
        let grant = json!({"package": "vendor/package", "constraint": constraint});
        let answer = rig.post(&packages, grant).await;
        assert!(
            matches!(answer.status, 200 | 201),
            "{constraint}: {}",
            answer.body
        );
        assert_eq!(answer.body["constraint"], constraint);
    }
    rig.delete(&format!("{packages}/vendor%2Fpackage"))
        .await
        .expect(204);
    assert_eq!(rig.get(&packages).await.expect(200)["meta"]["total"], 0);

    let found = rig
        .get("/customers/by-external/stripe_cus_abc123")
        .await
        .expect(200);
    assert_eq!(found["id"], made["id"]);
    assert_eq!(found["token"], json!(null), "the token is shown once");
}

async fn a_guide_to_managing_customers_works_as_written(engine: Engine) {
    let rig = Rig::start(engine).await;
    let cookie = format!("access_token={ROOT}");
    let by_cookie = [("cookie", cookie.as_str())];
    let made = rig
        .send(
            "POST",
            "/api/v1/customers",
            &by_cookie,
            Some(json!({
                "name": "Acme Corp",
                "email": "billing@acme.com",
                "external_id": "acme-corp-001"
            })),
        )
        .await
        .expect(201);
    let path = format!("/api/v1{}", path_of(&made));

    rig.pass(60);
    let change = json!({
        "name": "Acme Corporation",
        "billing_address_country": "US",
        "billing_address_state": "CA"
    });
    rig.send("PUT", &path, &by_cookie, Some(change))
        .await
        .expect(200);
    let shown = rig.send("GET", &path, &by_cookie, None).await.expect(200);
    for (field, value) in [
        ("organization_id", "default"),
        ("name", "Acme Corporation"),
        ("email", "billing@acme.com"),
        ("external_id", "acme-corp-001"),
        ("billing_address_state", "CA"),
        ("billing_address_country", "US"),
        ("created_at", "2026-01-05T12:00:00Z"),
        ("updated_at", "2026-01-05T12:01:00Z"),
    ] {
        assert_eq!(shown[field], value, "{field}");
    }
    for field in [
        "phone",
        "billing_address_line1",
        "billing_address_postal_code",
    ] {
        assert_eq!(shown[field], json!(null), "{field} is there");
        assert!(
            shown.as_object().unwrap().contains_key(field),
            "{field} is there"
        );
    }

    let list = "/api/v1/customers?page=1&page_size=20";
    let listed = rig.send("GET", list, &by_cookie, None).await.expect(200);
    assert_eq!(listed["data"][0]["id"], made["id"]);
    let meta = json!({"page": 1, "page_size": 20, "per_page": 20, "total": 1, "total_pages": 1});
    assert_eq!(listed["meta"], meta);

    let deleted = rig.send("DELETE", &path, &by_cookie, None).await;
    assert_eq!((deleted.status, &deleted.body), (204, &json!("")));
    rig.send("GET", &path, &by_cookie, None)
        .await
        .refused(404, "customer_not_found");
}

on_both_stores! {
    a_guide_to_private_packages_works_as_written,
    a_guide_to_managing_customers_works_as_written,
}
