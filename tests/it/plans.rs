//! How PostgreSQL goes about what is done for every webhook, every access check and every look-up.

use std::collections::BTreeSet;

use secrecy::ExposeSecret;
use serde_json::json;
use tollgate::provider::STRIPE;

use crate::support::postgres::{SHARED, unused_database};
use crate::support::stores::Place;
use crate::support::{
    SECRET_KEY, TestServer, environment, seconds_from_now, stripe_customer, stripe_event,
    stripe_subscription,
};

/// The tables that grow with customers and events.
const BIG: [&str; 14] = [
    "accounts",
    "audit",
    "customers",
    "disputes",
    "entitlements",
    "events",
    "grants",
    "licenses",
    "pairs",
    "payments",
    "refunds",
    "subscriptions",
    "token_hashes",
    "tokens",
];

/// With whole-table reads made as dear as can be, one that is left has no index that would serve.
#[tokio::test(flavor = "multi_thread")]
async fn hot_statements_read_no_big_table_whole() {
    let url = unused_database().await;
    let (_, name) = url.expose_secret().rsplit_once('/').unwrap();
    for setting in [
        "session_preload_libraries = 'auto_explain'",
        "auto_explain.log_min_duration = 0",
        "enable_seqscan = off",
    ] {
        SHARED
            .run(&format!("ALTER DATABASE {name} SET {setting}"))
            .await;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut settings = environment(folder.path());
    settings.insert("DATABASE_URL".into(), url.expose_secret().into());
    settings.insert("TOLLGATE_SECRET_KEY".into(), SECRET_KEY.into());
    let server = TestServer::start_over(settings, Place::Server(url.clone()), folder).await;
    use_what_is_hot(&server).await;
    server.stop().await;

    let plans = SHARED.log(name);
    let plans: Vec<&String> = plans
        .iter()
        .filter(|it| it.contains("Query Text: "))
        .collect();
    let looked_up = |plan: &&&String| plan.contains("token_hashes AS presented");
    let look_ups: Vec<_> = plans.iter().filter(looked_up).collect();
    assert!(plans.len() > 50 && !look_ups.is_empty(), "plans are logged");
    let mut whole = BTreeSet::new();
    for plan in &plans {
        for scan in plan.split("Seq Scan on ").skip(1) {
            let table = scan.split(' ').next().unwrap();
            if BIG.contains(&table) {
                whole.insert((table, plan.as_str()));
            }
        }
    }
    assert_eq!(whole, BTreeSet::new());

    // Those of the access check keep their plans, so they also must not walk through an index.
    for plan in look_ups {
        for scan in plan.split(" using ").skip(1) {
            let (index, rest) = scan.split_once(' ').unwrap();
            let node = rest.split("->").next().unwrap();
            assert!(node.contains("Index Cond:"), "all of {index}: {plan}");
        }
    }
}

async fn use_what_is_hot(server: &TestServer) {
    let now = seconds_from_now(-100);
    for n in 0..3 {
        let account = format!("cus_{n}");
        let customer = stripe_customer(&account, &format!("c{n}@example.com"));
        let bought = stripe_subscription(&format!("sub_{n}"), &account, "active");
        let ended = stripe_subscription(&format!("sub_{n}"), &account, "canceled");
        for (step, (kind, object)) in (0_i64..).zip([
            ("customer.created", customer),
            ("customer.subscription.created", bought),
            ("customer.subscription.deleted", ended),
        ]) {
            let event = stripe_event(&format!("evt_{n}_{step}"), kind, now + step, object);
            server.deliver(STRIPE.name, &event).await;
        }
    }
    let path = "/api/v1/customers/by-external/stripe_cus_1";
    let (_, customer) = server.get(path).await;
    let path = format!("/api/v1/customers/{}", customer["id"].as_str().unwrap());
    for question in [
        path.clone(),
        format!("{path}/events"),
        format!("{path}/access?package=acme/tool"),
        "/api/v1/customers/by-email?email=c1@example.com".to_owned(),
        "/api/v1/customers?cursor=".to_owned(),
        "/api/v1/events/evt_1_1".to_owned(),
        "/api/v1/events?cursor=".to_owned(),
    ] {
        let (status, answer) = server.get(&question).await;
        assert_eq!(status, 200, "{question}: {answer}");
    }
    let grant = json!({"package": "acme/tool", "constraint": "*"});
    let (status, _) = server
        .call("POST", &format!("{path}/packages"), Some(grant))
        .await;
    assert_eq!(status, 201);
    let (status, made) = server
        .call(
            "POST",
            &format!("{path}/tokens"),
            Some(json!({"name": "ci"})),
        )
        .await;
    assert_eq!(status, 201, "{made}");
    let url = format!("{}/access?package=acme/tool&version=1.0.0", server.base);
    let token = made["token"].as_str().unwrap();
    let asked = server.client.get(url).bearer_auth(token).send().await;
    // The subscription has ended, which froze the customer.
    assert_eq!(asked.unwrap().status(), 403);
}
