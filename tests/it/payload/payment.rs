//! What was billed, for what, and how far it is paid: invoices and transactions.

use serde_json::{Value, json};
use tollgate::domain::billing::fact::{
    Contact, ContactFact, ContactSource, Fact, Line, PaymentFact, PaymentStep,
};
use tollgate::domain::time::Timestamp;
use tollgate::provider::{PADDLE, STRIPE};

use super::support::{NEW, OLD, facts, line, load, paddle, payment, test};

/// Paid, all of it with money.
fn paid(amount: i64) -> PaymentStep {
    PaymentStep::Paid {
        money: amount,
        cost: amount,
    }
}

#[test]
fn an_invoice_says_who_paid_what_with_what() {
    let account = test("cus_TgAda0000000001");
    let invoice = test("in_1TgAda000000000000000002");
    let team = line(
        "price_1TgTeamMonthly0000000001",
        "prod_TgTeam00000001",
        2900,
        Some(("2026-04-02T09:00:03Z", "2026-05-02T09:00:03Z")),
        "il_1TgAda000000000000000002",
    );
    let payment = Fact::Payment(PaymentFact {
        document: invoice.clone(),
        account: Some(account.clone()),
        subscription: Some(test("sub_1TgAda000000000000000001")),
        reason: Some("subscription_cycle".to_owned()),
        step: paid(2900),
        lines: vec![team],
        lines_incomplete: false,
        has_unpriced_items: false,
    });
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
            invoice.clone(),
            test("ch_3TgAda000000000000000002"),
            test("pi_3TgAda000000000000000002"),
            account.clone(),
        ]
        .into(),
    };
    let new = load(&format!("stripe/invoice.paid--renewal{NEW}"));
    let old = load(&format!("stripe/invoice.paid--renewal{OLD}"));
    let plain = [payment.clone(), contact.clone()];
    assert_eq!(facts(STRIPE.name, &new), plain);
    assert_eq!(facts(STRIPE.name, &old), [payment, contact, references]);

    // Newer versions can list the payments.
    let mut listed = new.clone();
    listed["data"]["object"]["payments"] = json!({"data": [
        {"payment": {"type": "payment_intent", "payment_intent": "pi_1"}},
        {"payment": {"type": "charge", "charge": {"id": "ch_2"}}},
        {"payment": {"type": "payment_record"}},
        {"payment": null},
    ]});
    let link = |id| Fact::PaymentLink {
        ids: [test(id), invoice.clone(), account.clone()].into(),
    };
    let linked = [link("pi_1"), link("ch_2")];
    assert_eq!(facts(STRIPE.name, &listed), [&plain[..], &linked].concat());

    let mut both = new;
    both["data"]["object"]["subscription"] = json!("sub_other");
    assert_eq!(
        super::support::payment(STRIPE.name, &both).subscription,
        Some(test("sub_1TgAda000000000000000001")),
        "the new place counts first"
    );
}

#[test]
fn what_paid_an_invoice_is_told_by_its_payment() {
    let invoice = test("in_1TgAda000000000000000002");
    let link = |id| {
        [Fact::PaymentLink {
            ids: [invoice.clone(), test(id)].into(),
        }]
    };
    for version in [NEW, "--2026-10-28.endive.json"] {
        let mut payload = load(&format!("stripe/invoice_payment.paid--renewal{version}"));
        let said = facts(STRIPE.name, &payload);
        assert_eq!(said, link("pi_3TgAda000000000000000002"), "{version}");
        payload["data"]["object"]["payment"] = json!({"type": "charge", "charge": "ch_1"});
        assert_eq!(facts(STRIPE.name, &payload), link("ch_1"), "{version}");
    }
}

