//! Webhooks of an app's own: who is told of what, in which order, and what becomes of it when the
//! receiver does not take it. The clock is the test's.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use tollgate::domain::event::EventError;
use tollgate::domain::span::Span;
use tollgate::pipeline::hooks::{Delivered, Deliveries, Destinations, HookSender};
use tollgate::pipeline::record::record;
use tollgate::queue::message::Replay;
use tollgate::vault::Vault;

use super::rig::{NOW, Rig, id_of, path_of};
use crate::process::message;
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{client, stripe_customer, stripe_event};

type Judge = Box<dyn Fn(&Value) -> (u16, Vec<(HeaderName, String)>) + Send + Sync>;

/// What came to a receiver, and what it says to it.
pub(super) struct Receiver {
    pub(super) url: String,
    got: Arc<Mutex<Vec<(HeaderMap, Value)>>>,
    judge: Arc<Mutex<Judge>>,
}

type Shared = (Arc<Mutex<Vec<(HeaderMap, Value)>>>, Arc<Mutex<Judge>>);

async fn receive(
    State((got, judge)): State<Shared>,
    headers: HeaderMap,
    body: String,
) -> (StatusCode, HeaderMap) {
    let body: Value = serde_json::from_str(&body).unwrap();
    let (status, extra) = (judge.lock().unwrap())(&body);
    if status < 300 {
        got.lock().unwrap().push((headers, body));
    }
    let mut headers = HeaderMap::new();
    for (name, value) in extra {
        headers.insert(name, value.parse().unwrap());
    }
    (StatusCode::from_u16(status).unwrap(), headers)
}

impl Receiver {
    pub(super) async fn start() -> Self {
        let got = Arc::default();
        let judge: Judge = Box::new(|_| (204, Vec::new()));
        let judge = Arc::new(Mutex::new(judge));
        let router = Router::new()
            .fallback(receive)
            .with_state((Arc::clone(&got), Arc::clone(&judge)));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, got, judge }
    }

    pub(super) fn says(&self, status: u16) {
        self.judges(move |_| (status, Vec::new()));
    }

    pub(super) fn judges(
        &self,
        judge: impl Fn(&Value) -> (u16, Vec<(HeaderName, String)>) + Send + Sync + 'static,
    ) {
        *self.judge.lock().unwrap() = Box::new(judge);
    }

    pub(super) fn taken(&self) -> Vec<(HeaderMap, Value)> {
        std::mem::take(&mut *self.got.lock().unwrap())
    }

    pub(super) fn kinds(&self) -> Vec<String> {
        let taken = self.taken().into_iter();
        taken
            .map(|(_, body)| body["type"].as_str().unwrap().to_owned())
            .collect()
    }
}

pub(super) fn deliveries(private: bool) -> Deliveries {
    client();
    let sender = HookSender::new(Destinations::new(private)).unwrap();
    Deliveries::new(sender, Vault::new(&[7; 32]), Span::days(5))
}

pub(super) const HOOKS: &str = "/apps/default/hooks";

impl Rig {
    /// Makes a hook; what is told of it with its secret.
    pub(super) async fn hook(&self, url: &str, kinds: &[&str]) -> Value {
        let body = json!({"url": url, "kinds": kinds});
        self.post(HOOKS, body).await.expect(201)
    }

    /// Makes a round for each hook, as the worker does.
    pub(super) async fn delivers(&self) -> Delivered {
        self.delivers_to(true).await
    }

    /// Makes due what a clock that was ahead has put off, as the worker does.
    pub(super) async fn heeds_clock(&self) {
        let deliveries = deliveries(true);
        let heeded = deliveries.heed_clock(&self.store, self.now()).await;
        heeded.unwrap();
    }

    async fn delivers_to(&self, private: bool) -> Delivered {
        deliveries(private)
            .deliver_due(&self.store, self.clock())
            .await
            .unwrap()
    }

    /// A delivery fails, and is made after so many seconds, not before.
    async fn is_put_off(&self, receiver: &Receiver, seconds: u64) {
        assert_eq!(self.delivers().await.failed, 1);
        receiver.says(204);
        self.pass(seconds - 1);
        assert_eq!(self.delivers().await, Delivered::default(), "too early");
        self.pass(1);
        assert_eq!(self.delivers().await.delivered, 1);
    }

