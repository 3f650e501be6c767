//! How PostgreSQL goes about what is done for every webhook, every access check and every look-up.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use sqlx::{Connection, Executor, PgConnection};
use tollgate::provider::STRIPE;

use crate::support::postgres::{SHARED, unused_database};
use crate::support::stores::Place;
use crate::support::{
    PATIENCE, SECRET_KEY, TestServer, environment, seconds_from_now, stripe_customer, stripe_event,
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
    SHARED
        .run(&format!(
            "ALTER DATABASE {} SET enable_seqscan = off",
            name(&url)
        ))
        .await;
    let server = start_explained(&url).await;
    use_what_is_hot(&server).await;
    server.stop().await;

    let plans = plans(&url);
    let look_ups: Vec<_> = plans.iter().filter(|it| is_look_up(it)).collect();
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
        assert_eq!(walked(plan), BTreeSet::new(), "{plan}");
    }
}

/// While the server knows a table to be empty, to walk one of its indexes is as good as to look up a key.
#[tokio::test(flavor = "multi_thread")]
async fn an_access_check_walks_no_index_that_has_grown_since_its_plan_was_made() {
    let url = unused_database().await;
    let mut connection = PgConnection::connect(url.expose_secret()).await.unwrap();
    let server = start_explained(&url).await;
    // As a store is that was vacuumed before anything was in it. Nothing vacuums this one again.
    connection.execute("ANALYZE").await.unwrap();
    let place = url.clone();
    let ask = async |n: usize| {
        let url = format!("{}/access?package=acme/tool&version=1.0.0", server.base);
        let asked = server.client.get(url).bearer_auth(format!("tok_{n:040}"));
        assert_eq!(asked.send().await.unwrap().status(), 401);
        let last = plans(&place).into_iter().rfind(|it| is_look_up(it));
        walked(&last.unwrap())
    };
    assert!(!ask(0).await.is_empty(), "the premise of this test");

    let many = r"
        INSERT INTO customers (id, app, made_at, updated_at, status, status_since, frozen, kept)
        SELECT 'cus_' || n, 'default', now(), now(), 'active', now(), FALSE, '{}'
        FROM generate_series(1, 5000) AS n;
        INSERT INTO tokens (id, app, customer_id, name, prefix, scope, packages, created_at)
        SELECT 'tok_' || n, 'default', 'cus_' || n, 'n', 'p', 'read', '[]', now()
        FROM generate_series(1, 5000) AS n;
    ";
    connection.execute(many).await.unwrap();
    let grown = ["customers", "tokens"];
    let started = Instant::now();
    for n in 1.. {
        let walked = ask(n).await;
        if !grown.iter().any(|it| walked.contains(*it)) {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "still walks {walked:?}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    server.stop().await;
}

fn name(url: &SecretString) -> &str {
    url.expose_secret().rsplit_once('/').unwrap().1
}

/// Starts a server whose database writes the plan of every statement to its log.
async fn start_explained(url: &SecretString) -> TestServer {
    for setting in [
        "session_preload_libraries = 'auto_explain'",
        "auto_explain.log_min_duration = 0",
    ] {
        SHARED
            .run(&format!("ALTER DATABASE {} SET {setting}", name(url)))
            .await;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut settings = environment(folder.path());
    settings.insert("DATABASE_URL".into(), url.expose_secret().into());
    settings.insert("TOLLGATE_SECRET_KEY".into(), SECRET_KEY.into());
    TestServer::start_over(settings, Place::Server(url.clone()), folder).await
}

/// Returns the plans of all statements up to now.
fn plans(url: &SecretString) -> Vec<String> {
    let mut plans = SHARED.log(name(url));
    plans.retain(|it| it.contains("Query Text: "));
    plans
}

fn is_look_up(plan: &str) -> bool {
    plan.contains("token_hashes AS presented")
}

/// Returns the tables that a plan reads whole through one of their indexes.
fn walked(plan: &str) -> BTreeSet<String> {
    let mut walked = BTreeSet::new();
    for scan in plan.split(" using ").skip(1) {
        let node = scan.split("->").next().unwrap();
        if !node.contains("Index Cond:") {
            let (_, table) = node.split_once(" on ").unwrap();
            walked.insert(table.split(' ').next().unwrap().to_owned());
        }
    }
    walked
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
