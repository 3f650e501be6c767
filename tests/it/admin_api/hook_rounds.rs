//! What happens to a hook while a round of deliveries is under way at it.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

use super::hooks::{HOOKS, Receiver};
use super::rig::{ROOT, Rig, id_of};
use crate::support::stores::{Engine, on_both_stores};

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
                    let mut head = [0; 1 << 16];
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

on_both_stores! {
    what_an_admin_changes_under_way_counts,
    a_hook_that_is_removed_under_way_leaves_nothing,
    who_comes_too_late_undoes_nothing,
}
