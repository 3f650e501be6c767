//! Mistakes of set-up, and the words in which each is named.

use secrecy::ExposeSecret;
use serde_json::json;

use crate::rabbitmq::tls::relay;
use crate::support::postgres::{Cluster, empty_database};
use crate::support::program::{Settings, err, said, tollgate, with};
use crate::support::rabbitmq::{prefix, rough, shared};
use crate::support::serving::{Serving, quiet_port};
use crate::support::stores::{Engine, Place, on_both_stores};
use crate::support::{
    SECRET_KEY, TestServer, seconds_from_now, stripe_customer, stripe_event, stripe_subscription,
};
use tollgate::provider::STRIPE;

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn wrong_settings_are_named_with_what_would_be_right() {
    let dir = tempfile::tempdir().unwrap();
    let problems: &[(&str, &str, &[&str])] = &[
        (
            "STRIPE_WEBHOOK_SECRET",
            "whsec_…",
            &["cut short by an ellipsis"],
        ),
        (
            "STRIPE_WEBHOOK_SECRET",
            "whsec_12ab...",
            &["cut short by an ellipsis"],
        ),
        (
            "STRIPE_WEBHOOK_SECRET",
            "whsec_replace_this_with_the_secret_of_your_endpoint",
            &["entry 1 is the placeholder of an example"],
        ),
        (
            "STRIPE_WEBHOOK_SECRET",
            "'whsec_0123456789'",
            &["quotation marks"],
        ),
        ("STRIPE_WEBHOOK_SECRET", "whsec_01 23", &["white space"]),
        (
            "STRIPE_WEBHOOK_SECRET",
            "whsec_0123456789,sk_live_0123456789",
            &["entry 2 is a secret API key of Stripe (sk_…), not a webhook secret"],
        ),
        (
            "STRIPE_WEBHOOK_SECRET",
            "pk_test_0123456789",
            &["a publishable key of Stripe"],
        ),
        (
            "STRIPE_WEBHOOK_SECRET",
            "rk_live_0123456789",
            &["a restricted API key of Stripe"],
        ),
        (
            "STRIPE_WEBHOOK_SECRET",
            "pdl_ntfset_01_0123456789",
            &["a webhook secret of Paddle (pdl_ntfset_…), not a webhook secret of Stripe"],
        ),
        (
            "PADDLE_WEBHOOK_SECRET",
            "whsec_0123456789",
            &["a webhook secret of Stripe (whsec_…), not a webhook secret of Paddle"],
        ),
        (
            "STRIPE_API_KEY",
            "whsec_0123456789",
            &["not a secret API key of Stripe"],
        ),
        (
            "DATABASE_URL",
            "postgres://u:hush@db/shop?sslmod=verify-full",
            &["\"sslmod\" is no parameter", "did you mean `sslmode`?"],
        ),
        (
            "DATABASE_URL",
            "postgres://u:hush@db/shop?sslmode=verify",
            &["\"verify\" is no `sslmode`"],
        ),
        (
            "DATABASE_URL",
            "postgres://u:hush@db/shop?connect_timeout=3",
            &["\"connect_timeout\" is no parameter"],
        ),
        (
            "DATABASE_URL",
            "postgres://u:hush%ff@db/shop",
            &["the password has a `%` that begins no letter", "`%` as %25"],
        ),
        (
            "DATABASE_URL",
            "postgres://u:hush@db-1,db-2/shop",
            &["several hosts are named, and one is asked"],
        ),
        (
            "AMQP_URL",
            "amqp://u:hush%ff@broker/shop",
            &["the password has a `%` that begins no letter"],
        ),
        (
            "STRIPE_PRICE_MAPPING",
            r#"{"pri_01h": ["acme/app"]}"#,
            &["\"pri_01h\" is an id of paddle, not of stripe"],
        ),
        (
            "PADDLE_PRICE_MAPPING",
            r#"{"price_1": ["acme/app"], "prod_1": ["acme/app"]}"#,
            &[
                "\"price_1\" is an id of stripe, not of paddle",
                "\"prod_1\" is an id of stripe",
            ],
        ),
        (
            "ADMIN_TOKEN",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            &["the same few characters again and again"],
        ),
        (
            "ADMIN_TOKEN",
            "your-admin-token-goes-here-please",
            &["placeholder"],
        ),
        (
            "TOLLGATE_SECRET_KEY",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            &["the same byte 32 times"],
        ),
        (
            "TOLLGATE_LOG",
            "warning",
            &["\"warning\" is no level (did you mean `warn`?)"],
        ),
        ("TOLLGATE_LOG", "info,chatty", &["\"chatty\" is no level:"]),
        (
            "ADMIN_TOKEN",
            "replace_this_with_a_token_of_yours",
            &["placeholder"],
        ),
        (
            "ADMIN_TOKEN",
            "\"0123456789-0123456789-0123456789\"",
            &["quotation marks"],
        ),
        // As `docker run --env-file` passes them on.
        ("TOLLGATE_DATA_DIR", "\"/tmp/data\"", &["quotation marks"]),
        (
            "STRIPE_PRICE_MAPPING",
            "'{\"price_1\": [\"acme/tool\"]}'",
            &["quotation marks"],
        ),
        (
            "DATABASE_URL",
            "postgres://u:hu#sh@db/tollgate",
            &["in a password write", "`#` as %23"],
        ),
        (
            "AMQP_URL",
            "amqp://u:hu/sh@broker:5672",
            &["in a password write", "`/` as %2F"],
        ),
        (
            "AMQP_URL",
            "amqp://u:hush@broker:5672/",
            &[
                "a slash at the end names a virtual host without a name",
                "/%2F",
            ],
        ),
        (
            "AMQP_URL",
            "amqp://u:hush@broker/shop/",
            &["a slash at the end is part of the virtual host's name: leave it out"],
        ),
        (
            "AMQP_URL",
            "amqp://u:hush@broker/a/b",
            &["must be written %2F"],
        ),
        (
            "TOLLGATE_SECRET_KEY",
            "AAAA,",
            &["entry 1: 3 bytes long", "entry 2 is empty"],
        ),
    ];
    for (name, value, words) in problems {
        for command in ["check-config", "serve"] {
            let (good, text) = said(&[command], with(dir.path(), &[(name, value)])).await;
            assert!(!good, "{command} {name}={value}");
            assert!(
                text.contains(&format!("{name}: ")),
                "{command} {name}={value}: {text}"
            );
            assert!(
                text.contains("; expected "),
                "{command} {name}={value}: {text}"
            );
            for word in *words {
                assert!(text.contains(word), "{command} {name}={value}: {text}");
            }
            assert!(!text.contains("0123456789"), "{name}={value}: {text}");
        }
    }
    let all: Vec<(&str, &str)> = problems.iter().map(|it| (it.0, it.1)).collect();
    let (_, text) = said(&["check-config"], with(dir.path(), &all)).await;
    for name in [
        "STRIPE_WEBHOOK_SECRET",
        "PADDLE_WEBHOOK_SECRET",
        "AMQP_URL",
        "ADMIN_TOKEN",
    ] {
        assert!(
            text.contains(&format!("problem: {name}: ")),
            "all at once: {text}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_setting_names_must_be_there() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "no certificate").unwrap();
    let (file, below) = (file.to_str().unwrap(), file.join("data"));
    for (changed, said) in [
        (
            vec![("TOLLGATE_REPOSITORY", "/nowhere/at-all")],
            "problem: TOLLGATE_REPOSITORY: `/nowhere/at-all` is no folder",
        ),
        (
            vec![("TOLLGATE_DATA_DIR", below.to_str().unwrap())],
            "problem: TOLLGATE_DATA_DIR: ",
        ),
        (
            vec![
                ("AMQP_URL", "amqps://broker"),
                ("AMQP_CA_FILE", "/nowhere.pem"),
            ],
            "problem: AMQP_CA_FILE: `/nowhere.pem` cannot be used: No such file",
        ),
        (
            vec![("AMQP_URL", "amqps://broker"), ("AMQP_CA_FILE", file)],
            "cannot be used: it holds no certificate in PEM form",
        ),
    ] {
        let (good, text) = said_by_check(&[], with(dir.path(), &changed)).await;
        assert!(!good && text.contains(said), "{changed:?}: {text}");
    }
    let port = quiet_port();
    let url = format!("http://127.0.0.1:{port}/");
    let dead = with(dir.path(), &[("TOLLGATE_REPOSITORY", url.as_str())]);
    let (good, text) = said_by_check(&[], dead.clone()).await;
    assert!(good, "nobody is asked: {text}");
    let (good, text) = said_by_check(&["--connect"], dead).await;
    assert!(
        !good && text.contains("problem: TOLLGATE_REPOSITORY: "),
        "{text}"
    );
}

async fn said_by_check(more: &[&str], settings: Settings) -> (bool, String) {
    said(&[&["check-config"][..], more].concat(), settings).await
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_without_effect_are_warned_about() {
    let dir = tempfile::tempdir().unwrap();
    let warnings: &[(&[(&str, &str)], &str)] = &[
        (
            &[("TOLLGATE_LISTN", "x")],
            "TOLLGATE_LISTN: no such setting; did you mean TOLLGATE_LISTEN?",
        ),
        (&[("TOLLGATE_LOG_LEVEL", "x")], "did you mean TOLLGATE_LOG?"),
        (
            &[("TOLLGATE_DATABASE_URL", "x")],
            "did you mean DATABASE_URL?",
        ),
        (
            &[("STRIPE_WEBHOK_SECRET", "x")],
            "did you mean STRIPE_WEBHOOK_SECRET?",
        ),
        (&[("DATABASE_URI", "x")], "did you mean DATABASE_URL?"),
        (
            &[("tollgate_listen", "x")],
            "tollgate_listen: no such setting; did you mean TOLLGATE_LISTEN?",
        ),
        (
            &[("TOLLGATE_SOMETHING", "x")],
            "TOLLGATE_SOMETHING: no such setting; ignored",
        ),
        (
            &[("AMQP_CA_FILE", "/ca.pem")],
            "AMQP_CA_FILE: no effect without an amqps:// AMQP_URL",
        ),
        (
            &[("TOLLGATE_AMQP_PREFIX", "shop")],
            "TOLLGATE_AMQP_PREFIX: no effect without AMQP_URL",
        ),
        (
            &[("TOLLGATE_ACCEL_PREFIX", "/archives/")],
            "TOLLGATE_ACCEL_PREFIX: no effect without TOLLGATE_REPOSITORY",
        ),
        (
            &[("TOLLGATE_WORKER_BATCHES", "2")],
            "TOLLGATE_WORKER_BATCHES: no effect without PostgreSQL and AMQP_URL",
        ),
        (
            &[
                ("DATABASE_URL", "postgres://db/shop"),
                ("TOLLGATE_SECRET_KEY", SECRET_KEY),
            ],
            "TOLLGATE_DATA_DIR: no effect with PostgreSQL",
        ),
        (
            &[("STRIPE_WEBHOOK_SECRET", "other")],
            "entry 1 does not begin with whsec_",
        ),
    ];
    for (changed, words) in warnings {
        let (good, text) = said(&["check-config"], with(dir.path(), changed)).await;
        assert!(good, "{changed:?}: {text}");
        assert!(text.contains("warning: "), "{changed:?}: {text}");
        assert!(text.contains(words), "{changed:?}: {text}");
    }
    let (_, text) = said(&["check-config"], with(dir.path(), &[("PATH", "/bin")])).await;
    assert!(!text.contains("warning"), "{text}");
}

async fn secrets_that_cannot_be_right_are_refused_by_the_api(engine: Engine) {
    let server = TestServer::start(engine).await;
    for (provider, secret, words) in [
        ("stripe", "whsec_…", "ellipsis"),
        ("stripe", "sk_live_0123456789", "a secret API key of Stripe"),
        (
            "stripe",
            "pdl_ntfset_01_0123456789",
            "a webhook secret of Paddle",
        ),
        ("paddle", "whsec_0123456789", "a webhook secret of Stripe"),
        ("stripe", " whsec_0123456789", "white space"),
        ("stripe", "\"whsec_0123456789\"", "quotation marks"),
        ("stripe", "whsec_replace_this", "placeholder"),
    ] {
        let path = format!("/api/v1/apps/default/endpoints/{provider}/secrets");
        let body = json!({"secret": secret});
        let (status, refusal) = server.call("POST", &path, Some(body)).await;
        assert_eq!(
            (status, &refusal["errors"][0]["field"]),
            (422, &json!("secret")),
            "{refusal}"
        );
        let text = refusal.to_string();
        assert!(text.contains(words), "{secret}: {text}");
        assert!(!text.contains("0123456789"), "{secret}: {text}");
    }
    server.stop_and_give_back().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_in_the_wrong_folder_make_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("elsewhere");
    for command in [
        &["events", "list"][..],
        &["events", "show", "evt_1"],
        &["events", "replay", "--all"],
        &["replays", "list"],
        &["replays", "show", "rpl_01939f1bf0007cc8a4d0b1c2d3e4f506"],
        &["replays", "cancel", "rpl_01939f1bf0007cc8a4d0b1c2d3e4f506"],
        &["rotate-key"],
    ] {
        let (good, text) = said(command, with(&data, &[])).await;
        assert!(!good, "{command:?}: {text}");
        let words = format!("there is no store at {}/tollgate.db", data.display());
        assert!(text.contains(&words), "{command:?}: {text}");
        assert!(text.contains("TOLLGATE_DATA_DIR"), "{command:?}: {text}");
    }
    let (good, text) = said(&["check-config", "--connect"], with(&data, &[])).await;
    assert!(good && text.contains("there is no store yet"), "{text}");
    assert!(!data.exists(), "none of them made anything");

    let create = ["token", "create", "--name", "me", "--role", "owner"];
    for command in [
        &create[..],
        &["migrate"],
        &["events", "list"],
        &["replays", "list"],
    ] {
        let output = tollgate(command, with(&data, &[])).await;
        assert!(output.status.success(), "{command:?}: {}", err(&output));
        let words = format!("the store is sqlite://{}/tollgate.db", data.display());
        assert!(
            err(&output).contains(&words),
            "{command:?}: {}",
            err(&output)
        );
    }
}

async fn a_store_of_a_newer_version_is_named(engine: Engine) {
    let server = TestServer::start(engine).await;
    let settings = server.environment.clone();
    let (place, _) = server.stop_and_keep().await;
    let newer = "INSERT INTO _sqlx_migrations SELECT 99, description, installed_on, success, \
                 checksum, execution_time FROM _sqlx_migrations WHERE version = 1";
    place.run(newer, newer).await;
    let create = ["token", "create", "--name", "me", "--role", "owner"];
    for command in [&["serve"][..], &["migrate"], &["events", "list"], &create] {
        let (good, text) = said(command, settings.clone()).await;
        assert!(!good, "{command:?}: {text}");
        let words = "made by a newer tollgate: schema 99, this one knows 2";
        assert!(text.contains(words), "{command:?}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_waits_for_a_database_that_is_not_there_yet() {
    let mut cluster = tokio::task::spawn_blocking(Cluster::start).await.unwrap();
    let url = cluster.create("shop", "template0").await;
    let dir = tempfile::tempdir().unwrap();
    let listen = format!("127.0.0.1:{}", quiet_port());
    let url = url.expose_secret().replace("postgres@", "postgres:hush@");
    let settings = with(
        dir.path(),
        &[
            ("DATABASE_URL", &url),
            ("TOLLGATE_SECRET_KEY", SECRET_KEY),
            ("TOLLGATE_LISTEN", &listen),
        ],
    );
    let (good, text) = said(&["migrate"], settings.clone()).await;
    assert!(good, "{text}");
    cluster.stop();
    let place = format!("PostgreSQL at 127.0.0.1:{}, database shop", cluster.port());
    let (good, text) = said(&["check-config", "--connect"], settings.clone()).await;
    assert!(!good && text.contains("problem: DATABASE_URL: "), "{text}");
    assert!(
        text.contains(&place) && text.contains("onnection refused"),
        "{text}"
    );
    assert!(!text.contains("hush"), "{text}");

    let mut waiting = Serving::spawn(&settings);
    let log = waiting.until_logged("waits for its database").await;
    for (path, expected, words) in [
        ("healthz", 200, "alive"),
        ("readyz", 503, "store_away"),
        ("webhooks/stripe", 503, "unavailable"),
    ] {
        let url = format!("{}/{path}", waiting.base);
        let answer = crate::support::client().get(url).send().await.unwrap();
        assert_eq!(answer.status(), expected, "{path}");
        let text = answer.text().await.unwrap();
        assert!(text.contains(words), "{path}: {text}");
    }
    assert!(
        log.contains(&place) && log.contains("onnection refused"),
        "{log}"
    );
    assert!(!log.contains("hush"), "{log}");
    cluster.start_again();
    waiting.until_ready().await;
    assert!(
        waiting.log().contains("the database is there"),
        "{}",
        waiting.log()
    );
    assert!(waiting.terminate().success());

    cluster.stop();
    let mut waiting = Serving::spawn(&settings);
    waiting.until_logged("waits for its database").await;
    assert!(waiting.terminate().success(), "SIGTERM ends the wait");

    let mut waiting = Serving::spawn(&settings);
    waiting.until_logged("waits for its database").await;
    cluster.stand_by();
    cluster.start_again();
    let log = waiting.until_logged("takes no writes").await;
    let url = format!("{}/readyz", waiting.base);
    let answer = crate::support::client().get(url).send().await.unwrap();
    assert_eq!(answer.status(), 503, "{log}");
    let text = answer.text().await.unwrap();
    assert!(text.contains("store_read_only"), "{text}");
    cluster.run("SELECT pg_promote()").await;
    waiting.until_ready().await;
    assert!(waiting.terminate().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_or_user_that_is_not_there_ends_the_start() {
    let cluster = tokio::task::spawn_blocking(Cluster::start).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let port = cluster.port();
    for (url, words) in [
        (
            format!("postgres://postgres:hush@127.0.0.1:{port}/nowhere"),
            "database \"nowhere\" does not exist",
        ),
        (
            format!("postgres://nobody:hush@127.0.0.1:{port}/postgres"),
            "role \"nobody\" does not exist",
        ),
    ] {
        let settings = with(
            dir.path(),
            &[("DATABASE_URL", &url), ("TOLLGATE_SECRET_KEY", SECRET_KEY)],
        );
        let (good, text) = said(&["serve"], settings).await;
        assert!(!good, "{text}");
        let place = format!("PostgreSQL at 127.0.0.1:{port}");
        assert!(text.contains(&place) && text.contains(words), "{text}");
        assert_eq!(text.matches(words).count(), 1, "said once: {text}");
        assert!(!text.contains("hush"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_postgresql_says_is_said_once() {
    let place = Place::Server(empty_database().await);
    place.run("", "CREATE TABLE apps (slug text)").await;
    let dir = tempfile::tempdir().unwrap();
    let settings = with(
        dir.path(),
        &[
            ("DATABASE_URL", &place.url()),
            ("TOLLGATE_SECRET_KEY", SECRET_KEY),
        ],
    );
    let (good, text) = said(&["migrate"], settings).await;
    assert!(!good, "{text}");
    assert_eq!(text.matches("already exists").count(), 1, "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wrong_one_of_a_brokers_ports_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let plain = format!("amqps://guest:hush@127.0.0.1:{}/%2f", shared().port());
    let tls = format!("amqp://guest:hush@localhost:{}/%2f", relay().await);
    for (url, words) in [
        (
            &plain,
            "does not speak TLS: AMQP_URL with amqps:// needs the broker's port for TLS",
        ),
        (&tls, "speaks TLS: AMQP_URL needs amqps:// for it"),
    ] {
        let settings = with(
            dir.path(),
            &[("AMQP_URL", url), ("TOLLGATE_AMQP_PREFIX", &prefix())],
        );
        for command in [&["check-config", "--connect"][..], &["serve"]] {
            let (good, text) = said(command, settings.clone()).await;
            assert!(!good, "{command:?}: {text}");
            assert!(text.contains(words), "{command:?} {url}: {text}");
            assert!(!text.contains("hush"), "{command:?}: {text}");
        }
    }
}

/// What a broker of one's own refuses most often, with what would be right.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_broker_refuses_is_told_with_what_would_be_right() {
    let broker = rough().await;
    broker.ctl(&["add_user", "poor", "hush"]);
    let dir = tempfile::tempdir().unwrap();
    let place = broker.address();
    let told = async |user: &str, host: &str, words: &[&str]| {
        let url = format!("amqp://{user}@{place}/{host}");
        let settings = with(dir.path(), &[("AMQP_URL", &url)]);
        let (good, text) = said(&["check-config", "--connect"], settings).await;
        assert!(!good, "{url}: {text}");
        for words in words {
            assert!(text.contains(words), "{url}: {text}");
        }
        assert!(!text.contains("hush"), "{text}");
    };
    let of_user = "the name and the password of a user of this broker; `guest` may only come from";
    told("poor:hush-hush", "%2f", &[of_user]).await;
    let of_host = "the path of AMQP_URL names the virtual host";
    told("guest:guest", "shop", &["vhost shop not found", of_host]).await;
    told("poor:hush", "%2f", &["refused for user 'poor'", of_host]).await;
    broker.ctl(&["set_permissions", "poor", "^$", "^$", "^$"]);
    let of_rights = "the user needs rights to configure, write and read";
    told("poor:hush", "%2f", &["declaring exchange", of_rights]).await;
    broker.ctl(&["delete_user", "poor"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_part_is_checked_although_another_is_away() {
    let dir = tempfile::tempdir().unwrap();
    let settings = with(
        dir.path(),
        &[
            ("DATABASE_URL", "postgres://u:hush@127.0.0.1:9/shop"),
            ("TOLLGATE_SECRET_KEY", SECRET_KEY),
            ("AMQP_URL", "amqp://u:hush@127.0.0.1:9/%2f"),
        ],
    );
    let (good, text) = said(&["check-config", "--connect"], settings).await;
    assert!(!good, "{text}");
    for words in ["problem: DATABASE_URL: ", "problem: AMQP_URL: "] {
        assert!(text.contains(words), "{text}");
    }
    assert!(!text.contains("hush"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_names_no_events_says_what_to_give() {
    let dir = tempfile::tempdir().unwrap();
    for command in [
        &["events", "replay"][..],
        &["events", "replay", ""],
        &["events", "replay", "--force"],
    ] {
        let (good, text) = said(command, with(dir.path(), &[])).await;
        assert!(!good, "{command:?}: {text}");
        let words = "nothing says which events to replay; give an event's id, or filters";
        assert!(
            text.contains(words) && text.contains("`--all`"),
            "{command:?}: {text}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invented_path_of_a_sample_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let typo = "data.object.custmer=cus_1";
    let arguments = [
        "trigger",
        "stripe",
        "customer.subscription.created",
        "--set",
        typo,
    ];
    let (good, text) = said(&arguments, with(dir.path(), &[])).await;
    assert!(!good, "{text}");
    let words =
        "`data.object.custmer` does not lead anywhere at `custmer`; did you mean `customer`?";
    assert!(text.contains(words), "{text}");
}

async fn a_plan_that_left_the_settings_is_told_with_its_customers(engine: Engine) {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::new(engine).await;
    let url = place.url();
    let listen = format!("127.0.0.1:{}", quiet_port());
    let settings = |changed: &[(&str, &str)]| {
        let mut settings = with(
            dir.path(),
            &[
                ("DATABASE_URL", &url),
                ("TOLLGATE_SECRET_KEY", SECRET_KEY),
                ("TOLLGATE_LISTEN", &listen),
            ],
        );
        for (name, value) in changed {
            settings.insert(name.into(), value.into());
        }
        settings
    };
    let server = Serving::start(&settings(&[])).await;
    let client = crate::support::client();
    for n in 0..3 {
        let customer = format!("cus_{n}");
        let now = seconds_from_now(0);
        for (kind, object) in [
            (
                "customer.created",
                stripe_customer(&customer, &format!("c{n}@example.com")),
            ),
            (
                "customer.subscription.created",
                stripe_subscription(&format!("sub_{n}"), &customer, "active"),
            ),
        ] {
            let event = stripe_event(&format!("evt_{n}_{kind}"), kind, now, object);
            let url = format!("{}/webhooks/stripe", server.base);
            let body = event.to_string().into_bytes();
            let (status, _) = crate::support::post_signed(&client, &url, STRIPE.name, body).await;
            assert_eq!(status, 200);
        }
    }
    let path = "/api/v1/events?outcome=applied";
    let get = async |base: &str, path: &str| {
        crate::support::call(&client, base, "GET", path, None)
            .await
            .1
    };
    let started = std::time::Instant::now();
    while get(&server.base, path).await["meta"]["total"] != 6 {
        assert!(started.elapsed() < crate::support::PATIENCE);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(server.terminate().success());

    let changed = [("STRIPE_PRICE_MAPPING", r#"{"price_other": ["acme/tool"]}"#)];
    let words =
        "the settings do not name stripe's price price_basic any more, for which 3 customers pay";
    let (good, text) = said(&["check-config", "--connect"], settings(&changed)).await;
    assert!(good && text.contains(words), "{text}");
    let server = Serving::start(&settings(&changed)).await;
    let log = server.log();
    assert!(log.contains(words) && log.contains("WARN"), "{log}");
    let started = std::time::Instant::now();
    while get(&server.base, "/api/v1/flags?kind=unmapped_price").await["meta"]["total"] != 3 {
        assert!(started.elapsed() < crate::support::PATIENCE, "flagged");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(server.terminate().success());
    place.give_back();
}

on_both_stores! {
    secrets_that_cannot_be_right_are_refused_by_the_api,
    a_store_of_a_newer_version_is_named,
    a_plan_that_left_the_settings_is_told_with_its_customers,
}
