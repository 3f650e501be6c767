//! What happens to a hook while a round of deliveries is under way at it.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tollgate::domain::id::AppSlug;
use tollgate::pipeline::hooks::Delivered;
use tollgate::store::{Actor, AuditEntry};

use super::hooks::{HOOKS, Receiver, deliveries};
use super::rig::{ROOT, Rig, id_of};
use crate::support::serving::{Serving, quiet_port};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{call, client, environment};

/// A receiver that answers each delivery when the test says what.
struct Waiting {
    url: String,
    arrived: mpsc::UnboundedReceiver<oneshot::Sender<&'static str>>,
}

impl Waiting {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let (tell, arrived) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (answer, said) = oneshot::channel();
                let tell = tell.clone();
                tokio::spawn(async move {
                    let mut head = vec![0; 1 << 16];
                    let _ = stream.read(&mut head).await.unwrap();
                    let _ = tell.send(answer);
                    if let Ok(said) = said.await {
                        let answer = format!("HTTP/1.1 {said}\r\ncontent-length: 0\r\n\r\n");
                        let _ = stream.write_all(answer.as_bytes()).await;
                    }
                });
            }
        });
        Self { url, arrived }
    }
}

async fn those_that_answer_come_before_those_that_do_not(engine: Engine) {
    let rig = Rig::start(engine).await;
    let [fails, answers] = [Receiver::start().await, Receiver::start().await];
    fails.says(500);
    let failing = rig.hook(&fails.url, &["customer.*"]).await;
    let answering = rig.hook(&answers.url, &["customer.*"]).await;
    for name in ["Ada", "Grace"] {
        rig.customer(json!({"name": name})).await;
        rig.delivers_all().await;
        rig.pass(3_600);
    }
    // The one that answers had its turn later than the other.
    rig.customer(json!({"name": "Joan"})).await;
    let due = deliveries(true).due(&rig.store, rig.now()).await.unwrap();
    let due: Vec<String> = due.into_iter().map(|hook| hook.id.into()).collect();
    assert_eq!(due, [id_of(&answering), id_of(&failing)]);
}

async fn what_an_admin_changes_under_way_counts(engine: Engine) {
    let rig = Rig::start(engine).await;
    let mut old = Waiting::start().await;
    let new = Receiver::start().await;
    let hook = rig.hook(&old.url, &["customer.*"]).await;
    rig.customer(json!({"name": "Ada"})).await;
    let path = format!("{HOOKS}/{}", id_of(&hook));
    let moves = async {
        let answer = old.arrived.recv().await.unwrap();
        rig.pass(1);
        let change = Some(json!({"url": new.url}));
        rig.as_admin(ROOT, "PATCH", &path, change).await.expect(200);
        answer.send("410 Gone\r\nretry-after: 7200").unwrap();
    };
    let (round, ()) = tokio::join!(rig.delivers(), moves);
    assert_eq!(round.failed, 1);
    rig.delivers_all().await;
    assert_eq!(new.kinds(), ["customer.created"], "at once");
    let shown = rig.get(&path).await.expect(200);
    assert_eq!(shown["status"], "enabled", "{shown}");
}

async fn a_hook_that_is_removed_under_way_leaves_nothing(engine: Engine) {
    let rig = Rig::start(engine).await;
    let mut receiver = Waiting::start().await;
    let hook = rig.hook(&receiver.url, &["customer.*"]).await;
    rig.customer(json!({"name": "Ada"})).await;
    let removes = async {
        let answer = receiver.arrived.recv().await.unwrap();
        let path = format!("{HOOKS}/{}", id_of(&hook));
        rig.delete(&path).await.expect(204);
        answer.send("503 Service Unavailable").unwrap();
    };
    let (round, ()) = tokio::join!(rig.delivers(), removes);
    assert_eq!(round.failed, 1);
    let rows = "SELECT COUNT(*) FROM hook_deliveries";
    assert_eq!(rig.place.count(rows, rows).await, 0);
}

async fn a_pause_begins_when_the_receiver_has_answered(engine: Engine) {
    let rig = Rig::start(engine).await;
    let mut receiver = Waiting::start().await;
    rig.hook(&receiver.url, &["customer.*"]).await;
    rig.customer(json!({"name": "Ada"})).await;
    let busy = async {
        let answer = receiver.arrived.recv().await.unwrap();
        rig.pass(14);
        answer
            .send("503 Service Unavailable\r\nretry-after: 10")
            .unwrap();
    };
    let (round, ()) = tokio::join!(rig.delivers(), busy);
    assert_eq!(round.failed, 1);
    rig.pass(9);
    assert_eq!(rig.delivers().await, Delivered::default(), "too early");
    rig.pass(1);
    let takes = async {
        let answer = receiver.arrived.recv().await.unwrap();
        answer.send("204 No Content").unwrap();
    };
    let (round, ()) = tokio::join!(rig.delivers(), takes);
    assert_eq!(round.delivered, 1);
}

