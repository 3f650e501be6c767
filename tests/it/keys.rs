//! The rotation of the secret key: what is sealed with an old one is sealed anew while servers run.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tollgate::clock::{Clock, SystemClock};
use tollgate::domain::access::license_key::LicenseKey;
use tollgate::domain::customer::profile::ProfileChange;
use tollgate::domain::id::{AppSlug, LicenseId, SecretId};
use tollgate::domain::mode::Mode;
use tollgate::domain::precondition::StateTag;
use tollgate::domain::time::Timestamp;
use tollgate::pipeline::customers::{self, SameEmail};
use tollgate::pipeline::licenses;
use tollgate::pipeline::licenses::issue::{self, LicenseOrder};
use tollgate::pipeline::order::Order;
use tollgate::pipeline::reseal::{Resealed, reseal, survey};
use tollgate::provider::STRIPE;
use tollgate::store::idempotency::Attempt;
use tollgate::store::secret::EndpointSecret;
use tollgate::store::{Actor, Registry, SealedApiKey, Store, Tx};
use tollgate::vault::{SealedFor, Vault};

use crate::support::program::{err, out, tollgate};
use crate::support::serving::{Serving, quiet_port};
use crate::support::spec::{header_name, sign};
use crate::support::stores::{Engine, Place, TestStore, on_both_stores};
use crate::support::{
    ADMIN_TOKEN, SECRET_KEY, call, client, environment, stripe_customer, stripe_event,
};

const NEW_KEY: &str = "bmV3LW5ldy1uZXctbmV3LW5ldy1uZXctbmV3LWtleSE=";

/// So many apps, each with a secret of its own.
const APPS: usize = 20;