#[test]
fn each_type_says_how_far_an_invoice_is() {
    let next = Timestamp::parse("2026-05-05T10:00:03Z");
    let failed = |next_attempt| PaymentStep::Failed { next_attempt };
    for (file, step) in [
        ("invoice.paid--first-payment", paid(2900)),
        ("invoice.paid--one-off", paid(500)),
        ("invoice.payment_failed--renewal", failed(next)),
        ("invoice.payment_failed--last-attempt", failed(None)),
        ("invoice.voided--by-seller", PaymentStep::Void),
        ("invoice.marked_uncollectible--by-seller", PaymentStep::Void),
        ("invoice.finalized--renewal", PaymentStep::Known),
        ("invoice.overdue--renewal", PaymentStep::Known),
    ] {
        for version in [OLD, NEW] {
            let said = payment(STRIPE.name, &load(&format!("stripe/{file}{version}")));
            assert_eq!(said.step, step, "{file}{version}");
        }
    }
    let first = load(&format!(
        "stripe/invoice.payment_failed--first-payment{NEW}"
    ));
    let first = payment(STRIPE.name, &first);
    assert_eq!(first.reason.as_deref(), Some("subscription_create"));
    assert!(matches!(first.step, PaymentStep::Failed { .. }));
    let one_off = load(&format!("stripe/invoice.payment_failed--one-off{NEW}"));
    let one_off = payment(STRIPE.name, &one_off);
    assert_eq!(one_off.subscription, None);
    assert_eq!(one_off.account, Some(test("cus_TgOni0000000001")));
}

#[test]
fn a_credit_balance_pays_without_money() {
    let mut payload = load(&format!("stripe/invoice.paid--renewal{NEW}"));
    payload["data"]["object"]["amount_paid"] = json!(0);
    let step = payment(STRIPE.name, &payload).step;
    assert_eq!(
        step,
        PaymentStep::Paid {
            money: 0,
            cost: 2900
        }
    );
    payload["data"]["object"]["total"] = json!(-500);
    let step = payment(STRIPE.name, &payload).step;
    assert_eq!(
        step,
        PaymentStep::Paid {
            money: 0,
            cost: -500
        }
    );
}

#[test]
fn an_invoice_shows_its_lines_in_every_version() {
    let period = Some(("2026-05-11T09:00:00Z", "2026-06-02T09:00:03Z"));
    let now = Some(("2026-05-11T09:00:00Z", "2026-05-11T09:00:00Z"));
    let lines = [
        line(
            "price_1TgTeamMonthly0000000001",
            "prod_TgTeam00000001",
            -2058,
            period,
            "il_1TgAda000000000000000004",
        ),
        // 8374, less a discount of 837.
        Line {
            quantity: Some(2),
            ..line(
                "price_1TgBusinessMonthly00000001",
                "prod_TgBusiness000001",
                7537,
                period,
                "il_1TgAda000000000000000005",
            )
        },
        Line {
            once: true,
            ..line(
                "price_1TgSetup0000000000000001",
                "prod_TgSetup00000001",
                1000,
                now,
                "il_1TgAda000000000000000006",
            )
        },
    ];
    for version in [OLD, NEW] {
        let mut payload = load(&format!("stripe/invoice.paid--plan-change{version}"));
        let said = payment(STRIPE.name, &payload);
        assert_eq!(
            said.lines, lines,
            "{version}: of quantity 0 nothing is sold"
        );
        assert_eq!(said.reason.as_deref(), Some("subscription_update"));
        assert!(!said.lines_incomplete, "{version}");

        let shown = &mut payload["data"]["object"]["lines"];
        shown["has_more"] = json!(true);
        shown["data"][0]["pricing"] = Value::Null;
        shown["data"][0]["price"] = Value::Null;
        let said = payment(STRIPE.name, &payload);
        assert!(said.lines_incomplete, "{version}");
        assert_eq!(said.lines, lines[1..], "{version}: a line without a price");
    }
}

#[test]
fn a_line_is_bought_once_if_no_subscription_has_it() {
    let once = |change: &dyn Fn(&mut Value), version: &str| {
        let mut payload = load(&format!("stripe/invoice.paid--purchase{version}"));
        change(&mut payload["data"]["object"]["lines"]["data"][0]);
        payment(STRIPE.name, &payload).lines[0].once
    };
    for version in [OLD, NEW] {
        assert!(once(&|_| (), version), "{version}");
    }
    // Before 2025-03-31 prorations were invoice items too.
    assert!(!once(&|line| line["proration"] = json!(true), OLD));
    assert!(!once(
        &|line| line["subscription_item"] = json!("si_1"),
        OLD
    ));
    assert!(!once(&|line| line["type"] = json!("subscription"), OLD));
    let details = "invoice_item_details";
    assert!(!once(
        &|line| line["parent"][details]["proration"] = json!(true),
        NEW
    ));
    assert!(!once(
        &|line| line["parent"]["type"] = json!("subscription_item_details"),
        NEW
    ));
}

