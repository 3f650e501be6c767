//! Payments, refunds and disputes.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tollgate::domain::billing::fact::{Contact, ContactFact, ContactSource, DisputeStage, Fact};
use tollgate::domain::id::ObjectKey;
use tollgate::provider::{IgnoreReason, Meaning, PADDLE, STRIPE};

use super::support::{NEW, OLD, facts, load, paddle, reading, test};

#[test]
fn an_invoice_says_who_paid_what_with_what() {
    let account = test("cus_TgAda0000000001");
    let payment = Fact::PaymentSucceeded {
        subscription: test("sub_1TgAda000000000000000001"),
        account: Some(account.clone()),
    };
    let contact = Fact::Contact(ContactFact {
        account: account.clone(),
        contact: Contact {
            email: Some("ada@new.example.com".to_owned()),
            name: Some("Ada Example".to_owned()),
            ..Contact::default()
        },
        before: None,
        source: ContactSource::Secondary,
        request: None,
    });
    let references = Fact::PaymentLink {
        ids: [
            test("in_1TgAda000000000000000002"),
            test("ch_3TgAda000000000000000002"),
            test("pi_3TgAda000000000000000002"),
            account,
        ]
        .into(),
    };
    let new = load(&format!("stripe/invoice.paid--renewal{NEW}"));
    assert_eq!(facts(STRIPE.name, &new), [payment.clone(), contact.clone()]);
    let old = load(&format!("stripe/invoice.paid--renewal{OLD}"));
    assert_eq!(facts(STRIPE.name, &old), [payment, contact, references]);

    let mut both = new;
    both["data"]["object"]["subscription"] = json!("sub_other");
    let Fact::PaymentSucceeded { subscription, .. } = &facts(STRIPE.name, &both)[0] else {
        panic!("no payment")
    };
    assert_eq!(
        *subscription,
        test("sub_1TgAda000000000000000001"),
        "the new place counts first"
    );
}

#[test]
fn a_dispute_stands_as_its_status_says() {
    let mut payload = load(&format!("stripe/charge.dispute.updated--under-review{NEW}"));
    let statuses = [
        ("warning_needs_response", DisputeStage::Warning),
        ("warning_under_review", DisputeStage::Warning),
        ("warning_closed", DisputeStage::Won),
        ("needs_response", DisputeStage::Open),
        ("under_review", DisputeStage::Open),
        ("won", DisputeStage::Won),
        ("lost", DisputeStage::Lost),
        ("charge_refunded", DisputeStage::Won),
        ("prevented", DisputeStage::Won),
        ("hologram", DisputeStage::Warning),
    ];
    let ids: BTreeSet<ObjectKey> = [
        test("ch_3TgBen000000000000000002"),
        test("pi_3TgBen000000000000000002"),
    ]
    .into();
    for (status, stage) in statuses {
        payload["data"]["object"]["status"] = json!(status);
        let dispute = test("du_1TgBen000000000000000001");
        let expected = [
            Fact::Disputed {
                dispute,
                stage,
                ids: ids.clone(),
            },
            Fact::PaymentLink { ids: ids.clone() },
        ];
        assert_eq!(facts(STRIPE.name, &payload), expected, "{status}");
    }
}

#[test]
fn paddles_adjustments_are_disputes_or_refunds_or_nothing() {
    let mut payload = load("paddle/adjustment.created--chargeback.json");
    let transaction = paddle("txn_01ktgvs0000000000000000002");
    let ids: BTreeSet<ObjectKey> = [
        transaction.clone(),
        paddle("ctm_01ktgvs0000000000000000001"),
    ]
    .into();
    let dispute = |stage| {
        let dispute = transaction.clone();
        vec![Fact::Disputed {
            dispute,
            stage,
            ids: ids.clone(),
        }]
    };
    let refunded = |full| {
        vec![Fact::Refunded {
            refund: transaction.clone(),
            part: paddle("adj_01ktgvs0000000000000000003"),
            full,
            amount: 2900,
            ids: ids.clone(),
        }]
    };
    let cases = [
        (
            "chargeback",
            "approved",
            "full",
            dispute(DisputeStage::Open),
        ),
        ("chargeback", "reversed", "full", dispute(DisputeStage::Won)),
        (
            "chargeback_reverse",
            "approved",
            "full",
            dispute(DisputeStage::Won),
        ),
        (
            "chargeback_warning",
            "approved",
            "full",
            dispute(DisputeStage::Warning),
        ),
        (
            "chargeback_warning",
            "reversed",
            "full",
            dispute(DisputeStage::Won),
        ),
        (
            "chargeback_warning_reverse",
            "approved",
            "full",
            dispute(DisputeStage::Won),
        ),
        ("refund", "approved", "full", refunded(true)),
        ("refund", "approved", "partial", refunded(false)),
        ("refund", "pending_approval", "full", vec![]),
        ("refund", "rejected", "full", vec![]),
        ("credit", "approved", "full", vec![]),
        ("credit_reverse", "approved", "full", vec![]),
        ("hologram", "approved", "full", vec![]),
    ];
    for (action, status, kind, expected) in cases {
        let data = &mut payload["data"];
        data["action"] = json!(action);
        data["status"] = json!(status);
        data["type"] = json!(kind);
        let meaning = reading(PADDLE.name, &payload).meaning;
        let got = match meaning {
            Meaning::Facts(occurrence) => occurrence.facts,
            Meaning::Ignored(reason) => {
                assert_eq!(reason, IgnoreReason::Content);
                Vec::new()
            }
        };
        assert_eq!(got, expected, "{action} {status} {kind}");
    }
    // Older adjustments say it item by item.
    let data = &mut payload["data"];
    data["action"] = json!("refund");
    data["type"] = Value::Null;
    assert_eq!(facts(PADDLE.name, &payload), refunded(true));
    payload["data"]["items"][0]["type"] = json!("partial");
    assert_eq!(facts(PADDLE.name, &payload), refunded(false));
}