    /// Makes rounds until nothing is due.
    pub(super) async fn delivers_all(&self) {
        while self.delivers().await != Delivered::default() {}
    }
}

pub(super) fn signatures(secret: &str, headers: &HeaderMap, body: &Value) -> bool {
    let text = |name: &str| headers[name].to_str().unwrap().to_owned();
    let key = STANDARD
        .decode(secret.strip_prefix("whsec_").unwrap())
        .unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    let (id, at) = (text("webhook-id"), text("webhook-timestamp"));
    mac.update(format!("{id}.{at}.{body}").as_bytes());
    let wanted = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    text("webhook-signature").split(' ').any(|it| it == wanted)
}

async fn a_hook_is_told_of_what_it_wants_signed(engine: Engine) {
    let rig = Rig::start(engine).await;
    let receiver = Receiver::start().await;
    let hook = rig.hook(&receiver.url, &["customer.*"]).await;
    let secret = hook["secret"].as_str().unwrap();
    let thin = Receiver::start().await;
    let body = json!({"url": thin.url, "body": "thin", "kinds": ["token.created"]});
    rig.post(HOOKS, body).await.expect(201);

    let ada = rig
        .customer(json!({"email": "ada@x.com", "external_id": "e-1"}))
        .await;
    rig.post(
        &format!("{}/suspend", path_of(&ada)),
        json!({"reason": "unpaid"}),
    )
    .await
    .expect(200);
    rig.delivers_all().await;
    let taken = receiver.taken();
    let kinds: Vec<&Value> = taken.iter().map(|(_, body)| &body["type"]).collect();
    assert_eq!(kinds, ["customer.created", "customer.suspended"]);
    for (headers, body) in &taken {
        assert_eq!(headers["webhook-id"].to_str().unwrap(), body["id"]);
        assert_eq!(headers["webhook-timestamp"], NOW.to_string().as_str());
        assert!(signatures(secret, headers, body), "{body}");
        assert_eq!(
            (&body["app"], &body["customer_id"]),
            (&json!("default"), &ada["id"])
        );
        assert!(!body.to_string().contains("ada@x.com"), "{body}");
    }
    assert_eq!(taken[0].1["data"], json!({"external_id": "e-1"}));
    assert_eq!(taken[1].1["data"]["reason"], "unpaid");
    let taken = thin.taken();
    assert_eq!(taken.len(), 1, "the token of the customer");
    assert!(taken[0].1.get("data").is_none(), "{}", taken[0].1);

    // What one call changes of a customer is told once.
    let changed = json!({"name": "Ada", "email": "ada@y.com", "external_id": "e-2"});
    rig.as_admin(super::rig::ROOT, "PATCH", &path_of(&ada), Some(changed))
        .await
        .expect(200);
    rig.delivers_all().await;
    let taken = receiver.taken();
    let told: Vec<_> = taken
        .iter()
        .map(|(_, it)| (&it["type"], &it["data"]))
        .collect();
    let fields = json!({"fields": ["profile", "external_id", "contact"]});
    assert_eq!(told, [(&json!("customer.updated"), &fields)]);

    // Webhooks of a provider are told of too.
    let account = stripe_customer("cus_1", "bob@x.com");
    rig.happens(&stripe_event("evt_1", "customer.created", NOW - 9, account))
        .await;
    rig.delivers_all().await;
    assert_eq!(receiver.kinds(), ["customer.created"]);
}

async fn what_was_rolled_back_or_nobody_wants_is_not_told(engine: Engine) {
    use tollgate::domain::id::AppSlug;
    use tollgate::store::{Actor, AuditEntry};
    let rig = Rig::start(engine).await;
    let ada = rig.customer(json!({"name": "Ada"})).await;
    let rows = async || {
        rig.place
            .count(
                "SELECT COUNT(*) FROM changes",
                "SELECT COUNT(*) FROM changes",
            )
            .await
    };
    assert_eq!(rows().await, 0, "nobody wants it");
    let receiver = Receiver::start().await;
    rig.hook(&receiver.url, &["*"]).await;
    let entry = AuditEntry {
        app: AppSlug::default_app(),
        at: rig.now(),
        actor: Actor::Root,
        customer: Some(ada["id"].as_str().unwrap().parse().unwrap()),
        operation: "suspend".to_owned(),
        details: json!({}),
    };
    let mut tx = rig.store.begin().await.unwrap();
    tx.audit_add(std::slice::from_ref(&entry)).await.unwrap();
    drop(tx);
    assert_eq!(rows().await, 0, "rolled back");
    let mut tx = rig.store.begin().await.unwrap();
    tx.audit_add(&[entry]).await.unwrap();
    tx.commit().await.unwrap();
    rig.delivers_all().await;
    assert_eq!(receiver.kinds(), ["customer.suspended"]);
}