#[test]
fn an_old_line_may_have_a_plan_and_a_key() {
    let mut payload = load(&format!("stripe/invoice.paid--renewal{OLD}"));
    let shown = &mut payload["data"]["object"]["lines"]["data"][0];
    shown["price"]["lookup_key"] = json!("team_monthly");
    let keyed = payment(STRIPE.name, &payload);
    assert_eq!(keyed.lines[0].lookup_key.as_deref(), Some("team_monthly"));
    let shown = &mut payload["data"]["object"]["lines"]["data"][0];
    shown["plan"] = shown["price"].take();
    let planned = payment(STRIPE.name, &payload);
    let plain = Line {
        lookup_key: None,
        ..keyed.lines[0].clone()
    };
    assert_eq!(planned.lines, [plain], "plans have no keys");
}

const CTM: &str = "ctm_01ktfay0000000000000000001";
const SUB: &str = "sub_01ktfay0000000000000000001";

#[test]
fn a_transaction_says_who_paid_what() {
    let team = line(
        "pri_01ktteam000000000000000001",
        "pro_01ktteam000000000000000001",
        2900,
        Some(("2026-04-09T09:00:40Z", "2026-05-09T09:00:40Z")),
        "txnitm_01ktfay0000000000000000002",
    );
    let document = paddle("txn_01ktfay0000000000000000002");
    let payment = Fact::Payment(PaymentFact {
        document: document.clone(),
        account: Some(paddle(CTM)),
        subscription: Some(paddle(SUB)),
        reason: Some("subscription_recurring".to_owned()),
        step: paid(2900),
        lines: vec![team],
        lines_incomplete: false,
        has_unpriced_items: false,
    });
    let link = Fact::PaymentLink {
        ids: [document, paddle(CTM)].into(),
    };
    let payload = load("paddle/transaction.completed--renewal.json");
    assert_eq!(facts(PADDLE.name, &payload), [payment, link]);
}

#[test]
fn each_type_says_how_far_a_transaction_is() {
    let failed = PaymentStep::Failed { next_attempt: None };
    for (file, step) in [
        ("completed--first-checkout", paid(2900)),
        ("paid--first-checkout", paid(2900)),
        ("payment_failed--renewal", failed),
        ("payment_failed--first-checkout", failed),
        ("payment_failed--card-change", failed),
        ("past_due--renewal", failed),
        ("canceled--by-seller", PaymentStep::Void),
        ("billed--renewal", PaymentStep::Known),
        ("updated--first-checkout", PaymentStep::Known),
        ("revised--tax-number", PaymentStep::Known),
    ] {
        let payload = load(&format!("paddle/transaction.{file}.json"));
        let said = payment(PADDLE.name, &payload);
        assert_eq!(said.step, step, "{file}");
        assert_eq!(said.account, Some(paddle(CTM)), "{file}");
        let subscription = payload["data"]["subscription_id"].as_str().map(paddle);
        assert_eq!(said.subscription, subscription, "{file}");
    }
    for draft in ["created--renewal", "ready--first-checkout"] {
        let payload = load(&format!("paddle/transaction.{draft}.json"));
        let said = facts(PADDLE.name, &payload);
        assert!(matches!(said[..], [Fact::PaymentLink { .. }]), "{draft}");
    }
}

#[test]
fn a_new_subscription_names_its_first_transaction() {
    let payload = load("paddle/subscription.created--active.json");
    let expected = PaymentFact {
        document: paddle("txn_01ktfay0000000000000000001"),
        account: Some(paddle(CTM)),
        subscription: Some(paddle(SUB)),
        reason: None,
        step: PaymentStep::Known,
        lines: Vec::new(),
        lines_incomplete: false,
        has_unpriced_items: false,
    };
    assert_eq!(payment(PADDLE.name, &payload), expected);
    let mut later = payload;
    later["event_type"] = json!("subscription.updated");
    assert_eq!(facts(PADDLE.name, &later).len(), 1);
}

