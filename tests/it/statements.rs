//! How statements of the store are written, and how many an admin's act on one customer costs.

use std::time::{Duration, Instant};

use tollgate::domain::customer::act::FreezeOrder;
use tollgate::domain::id::{AppSlug, CustomerId};
use tollgate::domain::precondition::Precondition;
use tollgate::domain::time::Timestamp;
use tollgate::pipeline::customers::{Act, act};
use tollgate::pipeline::import::{Table, carry_out};
use tollgate::pipeline::order::Order;
use tollgate::pipeline::process::process;
use tollgate::queue::Message;
use tollgate::store::{Actor, CustomerFilter, Store, StoreError, Window};

use crate::architecture::sources;
use crate::process::message;
use crate::support::stores::{Engine, Place, TestStore, on_both_stores};
use crate::support::{PATIENCE, stripe_customer, stripe_event, stripe_subscription};

const NOW: i64 = 1_790_000_000;

fn order(now: i64) -> Order {
    Order {
        app: AppSlug::default_app(),
        actor: Actor::Root,
        now: Timestamp::from_seconds(now).unwrap(),
        reason: None,
    }
}

/// Makes a customer with one account and one subscription, by the webhooks that a provider sends.
async fn customer_of_webhooks(store: &Store) -> CustomerId {
    let customer = stripe_customer("cus_1", "ada@example.com");
    let subscription = stripe_subscription("sub_1", "cus_1", "active");
    for (n, (kind, object)) in [
        ("customer.created", customer),
        ("customer.subscription.created", subscription),
    ]
    .into_iter()
    .enumerate()
    {
        let event = stripe_event(&format!("evt_{n}"), kind, NOW - 100, object);
        let message = message(&event, &format!("receipt {n}"));
        process(store, &[&message], order(NOW).now).await.unwrap();
    }
    let mut tx = store.read().await.unwrap();
    let window = Window::Walk {
        after: None,
        size: 2,
    };
    let list = tx
        .customer_list(&order(NOW).app, &CustomerFilter::default(), &window)
        .await
        .unwrap();
    assert_eq!(list.rows.len(), 1);
    list.rows[0].id.clone()
}

async fn an_act_on_one_customer_costs_few_statements(engine: Engine) {
    let TestStore {
        store,
        place: _place,
    } = TestStore::new(engine, order(NOW).now).await;
    let id = customer_of_webhooks(&store).await;
    let mut counts = Vec::new();
    for (n, ordered) in [
        Act::Suspend(None),
        Act::Reactivate,
        Act::Freeze(FreezeOrder::default()),
        Act::Expire(None),
    ]
    .into_iter()
    .enumerate()
    {
        let order = order(NOW + 10 * i64::try_from(n).unwrap());
        let before = store.statements();
        let acted = act(&store, &order, &id, ordered, &Precondition::None)
            .await
            .unwrap();
        assert!(acted.changed);
        counts.push(store.statements() - before);
    }
    // Two of them read the grants by hand: to derive the customer, and for the answer. Two look for
    // others with the customer's address, and one for failed events, which the answer flags.
    // One asks which hooks want to be told.
    assert_eq!(counts, [12; 4], "suspend, reactivate, freeze, expire");
}

async fn a_row_that_cannot_be_read_is_named(engine: Engine) {
    let TestStore { store, place } = TestStore::new(engine, order(NOW).now).await;
    let id = customer_of_webhooks(&store).await;
    let app = AppSlug::default_app();
    let cases = [
        ("accounts.key", "UPDATE accounts SET key = 'nobody'"),
        ("customers.kept", "UPDATE customers SET kept = '{}'"),
    ];
    for (named, damage) in cases {
        place.run(damage, damage).await;
        let order = order(NOW + 10);
        let error = act(&store, &order, &id, Act::Suspend(None), &Precondition::None).await;
        let error = format!("{:?}", error.unwrap_err());
        assert!(
            error.contains("CorruptRow") && error.contains(named),
            "{error}"
        );
    }
    let mut tx = store.read().await.unwrap();
    let error = tx.customer_find(&app, &id).await.unwrap_err();
    assert!(matches!(&error, StoreError::CorruptRow { column, .. } if column == "customers.kept"));
}

on_both_stores!(
    a_row_that_cannot_be_read_is_named,
    an_act_on_one_customer_costs_few_statements,
);

/// The rows that a store has read in tables and indexes when it is gone.
async fn rows_read(store: Store, place: &Place) -> i64 {
    // A session hands in what it counted when it ends.
    drop(store);
    let sql = "SELECT coalesce(sum(idx_tup_read) + (SELECT sum(seq_tup_read) FROM pg_stat_user_tables), 0)::int8 \
               FROM pg_stat_user_indexes WHERE (SELECT count(*) FROM pg_stat_activity \
               WHERE datname = current_database() AND pid <> pg_backend_pid()) = 0";
    let started = Instant::now();
    let mut read = 0;
    while read == 0 {
        assert!(started.elapsed() < PATIENCE, "the sessions did not end");
        tokio::time::sleep(Duration::from_millis(50)).await;
        read = place.count("", sql).await;
    }
    read
}