async fn what_waits_behind_another_gives_nobody_work(engine: Engine) {
    let rig = Rig::start(engine).await;
    let receiver = Receiver::start().await;
    receiver.says(500);
    rig.hook(&receiver.url, &["customer.*"]).await;
    let made = rig.customer(json!({"name": "A"})).await;
    let suspend = format!("{}/suspend", path_of(&made));
    rig.post(&suspend, json!({})).await.expect(200);
    assert_eq!(rig.delivers().await.failed, 1, "the oldest alone");
    let is_due = async || {
        let sender = HookSender::new(Destinations::new(true)).unwrap();
        let deliveries = Deliveries::new(sender, Vault::new(&[7; 32]), Span::days(5));
        let due = deliveries.due(&rig.store, rig.now()).await.unwrap();
        !due.is_empty()
    };
    // The hook rests no more, and the second was never tried; but the first waits for five seconds.
    rig.pass(3);
    assert!(!is_due().await);
    rig.pass(3);
    assert!(is_due().await);
}

async fn a_receiver_that_fails_for_an_hour_misses_nothing(engine: Engine) {
    let rig = Rig::start(engine).await;
    let receiver = Receiver::start().await;
    receiver.says(500);
    rig.hook(&receiver.url, &["customer.*"]).await;
    let mut wanted: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let mut paths = Vec::new();
    for name in ["A", "B", "C", "D", "E", "F"] {
        let made = rig.customer(json!({"name": name})).await;
        wanted.insert(id_of(&made), vec!["customer.created"]);
        paths.push((id_of(&made), path_of(&made)));
    }
    for minute in 0..60 {
        if let Some((act, kind)) = [
            (5, ("suspend", "customer.suspended")),
            (20, ("reactivate", "customer.reactivated")),
            (40, ("expire", "customer.expired")),
        ]
        .iter()
        .find_map(|(at, it)| (*at == minute).then_some(*it))
        {
            for (id, path) in &paths {
                rig.post(&format!("{path}/{act}"), json!({}))
                    .await
                    .expect(200);
                wanted.get_mut(id).unwrap().push(kind);
            }
        }
        rig.delivers().await;
        rig.pass(60);
    }
    let hook = rig.get(HOOKS).await.expect(200)["data"][0].clone();
    assert!(hook["failing_since"].is_string(), "{hook}");
    assert!(receiver.taken().is_empty());
    receiver.says(204);
    // One is tried every quarter of an hour or so; when it is taken, all that waits is due.
    rig.pass(24 * 60);
    rig.delivers_all().await;
    let mut got: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (_, body) in receiver.taken() {
        let customer = body["customer_id"].as_str().unwrap().to_owned();
        got.entry(customer)
            .or_default()
            .push(body["type"].as_str().unwrap().to_owned());
    }
    let got: BTreeMap<&String, Vec<&str>> = got
        .iter()
        .map(|(id, kinds)| (id, kinds.iter().map(String::as_str).collect()))
        .collect();
    assert_eq!(
        got,
        wanted
            .iter()
            .map(|(id, kinds)| (id, kinds.clone()))
            .collect()
    );
    let hook = rig.get(HOOKS).await.expect(200)["data"][0].clone();
    assert!(hook["failing_since"].is_null(), "{hook}");
}