#[expect(
    clippy::too_many_lines,
    reason = "one thing of each kind that is sealed"
)]
async fn what_an_old_key_sealed_is_sealed_anew_once(engine: Engine) {
    let now = SystemClock.now();
    let test = TestStore::new(engine, now).await;
    let (old, other) = (Vault::new(&[7; 32]), Vault::new(&[9; 32]));
    let rotating = Vault::with_old_keys(&[8; 32], [&[7; 32]]);
    let app: AppSlug = "default".parse().unwrap();
    let ids: Vec<SecretId> = (0..6)
        .map(|n| SecretId::from_uuid(uuid::Uuid::from_u128(n)))
        .collect();
    let what = |id| SealedFor::Secret {
        app: &app,
        provider: STRIPE.name,
        id,
    };
    let mut tx = test.store.begin().await.unwrap();
    for (n, id) in ids.iter().enumerate() {
        let secret = EndpointSecret {
            id: id.clone(),
            app: app.clone(),
            provider: STRIPE.name,
            mode: Mode::Any,
            created_at: now,
            // Expired ones may be given a later end.
            expires_at: (n == 1).then_some(now),
            uses: 0,
            last_used_at: None,
            live_since: None,
        };
        let vault = if n == 4 { &other } else { &old };
        let mut sealed = vault.seal(what(id), &format!("whsec_{n}")).unwrap();
        if n == 5 {
            *sealed.last_mut().unwrap() ^= 1;
        }
        tx.secret_add(&secret, sealed).await.unwrap();
    }
    for n in 0..45 {
        let id = format!("answer-{n:02}");
        let attempt = tx.idempotency_reserve(id.clone(), "f", "h".to_owned(), now);
        let Attempt::Reserved(reservation) = attempt.await.unwrap() else {
            panic!("{id} is new");
        };
        let vault = if n == 20 { &other } else { &old };
        let sealed = vault.seal(SealedFor::Answer { id: &id }, "{}").unwrap();
        tx.idempotency_answer(&reservation, sealed, "")
            .await
            .unwrap();
    }
    let sealed = old.seal(SealedFor::Repository { app: &app }, "token");
    let registry = Registry {
        url: Some("https://repo.example".to_owned()),
        sealed: Some(sealed.unwrap()),
        ..Registry::default()
    };
    tx.registry_put(&app, &registry).await.unwrap();
    let provider = STRIPE.name;
    let for_key = SealedFor::ApiKey {
        app: &app,
        provider,
    };
    let key = SealedApiKey {
        app: app.clone(),
        provider,
        sealed: old.seal(for_key, "rk_live_x").unwrap(),
        of_settings: false,
        created_at: now,
    };
    tx.api_key_put(&key).await.unwrap();
    tx.commit().await.unwrap();
    let licences = sell_licences(&test.store, [&old, &other], now).await;

    let before = survey(&test.store, &rotating, now).await.unwrap();
    assert_eq!(before.old_secrets_by_endpoint(), "default/stripe: 4");
    let unknown: Vec<_> = before.unknown_secrets.iter().map(|it| it.key).collect();
    let expected = [Some(other.key_id()), None];
    assert_eq!(unknown, expected, "of another key, and damaged");
    assert_eq!(before.old_answers, 44);
    assert_eq!(before.unknown_answers, 1);
    assert!(before.old_keys_in_use.contains(&old.key_id()));
    assert_eq!(before.old_repositories, std::slice::from_ref(&app));
    assert_eq!((before.old_licenses, before.unknown_licenses), (600, 1));
    let tags = tags_of(&test.store, &licences).await;
    let expected = Resealed {
        hook_secrets: 0,
        secrets: 4,
        api_keys: 1,
        repositories: 1,
        licenses: 600,
        answers: 44,
    };
    let done = reseal(&test.store, &rotating, now).await.unwrap();
    assert_eq!(done, expected);
    let again = reseal(&test.store, &rotating, now).await.unwrap();
    assert_eq!(again, Resealed::default(), "there is nothing left to do");
    let after = survey(&test.store, &rotating, now).await.unwrap();
    assert!(after.old_keys_in_use.is_empty(), "{after:?}");
    let left: Vec<&SecretId> = after.unknown_secrets.iter().map(|it| &it.id).collect();
    assert_eq!(left, [&ids[4], &ids[5]], "left as they were");
    assert_eq!((after.old_licenses, after.unknown_licenses), (0, 1));
    assert_eq!(tags_of(&test.store, &licences).await, tags, "the same");

    let new = Vault::new(&[8; 32]);
    let mut tx = test.store.read().await.unwrap();
    let sealed = tx.registry_find(&app).await.unwrap().sealed.unwrap();
    let token = new.open(SealedFor::Repository { app: &app }, &sealed);
    assert_eq!(token.unwrap().expose_secret(), "token");
    all_but_the_last_open(&mut tx, &new, &licences).await;
    for sealed in tx.secret_list_all().await.unwrap() {
        let n = ids.iter().position(|id| *id == sealed.secret.id).unwrap();
        if n == 5 {
            continue;
        }
        let vault = if n == 4 { &other } else { &new };
        let opened = vault.open(what(&ids[n]), &sealed.sealed).unwrap();
        assert_eq!(opened.expose_secret(), format!("whsec_{n}"));
    }
}

async fn all_but_the_last_open(tx: &mut Tx, vault: &Vault, licences: &[LicenseId]) {
    let app = AppSlug::default_app();
    for (n, id) in licences.iter().enumerate() {
        let found = tx.license_find(&app, id).await.unwrap().unwrap();
        let key = licenses::key_of(vault, &app, id, &found.sealed);
        assert_eq!(key, (n < 600).then(|| format!("key-{n}")));
    }
}

async fn tags_of(store: &Store, licences: &[LicenseId]) -> Vec<StateTag> {
    let mut tags = Vec::new();
    for id in licences {
        let found = licenses::find(store, &AppSlug::default_app(), id).await;
        tags.push(found.unwrap().state_tag());
    }
    tags
}