#[test]
fn a_mixed_cart_is_a_period_and_a_purchase() {
    let payload = load("paddle/transaction.completed--mixed-cart.json");
    let team = Line {
        quantity: Some(2),
        ..line(
            "pri_01ktteam000000000000000001",
            "pro_01ktteam000000000000000001",
            5220,
            Some(("2026-03-10T09:00:20Z", "2026-04-10T09:00:20Z")),
            "txnitm_01kthmx0000000000000000001",
        )
    };
    let book = Line {
        once: true,
        ..line(
            "pri_01kthbook00000000000000001",
            "pro_01kthbook00000000000000001",
            4900,
            None,
            "txnitm_01kthmx0000000000000000002",
        )
    };
    let said = payment(PADDLE.name, &payload);
    assert_eq!(said.lines, [team, book]);
    let step = PaymentStep::Paid {
        money: 9120,
        cost: 10120,
    };
    assert_eq!(said.step, step, "1000 were paid by credit");
}

#[test]
fn a_transaction_without_lines_shows_its_items() {
    let mut payload = load("paddle/transaction.completed--without-lines.json");
    let said = payment(PADDLE.name, &payload);
    assert_eq!(said.step, paid(10_700));
    let shown: Vec<_> = said
        .lines
        .iter()
        .map(|line| (line.amount, line.once))
        .collect();
    assert_eq!(shown, [(5800, false), (4900, true)]);

    payload["data"]["details"] = json!({"totals": {"grand_total": "10700"}});
    assert_eq!(payment(PADDLE.name, &payload).step, paid(10_700));
    payload["data"]["details"] = json!({"totals": {"total": "0", "grand_total": "0"}});
    let free = payment(PADDLE.name, &payload);
    assert_eq!(free.step, paid(0));
    assert!(free.lines.iter().all(|line| line.amount == 0), "a trial");
    for unread in [json!(null), json!("much"), json!(7), json!([])] {
        payload["data"]["details"]["totals"] = json!({ "total": unread });
        let step = payment(PADDLE.name, &payload).step;
        assert_eq!(step, paid(0), "{unread} is no amount");
    }
}

#[test]
fn a_period_is_the_lines_own_or_its_transactions_or_begins_when_billed() {
    let mut payload = load("paddle/transaction.completed--renewal.json");
    let shown = |payload: &Value| {
        let line = payment(PADDLE.name, payload).lines.remove(0);
        [line.start, line.end].map(|at| at.map(Timestamp::exact))
    };
    let period = |start: &str, end: &str| [start, end].map(|at| Some(at.to_owned()));
    let own = json!({"rate": "1", "billing_period":
        {"starts_at": "2026-04-20T00:00:00Z", "ends_at": "2026-05-09T09:00:40Z"}});
    payload["data"]["details"]["line_items"][0]["proration"] = own.clone();
    let prorated = period("2026-04-20T00:00:00Z", "2026-05-09T09:00:40Z");
    assert_eq!(shown(&payload), prorated);
    let line = payload["data"]["details"]["line_items"][0].as_object_mut();
    line.unwrap().remove("proration");
    payload["data"]["items"][0]["proration"] = own;
    assert_eq!(
        shown(&payload),
        prorated,
        "where the line says nothing, the item does"
    );
    payload["data"]["details"]["line_items"][0]["proration"] = Value::Null;
    let billed = period("2026-04-09T09:00:40Z", "2026-05-09T09:00:40Z");
    assert_eq!(
        shown(&payload),
        billed,
        "another line of its price is prorated"
    );
    payload["data"]["items"][0]["proration"] = Value::Null;
    assert_eq!(shown(&payload), billed);

    payload["data"]["billing_period"] = Value::Null;
    for (interval, frequency, end) in [
        ("day", 3, "2026-02-03T09:00:00Z"),
        ("week", 2, "2026-02-14T09:00:00Z"),
        ("month", 1, "2026-02-28T09:00:00Z"),
        ("month", 3, "2026-04-30T09:00:00Z"),
        ("year", 1, "2027-01-31T09:00:00Z"),
    ] {
        payload["data"]["billed_at"] = json!("2026-01-31T09:00:00Z");
        let cycle = json!({ "interval": interval, "frequency": frequency });
        payload["data"]["items"][0]["price"]["billing_cycle"] = cycle;
        let cycle = period("2026-01-31T09:00:00Z", end);
        assert_eq!(shown(&payload), cycle, "{frequency} {interval}");
    }
    payload["data"]["billed_at"] = Value::Null;
    assert_eq!(
        shown(&payload)[0].as_deref(),
        payload["occurred_at"].as_str()
    );
    payload["event_type"] = json!("transaction.updated");
    assert_eq!(
        shown(&payload)[0].as_deref(),
        payload["data"]["created_at"].as_str()
    );
}

