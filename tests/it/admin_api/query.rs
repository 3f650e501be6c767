//! What is refused of queries and paths: each fault by its parameter, all of them at once.

use serde_json::json;

use super::input::named;
use super::rig::{Rig, path_of};
use crate::support::stores::{Engine, on_both_stores};

async fn every_wrong_parameter_of_a_query_is_named(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.customer(json!({"name": "Known"})).await;
    let searched = format!("/customers?q={0}&email={0}", "a".repeat(513));
    let table: [(&str, &[&str]); 34] = [
        (
            "/customers?page=0&page_size=101&status=dead&created_after=now&has_token=perhaps\
             &include_deleted=2&stauts=active",
            &[
                "created_after",
                "has_token",
                "include_deleted",
                "page",
                "page_size",
                "status",
                "stauts",
            ],
        ),
        (&searched, &["email", "q"]),
        ("/plans?ap=acme", &["ap"]),
        ("/plans?app=default&app=default", &["app"]),
        ("/apps?pgae=2&page=0", &["page", "pgae"]),
        ("/packages/a/lib/releases?versoin=1", &["versoin"]),
        ("/stats?ap=acme", &["ap"]),
        ("/customers?emial=a@x.com", &["emial"]),
        ("/customers?page=1&cursor=", &["cursor"]),
        ("/customers?page=1&page=2", &["page"]),
        (
            "/customers?q=%00&external_id=a%00&user_id=%1b",
            &["external_id", "q", "user_id"],
        ),
        (
            "/apps/default/customers?per_page=0&status=dead&x=1",
            &["per_page", "status", "x"],
        ),
        ("/customers/by-email", &["email"]),
        ("/customers/by-email?emial=a@x.com", &["email", "emial"]),
        ("/customers/by-email?email=%00", &["email"]),
        (
            "/customers/by-external-id?external_id=%00&x=1",
            &["external_id", "x"],
        ),
        ("/apps/default/customers/by-email?email=a%0Ab", &["email"]),
        (
            "/events?outcome=lost&provider=x&customer_id=1&since=a&until=b&page=x&tpye=c",
            &[
                "customer_id",
                "outcome",
                "page",
                "provider",
                "since",
                "tpye",
                "until",
            ],
        ),
        ("/events?type=%00", &["type"]),
        // One parameter by two names.
        ("/customers?page_size=5&per_page=6", &["per_page"]),
        (
            "/flags?per_page=5&page_size=6&kind=x",
            &["kind", "per_page"],
        ),
        ("/plans?page_size=5&per_page=6&cursor=", &["per_page"]),
        (
            "/apps/default/customers?page_size=5&per_page=06x",
            &["per_page"],
        ),
        ("/events?outcome=failed&status=applied", &["status"]),
        ("/events?external_id=e-1&account=e-2", &["account"]),
        (
            "/events?external_id=cus_1&account=stripe_cus_1",
            &["account"],
        ),
        ("/admin-tokens?page=0&page_size=x", &["page", "page_size"]),
        (
            "/licenses?customer_id=1&status=x&page=0",
            &["customer_id", "page", "status"],
        ),
        (
            "/apps/default/licenses?customer_id=1&stauts=x",
            &["customer_id", "stauts"],
        ),
        (
            "/flags?kind=x&customer_id=1&page=0&x=1",
            &["customer_id", "kind", "page", "x"],
        ),
        (
            "/audit?customer_id=1&actor=x&since=y&until=z",
            &["actor", "customer_id", "since", "until"],
        ),
        ("/audit?operation=bogus", &["operation"]),
        ("/audit?operation=", &["operation"]),
        ("/audit?operation=Suspend&actor=policy", &["operation"]),
    ];
    for (path, fields) in table {
        let answer = rig.get(path).await;
        assert_eq!(named(path, answer, "query_invalid"), fields, "{path}");
    }
}

async fn a_parameter_may_say_the_same_by_both_names(engine: Engine) {
    let rig = Rig::start(engine).await;
    for path in [
        "/customers?page_size=5&per_page=5",
        "/events?outcome=failed&status=failed",
        "/events?external_id=e-1&account=e-1",
    ] {
        rig.get(path).await.expect(200);
    }
    for (filter, field) in [
        (json!({"outcome": "failed", "status": "failed"}), None),
        (
            json!({"outcome": "failed", "status": "ignored"}),
            Some("filter.status"),
        ),
        (
            json!({"external_id": "e-1", "account": "e-2"}),
            Some("filter.account"),
        ),
    ] {
        let body = json!({"filter": filter, "dry_run": true});
        let answer = rig.post("/events/replay", body).await;
        match field {
            None => drop(answer.expect(200)),
            Some(field) => assert_eq!(named(field, answer, "body_invalid"), [field]),
        }
    }
}

async fn a_misspelt_parameter_deletes_no_customer(engine: Engine) {
    let rig = Rig::start(engine).await;
    let path = path_of(&rig.customer(json!({"name": "Known"})).await);
    for query in ["sofft=true", "soft=perhaps", "soft=true&soft=false"] {
        let answer = rig.delete(&format!("{path}?{query}")).await;
        let field = query.split('=').next().unwrap();
        assert_eq!(named(query, answer, "query_invalid"), [field], "{query}");
    }
    rig.get(&path).await.expect(200);
}

async fn what_no_name_can_be_is_not_found(engine: Engine) {
    let rig = Rig::start(engine).await;
    for path in [
        "/customers/%00",
        "/customers/by-external/%00",
        "/customers/by-external/a%0Ab",
        "/customers/%FF",
        "/customers/%00/packages",
        "/events/%00",
        "/apps/%00",
        "/apps/%00/customers",
        "/packages/acme/%00/releases",
        "/plans/stripe/%00",
    ] {
        let answer = rig.get(path).await;
        assert_eq!(answer.status, 404, "{path}: {}", answer.body);
    }
}

on_both_stores! {
    every_wrong_parameter_of_a_query_is_named,
    a_parameter_may_say_the_same_by_both_names,
    a_misspelt_parameter_deletes_no_customer,
    what_no_name_can_be_is_not_found,
}