/// Sells six hundred licences whose keys the first vault seals, and one of the other's.
async fn sell_licences(store: &Store, vaults: [&Vault; 2], now: Timestamp) -> Vec<LicenseId> {
    let order = Order {
        app: "default".parse().unwrap(),
        actor: Actor::Operator,
        now,
        reason: None,
    };
    let profile = ProfileChange {
        name: Some(Some("Acme".to_owned())),
        ..ProfileChange::default()
    };
    let made = customers::create(store, &order, &profile, SameEmail::Refused).await;
    let customer = made.unwrap().customer.id;
    let mut ids = Vec::new();
    for n in 0..=600 {
        let wanted = LicenseOrder {
            customer: customer.clone(),
            product: "Tool".to_owned(),
            key: Some(LicenseKey::foreign(format!("key-{n}"))),
            expires_at: None,
            activations_limit: None,
            metadata: serde_json::Map::new(),
        };
        let vault = vaults[usize::from(n == 600)];
        let issued = issue::issue(store, vault, &order, wanted).await;
        ids.push(issued.unwrap().license.id);
    }
    ids
}

async fn a_text_that_changed_meanwhile_is_not_overwritten(engine: Engine) {
    let now = SystemClock.now();
    let test = TestStore::new(engine, now).await;
    let id = SecretId::from_uuid(uuid::Uuid::nil());
    let secret = EndpointSecret {
        id: id.clone(),
        app: "default".parse().unwrap(),
        provider: STRIPE.name,
        mode: Mode::Any,
        created_at: now,
        expires_at: None,
        uses: 0,
        last_used_at: None,
        live_since: None,
    };
    let mut tx = test.store.begin().await.unwrap();
    tx.secret_add(&secret, vec![1]).await.unwrap();
    assert!(tx.secret_reseal(&id, vec![1], vec![2]).await.unwrap());
    assert!(!tx.secret_reseal(&id, vec![1], vec![3]).await.unwrap());
    let listed = tx.secret_list_all().await.unwrap();
    assert_eq!(listed[0].sealed, [2]);
}

/// The secret of the endpoint of an app.
fn secret_of(app: usize) -> SecretString {
    format!("whsec_KEYROTATION0123456789abcdef{app:04}").into()
}

/// Posts events, a hundred a second, to all endpoints in turn until told to stop. Returns the
/// number of those that were taken, and the other answers.
async fn send(base: String, stop: Arc<AtomicBool>) -> (usize, Vec<(usize, String)>) {
    let client = client();
    let mut every = tokio::time::interval(Duration::from_millis(10));
    let mut posts = tokio::task::JoinSet::new();
    for n in 0.. {
        every.tick().await;
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let (client, base) = (client.clone(), base.clone());
        posts.spawn(async move { (n, post(&client, &base, n % APPS, n).await) });
    }
    let answers = posts.join_all().await;
    let (taken, others): (Vec<_>, Vec<_>) = answers
        .into_iter()
        // A disk that stalls for seconds, as one does under many tests at once, is another matter.
        .filter(|(_, answer)| !answer.contains("\"code\":\"unavailable\""))
        .partition(|(_, answer)| answer.starts_with("200"));
    (taken.len(), others)
}

/// Posts an event; returns status and body of the answer.
async fn post(client: &reqwest::Client, base: &str, app: usize, n: usize) -> String {
    let now = SystemClock.now();
    let customer = stripe_customer(&format!("cus_{n}"), &format!("c{n}@example.com"));
    let id = format!("evt_{n}");
    let event = stripe_event(&id, "customer.created", now.seconds(), customer);
    let body = event.to_string().into_bytes();
    let signature = sign(STRIPE.name, &secret_of(app), &body, now);
    let request = client
        .post(format!("{base}/webhooks/app-{app}/stripe"))
        .header(header_name(STRIPE.name), signature)
        .body(body);
    let answer = request.send().await.unwrap();
    let status = answer.status();
    format!("{status} {}", answer.text().await.unwrap())
}