/// A worker that slept through the end of its lease, as virtual machines do.
async fn who_comes_too_late_undoes_nothing(engine: Engine) {
    let rig = Rig::start(engine).await;
    let mut receiver = Waiting::start().await;
    let hook = rig.hook(&receiver.url, &["customer.*"]).await;
    rig.customer(json!({"name": "Ada"})).await;
    let another = async {
        let late = receiver.arrived.recv().await.unwrap();
        rig.pass(61);
        let answers = async {
            let answer = receiver.arrived.recv().await.unwrap();
            answer.send("204 No Content").unwrap();
        };
        let (round, ()) = tokio::join!(rig.delivers(), answers);
        assert_eq!(round.delivered, 1);
        late.send("410 Gone").unwrap();
    };
    tokio::join!(rig.delivers(), another);
    let shown = rig.get(&format!("{HOOKS}/{}", id_of(&hook))).await;
    assert_eq!(shown.expect(200)["status"], "enabled");
    let path = format!("{HOOKS}/{}/deliveries", id_of(&hook));
    let listed = rig.get(&path).await.expect(200);
    assert_eq!(listed["data"][0]["state"], "delivered", "{listed}");
}

async fn workers_beside_each_other_deliver_once(engine: Engine) {
    let rig = Rig::start(engine).await;
    let receiver = Receiver::start().await;
    rig.hook(&receiver.url, &["customer.created"]).await;
    for _ in 0..80 {
        rig.customer(json!({"name": "Ada"})).await;
    }
    tokio::join!(
        rig.delivers_all(),
        rig.delivers_all(),
        rig.delivers_all(),
        rig.delivers_all()
    );
    rig.delivers_all().await;
    let mut told: Vec<String> = receiver
        .taken()
        .iter()
        .map(|(_, it)| it["id"].to_string())
        .collect();
    assert_eq!(told.len(), 80);
    told.sort_unstable();
    told.dedup();
    assert_eq!(told.len(), 80);
}

/// As when a plan of everybody changes.
async fn ten_thousand_changes_of_one_transaction_are_told_in_order(engine: Engine) {
    const CUSTOMERS: usize = 100;
    let rig = Rig::start(engine).await;
    let receiver = Receiver::start().await;
    rig.hook(&receiver.url, &["customer.held"]).await;
    let mut customers = Vec::new();
    for _ in 0..CUSTOMERS {
        customers.push(id_of(&rig.customer(json!({"name": "Ada"})).await));
    }
    let entry = |n: usize| AuditEntry {
        app: AppSlug::default_app(),
        at: rig.now(),
        actor: Actor::Root,
        customer: Some(customers[n % CUSTOMERS].parse().unwrap()),
        operation: "update_holds".to_owned(),
        details: json!({"to": [n.to_string()]}),
    };
    let entries: Vec<AuditEntry> = (0..10_000).map(entry).collect();
    let mut tx = rig.store.begin().await.unwrap();
    tx.audit_add(&entries).await.unwrap();
    tx.commit().await.unwrap();
    let rows = "SELECT COUNT(*) FROM hook_deliveries";
    assert_eq!(rig.place.count(rows, rows).await, 10_000);
    for _ in 0..6 {
        assert_eq!(rig.delivers().await.delivered, 64);
    }
    let mut last: BTreeMap<String, usize> = BTreeMap::new();
    for (_, body) in receiver.taken() {
        let n = body["data"]["to"][0].as_str().unwrap().parse().unwrap();
        let before = last.insert(body["customer_id"].to_string(), n);
        // The next of the same customer, or its first.
        assert_eq!(before.map_or(n % CUSTOMERS, |it| it + CUSTOMERS), n);
    }
}

/// With the real program: what a receiver has taken while the server ends is not sent again by the next.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_at_the_end_of_a_server_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = environment(dir.path());
    let address = format!("127.0.0.1:{}", quiet_port());
    settings.insert("TOLLGATE_LISTEN".into(), address.clone().into());
    settings.insert("TOLLGATE_HOOKS_PRIVATE".into(), "on".into());
    let server = Serving::start(&settings).await;
    let mut receiver = Waiting::start().await;
    let call = async |base: &str, method: &str, path: &str, body: Option<Value>| {
        let path = format!("/api/v1{path}");
        let (status, answer) = call(&client(), base, method, &path, body).await;
        assert!(status < 300, "{answer}");
        answer
    };
    let hook = json!({"url": receiver.url, "kinds": ["customer.created"]});
    let hook = call(&server.base, "POST", HOOKS, Some(hook)).await;
    let ada = Some(json!({"name": "Ada"}));
    call(&server.base, "POST", "/customers", ada).await;
    let answer = receiver.arrived.recv().await.unwrap();
    let ended = tokio::task::spawn_blocking(move || server.terminate());
    // It takes no connections any more: the end has begun.
    while tokio::net::TcpStream::connect(&address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    answer.send("204 No Content").unwrap();
    assert!(ended.await.unwrap().success());

    let server = Serving::start(&settings).await;
    let path = format!("{HOOKS}/{}/deliveries", id_of(&hook));
    let listed = call(&server.base, "GET", &path, None).await;
    assert_eq!(listed["data"][0]["state"], "delivered", "{listed}");
    assert!(server.terminate().success());
}

on_both_stores! {
    what_an_admin_changes_under_way_counts,
    those_that_answer_come_before_those_that_do_not,
    a_hook_that_is_removed_under_way_leaves_nothing,
    a_pause_begins_when_the_receiver_has_answered,
    who_comes_too_late_undoes_nothing,
    workers_beside_each_other_deliver_once,
    ten_thousand_changes_of_one_transaction_are_told_in_order,
}
