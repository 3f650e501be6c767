//! A customer, made through the front door, and a million copies of its rows.

use secrecy::SecretString;
use serde_json::json;
use sqlx::{AssertSqlSafe, Executor, PgConnection};
use tollgate::provider::STRIPE;
use tollgate::store::Store;

use crate::settings;
use crate::support::stores::Place;
use crate::support::{
    TestServer, seconds_from_now, stripe_customer, stripe_event, stripe_subscription,
};

/// Rows of one INSERT: a bounded transaction.
const CHUNK: u32 = 50_000;
/// What stands in the rows that are copied, in the place of a number. As long as the hex digits of
/// an id, so that one replacement does for ids, addresses and provider's ids.
const MARK: &str = "00000000000000000000000000000000";

/// Makes what is copied: a customer with a billing account, a subscription and a token, through a
/// whole server.
pub(crate) async fn make_one(url: &SecretString) {
    Store::open_postgres(url).unwrap().migrate().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path(), url);
    let server = TestServer::start_over(settings, Place::Server(url.clone()), folder).await;
    let now = seconds_from_now(-100);
    let account = format!("cus_{MARK}");
    let email = format!("c{MARK}@example.com");
    let bought = stripe_subscription(&format!("sub_{MARK}"), &account, "active");
    for event in [
        stripe_event(
            "evt_1",
            "customer.created",
            now,
            stripe_customer(&account, &email),
        ),
        stripe_event("evt_2", "customer.subscription.created", now + 1, bought),
    ] {
        let outcome = server.deliver(STRIPE.name, &event).await;
        assert_eq!(outcome["outcome"], "applied", "{outcome}");
    }
    let (_, made) = server
        .get(&format!("/api/v1/customers/by-external/stripe_{account}"))
        .await;
    let path = format!("/api/v1/customers/{}/tokens", made["id"].as_str().unwrap());
    let (status, token) = server
        .call("POST", &path, Some(json!({"name": "bench"})))
        .await;
    assert_eq!(status, 201, "{token}");
    server.stop().await;
}

/// Copies every row of one customer, with a number in the place of what is its own.
pub(crate) async fn copy(database: &mut PgConnection, customers: u32) {
    // The row's own id is a UUID; it takes the form of the others first.
    let rename = format!(
        "DO $$ DECLARE own text := (SELECT id FROM customers LIMIT 1); BEGIN \
         CREATE TEMP TABLE one_customer AS SELECT * FROM customers WHERE id = own; \
         CREATE TEMP TABLE one_account AS SELECT * FROM accounts; \
         CREATE TEMP TABLE one_subscription AS SELECT * FROM subscriptions; \
         CREATE TEMP TABLE one_entitlement AS SELECT * FROM entitlements; \
         CREATE TEMP TABLE one_token AS SELECT * FROM tokens LIMIT 1; \
         UPDATE one_customer SET kept = replace(kept::text, own, 'cust_{MARK}')::jsonb; \
         UPDATE one_account SET kept = replace(kept::text, own, 'cust_{MARK}')::jsonb; END $$"
    );
    run(database, &rename).await;
    let columns = "id, home, admin_email, admin_external_id, email, external_id";
    let copied = columns
        .split(", ")
        .filter(|column| *column != "id")
        .map(|column| format!("replace({column}, '{MARK}', m)"))
        .collect::<Vec<_>>()
        .join(", ");
    let mut done = 0;
    while done < customers {
        let end = (done + CHUNK).min(customers);
        // Ids sort by age; these are younger than the copied row's.
        let numbers = format!(
            "(SELECT 'f' || lpad(to_hex(n), 31, '0') AS m, n FROM generate_series({}, {end}) AS n) AS number",
            done + 1
        );
        for sql in [
            format!(
                "INSERT INTO customers ({columns}, app, made_at, updated_at, name, status, \
                 status_since, due_at, frozen, kept) \
                 SELECT 'cust_' || m, {copied}, app, made_at, updated_at, name, status, \
                 status_since, due_at, frozen, replace(kept::text, '{MARK}', m)::jsonb \
                 FROM one_customer, {numbers}"
            ),
            format!(
                "INSERT INTO accounts (app, key, id, customer_id, linking_email, kept) \
                 SELECT app, replace(key, '{MARK}', m), replace(id, '{MARK}', m), 'cust_' || m, \
                 replace(linking_email, '{MARK}', m), replace(kept::text, '{MARK}', m)::jsonb \
                 FROM one_account, {numbers}"
            ),
            format!(
                "INSERT INTO subscriptions (app, key, account, kept) \
                 SELECT app, replace(key, '{MARK}', m), replace(account, '{MARK}', m), \
                 replace(kept::text, '{MARK}', m)::jsonb FROM one_subscription, {numbers}"
            ),
            format!(
                "INSERT INTO entitlements (app, customer_id, provider, price, plan) \
                 SELECT app, 'cust_' || m, provider, price, plan FROM one_entitlement, {numbers}"
            ),
            format!(
                "INSERT INTO tokens (id, app, customer_id, name, prefix, scope, packages, created_at) \
                 SELECT 'ctok_' || m, app, 'cust_' || m, name, 'tok_ffffff', scope, packages, \
                 created_at FROM one_token, {numbers}"
            ),
            format!(
                "INSERT INTO token_hashes (hash, token_id) \
                 SELECT sha256(convert_to('tok_' || m, 'UTF8')), 'ctok_' || m FROM {numbers}"
            ),
        ] {
            run(database, &sql).await;
        }
        done = end;
    }
    // What autovacuum does by itself in service; the tests' server has it off.
    run(database, "VACUUM ANALYZE").await;
}