async fn a_delivery_that_is_refused_holds_back_its_customer_alone(engine: Engine) {
    let rig = Rig::start(engine).await;
    let receiver = Receiver::start().await;
    let hook = rig.hook(&receiver.url, &["customer.*"]).await;
    let bad = rig.customer(json!({"name": "Bad"})).await;
    let good = rig.customer(json!({"name": "Good"})).await;
    let refused = bad["id"].clone();
    receiver.judges(move |body| {
        (
            if body["customer_id"] == refused {
                400
            } else {
                204
            },
            vec![],
        )
    });
    for customer in [&bad, &good] {
        rig.post(&format!("{}/suspend", path_of(customer)), json!({}))
            .await
            .expect(200);
    }
    rig.delivers_all().await;
    assert_eq!(receiver.kinds(), ["customer.created", "customer.suspended"]);
    let of_kind = |kind: &str| format!("{HOOKS}/{}/deliveries?kind={kind}", id_of(&hook));
    let suspended = rig.get(&of_kind("customer.suspended")).await.expect(200);
    assert_eq!(suspended["data"].as_array().unwrap().len(), 2);
    for kind in ["customer.suspend", "customer.*"] {
        rig.get(&of_kind(kind)).await.refused(422, "query_invalid");
    }
    let path = format!("{HOOKS}/{}/deliveries?state=waiting", id_of(&hook));
    let waiting = rig.get(&path).await.expect(200);
    let waiting = waiting["data"].as_array().unwrap().clone();
    let tries: Vec<&Value> = waiting.iter().map(|it| &it["attempts"]).collect();
    assert_eq!(tries, [0, 1], "the later one has not been tried");
    assert_eq!(
        (&waiting[1]["status"], &waiting[1]["error"]),
        (&json!(400), &json!("refused"))
    );
    // After the last try, which is after about three days, the first is given up, and the later one gets
    // its turn.
    let before = "UPDATE hook_deliveries SET attempts = 298 WHERE settled_at IS NULL";
    rig.place.run(before, before).await;
    let path_of_good = path_of(&good);
    for round in 0..8 {
        rig.pass(20 * 60);
        let act = ["reactivate", "suspend"][round % 2];
        rig.post(&format!("{path_of_good}/{act}"), json!({}))
            .await
            .expect(200);
        rig.delivers_all().await;
    }
    assert_eq!(receiver.kinds().len(), 8, "the other customer is told of");
    let failed = rig
        .get(&path.replace("waiting", "failed"))
        .await
        .expect(200);
    assert_eq!(failed["data"].as_array().unwrap().len(), 2, "{failed}");
    assert_eq!(failed["data"][1]["attempts"], 300);
}

async fn both_secrets_sign_while_one_is_replaced(engine: Engine) {
    let rig = Rig::start(engine).await;
    let receiver = Receiver::start().await;
    let hook = rig.hook(&receiver.url, &["*"]).await;
    let old = hook["secret"].as_str().unwrap().to_owned();
    let one = format!("{HOOKS}/{}", id_of(&hook));
    let shown = rig.get(&one).await.expect(200);
    assert!(shown.get("secret").is_none(), "{shown}");
    rig.pass(1);
    let rotate = format!("{one}/rotate-secret");
    let new = rig
        .post(&rotate, json!({"overlap_seconds": 3600}))
        .await
        .expect(200);
    let new = new["secret"].as_str().unwrap().to_owned();
    let signed = async || {
        rig.post(&format!("{one}/test"), json!({}))
            .await
            .expect(202);
        rig.delivers_all().await;
        let (headers, body) = receiver.taken().pop().unwrap();
        assert_eq!(body["type"], "hook.test");
        [&old, &new].map(|it| signatures(it, &headers, &body))
    };
    assert_eq!(signed().await, [true, true]);
    // The answer is lost, so it is rotated once more, which lengthens nothing.
    rig.pass(1800);
    let longer = json!({"overlap_seconds": 36_000});
    rig.post(&rotate, longer.clone()).await.expect(200);
    assert_eq!(signed().await, [true, true]);
    rig.pass(1800);
    assert_eq!(signed().await, [false, true]);
    for _ in 0..3 {
        rig.post(&rotate, longer.clone()).await.expect(200);
    }
    assert_eq!(signed().await, [false, true], "four beside the newest");
    rig.post(&rotate, longer).await.expect(200);
    assert_eq!(signed().await, [false, false]);
    let leaked = rig.post(&rotate, json!({"overlap_seconds": 0})).await;
    let last = leaked.expect(200)["secret"].as_str().unwrap().to_owned();
    rig.post(&format!("{one}/test"), json!({}))
        .await
        .expect(202);
    rig.delivers_all().await;
    let (headers, body) = receiver.taken().pop().unwrap();
    assert!(signatures(&last, &headers, &body));
    let all = headers["webhook-signature"].to_str().unwrap();
    assert_eq!(all.split(' ').count(), 1, "{all}");
    let rows = rig.place.contents().await;
    for secret in [&old, &new] {
        let plain = rows
            .iter()
            .find(|(_, cell)| cell.windows(secret.len()).any(|it| it == secret.as_bytes()));
        assert!(plain.is_none(), "{plain:?}");
    }
}

