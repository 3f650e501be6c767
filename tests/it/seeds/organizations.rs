//! The guide to customers of an organization: `/api/v1/customers` with a cookie.

use serde_json::json;

use super::guide::Guide;
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{
    ADMIN_TOKEN, seconds_from_now, stripe_customer, stripe_event, stripe_subscription,
};
use tollgate::provider::STRIPE;

const CREATE: &str = r#"curl -X POST https://api.fluxrate.co/api/v1/customers \
  -H "Content-Type: application/json" \
  -H "Cookie: access_token=<token>" \
  -d '{
    "name": "Acme Corp",
    "email": "billing@acme.com",
    "external_id": "acme-corp-001"
  }'"#;

const READ: &str = "# Get by ID
GET /api/v1/customers/<customer_id>";

const LIST: &str = "# List with pagination
GET /api/v1/customers?page=1&page_size=20";

const UPDATE: &str = r#"curl -X PUT https://api.fluxrate.co/api/v1/customers/<customer_id> \
  -H "Content-Type: application/json" \
  -H "Cookie: access_token=<token>" \
  -d '{
    "name": "Acme Corporation",
    "billing_address_country": "US",
    "billing_address_state": "CA"
  }'"#;

const DELETE: &str = "DELETE /api/v1/customers/<customer_id>";

/// The response object of the page.
const OBJECT: &str = r#"{
  "id": "550e8400-...",
  "organization_id": "...",
  "name": "Acme Corp",
  "email": "billing@acme.com",
  "external_id": "acme-corp-001",
  "phone": "+1-555-0100",
  "billing_address_line1": "123 Main St",
  "billing_address_city": "San Francisco",
  "billing_address_state": "CA",
  "billing_address_country": "US",
  "billing_address_postal_code": "94105",
  "created_at": "2025-01-01T00:00:00Z",
  "updated_at": "2025-01-15T10:30:00Z"
}"#;

const OWN: [&str; 4] = ["id", "organization_id", "created_at", "updated_at"];

async fn begun(engine: Engine) -> Guide {
    let mut guide = Guide::start(engine, "https://api.fluxrate.co").await;
    guide.means("<token>", ADMIN_TOKEN);
    guide.signed_in_as(ADMIN_TOKEN);
    let made = guide.run(CREATE).await.is(201);
    guide.means("<customer_id>", made["id"].as_str().unwrap());
    guide
}

async fn every_command_works_as_written(engine: Engine) {
    let guide = begun(engine).await;
    let read = guide.run(READ).await.is(200);
    assert_eq!(read["name"], "Acme Corp");
    assert_eq!(read["external_id"], "acme-corp-001");
    assert_eq!(read["organization_id"], "default");

    let updated = guide.run(UPDATE).await.is(200);
    assert_eq!(updated["name"], "Acme Corporation");
    assert_eq!(updated["billing_address_country"], "US");
    assert_eq!(updated["billing_address_state"], "CA");
    assert_eq!(updated["email"], "billing@acme.com", "was not given");

    let listed = guide.run(LIST).await.is(200);
    assert_eq!(listed["data"][0]["id"], read["id"]);

    guide.run(DELETE).await.is(204);
    guide.run(READ).await.is(404);
}

async fn a_customer_has_every_documented_field(engine: Engine) {
    let guide = begun(engine).await;
    let full = UPDATE.replace("Acme Corporation", "Acme Corp").replace(
        r#""billing_address_country": "US","#,
        r#""billing_address_country": "US", "phone": "+1-555-0100",
           "billing_address_line1": "123 Main St", "billing_address_city": "San Francisco",
           "billing_address_postal_code": "94105","#,
    );
    guide.run(&full).await.shows(200, OBJECT, &OWN);
    guide.run(READ).await.shows(200, OBJECT, &OWN);
    let listed = guide.run(LIST).await;
    let documented = format!(r#"{{"data": [{OBJECT}]}}"#);
    listed.shows(200, &documented, &OWN);
}

async fn lists_are_cut_as_the_table_says(engine: Engine) {
    let guide = begun(engine).await;
    for n in 1..=41 {
        let one = CREATE
            .replace("billing@", &format!("billing{n}@"))
            .replace("-001", &format!("-{n}"));
        guide.run(&one).await.is(201);
    }
    let table = [
        ("", (1, 20, 3), 20, "the defaults"),
        ("?page=2", (2, 20, 3), 20, "the second page"),
        ("?page=3", (3, 20, 3), 2, "the last page"),
        ("?page=4", (4, 20, 3), 0, "beyond the end"),
        ("?page_size=100", (1, 100, 1), 42, "the most a page"),
        ("?page=5&page_size=9", (5, 9, 5), 6, "both"),
    ];
    for (query, (page, page_size, total_pages), rows, what) in table {
        let listed = guide.run(&format!("GET /api/v1/customers{query}")).await;
        let listed = listed.is(200);
        let meta = &listed["meta"];
        assert_eq!(meta["page"], page, "{what}");
        assert_eq!(meta["page_size"], page_size, "{what}");
        assert_eq!(meta["total"], 42, "{what}");
        assert_eq!(meta["total_pages"], total_pages, "{what}");
        assert_eq!(listed["data"].as_array().unwrap().len(), rows, "{what}");
    }
    for query in ["page=0", "page_size=0", "page_size=101", "page=x"] {
        let refused = guide.run(&format!("GET /api/v1/customers?{query}")).await;
        let problem = refused.is(422);
        let field = query.split('=').next().unwrap();
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
}

async fn deletion_takes_subscriptions_along(engine: Engine) {
    let guide = begun(engine).await;
    let server = &guide.server;
    let linked = json!({"external_id": "stripe_cus_1"});
    let path = guide.run(READ).await.is(200)["id"].clone();
    let path = format!("/api/v1/customers/{}", path.as_str().unwrap());
    guide.call("PATCH", &path, Some(linked)).await.is(200);
    let event = |id: &str, event_type: &str, object| {
        stripe_event(id, event_type, seconds_from_now(-60), object)
    };
    let account = stripe_customer("cus_1", "billing@acme.com");
    let subscription = stripe_subscription("sub_1", "cus_1", "active");
    let begun = event("evt_1", "customer.created", account.clone());
    server.deliver(STRIPE.name, &begun).await;
    let bought = event("evt_2", "customer.subscription.created", subscription);
    server.deliver(STRIPE.name, &bought).await;
    let packages = format!("{path}/packages");
    let granted = guide.call("GET", &packages, None).await.is(200);
    assert_eq!(granted["meta"]["total"], 1, "{granted}");

    guide.run(DELETE).await.is(204);
    guide.call("GET", &packages, None).await.is(404);
    // The same e-mail address and external id begin anew, without the subscription.
    let anew = guide.run(CREATE).await.is(201);
    let packages = format!(
        "/api/v1/customers/{}/packages",
        anew["id"].as_str().unwrap()
    );
    let granted = guide.call("GET", &packages, None).await.is(200);
    assert_eq!(granted["meta"]["total"], 0, "{granted}");
}

on_both_stores! {
    every_command_works_as_written,
    a_customer_has_every_documented_field,
    lists_are_cut_as_the_table_says,
    deletion_takes_subscriptions_along,
}
