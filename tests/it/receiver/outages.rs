//! What happens while the store or the queue is away, and when secrets come and go.

use serde_json::json;
use tollgate::domain::id::AppSlug;
use tollgate::provider::{PADDLE, STRIPE};
use tollgate::vault::{SealedFor, Vault};

use super::rig::{
    ACME_SECRET, Answer, NOW, Queue, Rig, add_secret, at, paddle_event, signature, small_limits,
    stripe_event,
};

#[tokio::test]
pub(crate) async fn what_cannot_be_made_durable_is_not_acknowledged() {
    let rig = Rig::with(small_limits(), &[]).await;
    let body = stripe_event("evt_1");
    for (description, queue) in [("refused", Queue::Refuses), ("hanging", Queue::Hangs)] {
        rig.set_queue(queue);
        let answer = rig.post_good(&body).await;
        assert_eq!(
            answer.problem(),
            (503, "unavailable".to_owned()),
            "{description}"
        );
        assert_eq!(answer.header("retry-after"), Some("5"), "{description}");
        let lines = rig.log.take();
        assert_eq!(lines.len(), 1, "{description}: {lines:?}");
        assert_eq!(lines[0]["level"], "WARN", "{description}");
        assert!(
            lines[0]["fields"]["error"].is_string(),
            "{description}: {lines:?}"
        );
    }
    rig.set_queue(Queue::Keeps);
    assert_eq!(
        rig.post_good(&body).await.status,
        200,
        "the same again, once the queue is back"
    );
}

#[tokio::test]
async fn while_the_store_is_away_known_endpoints_work_and_others_get_503() {
    let rig = Rig::start().await;
    rig.store.close().await;
    rig.endpoints.refresh().await.unwrap_err();
    rig.endpoints.refresh().await.unwrap_err();
    let warnings = rig.log.take();
    assert_eq!(
        warnings.len(),
        1,
        "said once, not at every try: {warnings:?}"
    );
    let error = warnings[0]["fields"]["error"].as_str().unwrap();
    assert!(error.contains("closed pool"), "the cause is named: {error}");

    let body = stripe_event("evt_1");
    assert_eq!(rig.post_good(&body).await.status, 200, "from the settings");
    let header = signature(STRIPE.name, ACME_SECRET, &body, NOW);
    let headers = [("Stripe-Signature", header.as_str())];
    let known = rig.post("/webhooks/acme/stripe", &headers, &body).await;
    assert_eq!(known.status, 200, "from the store, while it was there");
    let unknown = rig.post("/webhooks/new-app/stripe", &headers, &body).await;
    assert_eq!(unknown.problem(), (503, "unavailable".to_owned()));
    let impossible = rig.post("/webhooks/No-App/stripe", &headers, &body).await;
    assert_eq!(impossible.problem().0, 404, "no app can have this name");
}

#[tokio::test]
async fn secrets_are_added_and_removed_at_the_next_refresh() {
    let rig = Rig::start().await;
    let body = paddle_event("evt_1");
    let header = signature(PADDLE.name, ACME_SECRET, &body, NOW);
    let headers = [("Paddle-Signature", header.as_str())];
    let post = || rig.post("/webhooks/acme/paddle", &headers, &body);
    assert_eq!(post().await.status, 404);

    let vault = Vault::new(&[7; 32]);
    let id = add_secret(&rig.store, &vault, 3, PADDLE.name, None).await;
    rig.endpoints.refresh().await.unwrap();
    assert_eq!(post().await.status, 200);

    let app: AppSlug = "acme".parse().unwrap();
    let mut tx = rig.store.begin().await.unwrap();
    assert!(tx.secret_delete(&app, PADDLE.name, &id).await.unwrap());
    tx.commit().await.unwrap();
    rig.endpoints.refresh().await.unwrap();
    assert_eq!(post().await.status, 404);
}

