//! How PostgreSQL goes about what is done for every webhook, every access check and every look-up.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
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

/// A page costs the same, however much there is.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_reads_little_more_than_it_shows() {
    let url = unused_database().await;
    SHARED
        .run(&format!(
            "ALTER DATABASE {} SET auto_explain.log_analyze = on",
            name(&url)
        ))
        .await;
    let server = start_explained(&url).await;
    server
        .deliver(
            STRIPE.name,
            &stripe_event(
                "evt_1",
                "customer.created",
                seconds_from_now(-100),
                stripe_customer("cus_1", "ada@example.com"),
            ),
        )
        .await;
    let (_, customer) = server
        .get("/api/v1/customers/by-external/stripe_cus_1")
        .await;
    let customer = customer["id"].as_str().unwrap();
    let mut connection = PgConnection::connect(url.expose_secret()).await.unwrap();
    // Two thirds of all is another's, and one of a thousand events was not processed.
    let many = format!(
        r"
        INSERT INTO events (
            app, provider, id, receipt, type, mode, received_at, outcome, duplicates, attempts, customer_id,
            billing_account, changes, digest
        )
        SELECT
            'default', 'stripe', 'evt_of_old_' || n, '', 'invoice.paid', 'live', now() - (60000 - n) * interval '1 min',
            'applied', 0, 1,
            CASE WHEN n % 1000 = 0 THEN NULL WHEN n % 3 = 0 THEN '{customer}' ELSE 'cust_of_others' END,
            CASE WHEN n % 1000 = 0 THEN (SELECT MIN(key) FROM accounts) END, '[]', ''
        FROM generate_series(1, 60000) AS n;
        INSERT INTO audit (app, at, actor, customer_id, operation, details)
        SELECT
            'default', now() - (60000 - n) * interval '1 min', 'admin:root',
            CASE WHEN n % 3 = 0 THEN '{customer}' ELSE 'cust_of_others' END, 'suspend', '{{}}'
        FROM generate_series(1, 60000) AS n;
        VACUUM ANALYZE events;
        VACUUM ANALYZE audit;
        "
    );
    // Not as one text: a VACUUM must stand alone.
    for statement in many.split_inclusive(';') {
        connection
            .execute(AssertSqlSafe(statement.to_owned()))
            .await
            .unwrap();
    }
    let since = "since=2200-01-01T00:00:00Z";
    for (path, shown, most) in [
        (format!("customers/{customer}/events?cursor="), 20, 200),
        (format!("audit?customer_id={customer}&cursor="), 20, 200),
        (
            format!("audit?customer_id={customer}&actor=root&cursor="),
            20,
            200,
        ),
        // A BRIN leads to some pages, and not to rows.
        (format!("events?{since}&cursor="), 0, 5000),
        (format!("audit?{since}&cursor="), 0, 5000),
    ] {
        let before = plans(&url).len();
        let (status, page) = server.get(&format!("/api/v1/{path}")).await;
        assert_eq!(status, 200, "{path}: {page}");
        let listed = page["data"].as_array().unwrap();
        assert_eq!(listed.len(), shown, "{path}");
        let read = plans(&url).split_off(before);
        let read: Vec<_> = read
            .iter()
            .filter(|it| it.contains("ORDER BY seq"))
            .collect();
        assert!(!read.is_empty(), "{path}");
        for plan in read {
            let rows = most_rows(plan);
            assert!(rows <= most, "{path}: {rows} rows\n{plan}");
        }
    }
    server.stop().await;
}

/// Returns the most rows that a step of a plan read, those included that it then left out.
fn most_rows(plan: &str) -> u64 {
    let number = |text: &str| {
        let end = text.find(|it: char| !it.is_ascii_digit());
        text[..end.unwrap_or(text.len())].parse::<u64>().unwrap()
    };
    let taken = plan.split("(actual ").skip(1).map(|step| {
        let of = |what: &str| number(step.split_once(what).unwrap().1);
        let skipped = step.split("->").next().unwrap();
        let skipped = skipped.split("Rows Removed by").skip(1);
        let skipped = skipped.map(|it| number(it.split_once(": ").unwrap().1));
        (of("rows=") + skipped.sum::<u64>()) * of("loops=").max(1)
    });
    taken.max().unwrap()
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
