//! The receiver of webhooks, over real connections: what it accepts, what it refuses and why,
//! what it writes into the log, and what slow and greedy senders can take.

mod bodies;
pub(crate) mod outages;
pub(crate) mod rig;
mod senders;

use serde_json::json;
use tollgate::provider::{Mode, PADDLE, STRIPE};

use rig::{
    ACME_SECRET, NOW, PADDLE_SECRET, Rig, STRIPE_NEXT_SECRET, STRIPE_SECRET, at, paddle_event,
    signature, stripe_event,
};

use crate::support::spec::header_name;

#[tokio::test]
async fn the_message_carries_the_request_and_a_well_formed_trace() {
    let rig = Rig::start().await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let body = stripe_event("evt_1");
    let signature = signature(STRIPE.name, STRIPE_SECRET, &body, NOW);
    for (traceparent, expected) in [(trace, Some(trace)), ("00-nonsense-01", None)] {
        let headers = [
            ("Stripe-Signature", &*signature),
            ("X-Request-Id", "req-1"),
            ("traceparent", traceparent),
        ];
        let answer = rig.post("/webhooks/stripe", &headers, &body).await;
        assert_eq!(answer.status, 200);
        let published = rig.published();
        let origin = &published[0].headers().origin;
        assert_eq!(origin.request_id(), Some("req-1"));
        assert_eq!(origin.traceparent(), expected);
    }
}

#[tokio::test]
pub(crate) async fn a_signed_webhook_is_handed_over_unchanged_and_answered_with_200() {
    let rig = Rig::start().await;
    let (stripe, paddle) = (STRIPE.name, PADDLE.name);
    let cases = [
        (
            "default, first secret",
            "/webhooks/stripe",
            stripe,
            STRIPE_SECRET,
            "default",
            Mode::Any,
        ),
        (
            "second secret",
            "/webhooks/stripe",
            stripe,
            STRIPE_NEXT_SECRET,
            "default",
            Mode::Any,
        ),
        (
            "named app",
            "/webhooks/default/stripe",
            stripe,
            STRIPE_SECRET,
            "default",
            Mode::Any,
        ),
        (
            "a slash at the end",
            "/webhooks/stripe/",
            stripe,
            STRIPE_SECRET,
            "default",
            Mode::Any,
        ),
        (
            "named app and a slash",
            "/webhooks/default/stripe/",
            stripe,
            STRIPE_SECRET,
            "default",
            Mode::Any,
        ),
        (
            "Paddle",
            "/webhooks/paddle",
            paddle,
            PADDLE_SECRET,
            "default",
            Mode::Any,
        ),
        (
            "another app",
            "/webhooks/acme/stripe",
            stripe,
            ACME_SECRET,
            "acme",
            Mode::Live,
        ),
    ];
    let mut receipts = Vec::new();
    for (description, path, provider, key, app, mode) in cases {
        let body = if provider == STRIPE.name {
            stripe_event("evt_1")
        } else {
            paddle_event("evt_1")
        };
        let header = signature(provider, key, &body, NOW);
        let name = header_name(provider);
        let answer = rig.post(path, &[(name, &header)], &body).await;
        assert_eq!(answer.status, 200, "{description}: {answer:?}");
        let expected = json!({"received": true, "event_id": "evt_1"});
        assert_eq!(answer.json(), expected, "{description}");

        let published = rig.published();
        let [message] = published.as_slice() else {
            panic!("{description}: {published:?}");
        };
        assert_eq!(*message.body.as_bytes(), body[..], "{description}");
        let headers = message.headers();
        assert_eq!(headers.app.as_str(), app, "{description}");
        assert_eq!(headers.provider, provider, "{description}");
        assert_eq!(headers.event_type, "customer.created", "{description}");
        assert_eq!(headers.received_at, at(NOW), "{description}");
        assert_eq!((headers.mode, headers.attempt), (mode, 0), "{description}");
        receipts.push(headers.receipt.clone());
    }
    receipts.sort();
    receipts.dedup();
    assert_eq!(receipts.len(), cases.len(), "each receipt is made anew");
    assert!(
        rig.log.take().is_empty(),
        "a webhook that is received is no news"
    );
}

#[tokio::test]
async fn unknown_event_types_and_blanks_in_the_body_are_accepted() {
    let rig = Rig::start().await;
    let body = b"\n {\"type\" : \"some.future.type\",\"id\":\"evt_2\"} \n";
    assert_eq!(rig.post_good(body).await.status, 200);
    assert_eq!(*rig.published()[0].body.as_bytes(), body[..]);
}