#[test]
fn an_invoice_that_credit_notes_closed_was_not_paid() {
    for version in [OLD, NEW] {
        let mut payload = load(&format!("stripe/invoice.paid--renewal{version}"));
        let mut step = |total: i64, credited: i64, paid: i64| {
            let object = &mut payload["data"]["object"];
            object["total"] = total.into();
            object["pre_payment_credit_notes_amount"] = credited.into();
            object["amount_paid"] = paid.into();
            payment(STRIPE.name, &payload).step
        };
        assert_eq!(step(2900, 2900, 0), PaymentStep::Void, "{version}");
        let rest = PaymentStep::Paid {
            money: 2000,
            cost: 2000,
        };
        assert_eq!(step(2900, 900, 2000), rest, "{version}");
        let from_balance = PaymentStep::Paid {
            money: 0,
            cost: 2900,
        };
        assert_eq!(step(2900, 0, 0), from_balance, "{version}");
        let free = PaymentStep::Paid { money: 0, cost: 0 };
        assert_eq!(step(0, 0, 0), free, "{version}");
    }
}

#[test]
fn an_invoice_made_by_hand_names_its_subscription_in_its_lines() {
    let id = "sub_1TgAda000000000000000001";
    for version in [OLD, NEW] {
        let mut payload = load(&format!("stripe/invoice.paid--renewal{version}"));
        let object = &mut payload["data"]["object"];
        object["parent"] = Value::Null;
        object["subscription"] = Value::Null;
        let shown = object["lines"]["data"][0].clone();
        let of = |details: &str, id: &str| {
            let mut line = shown.clone();
            match details {
                "" => {
                    line["parent"] = Value::Null;
                    line["subscription"] = id.into();
                }
                _ => line["parent"] = json!({ "type": details, details: { "subscription": id } }),
            }
            line
        };
        let mut named = |lines: Vec<Value>| {
            payload["data"]["object"]["lines"]["data"] = lines.into();
            payment(STRIPE.name, &payload).subscription
        };
        for details in ["", "invoice_item_details", "subscription_item_details"] {
            let lines = vec![of(details, id), of(details, id)];
            assert_eq!(named(lines), Some(test(id)), "{version} {details}");
            let lines = vec![of(details, id), of(details, "sub_other")];
            assert_eq!(named(lines), None, "{version} {details}");
        }
    }
}

#[test]
fn a_transaction_that_credits_completed_was_not_paid() {
    let mut payload = load("paddle/transaction.completed--renewal.json");
    let mut step = |total: &str, owed: &str, left: Value| {
        let details = &mut payload["data"]["details"];
        details["totals"]["total"] = total.into();
        details["totals"]["grand_total"] = owed.into();
        details["adjusted_totals"] = left;
        payment(PADDLE.name, &payload).step
    };
    let left = |total: &str| json!({"total": total, "grand_total": "0"});
    let paid = |money, cost| PaymentStep::Paid { money, cost };
    assert_eq!(step("2900", "0", left("0")), PaymentStep::Void);
    assert_eq!(step("2900", "900", left("900")), paid(900, 2900));
    // By the customer's balance, wholly or up to what was credited.
    assert_eq!(step("2900", "0", left("2900")), paid(0, 2900));
    assert_eq!(step("2900", "0", left("900")), paid(0, 2900));
    assert_eq!(step("2900", "0", Value::Null), paid(0, 2900));
    assert_eq!(step("0", "0", left("0")), paid(0, 0));
    // Given back later, as a list of transactions shows it.
    assert_eq!(step("2900", "2900", left("0")), paid(2900, 2900));
}
