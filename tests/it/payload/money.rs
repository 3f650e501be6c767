//! Refunds and disputes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tollgate::domain::billing::fact::{DisputeStage, Fact, RefundFact, RefundStage};
use tollgate::domain::id::ObjectKey;
use tollgate::provider::{IgnoreReason, Meaning, PADDLE, STRIPE};

use super::support::{NEW, OLD, facts, load, paddle, path_of, reading, test};

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
fn a_dispute_without_an_id_is_kept_under_its_charge() {
    let mut payload = load(&format!("stripe/charge.dispute.created--chargeback{OLD}"));
    payload["data"]["object"]["id"] = Value::Null;
    let Fact::Disputed { dispute, stage, .. } = &facts(STRIPE.name, &payload)[0] else {
        panic!("no dispute")
    };
    let charge = test("ch_3TgBen000000000000000002");
    assert_eq!((dispute, *stage), (&charge, DisputeStage::Open));
    payload["data"]["object"]["charge"] = Value::Null;
    assert_eq!(path_of(STRIPE.name, &payload), "missing data.object.id");
}

#[test]
fn a_suspicion_of_fraud_is_about_its_charge() {
    for version in [OLD, NEW] {
        let file = format!("stripe/radar.early_fraud_warning.created--unreported{version}");
        let ids: BTreeSet<ObjectKey> = [
            test("ch_3TgBen000000000000000002"),
            test("pi_3TgBen000000000000000002"),
        ]
        .into();
        let expected = [
            Fact::Disputed {
                dispute: test("issfr_1TgBen000000000000000001"),
                stage: DisputeStage::FraudWarning,
                ids: ids.clone(),
            },
            Fact::PaymentLink { ids },
        ];
        assert_eq!(facts(STRIPE.name, &load(&file)), expected, "{version}");
    }
}

#[test]
fn paddles_adjustments_are_disputes_or_refunds_or_nothing() {
    use RefundStage::{Failed, Pending, Succeeded};
    let mut payload = load("paddle/adjustment.created--chargeback.json");
    let transaction = paddle("txn_01ktgvs0000000000000000002");
    let ids: BTreeSet<ObjectKey> = [
        transaction.clone(),
        paddle("ctm_01ktgvs0000000000000000001"),
        paddle("sub_01ktgvs0000000000000000001"),
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
    let line = "txnitm_01ktgvs0000000000000000002";
    let refunded = |stage| {
        vec![Fact::Refunded(RefundFact {
            refund: paddle("adj_01ktgvs0000000000000000003"),
            stage,
            amount: 2900,
            lines: [(line.to_owned(), i64::MAX)].into(),
            ids: ids.clone(),
        })]
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
        ("refund", "approved", "full", refunded(Succeeded)),
        ("refund", "approved", "partial", refunded(Succeeded)),
        ("refund", "pending_approval", "full", refunded(Pending)),
        ("refund", "rejected", "full", refunded(Failed)),
        ("refund", "reversed", "full", refunded(Failed)),
        ("refund", "hologram", "full", refunded(Pending)),
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
    payload["data"]["action"] = json!("refund");
    payload["data"]["totals"]["total"] = json!("900");
    let item = &mut payload["data"]["items"][0];
    item["type"] = json!("partial");
    item["totals"]["total"] = json!("700");
    let mut tax = item.clone();
    tax["type"] = json!("tax");
    tax["totals"] = json!(null);
    tax["amount"] = json!("200");
    let items = payload["data"]["items"].as_array_mut().unwrap();
    items.push(tax);
    let Fact::Refunded(part) = &facts(PADDLE.name, &payload)[0] else {
        panic!("no refund")
    };
    assert_eq!(part.amount, 900);
    assert_eq!(part.lines, [(line.to_owned(), 900)].into());
}

#[test]
fn a_refund_stands_as_its_status_says() {
    use RefundStage::{Failed, Pending, Succeeded};
    let ids: BTreeSet<ObjectKey> = [
        test("ch_3TgDee000000000000000001"),
        test("pi_3TgDee000000000000000001"),
    ]
    .into();
    for kind in [
        "refund.created",
        "refund.updated",
        "refund.failed",
        "charge.refund.updated",
    ] {
        for (status, stage) in [
            (json!("pending"), Pending),
            (json!("requires_action"), Pending),
            (json!("succeeded"), Succeeded),
            (json!("failed"), Failed),
            (json!("canceled"), Failed),
            (json!("hologram"), Pending),
            (Value::Null, Pending),
        ] {
            let mut payload = load(&format!("stripe/refund.created--part{NEW}"));
            payload["type"] = json!(kind);
            payload["data"]["object"]["status"] = status;
            let refund = Fact::Refunded(RefundFact {
                refund: test("re_3TgDee000000000000000001"),
                stage,
                amount: 9000,
                lines: BTreeMap::new(),
                ids: ids.clone(),
            });
            let link = Fact::PaymentLink { ids: ids.clone() };
            assert_eq!(facts(STRIPE.name, &payload), [refund, link], "{kind}");
        }
    }
    let file = "stripe/refund.created--with-customer--2026-10-28.endive.json";
    let Fact::Refunded(refund) = &facts(STRIPE.name, &load(file))[0] else {
        panic!("no refund")
    };
    assert!(refund.ids.contains(&test("cus_TgDee0000000001")));
}

#[test]
fn a_charge_counts_what_was_given_back_of_it() {
    let given_back = |payload: &Value| {
        let facts = facts(STRIPE.name, payload);
        facts.into_iter().find_map(|fact| match fact {
            Fact::ChargeRefunded { charge, amount, .. } => Some((charge.id, amount)),
            _ => None,
        })
    };
    let charge = "ch_3TgDee000000000000000001".to_owned();
    for version in [OLD, NEW] {
        for (what, amount) in [("part", 9000), ("full", 29_000)] {
            let payload = load(&format!("stripe/charge.refunded--{what}{version}"));
            assert_eq!(given_back(&payload), Some((charge.clone(), amount)));
        }
        let file = format!("stripe/charge.refunded--authorisation-released{version}");
        assert_eq!(given_back(&load(&file)), None, "nothing had been paid");
    }
    let mut payload = load(&format!("stripe/charge.refunded--full{NEW}"));
    payload["data"]["object"]["amount_captured"] = Value::Null;
    payload["data"]["object"]["captured"] = Value::Null;
    let told = Some((charge, 29_000));
    assert_eq!(given_back(&payload), told, "an older payload");
    payload["data"]["object"]["amount_refunded"] = Value::Null;
    assert_eq!(given_back(&payload), told, "the charge says so itself");
    payload["data"]["object"]["captured"] = json!(false);
    assert_eq!(given_back(&payload), None);
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