async fn what_is_sent_again_has_the_same_id(engine: Engine) {
    let rig = Rig::start(engine).await;
    let receiver = Receiver::start().await;
    let hook = rig.hook(&receiver.url, &["customer.*"]).await;
    rig.customer(json!({"name": "Ada"})).await;
    rig.delivers_all().await;
    let (first, _) = receiver.taken().pop().unwrap();
    let deliveries = format!("{HOOKS}/{}/deliveries", id_of(&hook));
    let listed = rig.get(&deliveries).await.expect(200);
    let delivery = &listed["data"][0];
    assert_eq!(
        (&delivery["state"], &delivery["status"]),
        (&json!("delivered"), &json!(204))
    );
    let resend = format!("{deliveries}/{}/resend", id_of(delivery));
    let again = rig.post(&resend, json!({})).await.expect(202);
    assert_ne!(again["id"], delivery["id"]);
    rig.delivers_all().await;
    let (second, _) = receiver.taken().pop().unwrap();
    assert_eq!(first["webhook-id"], second["webhook-id"]);
    rig.post(&resend.replace(&id_of(delivery), "dlv_x"), json!({}))
        .await
        .refused(404, "delivery_not_found");
}

async fn a_receiver_that_is_gone_disables_its_hook(engine: Engine) {
    let rig = Rig::start(engine).await;
    let (gone, failing) = (Receiver::start().await, Receiver::start().await);
    let (watch, inbox) = (Receiver::start().await, Receiver::start().await);
    gone.says(410);
    failing.says(500);
    let first = rig.hook(&gone.url, &["customer.*"]).await;
    let second = rig.hook(&failing.url, &["customer.*"]).await;
    rig.hook(&watch.url, &["hook.disabled"]).await;
    rig.hook(&inbox.url, &["flag.raised"]).await;
    rig.customer(json!({"name": "Ada"})).await;
    rig.delivers_all().await;
    let shown = async |hook: &Value| {
        let hook = rig
            .get(&format!("{HOOKS}/{}", id_of(hook)))
            .await
            .expect(200);
        (hook["status"].clone(), hook["reason"].clone())
    };
    assert_eq!(shown(&first).await, (json!("disabled"), json!("gone")));
    let told = watch.taken();
    assert_eq!((told.len(), &told[0].1["data"]["id"]), (1, &first["id"]));
    // Five days without a success.
    for _ in 0..6 {
        rig.customer(json!({"name": "Bob"})).await;
        rig.pass(24 * 3_600);
        rig.delivers_all().await;
    }
    assert_eq!(shown(&second).await, (json!("disabled"), json!("failing")));
    assert_eq!(watch.taken()[0].1["data"]["id"], second["id"]);
    let test = format!("{HOOKS}/{}/test", id_of(&second));
    rig.post(&test, json!({}))
        .await
        .refused(409, "hook_disabled");
    // Nothing waits at a hook that is disabled, so its own figure says so, until an admin has looked at it.
    let lost = async || {
        let mut tx = rig.store.read().await.unwrap();
        tx.hook_count_lost().await.unwrap()
    };
    assert_eq!(lost().await, 2);
    // So do flags, of which operators were told.
    let flagged = async || {
        let path = "/flags?kind=hook_disabled";
        let flags = rig.get(path).await.expect(200);
        flags["data"].as_array().unwrap().clone()
    };
    let flags = flagged().await;
    let subjects: Vec<&Value> = flags.iter().map(|it| &it["subject"]).collect();
    assert_eq!(subjects, [&second["id"], &first["id"]], "the newest first");
    assert_eq!(flags[0]["customer_id"], Value::Null);
    let raised = inbox.taken();
    let raised = raised.iter().map(|(_, it)| &it["data"]["flag"]["subject"]);
    assert!(raised.eq([&first["id"], &second["id"]]));
    // Cleared, one is gone until the hook is disabled again.
    let flag = format!("/flags/{}", id_of(&flags[1]));
    rig.delete(&flag).await.expect(204);
    assert_eq!(flagged().await, flags[..1]);
    // Enabled again, it gets what waited, and nothing of what came while it was disabled.
    rig.customer(json!({"name": "Eve"})).await;
    failing.says(204);
    let one = format!("{HOOKS}/{}", id_of(&second));
    rig.as_admin(
        super::rig::ROOT,
        "PATCH",
        &one,
        Some(json!({"status": "enabled"})),
    )
    .await
    .expect(200);
    assert_eq!((lost().await, flagged().await.len()), (1, 0));
    for _ in 0..3 {
        rig.delivers_all().await;
        rig.pass(24 * 3_600);
    }
    assert!(!failing.taken().is_empty());
    // Disabled by an admin, it is as somebody wants it.
    let disabled = Some(json!({"status": "disabled"}));
    rig.as_admin(super::rig::ROOT, "PATCH", &one, disabled)
        .await
        .expect(200);
    assert_eq!((lost().await, flagged().await.len()), (1, 0));
}

