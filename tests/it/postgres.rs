//! What only PostgreSQL does: its schema is migrated by hand, it goes away and comes back, its
//! statements are prepared once, its indexes have a purpose each.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection, Row};
use tollgate::clock::SystemClock;
use tollgate::domain::access::activation::Activation;
use tollgate::domain::access::hand_grant::{GrantBilling, HandGrant};
use tollgate::domain::access::plan::{PackageGrant, PlanLicense};
use tollgate::domain::customer::flag::FlagKind;
use tollgate::domain::event::EventOutcome;
use tollgate::domain::hook::HookBody;
use tollgate::domain::id::AppSlug;
use tollgate::domain::precondition::Precondition;
use tollgate::domain::time::Timestamp;
use tollgate::pipeline::acknowledged::{self, Acknowledged};
use tollgate::pipeline::announce::announce;
use tollgate::pipeline::apis::Apis;
use tollgate::pipeline::app_deletion;
use tollgate::pipeline::customers::{self, Deletion, GotOrCreated, SameEmail};
use tollgate::pipeline::explain::explain;
use tollgate::pipeline::hooks::{self, Deliveries, Destinations, HookSender, NewHook};
use tollgate::pipeline::licenses::issue::{self, LicenseOrder};
use tollgate::pipeline::order::Order;
use tollgate::pipeline::owed_licenses::maker;
use tollgate::pipeline::process::process;
use tollgate::pipeline::reconcile::{self, Wanted};
use tollgate::pipeline::refetch::{self, Step};
use tollgate::pipeline::timers::run_due;
use tollgate::pipeline::{api_keys, apps, bulk_replay, erasure, history, retention};
use tollgate::provider::{STRIPE, other_spellings};
use tollgate::queue::embedded::EmbeddedQueue;
use tollgate::queue::{Announcer, Consumer, Lane, Message, Notice, Publisher, QueueError};
use tollgate::store::hook_delivery::DeliveryFilter;
use tollgate::store::idempotency::Attempt;
use tollgate::store::{
    AcknowledgedEvent, Actor, AuditFilter, CustomerFilter, EventFilter, FlagFilter, LicenseFilter,
    PlanSource, Store, StoredPlan, Window,
};
use tollgate::vault::Vault;

use crate::process::message;
use crate::support::fake_api::nobodys_api;
use crate::support::postgres::{Cluster, SHARED, empty_database, unused_database};
use crate::support::stores::{Engine, Place, TestStore};
use crate::support::{
    PATIENCE, SECRET_KEY, SetClock, TestServer, client, environment, post_signed, stripe_customer,
    stripe_event, stripe_subscription,
};

const NOW: i64 = 1_790_000_000;

fn now() -> Timestamp {
    Timestamp::from_seconds(NOW).unwrap()
}

fn order() -> Order {
    Order {
        app: AppSlug::default_app(),
        actor: Actor::Root,
        now: now(),
        reason: None,
    }
}

fn settings(folder: &std::path::Path, url: &SecretString) -> BTreeMap<OsString, OsString> {
    let mut settings = environment(folder);
    settings.insert("DATABASE_URL".into(), url.expose_secret().into());
    settings.insert("TOLLGATE_SECRET_KEY".into(), SECRET_KEY.into());
    settings
}

fn tollgate(arguments: &[&str], environment: BTreeMap<OsString, OsString>) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(arguments)
        .env_clear()
        .envs(environment)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_refuses_an_unmigrated_schema_and_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path(), &empty_database().await);
    for command in [
        &["serve"][..],
        &["events", "list"],
        &["check-config", "--connect"],
    ] {
        let refused = tollgate(command, settings.clone());
        // `check-config` lists its findings on standard output.
        let said = [refused.stdout, refused.stderr].concat();
        let text = String::from_utf8_lossy(&said).into_owned();
        assert!(!refused.status.success(), "{command:?}");
        assert!(
            text.contains("run `tollgate migrate`"),
            "{command:?}: {text}"
        );
    }
    for _ in 0..2 {
        assert!(tollgate(&["migrate"], settings.clone()).status.success());
    }
    let connected = tollgate(&["check-config", "--connect"], settings);
    assert!(connected.status.success(), "{connected:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_of_a_newer_version_is_refused() {
    let test = TestStore::new(Engine::Postgres, now()).await;
    test.store.check_schema().await.unwrap();
    let newer = "INSERT INTO _sqlx_migrations SELECT version + 1000, description, installed_on, \
                 success, checksum, execution_time FROM _sqlx_migrations";
    test.place.run("", newer).await;
    let refused = test.store.check_schema().await;
    let said = "made by a newer tollgate: schema 1002, this one knows 2";
    assert!(refused.unwrap_err().to_string().contains(said));
}