/// Copies an event of the one customer, so many times for each of the others. One in ten keeps its
/// payload: the others are as they are after the retention.
pub(crate) async fn copy_events(database: &mut PgConnection, customers: u32, of_each: u32) {
    let sql = "SELECT column_name::text FROM information_schema.columns WHERE table_schema = \
               current_schema() AND table_name = 'events' AND is_identity = 'NO' \
               AND is_generated = 'NEVER'";
    let columns: Vec<String> = sqlx::query_scalar(sql)
        .fetch_all(&mut *database)
        .await
        .unwrap();
    let values: Vec<&str> = columns
        .iter()
        .map(|column| match column.as_str() {
            "id" => "'evt_' || m || '_' || k",
            "customer_id" => "'cust_' || m",
            "payload" => "CASE WHEN (n + k) % 10 = 0 THEN payload END",
            other => other,
        })
        .collect();
    let mut done = 0;
    while done < customers {
        let end = (done + CHUNK).min(customers);
        let sql = format!(
            "INSERT INTO events ({}) SELECT {} FROM (SELECT * FROM events WHERE id = 'evt_2') AS one, \
             (SELECT 'f' || lpad(to_hex(n), 31, '0') AS m, n FROM generate_series({}, {end}) AS n) \
             AS number, generate_series(1, {of_each}) AS k",
            columns.join(", "),
            values.join(", "),
            done + 1
        );
        run(database, &sql).await;
        done = end;
    }
    // Three ids each, as the index of objects has them of an event of a subscription.
    let sql = "INSERT INTO event_objects (app, hash, seq) \
               SELECT app, ('x' || left(encode(sha256(convert_to(named, 'UTF8')), 'hex'), 16))::bit(64)::bigint, seq \
               FROM events, LATERAL (VALUES (id), (replace(customer_id, 'cust_', 'cus_')), \
               (replace(customer_id, 'cust_', 'sub_'))) AS ids (named) WHERE id LIKE 'evt_f%'";
    run(database, sql).await;
    run(database, "VACUUM ANALYZE").await;
}

async fn run(database: &mut PgConnection, sql: &str) {
    database
        .execute(AssertSqlSafe(sql.to_owned()))
        .await
        .unwrap();
}