/// Makes an app with an `Idempotency-Key`; returns whether the answer is a repeated one.
async fn make_app(base: &str, app: usize) -> bool {
    let slug = format!("app-{app}");
    let request = client()
        .post(format!("{base}/api/v1/apps"))
        .bearer_auth(ADMIN_TOKEN)
        .header("Idempotency-Key", &slug)
        .json(&json!({"slug": slug, "name": slug}));
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 201);
    answer.headers().contains_key("idempotency-replayed")
}

/// The state of the key of each app's secret.
async fn key_states(base: &str) -> Vec<String> {
    let mut found = Vec::new();
    for app in 0..APPS {
        let path = format!("/api/v1/apps/app-{app}/endpoints/stripe/secrets");
        let (status, listed) = call(&client(), base, "GET", &path, None).await;
        assert_eq!(status, 200, "{listed}");
        found.push(listed["data"][0]["key_state"].as_str().unwrap().to_owned());
    }
    found
}

/// A server over an empty store, with a secret for each app.
async fn serving(environment: &BTreeMap<OsString, OsString>) -> Serving {
    let serving = Serving::start(environment).await;
    for app in 0..APPS {
        assert!(!make_app(&serving.base, app).await);
        let path = format!("/api/v1/apps/app-{app}/endpoints/stripe/secrets");
        let body = json!({"secret": secret_of(app).expose_secret()});
        let (status, made) = call(&client(), &serving.base, "POST", &path, Some(body)).await;
        assert_eq!(status, 201, "{made}");
    }
    assert_eq!(key_states(&serving.base).await, vec!["current"; APPS]);
    serving
}

/// All secrets verify, and the answers of before can be repeated.
async fn all_is_as_before(base: &str) {
    for app in 0..APPS {
        let answer = post(&client(), base, app, 1_000_000 + app).await;
        assert!(answer.starts_with("200"), "app-{app}: {answer}");
        assert!(make_app(base, app).await, "app-{app}: the first answer");
    }
}

async fn run(arguments: &[&str], environment: &BTreeMap<OsString, OsString>) -> String {
    let output = tollgate(arguments, environment.clone()).await;
    let text = out(&output);
    assert!(output.status.success(), "{text}{}", err(&output));
    text
}

/// Posts a hundred events a second while something runs, some before and some after it.
async fn under_load<T>(server: &Serving, work: impl Future<Output = T>) -> T {
    let stop = Arc::new(AtomicBool::new(false));
    let sender = tokio::spawn(send(server.base.clone(), Arc::clone(&stop)));
    tokio::time::sleep(Duration::from_millis(500)).await;
    let result = work.await;
    // Receivers read the secrets again every five seconds.
    tokio::time::sleep(Duration::from_secs(6)).await;
    stop.store(true, Ordering::SeqCst);
    let (taken, others) = sender.await.unwrap();
    assert_eq!(others, [], "each webhook is taken: {}", server.log());
    assert!(taken > 100, "{taken}");
    result
}

fn own_port(data_dir: &Path) -> BTreeMap<OsString, OsString> {
    let mut environment = environment(data_dir);
    let listen = format!("127.0.0.1:{}", quiet_port());
    environment.insert("TOLLGATE_LISTEN".into(), listen.into());
    environment
}