/// An import of many customers into a new store: each part of the file is looked up among those of the
/// parts before, of which this server has no statistics either.
#[tokio::test(flavor = "multi_thread")]
async fn an_import_does_not_read_all_customers_for_each() {
    const LINES: usize = 5_000;
    let TestStore { store, place } = TestStore::new(Engine::Postgres, order(NOW).now).await;
    let line = |n: usize| {
        let customer = n / 10;
        format!(
            "crm-{customer},c{customer}@example.com,acme/tool-{}\n",
            n % 10
        )
    };
    let lines = (0..LINES).map(line);
    let file = std::iter::once("external_id,email,package\n".to_owned()).chain(lines);
    let file = file.collect::<String>();
    let mut table = Table::open(file.as_bytes(), None).unwrap();
    let done = carry_out(&store, || order(NOW), None, &mut table, |_| {}).await;
    assert_eq!(done.unwrap().lines, LINES as u64);
    let read = rows_read(store, &place).await / i64::try_from(LINES).unwrap();
    // 12; and 40 where what is named is looked for anew for each customer.
    assert!(read < 25, "{read} rows for a line");
}

/// A new store has no statistics, and this server makes none: what is planned while tables are empty
/// must not be carried out over full ones.
#[tokio::test(flavor = "multi_thread")]
async fn plans_for_empty_tables_are_not_kept() {
    const BATCHES: usize = 24;
    const BATCH: usize = 64;
    let TestStore { store, place } = TestStore::new(Engine::Postgres, order(NOW).now).await;
    for batch in 0..BATCHES {
        let messages: Vec<Message> = (0..BATCH)
            .map(|index| {
                let n = batch * BATCH + index;
                let (subscription, account) = (format!("sub_{n}"), format!("cus_{n}"));
                let object = stripe_subscription(&subscription, &account, "active");
                let kind = "customer.subscription.created";
                let event = stripe_event(&format!("evt_{n}"), kind, NOW - 100, object);
                message(&event, &format!("receipt {n}"))
            })
            .collect();
        let batch: Vec<&Message> = messages.iter().collect();
        process(&store, &batch, order(NOW).now).await.unwrap();
    }
    let read = rows_read(store, &place).await;
    let events = i64::try_from(BATCHES * BATCH).unwrap();
    let most = place
        .texts(
            "SELECT indexrelname || ': ' || idx_tup_read FROM pg_stat_user_indexes \
             UNION SELECT relname || ': ' || seq_tup_read FROM pg_stat_user_tables",
        )
        .await;
    // Small tables are read whole where that is cheaper. With plans for empty tables it is each account
    // for each event, 1,500 here.
    assert!(
        read / events < 600,
        "{} rows for an event: {most:?}",
        read / events
    );
}

/// Reads of a column by its name, as rows of sqlx and of an earlier store had them.
const BY_NAME: &[&str] = &[
    "text",
    "int",
    "time",
    "parsed",
    "json",
    "bytes",
    "bool",
    "get",
    "try_get",
    "get_unchecked",
    "try_get_unchecked",
    "try_get_raw",
    "text_opt",
    "int_opt",
    "time_opt",
    "parsed_opt",
    "bytes_opt",
];

/// Lines of a file of the store that do not belong there, tests aside.
fn faults(text: &str) -> Vec<&str> {
    let code = text.split("#[cfg(test)]").next().unwrap();
    let lines = code.lines().map(str::trim);
    let by_name = |line: &str| {
        // The name of the method before each `("`, without type arguments.
        let calls: Vec<&str> = line.split("(\"").collect();
        let before = calls.iter().take(calls.len() - 1);
        before.copied().any(|before| {
            let method = before.split("::<").next().unwrap();
            let method = method.rsplit_once('.').map_or("", |(_, method)| method);
            BY_NAME.contains(&method)
        })
    };
    let wrong = |line: &&str| {
        let is_code = !line.starts_with("//");
        is_code && (line.contains("json!") || by_name(line) || line.ends_with('\\'))
    };
    lines.filter(wrong).collect()
}

#[test]
fn the_store_builds_no_json_reads_nothing_by_name_and_continues_no_line() {
    let sources = sources();
    let store = sources.iter();
    let store = store.filter(|(file, _)| file.starts_with("store/"));
    let mut files = 0;
    for (file, text) in store {
        assert_eq!(faults(text), [""; 0], "{file}");
        files += 1;
    }
    assert!(files > 35, "only {files} files");
}

#[test]
fn a_cell_of_json_or_a_read_by_name_would_be_found() {
    for line in [
        "rows.row([json!(key)]);",
        "let rows = serde_json::json!([]);",
        "let id = row.parsed(\"id\")?;",
        "Ok((row.int(0)?, row.text_opt(\"email\")?))",
        "row.try_get::<String, _>(\"id\")",
        "let sql = \"SELECT key \\",
    ] {
        assert_eq!(faults(line), [line], "{line}");
    }
    for line in [
        "/// As `json!` does.",
        "filter.and(\"app = ?\", app);",
        "row.cell(\"grants\", \"package\")",
        "row.text(index)",
        "#[cfg(test)] json!(1)",
    ] {
        assert_eq!(faults(line), [""; 0], "{line}");
    }
}