#[tokio::test]
async fn a_secret_runs_out_on_time_without_a_refresh() {
    let rig = Rig::start().await;
    let vault = Vault::new(&[7; 32]);
    let expires_at = Some(at(NOW + 10));
    add_secret(&rig.store, &vault, 3, PADDLE.name, expires_at).await;
    rig.endpoints.refresh().await.unwrap();
    let body = paddle_event("evt_1");
    let header = signature(PADDLE.name, ACME_SECRET, &body, NOW);
    let headers = [("Paddle-Signature", header.as_str())];
    for (seconds, status) in [(NOW + 9, 200), (NOW + 10, 404)] {
        rig.clock.set(seconds);
        let answer = rig.post("/webhooks/acme/paddle", &headers, &body).await;
        assert_eq!(answer.status, status, "{seconds}");
    }
}

#[tokio::test]
async fn a_secret_that_does_not_open_silences_no_other_endpoint() {
    let rig = Rig::start().await;
    let other_vault = Vault::new(&[8; 32]);
    add_secret(&rig.store, &other_vault, 3, PADDLE.name, None).await;
    rig.endpoints.refresh().await.unwrap();
    let lines = rig.log.take();
    assert_eq!(lines[0]["level"], "ERROR", "{lines:?}");
    assert_eq!(rig.post_good(&stripe_event("evt_1")).await.status, 200);
}

#[tokio::test]
async fn a_secret_sealed_anew_with_a_key_not_known_here_goes_on_verifying() {
    let rig = Rig::start().await;
    let (vault, other) = (Vault::new(&[7; 32]), Vault::new(&[8; 32]));
    let id = add_secret(&rig.store, &vault, 3, PADDLE.name, None).await;
    rig.endpoints.refresh().await.unwrap();
    let app: AppSlug = "acme".parse().unwrap();
    let mut tx = rig.store.begin().await.unwrap();
    let was = tx.secret_list(&app, PADDLE.name).await.unwrap();
    let was = was.into_iter().find(|it| it.secret.id == id).unwrap();
    let what = SealedFor::Secret {
        app: &app,
        provider: PADDLE.name,
        id: &id,
    };
    let anew = other.seal(what, ACME_SECRET).unwrap();
    assert!(tx.secret_reseal(&id, was.sealed, anew).await.unwrap());
    tx.commit().await.unwrap();

    let body = paddle_event("evt_1");
    let header = signature(PADDLE.name, ACME_SECRET, &body, NOW);
    let headers = [("Paddle-Signature", header.as_str())];
    for _ in 0..2 {
        rig.endpoints.refresh().await.unwrap();
        let answer = rig.post("/webhooks/acme/paddle", &headers, &body).await;
        assert_eq!(answer.status, 200);
    }
    assert_eq!(rig.get("/readyz").await.status, 200);
    let errors = rig.log.take();
    let errors = errors.iter().filter(|line| line["level"] == "ERROR");
    assert_eq!(errors.count(), 1, "said once");
}

#[tokio::test]
async fn readiness_says_which_part_is_away() {
    let rig = Rig::start().await;
    assert_eq!(rig.get("/healthz").await.status, 200);
    let ready = rig.get("/readyz").await;
    assert_eq!(
        (ready.status, &ready.json()["status"]),
        (200, &json!("ready"))
    );

    let away = |answer: &Answer| -> Vec<String> {
        let parts = answer.json()["parts"].as_array().unwrap().clone();
        parts
            .iter()
            .filter(|part| part["ready"] == false)
            .map(|part| part["name"].as_str().unwrap().to_owned())
            .collect()
    };
    rig.set_queue(Queue::Refuses);
    let answer = rig.get("/readyz").await;
    assert_eq!(answer.problem(), (503, "not_ready".to_owned()));
    assert_eq!(away(&answer), ["queue"]);
    rig.store.close().await;
    assert_eq!(away(&rig.get("/readyz").await), ["queue", "store"]);
    assert_eq!(rig.get("/healthz").await.status, 200, "alive all the same");
}