#[tokio::test(flavor = "multi_thread")]
async fn migrations_at_the_same_time_wait_for_each_other() {
    let url = empty_database().await;
    let migrations = (0..4).map(|_| async {
        let store = Store::open_postgres(&url).unwrap();
        store.migrate().await.unwrap();
        store.check_schema().await.unwrap();
    });
    join_all(migrations).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_at_a_time_serves_the_built_in_queue_of_a_database() {
    let server = TestServer::start(Engine::Postgres).await;
    let folder = tempfile::tempdir().unwrap();
    let url = server.place.url().into();
    let refused = tollgate(&["serve"], settings(folder.path(), &url));
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        text.contains("another process serves this database"),
        "{text}"
    );

    let other = server.place.open().await;
    assert!(other.claim_queue().await.unwrap().is_none());
    server.stop().await;
    // PostgreSQL notices the end of the connection a moment later.
    let started = Instant::now();
    while other.claim_queue().await.unwrap().is_none() {
        assert!(
            started.elapsed() < PATIENCE,
            "the claim outlives its process"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn sign_up(n: usize) -> Value {
    let customer = stripe_customer(&format!("cus_{n}"), &format!("c{n}@example.com"));
    stripe_event(
        &format!("evt_c{n}"),
        "customer.created",
        NOW - 100,
        customer,
    )
}

fn subscribed(n: usize) -> Value {
    let mut subscription = stripe_subscription(&format!("sub_{n}"), &format!("cus_{n}"), "active");
    subscription["cancel_at"] = json!(NOW + 60);
    let id = format!("evt_s{n}");
    stripe_event(&id, "customer.subscription.created", NOW - 90, subscription)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_passes_and_what_it_refuses_does_not() {
    let mut cluster = tokio::task::spawn_blocking(Cluster::start).await.unwrap();
    let store = Store::open_postgres(&cluster.create("t", "template0").await).unwrap();
    store.migrate().await.unwrap();
    let mut tx = store.begin().await.unwrap();
    tx.app_ensure_default(now()).await.unwrap();
    tx.commit().await.unwrap();

    let nobody = "cust_00000000000000000000000000000000".parse().unwrap();
    let mut tx = store.begin().await.unwrap();
    let grant = HandGrant {
        grant: PackageGrant {
            package: "acme/tool".to_owned(),
            constraint: "*".to_owned(),
        },
        billing: GrantBilling::Follow,
        expires_at: None,
    };
    let app = AppSlug::default_app();
    let refused = tx.grant_put(&app, &nobody, &[grant], now()).await;
    let refused = refused.unwrap_err();
    assert!(!refused.is_passing(), "{refused:?}");
    drop(tx);

    let sign_up = message(&sign_up(1), "1");
    cluster.stop();
    let away = process(&store, &[&sign_up], now()).await.unwrap_err();
    assert!(away.is_passing(), "{away:?}");
    cluster.start_again();
    process(&store, &[&sign_up], now()).await.unwrap();
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_goes_on_when_its_database_comes_back() {
    let mut cluster = tokio::task::spawn_blocking(Cluster::start).await.unwrap();
    let url = cluster.create("t", "template0").await;
    let store = Store::open_postgres(&url).unwrap();
    store.migrate().await.unwrap();
    store.close().await;
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path(), &url);
    let server = TestServer::start_over(settings, Place::Server(url), folder).await;
    let event = server.deliver(STRIPE.name, &sign_up(1)).await;
    assert_eq!(event["outcome"], "applied");

    cluster.stop();
    let webhook = format!("{}/webhooks/stripe", server.base);
    let body = sign_up(2).to_string().into_bytes();
    let (status, _) = post_signed(&server.client, &webhook, STRIPE.name, body).await;
    assert_eq!(status, 503, "what is not durable is not acknowledged");
    let (status, _) = server.get("/api/v1/events/evt_c1").await;
    assert_eq!(status, 503);

    cluster.start_again();
    let event = server.deliver(STRIPE.name, &sign_up(2)).await;
    assert_eq!(event["outcome"], "applied");
    assert_eq!(server.outcome("evt_c1").await["outcome"], "applied");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_are_prepared_once_whatever_the_size_of_a_batch() {
    let test = TestStore::new(Engine::Postgres, now()).await;
    let url = test.place.url();
    let (_, database) = url.rsplit_once('/').unwrap();
    SHARED
        .run(&format!(
            "ALTER DATABASE {database} SET log_min_duration_statement = 0"
        ))
        .await;
    // The setting is for connections from now on.
    let store = test.place.open().await;
    let batch = |from: usize, count: usize| -> Vec<Message> {
        (from..from + count)
            .flat_map(|n| [message(&sign_up(n), "1"), message(&subscribed(n), "1")])
            .collect()
    };
    for (from, count) in [(0, 1), (100, 8), (200, 16), (300, 100), (400, 128)] {
        let batch = batch(from, count);
        let batch: Vec<&Message> = batch.iter().collect();
        process(&store, &batch, now()).await.unwrap();
    }
    let mut prepared = BTreeSet::new();
    for line in SHARED.log(database) {
        let connection = line.split(' ').next().unwrap().to_owned();
        if let Some((_, statement)) = line.split_once("  parse ") {
            let (_, statement) = statement.split_once(": ").unwrap();
            let new = prepared.insert((connection, statement.to_owned()));
            assert!(new, "prepared twice on one connection: {statement}");
        }
    }
    assert!(prepared.len() > 10, "the log shows what is prepared");
}

/// With whole-table reads switched off, an index that no statement ever uses has no purpose.
#[tokio::test(flavor = "multi_thread")]
async fn each_index_serves_a_statement() {
    let place = Place::Server(unused_database().await);
    let test = TestStore::over(place, now()).await;
    let url = test.place.url();
    let (_, database) = url.rsplit_once('/').unwrap();
    SHARED
        .run(&format!(
            "ALTER DATABASE {database} SET enable_seqscan = off"
        ))
        .await;
    let store = test.place.open().await;
    use_everything(&store).await;
    store.close().await;

    // The server counts a connection's work a moment after its end.
    let started = Instant::now();
    while !unused_indexes(&url).await.is_empty() && started.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(unused_indexes(&url).await, BTreeSet::new());
}

async fn unused_indexes(url: &str) -> BTreeSet<String> {
    let mut connection = PgConnection::connect(url).await.unwrap();
    // A BRIN leads to pages, and serves nothing where there is only one; see `plans.rs`.
    let sql = "SELECT indexrelname::text FROM pg_stat_user_indexes \
               JOIN pg_class ON pg_class.oid = indexrelid JOIN pg_am ON pg_am.oid = relam \
               WHERE idx_scan = 0 AND indexrelname NOT LIKE '%\\_pkey' AND amname <> 'brin'";
    let rows = sqlx::query(sql).fetch_all(&mut connection).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// Wants a provider's word that never comes.
async fn ask(store: &Store, vault: &Vault) {
    let key = "rk_live_x".into();
    let put = api_keys::put(store, vault, &order(), STRIPE.name, &key).await;
    put.unwrap();
    let mut cut = subscribed(1);
    cut["id"] = json!("evt_cut");
    cut["data"]["object"]["items"]["has_more"] = json!(true);
    process(store, &[&message(&cut, "4")], now()).await.unwrap();
    client();
    let nowhere = "http://127.0.0.1:1".parse().unwrap();
    let apis = Apis::new(vault.clone(), [(STRIPE.name, nowhere)].into());
    let clock = SetClock::at(NOW + 10);
    let step = refetch::step(store, &apis, &clock).await.unwrap();
    assert!(matches!(step, Step::Asked(asked) if asked.result == "provider_away"));
    let app = AppSlug::default_app();
    let page = Window::Page { number: 1, size: 9 };
    let listed = refetch::list(store, &app, &page).await.unwrap();
    assert_eq!(listed.total, Some(1));
    let mut tx = store.read().await.unwrap();
    let buyer = tx.customer_find_by_external(&app, "cus_1", &[]).await;
    let buyer = buyer.unwrap().unwrap().id;
    drop(tx);
    explain(store, &app, &buyer, now()).await.unwrap();
}

/// A broker that takes everything.
struct Taking;

#[async_trait::async_trait]
impl Announcer for Taking {
    async fn announce(&self, _: Notice) -> Result<(), QueueError> {
        Ok(())
    }
}

/// Tells a broker and a hook, which is not there, of a customer.
async fn tell(store: &Store) {
    client();
    let store = store.clone().announcing(true);
    let (app, vault) = ("told".parse::<AppSlug>().unwrap(), Vault::new(&[7; 32]));
    let order = Order {
        app: app.clone(),
        ..order()
    };
    apps::create(&store, &order, "Told".to_owned())
        .await
        .unwrap();
    let wanted = NewHook {
        url: "http://127.0.0.1:1/".to_owned(),
        kinds: vec!["*".to_owned()],
        body: HookBody::Full,
        description: None,
    };
    let made = hooks::create(&store, &vault, &order, wanted).await.unwrap();
    let profile = serde_json::from_value(json!({ "email": "told@example.com" })).unwrap();
    let told = customers::create(&store, &order, &profile, SameEmail::Refused);
    let told = told.await.unwrap().customer.id;
    announce(&store, &Taking, "one", now()).await.unwrap();
    let deliveries = Deliveries::new(
        HookSender::new(Destinations::new(true)).unwrap(),
        vault,
        "5d".parse().unwrap(),
    );
    let delivered = deliveries.deliver_due(&store, &SetClock::at(NOW)).await;
    assert_eq!(delivered.unwrap().failed, 1);
    let (id, page) = (made.hook.id.as_str(), Window::Page { number: 1, size: 9 });
    let listed = hooks::deliveries(&store, &app, id, &DeliveryFilter::default(), &page).await;
    let listed = listed.unwrap();
    hooks::resend(&store, &order, id, listed.rows[0].id.as_str())
        .await
        .unwrap();
    let later = now().plus(Duration::from_hours(24 * 40));
    let kept = "30d".parse().unwrap();
    retention::remove_changes(&store, kept, later)
        .await
        .unwrap();
    let delete = Deletion::Permanent;
    customers::delete(&store, &order, &told, delete, &Precondition::None)
        .await
        .unwrap();
    app_deletion::delete(&store, &order).await.unwrap();
}

#[expect(clippy::too_many_lines, reason = "one use after the other")]
async fn use_everything(store: &Store) {
    let app = AppSlug::default_app();
    let dispute = json!({
        "id": "dp_1", "object": "dispute", "charge": "ch_1", "status": "needs_response",
    });
    let dispute = stripe_event("evt_d", "charge.dispute.created", NOW - 80, dispute);
    let events = [sign_up(1), subscribed(1), dispute].map(|event| message(&event, "1"));
    let batch: Vec<&Message> = events.iter().collect();
    process(store, &batch, now()).await.unwrap();
    let due = Timestamp::from_seconds(NOW + 60).unwrap();
    assert_eq!(run_due(store, due).await.unwrap(), 1);
    for counts in [true, false] {
        assert_eq!(history::note_day(store, now()).await.unwrap(), counts);
    }
    // Once more: while a table is empty, a plan may leave out all that it would be joined with.
    let customer = stripe_customer("cus_1", "c1@example.com");
    let update = stripe_event("evt_u", "customer.updated", NOW - 70, customer);
    process(store, &[&message(&update, "2")], now())
        .await
        .unwrap();

    let profile = json!({ "email": "ada@example.com", "external_id": "erp_1", "user_id": "7" });
    let profile = serde_json::from_value(profile).unwrap();
    let ada = customers::create(store, &order(), &profile, SameEmail::Refused)
        .await
        .unwrap();
    let id = &ada.customer.id;
    let found = customers::get_or_create(store, &order(), &profile).await;
    assert!(matches!(found.unwrap(), GotOrCreated::Got(_)));

    let page = Window::Page { number: 1, size: 9 };
    let wanted = Wanted {
        provider: STRIPE.name,
        since: None,
        dry_run: true,
    };
    let apis = Apis::default().and(AppSlug::default_app(), nobodys_api());
    reconcile::order(store, &apis, &order(), wanted)
        .await
        .unwrap();
    reconcile::find_open(store, &app, STRIPE.name)
        .await
        .unwrap()
        .unwrap();
    reconcile::list(store, &app, &page).await.unwrap();
    let mut tx = store.begin_in(&app).await.unwrap();
    let grant = HandGrant {
        grant: PackageGrant {
            package: "acme/tool".to_owned(),
            constraint: "*".to_owned(),
        },
        billing: GrantBilling::Follow,
        expires_at: None,
    };
    tx.grant_put(&app, id, &[grant], now()).await.unwrap();
    tx.customer_find_by_external(&app, "erp_1", &other_spellings("erp_1"))
        .await
        .unwrap()
        .unwrap();
    tx.customer_find_by_email(&app, "ada@example.com")
        .await
        .unwrap()
        .unwrap();
    // With the deleted ones: in a table of a few rows the index of those who are shown would do.
    let by_user = CustomerFilter {
        user_id: Some("7".to_owned()),
        include_deleted: true,
        ..CustomerFilter::default()
    };
    let listed = tx.customer_list(&app, &by_user, &page).await.unwrap();
    assert_eq!(listed.total, Some(1));
    let everybody = CustomerFilter::default();
    tx.customer_list(&app, &everybody, &page).await.unwrap();
    assert_eq!(tx.token_list(&app, id).await.unwrap().len(), 1);
    tx.access_find(&ada.token.hash()).await.unwrap().unwrap();
    assert!(
        tx.admin_token_find(&ada.token.hash())
            .await
            .unwrap()
            .is_none()
    );
    tx.secret_list(&app, STRIPE.name).await.unwrap();
    for filter in [
        EventFilter::default(),
        EventFilter {
            outcome: Some(EventOutcome::Applied),
            ..EventFilter::default()
        },
        EventFilter {
            customer: Some(id.clone()),
            ..EventFilter::default()
        },
        EventFilter {
            error_code: Some("defect".to_owned()),
            ..EventFilter::default()
        },
    ] {
        tx.event_list(&app, &filter, &page).await.unwrap();
    }
    for filter in [
        AuditFilter::default(),
        AuditFilter {
            customer: Some(id.clone()),
            ..AuditFilter::default()
        },
        AuditFilter {
            event: Some("evt_d".to_owned()),
            ..AuditFilter::default()
        },
        AuditFilter {
            actor: Some("timer".parse().unwrap()),
            ..AuditFilter::default()
        },
    ] {
        tx.audit_list(&app, &filter, &page).await.unwrap();
    }
    let license = LicenseOrder {
        customer: id.clone(),
        product: "Tool".to_owned(),
        key: None,
        expires_at: None,
        activations_limit: None,
        metadata: serde_json::Map::new(),
    };
    tx.stats_customers(Some(&app)).await.unwrap();
    tx.license_list(&app, &LicenseFilter::default(), &page)
        .await
        .unwrap();
    tx.idempotency_purge(now()).await.unwrap();
    for filter in [
        FlagFilter::default(),
        FlagFilter {
            kind: Some(FlagKind::OpenDispute),
            ..FlagFilter::default()
        },
        FlagFilter {
            customer: Some(id.clone()),
            ..FlagFilter::default()
        },
    ] {
        tx.flag_list(&app, &filter, &page).await.unwrap();
    }
    let plan = StoredPlan {
        name: None,
        provider: STRIPE.name,
        price_id: "prod_basic".to_owned(),
        packages: vec![PackageGrant {
            package: "acme/tool".to_owned(),
            constraint: "*".to_owned(),
        }],
        licenses: vec![PlanLicense {
            product: "Tool".to_owned(),
            activations_limit: None,
        }],
        counts: false,
        updates: None,
        source: PlanSource::Api,
        updated_at: now(),
    };
    tx.plan_put(&app, &[plan]).await.unwrap();
    assert!(tx.replay_next().await.unwrap().is_none());
    tx.package_list(&app).await.unwrap();
    tx.package_holders(&app, "acme/tool", &page).await.unwrap();
    assert!(tx.replay_next().await.unwrap().is_none());
    tx.commit().await.unwrap();
    let vault = Vault::new(&[7; 32]);
    ask(store, &vault).await;
    let issued = issue::issue(store, &vault, &order(), license).await;
    let issued = issued.unwrap().license.id;
    let mut tx = store.begin().await.unwrap();
    let active = Activation {
        id: format!("act_{:0>32}", 1).parse().unwrap(),
        license: issued.clone(),
        fingerprint: "f".to_owned(),
        name: None,
        created_at: now(),
    };
    assert!(tx.activation_add(&active).await.unwrap());
    tx.activation_count([&issued]).await.unwrap();
    tx.activation_find(&issued, "f").await.unwrap();
    tx.activation_list(&issued, &page).await.unwrap();
    tx.activation_list_of(&app, id, &page).await.unwrap();
    tx.activation_delete(&issued, &active.id).await.unwrap();
    tx.commit().await.unwrap();
    let worker = store.clone().with_license_maker(maker(&vault));
    let mut again = subscribed(1);
    again["id"] = json!("evt_l");
    process(&worker, &[&message(&again, "3")], now())
        .await
        .unwrap();
    let mut tx = store.begin().await.unwrap();
    let buyer = tx.customer_find_by_external(&app, "cus_1", &[]).await;
    let buyer = buyer.unwrap().unwrap();
    tx.commit().await.unwrap();
    for id in [id, &buyer.id] {
        customers::delete(
            store,
            &order(),
            id,
            Deletion::Permanent,
            &Precondition::None,
        )
        .await
        .unwrap();
    }
    let mut tx = store.begin().await.unwrap();
    let holder = "h".to_owned();
    let attempt = tx.idempotency_reserve("k".to_owned(), "f", holder, now());
    let Attempt::Reserved(reservation) = attempt.await.unwrap() else {
        panic!("the key is free");
    };
    tx.idempotency_answer(&reservation, vec![1], id.as_str())
        .await
        .unwrap();
    tx.commit().await.unwrap();

    let queue = EmbeddedQueue::new(store.clone(), Arc::new(SystemClock));
    queue.publish(message(&sign_up(2), "1")).await.unwrap();
    let mut consumer = queue.consumer(Lane::Work);
    assert_eq!(consumer.next_batch(9).await.unwrap().len(), 1);

    tell(store).await;
    bulk_replay::list(store, &app, &page).await.unwrap();
    erasure::carry_on(store, now()).await.unwrap();
    let kept = "1d".parse().unwrap();
    retention::remove_payloads(store, kept, now())
        .await
        .unwrap();
    let receiver = Acknowledged::default();
    let event = AcknowledgedEvent {
        provider: STRIPE.name,
        id: "evt_lost".to_owned(),
        event_type: "payout.paid".to_owned(),
        received_at: now(),
    };
    receiver.note(&app, &event);
    receiver.flush(store, now()).await.unwrap();
    let listed = acknowledged::unaccounted(store, &app).await.unwrap();
    assert_eq!(listed.len(), 1);
    let later = now().plus(Duration::from_mins(1));
    acknowledged::settle(store, None, later).await.unwrap();
}
