//! Backups of the embedded store, made under load and served again.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use secrecy::SecretString;
use serde_json::{Value, json};
use tollgate::clock::{Clock, SystemClock};
use tollgate::provider::STRIPE;

use crate::support::program::{err, out, tollgate};
use crate::support::serving::{Serving, quiet_port};
use crate::support::spec::{header_name, sign};
use crate::support::{
    PATIENCE, SECRET_KEY, call, client, environment, secret, stripe_customer, stripe_event,
};

const ACME_SECRET: &str = "whsec_BACKUP0123456789abcdef0123456789";

fn settings(data_dir: &Path) -> BTreeMap<OsString, OsString> {
    let mut settings = environment(data_dir);
    let listen = format!("127.0.0.1:{}", quiet_port());
    settings.insert("TOLLGATE_LISTEN".into(), listen.into());
    settings
}

/// Posts the event of a customer to an endpoint; returns the status.
async fn post(base: &str, endpoint: &str, key: &SecretString, n: usize) -> u16 {
    let customer = stripe_customer(&format!("cus_{n}"), &format!("c{n}@example.com"));
    let id = format!("evt_{n}");
    let event = stripe_event(&id, "customer.created", 1_790_000_000, customer);
    let body = event.to_string().into_bytes();
    let signature = sign(STRIPE.name, key, &body, SystemClock.now());
    let request = client()
        .post(format!("{base}/webhooks/{endpoint}"))
        .header(header_name(STRIPE.name), signature)
        .body(body);
    request.send().await.unwrap().status().as_u16()
}

async fn get(base: &str, path: &str) -> (u16, Value) {
    call(&client(), base, "GET", path, None).await
}

/// Waits for the outcome of an event; returns the event.
async fn outcome(base: &str, n: usize) -> Value {
    let started = Instant::now();
    loop {
        let (status, event) = get(base, &format!("/api/v1/events/evt_{n}")).await;
        if status == 200 && event["outcome"] != "pending" {
            return event;
        }
        assert!(started.elapsed() < PATIENCE, "evt_{n}: {status} {event}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Posts new customers until told to stop; returns how many were not taken.
async fn send(base: String, stop: Arc<AtomicBool>) -> usize {
    let (mut n, mut refused) = (1_000, 0);
    while !stop.load(Ordering::SeqCst) {
        let status = post(&base, "stripe", &secret(STRIPE.name), n).await;
        refused += usize::from(status != 200);
        n += 1;
    }
    refused
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_made_under_load_is_served_again() {
    let dir = tempfile::tempdir().unwrap();
    let settings_before = settings(&dir.path().join("before"));
    let server = Serving::start(&settings_before).await;
    let base = server.base.clone();
    let post_json = async |path: &str, body: Value| {
        let (status, made) = call(&client(), &base, "POST", path, Some(body)).await;
        assert_eq!(status, 201, "{made}");
        made
    };
    post_json("/api/v1/apps", json!({"slug": "acme", "name": "Acme"})).await;
    let path = "/api/v1/apps/acme/endpoints/stripe/secrets";
    post_json(path, json!({"secret": ACME_SECRET})).await;
    for n in 0..20 {
        assert_eq!(post(&base, "stripe", &secret(STRIPE.name), n).await, 200);
    }
    for n in 0..20 {
        assert_eq!(outcome(&base, n).await["outcome"], "applied");
    }
    let create = ["token", "create", "--name", "me", "--role", "viewer"];
    let token = tollgate(&create, settings_before.clone()).await;
    let token = out(&token).trim().to_owned();

    let stop = Arc::new(AtomicBool::new(false));
    let sender = tokio::spawn(send(base.clone(), Arc::clone(&stop)));
    let file = dir.path().join("copy's.db");
    let backup = ["backup", file.to_str().unwrap()];
    let made = tollgate(&backup, settings_before.clone()).await;
    assert!(made.status.success(), "{}", err(&made));
    stop.store(true, Ordering::SeqCst);
    assert_eq!(sender.await.unwrap(), 0, "each webhook was taken meanwhile");
    let metadata = std::fs::metadata(&file).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    let text = out(&made);
    assert!(
        text.contains(&format!("{} bytes", metadata.len())),
        "{text}"
    );
    assert!(text.contains("before/secret.key too"), "{text}");
    let files = std::fs::read_dir(dir.path()).unwrap();
    assert_eq!(files.count(), 2, "the data folder and the backup");

    let again = tollgate(&backup, settings_before).await;
    assert!(!again.status.success());
    assert!(err(&again).contains("is there already"), "{}", err(&again));
    assert!(server.terminate().success());

    let restored = dir.path().join("restored");
    std::fs::create_dir(&restored).unwrap();
    std::fs::copy(&file, restored.join("tollgate.db")).unwrap();
    let settings = settings(&restored);
    let check = tollgate(&["check-config", "--connect"], settings.clone()).await;
    let text = out(&check);
    assert!(!check.status.success(), "{text}");
    assert!(text.contains("put back the key file"), "{text}");
    let key = dir.path().join("before/secret.key");
    std::fs::copy(key, restored.join("secret.key")).unwrap();
    let check = tollgate(&["check-config", "--connect"], settings.clone()).await;
    assert!(check.status.success(), "{}", out(&check));
    let server = Serving::start(&settings).await;
    let base = server.base.clone();
    let (_, found) = get(&base, "/api/v1/customers?email=c7@example.com").await;
    assert_eq!(found["meta"]["total"], 1, "{found}");
    let viewer = client().get(format!("{base}/api/v1/customers"));
    let status = viewer.bearer_auth(&token).send().await.unwrap().status();
    assert_eq!(status, 200, "the token is known");
    assert_eq!(post(&base, "stripe", &secret(STRIPE.name), 7).await, 200);
    let started = Instant::now();
    while outcome(&base, 7).await["duplicates"] != 1 {
        assert!(started.elapsed() < PATIENCE, "a duplicate is known as one");
    }
    let acme = post(&base, "acme/stripe", &ACME_SECRET.into(), 5_000).await;
    assert_eq!(acme, 200, "the stored secret verifies");
    let wrong = post(&base, "acme/stripe", &secret(STRIPE.name), 5_001).await;
    assert_eq!(wrong, 400, "and another one does not");
    assert_eq!(
        post(&base, "stripe", &secret(STRIPE.name), 6_000).await,
        200
    );
    assert_eq!(outcome(&base, 6_000).await["outcome"], "applied");
    assert!(server.terminate().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_backed_up_is_said_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut on_a_server = environment(&data);
    on_a_server.insert("DATABASE_URL".into(), "postgres://db/shop".into());
    on_a_server.insert("TOLLGATE_SECRET_KEY".into(), SECRET_KEY.into());
    let file = dir.path().join("copy.db");
    let file = file.to_str().unwrap();
    let nowhere = dir.path().join("no/such/copy.db");
    let nowhere = nowhere.to_str().unwrap();
    let refused = async |name: &str, environment, words: &str| {
        let output = tollgate(&["backup", name], environment).await;
        assert!(!output.status.success(), "{words}");
        assert!(err(&output).contains(words), "{}", err(&output));
    };
    refused(file, on_a_server, "pg_dump").await;
    refused(file, environment(&data), "there is no store at").await;
    let migrated = tollgate(&["migrate"], environment(&data)).await;
    assert!(migrated.status.success());
    refused("-", environment(&data), "not to standard output").await;
    refused(nowhere, environment(&data), "No such file or directory").await;
    let files = std::fs::read_dir(dir.path()).unwrap();
    assert_eq!(files.count(), 1, "the data folder alone");
}