async fn a_receiver_may_say_when_to_come_again_and_not_where(engine: Engine) {
    let rig = Rig::start(engine).await;
    let receiver = Receiver::start().await;
    let hook = rig.hook(&receiver.url, &["customer.*"]).await;
    let wait = vec![(axum::http::header::RETRY_AFTER, "7200".to_owned())];
    receiver.judges(move |_| (429, wait.clone()));
    rig.customer(json!({"name": "Ada"})).await;
    rig.is_put_off(&receiver, 7_200).await;

    let elsewhere = Receiver::start().await;
    let there = vec![(axum::http::header::LOCATION, elsewhere.url.clone())];
    receiver.judges(move |_| (302, there.clone()));
    rig.customer(json!({"name": "Bob"})).await;
    rig.delivers().await;
    assert!(elsewhere.taken().is_empty(), "a redirect was followed");
    let deliveries = format!("{HOOKS}/{}/deliveries", id_of(&hook));
    let last = rig.get(&deliveries).await.expect(200)["data"][0].clone();
    assert_eq!(
        (&last["status"], &last["error"]),
        (&json!(302), &json!("redirected"))
    );
    // The rig allows private addresses; a sender that does not looks at what it has been given.
    rig.pass(3_600);
    rig.delivers_to(false).await;
    let last = rig.get(&deliveries).await.expect(200)["data"][0].clone();
    assert_eq!(last["error"], "url_invalid", "{last}");
}

async fn a_wait_may_be_a_date_and_only_of_who_is_busy(engine: Engine) {
    use axum::http::header::{DATE, RETRY_AFTER};
    let rig = Rig::start(engine).await;
    let receiver = Receiver::start().await;
    rig.hook(&receiver.url, &["customer.created"]).await;
    // By the receiver's clock, whatever it says.
    let wait = vec![
        (DATE, "Sat, 01 Jan 2000 12:00:00 GMT".to_owned()),
        (RETRY_AFTER, "Sat, 01 Jan 2000 14:00:00 GMT".to_owned()),
    ];
    receiver.judges(move |_| (503, wait.clone()));
    rig.customer(json!({"name": "Ada"})).await;
    rig.is_put_off(&receiver, 7_200).await;
    // Of who refuses it means nothing.
    let wait = vec![(RETRY_AFTER, "7200".to_owned())];
    receiver.judges(move |_| (404, wait.clone()));
    rig.customer(json!({"name": "Bob"})).await;
    assert_eq!(rig.delivers().await.failed, 1);
    receiver.says(204);
    rig.pass(60);
    assert_eq!(rig.delivers().await.delivered, 1);
}