#[test]
fn paddles_transactions_say_how_much_was_paid() {
    let mut payload = load("paddle/transaction.completed--trial-end.json");
    let charged = |payload: &Value| {
        let facts = facts(PADDLE.name, payload);
        facts.into_iter().find_map(|fact| match fact {
            Fact::Charged { payment, amount } => Some((payment.id, amount)),
            _ => None,
        })
    };
    let transaction = payload["data"]["id"].as_str().unwrap().to_owned();
    assert_eq!(charged(&payload), Some((transaction.clone(), 2900)));
    let totals = &mut payload["data"]["details"]["totals"];
    totals["grand_total"] = json!("2400");
    assert_eq!(
        charged(&payload),
        Some((transaction.clone(), 2400)),
        "500 were paid by credit"
    );
    payload["data"]["details"]["totals"]["grand_total"] = Value::Null;
    assert_eq!(
        charged(&payload),
        Some((transaction, 2900)),
        "an older payload"
    );
    for unread in [json!(null), json!("much"), json!(7), json!([])] {
        payload["data"]["details"]["totals"] = json!({ "total": unread });
        assert_eq!(charged(&payload), None, "{unread} is no amount");
    }
}

#[test]
fn a_refund_that_failed_leaves_the_charge_paid() {
    let mut payload = load(&format!("stripe/refund.created--part{NEW}"));
    let not_full = |payload: &Value| {
        facts(STRIPE.name, payload)
            .iter()
            .any(|fact| matches!(fact, Fact::Refunded { full: false, refund, .. } if refund.id.starts_with("ch_")))
    };
    for (status, expected) in [
        ("pending", false),
        ("requires_action", false),
        ("succeeded", false),
        ("failed", true),
        ("canceled", true),
        ("hologram", false),
    ] {
        payload["type"] = json!("refund.updated");
        payload["data"]["object"]["status"] = json!(status);
        assert_eq!(not_full(&payload), expected, "{status}");
    }
}

#[test]
fn a_refund_is_full_when_all_of_the_charge_went_back() {
    let mut payload = load(&format!("stripe/charge.refunded--full{NEW}"));
    let is_full = |payload: &Value| {
        facts(STRIPE.name, payload)
            .iter()
            .any(|fact| matches!(fact, Fact::Refunded { full: true, .. }))
    };
    assert!(is_full(&payload));
    payload["data"]["object"]["amount_refunded"] = json!(28_999);
    assert!(!is_full(&payload), "a cent is missing");
    payload["data"]["object"]["amount_refunded"] = Value::Null;
    assert!(is_full(&payload), "the charge says so itself");
}

#[test]
fn very_many_charges_of_one_payment_make_few_links() {
    let charges: Value = (0..10_000)
        .map(|n| json!({"id": format!("ch_{n}")}))
        .collect();
    let payload = json!({
        "id": "evt_1", "object": "event", "type": "payment_intent.succeeded",
        "created": 1_767_614_400, "livemode": true,
        "data": {"object": {"id": "pi_1", "object": "payment_intent", "customer": "cus_1",
                            "charges": {"data": charges}}},
    });
    let facts = facts(STRIPE.name, &payload);
    let [Fact::PaymentLink { ids }] = &facts[..] else {
        panic!("{facts:?}");
    };
    assert_eq!(ids.len(), 22);
}