async fn keys_of_the_environment_are_rotated_under_load(engine: Engine) {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::new(engine).await;
    let mut environment = own_port(dir.path());
    environment.insert("DATABASE_URL".into(), place.url().into());
    let set = |environment: &mut BTreeMap<OsString, OsString>, keys: &str| {
        environment.insert("TOLLGATE_SECRET_KEY".into(), keys.into());
    };
    set(&mut environment, SECRET_KEY);
    let server = serving(&environment).await;
    let alone = run(&["rotate-key"], &environment).await;
    assert!(alone.contains("there is no old key"), "{alone}");
    assert!(alone.contains("TOLLGATE_SECRET_KEY=NEW,OLD"), "{alone}");
    assert!(server.terminate().success());

    set(&mut environment, &format!("{NEW_KEY},{SECRET_KEY}"));
    let mut server = Serving::start(&environment).await;
    let said = "still sealed with an old secret key";
    server.until_logged(said).await;
    assert_eq!(key_states(&server.base).await, vec!["old"; APPS]);
    let checked = run(&["check-config", "--connect"], &environment).await;
    let said = "still under an old secret key: 20 webhook secrets (app-0/stripe: 1, ";
    assert!(checked.contains(said), "{checked}");
    let dry = run(&["rotate-key", "--dry-run"], &environment).await;
    assert!(
        dry.contains("webhook secrets under an old key: 20"),
        "{dry}"
    );

    let text = under_load(&server, run(&["rotate-key"], &environment)).await;
    assert!(
        text.contains(
            "sealed anew: 20 webhook secrets, 0 tokens of Composer repositories, 20 answers"
        ),
        "{text}"
    );
    assert!(
        text.contains("it can be removed from TOLLGATE_SECRET_KEY"),
        "{text}"
    );
    let again = run(&["rotate-key"], &environment).await;
    assert!(
        again.contains("sealed anew: 0 webhook secrets, 0 tokens"),
        "{again}"
    );
    assert_eq!(key_states(&server.base).await, vec!["current"; APPS]);
    let checked = run(&["check-config", "--connect"], &environment).await;
    assert!(checked.contains("they can be removed"), "{checked}");
    let refused = tollgate(&["rotate-key", "--remove-old"], environment.clone()).await;
    assert!(err(&refused).contains("the keys are in TOLLGATE_SECRET_KEY"));
    all_is_as_before(&server.base).await;
    assert!(server.terminate().success());

    set(&mut environment, NEW_KEY);
    let server = Serving::start(&environment).await;
    all_is_as_before(&server.base).await;
    assert!(server.terminate().success());
    place.give_back();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_of_the_data_folder_is_rotated_without_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let environment = own_port(dir.path());
    let server = serving(&environment).await;
    let file = dir.path().join("secret.key");
    let first = std::fs::read_to_string(&file).unwrap();

    let text = under_load(&server, run(&["rotate-key"], &environment)).await;
    assert!(text.contains("added the new key"), "{text}");
    assert!(
        text.contains(
            "sealed anew: 20 webhook secrets, 0 tokens of Composer repositories, 20 answers"
        ),
        "{text}"
    );
    assert!(
        text.contains("`tollgate rotate-key --remove-old` removes it"),
        "{text}"
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 2);
    let again = run(&["rotate-key"], &environment).await;
    assert!(again.contains("sealed anew: 0 webhook secrets"), "{again}");
    assert!(!again.contains("added"), "one rotation at a time: {again}");
    all_is_as_before(&server.base).await;
    assert_eq!(key_states(&server.base).await, vec!["current"; APPS]);

    let removed = run(&["rotate-key", "--remove-old"], &environment).await;
    assert!(removed.contains("removed from"), "{removed}");
    let last = std::fs::read_to_string(&file).unwrap();
    assert_eq!(last.lines().count(), 1);
    assert_ne!(last, first);
    let path = "/api/v1/apps/app-0/endpoints/paddle/secrets";
    let body = json!({"secret": "pdl_ntfset_01k_TESTONLYafterwards"});
    let (status, made): (u16, Value) =
        call(&client(), &server.base, "POST", path, Some(body)).await;
    assert_eq!((status, &made["key_state"]), (201, &json!("current")));
    assert!(server.terminate().success());

    let server = Serving::start(&environment).await;
    all_is_as_before(&server.base).await;
    assert!(server.terminate().success());
}

on_both_stores! {
    what_an_old_key_sealed_is_sealed_anew_once,
    a_text_that_changed_meanwhile_is_not_overwritten,
    keys_of_the_environment_are_rotated_under_load,
}