async fn what_waits_is_sent_at_once_when_an_admin_says_so(engine: Engine) {
    let rig = Rig::start(engine).await;
    let receiver = Receiver::start().await;
    receiver.says(500);
    let hook = rig.hook(&receiver.url, &["customer.*"]).await;
    let ada = rig.customer(json!({"name": "Ada"})).await;
    let path = path_of(&ada);
    rig.post(&format!("{path}/suspend"), json!({"reason": "x"}))
        .await
        .expect(200);
    // After some tries the next is hours away.
    let fails = async || {
        for _ in 0..6 {
            rig.delivers_all().await;
            rig.pass(4 * 3_600);
        }
        rig.delivers_all().await;
        receiver.says(204);
    };
    fails().await;
    let one = format!("{HOOKS}/{}", id_of(&hook));
    let waiting = rig.get(&format!("{one}/deliveries")).await.expect(200);
    let of = |kind: &str| {
        let all = waiting["data"].as_array().unwrap().iter();
        let mut of = all.filter(|it| it["kind"] == kind && it["customer_id"] == ada["id"]);
        of.next().unwrap().clone()
    };
    let suspended = of("customer.suspended");
    assert_eq!(rig.delivers().await, Delivered::default());
    let resend = format!("{one}/deliveries/{}/resend", id_of(&suspended));
    let again = rig.post(&resend, json!({})).await.expect(202);
    assert_eq!(again["id"], suspended["id"], "it waits already");
    rig.delivers().await;
    rig.delivers().await;
    assert_eq!(receiver.kinds(), ["customer.created", "customer.suspended"]);
    // Of what was delivered there is another delivery.
    let again = rig.post(&resend, json!({})).await.expect(202);
    assert_ne!(again["id"], suspended["id"]);
    rig.delivers_all().await;
    assert_eq!(receiver.kinds(), ["customer.suspended"]);
    // Disabled and enabled, the hook gets what waits.
    receiver.says(500);
    rig.customer(json!({"name": "Bob"})).await;
    fails().await;
    assert_eq!(rig.delivers().await, Delivered::default());
    for status in ["disabled", "enabled"] {
        let body = Some(json!({"status": status}));
        rig.as_admin(super::rig::ROOT, "PATCH", &one, body)
            .await
            .expect(200);
    }
    rig.delivers_all().await;
    assert_eq!(receiver.kinds(), ["customer.created"]);
}

async fn a_receiver_without_tls_is_told_from_one_that_is_away(engine: Engine) {
    let rig = Rig::start(engine).await;
    let receiver = Receiver::start().await;
    let port = crate::rabbitmq::tls::relay().await;
    let errors = [
        (receiver.url.replace("http:", "https:"), "tls_failed"),
        (
            format!("https://localhost:{port}/"),
            "certificate_untrusted",
        ),
        ("http://127.0.0.1:1/".to_owned(), "connection_failed"),
    ];
    for (url, error) in errors {
        let hook = rig.hook(&url, &["customer.*"]).await;
        rig.customer(json!({"name": "Ada"})).await;
        rig.delivers().await;
        let deliveries = format!("{HOOKS}/{}/deliveries", id_of(&hook));
        let last = rig.get(&deliveries).await.expect(200)["data"][0].clone();
        assert_eq!(last["error"], error, "{url}: {last}");
    }
}