/// A webhook that is refused: what was sent, and what it is answered.
struct Refused {
    description: &'static str,
    path: &'static str,
    header: Option<String>,
    body: Vec<u8>,
    expected: (u16, &'static str),
}

fn refused() -> Vec<Refused> {
    let good = stripe_event("evt_1");
    let right = |body: &[u8]| Some(signature(STRIPE.name, STRIPE_SECRET, body, NOW));
    let signed_at = |seconds| {
        Some(signature(
            STRIPE.name,
            STRIPE_SECRET,
            &stripe_event("evt_1"),
            seconds,
        ))
    };
    let case = |description, path, header, body: &[u8], status, code| Refused {
        description,
        path,
        header,
        body: body.to_vec(),
        expected: (status, code),
    };
    let on_stripe = |description, header, body: &[u8], code| {
        case(description, "/webhooks/stripe", header, body, 400, code)
    };
    let signed = |description, body: &[u8], code| on_stripe(description, right(body), body, code);
    let mut changed = good.clone();
    *changed.last_mut().unwrap() = b' ';
    let wrong_key = Some(signature(STRIPE.name, PADDLE_SECRET, &good, NOW));
    let long_id = format!(r#"{{"id":"evt_{}","type":"a.b"}}"#, "x".repeat(100));
    let unknown = |description, path| {
        case(
            description,
            path,
            right(&good),
            &good,
            404,
            "endpoint_unknown",
        )
    };
    vec![
        on_stripe("no header", None, &good, "signature_missing"),
        on_stripe(
            "nothing in the header",
            Some(String::new()),
            &good,
            "signature_malformed",
        ),
        on_stripe(
            "no live digest",
            Some(format!("t={NOW},v0=00")),
            &good,
            "signature_malformed",
        ),
        on_stripe(
            "one byte changed",
            right(&good),
            &changed,
            "signature_mismatch",
        ),
        on_stripe("another secret", wrong_key, &good, "signature_mismatch"),
        on_stripe(
            "signed long ago",
            signed_at(NOW - 301),
            &good,
            "signature_too_old",
        ),
        on_stripe(
            "signed in the future",
            signed_at(NOW + 301),
            &good,
            "signature_in_future",
        ),
        signed("an empty body", b"", "payload_empty"),
        signed("not JSON", b"ada@customer.example", "payload_not_json"),
        signed(
            "not UTF-8",
            b"{\"id\":\"evt_1\",\"type\":\"a.b\",\"n\":\"\xff\"}",
            "payload_not_json",
        ),
        signed("no id", br#"{"type":"a.b"}"#, "payload_no_id"),
        signed("no type", br#"{"id":"evt_1"}"#, "payload_no_type"),
        signed("a long id", long_id.as_bytes(), "payload_bad_id"),
        signed(
            "a type with a line feed",
            br#"{"id":"e","type":"a\nb"}"#,
            "payload_bad_type",
        ),
        unknown("an unknown provider", "/webhooks/chargebee"),
        unknown("an unknown app", "/webhooks/nobody/stripe"),
        unknown("no app slug at all", "/webhooks/No%20Body/stripe"),
        unknown("a path that is no text", "/webhooks/%FF/stripe"),
        unknown("an app without this provider", "/webhooks/acme/paddle"),
        case(
            "another app's secret",
            "/webhooks/acme/stripe",
            right(&good),
            &good,
            400,
            "signature_mismatch",
        ),
    ]
}

#[tokio::test]
async fn each_refusal_has_its_code_and_one_log_line_without_secrets() {
    let rig = Rig::start().await;
    for Refused {
        description,
        path,
        header,
        body,
        expected,
    } in refused()
    {
        let mut headers = vec![("X-Request-Id", "request-of-test")];
        if let Some(header) = &header {
            headers.push(("Stripe-Signature", header));
        }
        let answer = rig.post(path, &headers, &body).await;
        let (status, code) = answer.problem();
        assert_eq!((status, code.as_str()), expected, "{description}");
        assert_eq!(
            answer.header("x-request-id"),
            Some("request-of-test"),
            "{description}"
        );
        assert!(
            !answer.body.contains("customer.example"),
            "{description}: {answer:?}"
        );

        let everything = rig.log.text();
        let digest = header
            .iter()
            .flat_map(|header| header.split('='))
            .next_back();
        let digest = digest.filter(|digest| digest.len() > 8).unwrap_or("whsec_");
        for private in ["whsec_", "pdl_ntfset", "customer.example", "evt_x", digest] {
            assert!(
                !everything.contains(private),
                "{description}: {private} in {everything}"
            );
        }
        let lines = rig.log.take();
        let [line] = lines.as_slice() else {
            panic!("{description}: {lines:?}");
        };
        let fields = &line["fields"];
        assert_eq!(fields["message"], "webhook refused", "{description}");
        assert_eq!(fields["error.code"], code, "{description}");
        assert_eq!(fields["client.address"], "127.0.0.1", "{description}");
        let level = if status == 400 { "WARN" } else { "INFO" };
        assert_eq!(line["level"], level, "{description}");
        if status == 400 {
            assert_eq!(fields["provider"], "stripe", "{description}");
            let app = if path == "/webhooks/stripe" {
                "default"
            } else {
                "acme"
            };
            assert_eq!(fields["app"], app, "{description}");
        }
    }
    assert!(rig.published().is_empty());
}

#[tokio::test]
async fn a_signature_of_exactly_the_greatest_age_is_accepted() {
    let rig = Rig::start().await;
    let body = stripe_event("evt_1");
    for seconds in [NOW - 300, NOW + 300] {
        let header = signature(STRIPE.name, STRIPE_SECRET, &body, seconds);
        let headers = [("Stripe-Signature", header.as_str())];
        assert_eq!(
            rig.post("/webhooks/stripe", &headers, &body).await.status,
            200,
            "{seconds}"
        );
    }
}

#[tokio::test]
async fn paths_and_methods_that_do_not_exist_are_problems_too() {
    let rig = Rig::start().await;
    assert_eq!(
        rig.get("/nothing").await.problem(),
        (404, "path_unknown".to_owned())
    );
    let answer = rig.get("/webhooks/stripe").await;
    assert_eq!(answer.problem(), (405, "method_not_allowed".to_owned()));
    assert_eq!(answer.header("allow"), Some("POST"));
}

#[tokio::test]
async fn a_request_id_is_taken_over_only_if_it_can_harm_no_log() {
    let rig = Rig::start().await;
    for (sent, taken) in [("abc-123", true), ("a b", false), ("a\tb", false)] {
        let answer = rig.post("/nothing", &[("X-Request-Id", sent)], b"").await;
        assert_eq!(
            answer.header("x-request-id") == Some(sent),
            taken,
            "{sent:?}"
        );
        answer.problem();
    }
}