async fn what_hooks_may_be_is_checked(engine: Engine) {
    let rig = Rig::start(engine).await;
    for (body, field) in [
        (json!({"url": "ftp://x.example/"}), "url"),
        (json!({"url": "https://u:p@x.example/"}), "url"),
        (json!({"url": "https://bücher.example/"}), "url"),
        (json!({"url": "https://x.example\\@y.example/"}), "url"),
        (json!({"url": "https://x.example:0/"}), "url"),
        (
            json!({"url": format!("https://x.example/{}", "x".repeat(2_000))}),
            "url",
        ),
        (json!({"url": "https://x.example/", "kinds": []}), "kinds"),
        (
            json!({"url": "https://x.example/", "kinds": ["nothing.*"]}),
            "kinds[0]",
        ),
        (json!({"url": "https://x.example/", "body": "fat"}), "body"),
    ] {
        let problem = rig.post(HOOKS, body).await.refused(422, "body_invalid");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    for _ in 0..20 {
        rig.hook("https://x.example/", &["*"]).await;
    }
    let body = json!({"url": "https://x.example/"});
    rig.post(HOOKS, body).await.refused(409, "hooks_too_many");
    let none = format!("{HOOKS}/hook_{}", "0".repeat(32));
    rig.get(&none).await.refused(404, "hook_not_found");
}

async fn the_path_of_an_address_is_for_owners(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.hook("https://chat.example:8443/services/T0/secret?key=1", &["*"])
        .await;
    for (role, shown) in [
        ("viewer", "https://chat.example:8443"),
        ("admin", "https://chat.example:8443"),
        (
            "owner",
            "https://chat.example:8443/services/T0/secret?key=1",
        ),
    ] {
        let token = rig.admin(role, None).await;
        let listed = rig.as_admin(&token, "GET", HOOKS, None).await.expect(200);
        let listed = listed["data"][0].clone();
        assert_eq!(listed["url"], shown, "{role}");
        let path = format!("{HOOKS}/{}", listed["id"].as_str().unwrap());
        let one = rig.as_admin(&token, "GET", &path, None).await.expect(200);
        assert_eq!(one, listed, "{role}");
    }
}

async fn an_event_that_fails_each_time_it_comes_is_told_once(engine: Engine) {
    let rig = Rig::start(engine).await;
    let receiver = Receiver::start().await;
    rig.hook(&receiver.url, &["event.failed"]).await;
    let nameless = stripe_event("evt_1", "customer.created", NOW - 9, json!({}));
    let fails = async |receipt: &str, replay: Option<Replay>| {
        let mut message = message(&nameless, receipt);
        message.headers_mut().replay = replay;
        let detail = "data.object.id is missing".to_owned();
        message.headers_mut().error = Some(EventError::new("payload_field_missing", detail));
        record(&rig.store, &message, rig.now()).await.unwrap();
        rig.delivers_all().await;
        receiver.kinds().len()
    };
    assert_eq!(fails("first", None).await, 1);
    assert_eq!(fails("first", None).await, 0, "the same message");
    assert_eq!(fails("second", None).await, 0, "it came again");
    let replay = Replay {
        force: false,
        tries_before: 1,
    };
    assert_eq!(
        fails("third", Some(replay)).await,
        1,
        "somebody waits for it"
    );
    assert_eq!(fails("third", Some(replay)).await, 0, "the same replay");
    let event = rig.get("/events/evt_1").await.expect(200);
    assert_eq!(event["duplicates"], 1, "{event}");
}

async fn nothing_of_a_deleted_customer_stays_in_changes(engine: Engine) {
    let rig = Rig::start(engine).await;
    let receiver = Receiver::start().await;
    receiver.says(500);
    rig.hook(&receiver.url, &["customer.*"]).await;
    let ada = rig
        .customer(json!({"name": "Ada", "external_id": "ada-lovelace"}))
        .await;
    let path = path_of(&ada);
    rig.post(&format!("{path}/suspend"), json!({"reason": "her secret"}))
        .await
        .expect(200);
    rig.delete(&path).await.expect(204);
    let told = rig
        .place
        .texts("SELECT CAST(data AS TEXT) FROM changes ORDER BY seq")
        .await;
    assert!(!told.concat().contains("ada-lovelace"), "{told:?}");
    assert!(!told.concat().contains("her secret"), "{told:?}");
    receiver.says(204);
    rig.pass(120);
    rig.delivers_all().await;
    assert_eq!(receiver.kinds().last().unwrap(), "customer.deleted");
}

on_both_stores! {
    a_hook_is_told_of_what_it_wants_signed,
    what_was_rolled_back_or_nobody_wants_is_not_told,
    what_waits_behind_another_gives_nobody_work,
    a_receiver_that_fails_for_an_hour_misses_nothing,
    a_delivery_that_is_refused_holds_back_its_customer_alone,
    both_secrets_sign_while_one_is_replaced,
    what_is_sent_again_has_the_same_id,
    a_receiver_that_is_gone_disables_its_hook,
    a_receiver_may_say_when_to_come_again_and_not_where,
    a_wait_may_be_a_date_and_only_of_who_is_busy,
    what_waits_is_sent_at_once_when_an_admin_says_so,
    a_receiver_without_tls_is_told_from_one_that_is_away,
    what_hooks_may_be_is_checked,
    the_path_of_an_address_is_for_owners,
    an_event_that_fails_each_time_it_comes_is_told_once,
    nothing_of_a_deleted_customer_stays_in_changes,
}
