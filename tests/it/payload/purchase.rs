//! What was bought once at a checkout.

use serde_json::{Value, json};
use tollgate::domain::billing::fact::{Fact, Line, PaymentFact, PaymentStep};
use tollgate::domain::id::{Kind, ObjectKey};
use tollgate::provider::{IgnoreReason, Meaning, STRIPE};

use super::support::{NEW, OLD, facts, line, load, payment, reading, test};

const LINK: &str = "plink_1TgHandbook0000000000001";

/// The one line of a session that shows none.
fn whole(price: &str, amount: i64, session: &str) -> Line {
    Line {
        product: None,
        quantity: None,
        once: true,
        ..line(price, "", amount, None, session)
    }
}

#[test]
fn a_checkout_says_what_was_bought_and_by_whom() {
    let session = "cs_test_TgOnipayment000000000000000001";
    let account = test("cus_TgOni0000000001");
    let expected = PaymentFact {
        document: test("pi_3TgOni000000000000000090"),
        account: Some(account.clone()),
        subscription: None,
        reason: None,
        step: PaymentStep::Paid {
            money: 2900,
            cost: 2900,
        },
        lines: vec![whole(session, 2900, session)],
        lines_incomplete: false,
        has_unpriced_items: false,
    };
    for version in [OLD, NEW] {
        let said = facts(
            STRIPE.name,
            &load(&format!(
                "stripe/checkout.session.completed--payment{version}"
            )),
        );
        assert_eq!(said[0], Fact::Payment(expected.clone()));
        let named = Fact::AccountNamed {
            account: account.clone(),
        };
        assert_eq!(said[1], named);
        let Fact::Contact(contact) = &said[2] else {
            panic!("no contact")
        };
        assert_eq!(contact.contact.email.as_deref(), Some("oni@example.com"));
        let ids = [
            test(session),
            test("pi_3TgOni000000000000000090"),
            account.clone(),
        ];
        assert_eq!(said[3..], [Fact::PaymentLink { ids: ids.into() }]);
    }
}

#[test]
fn a_checkout_may_be_free_or_paid_later_or_never() {
    let free = PaymentStep::Paid { money: 0, cost: 0 };
    let paid = PaymentStep::Paid {
        money: 4900,
        cost: 4900,
    };
    let failed = PaymentStep::Failed { next_attempt: None };
    let rio = "cs_test_TgRiopayment000000000000000001";
    let sam = "pi_3TgSam000000000000000001";
    for (file, document, step) in [
        ("completed--payment-link", rio, free),
        ("completed--payment-unpaid", sam, PaymentStep::Known),
        ("async_payment_succeeded--payment", sam, paid),
        ("async_payment_failed--payment", sam, failed),
    ] {
        for version in [OLD, NEW] {
            let payload = load(&format!("stripe/checkout.session.{file}{version}"));
            let said = payment(STRIPE.name, &payload);
            assert_eq!(
                (&said.document.id[..], said.step),
                (document, step),
                "{file}"
            );
            assert_eq!(said.lines[0].price, LINK, "{file}: what it is known by");
        }
    }
    let file = format!("stripe/checkout.session.completed--payment-link{NEW}");
    let mut payload = load(&file);
    payload["data"]["object"]["amount_total"] = json!(4900);
    let step = payment(STRIPE.name, &payload).step;
    let unasked = PaymentStep::Paid {
        money: 0,
        cost: 4900,
    };
    assert_eq!(step, unasked);
    for unknown in [json!("hologram"), Value::Null] {
        payload["data"]["object"]["payment_status"] = unknown;
        assert_eq!(payment(STRIPE.name, &payload).step, PaymentStep::Known);
    }
}

#[test]
fn a_checkout_may_show_its_lines() {
    let file = format!("stripe/checkout.session.completed--payment{NEW}");
    let mut payload = load(&file);
    payload["data"]["object"]["line_items"] = json!({"has_more": true, "data": [
        {"id": "li_1", "amount_total": 2500, "quantity": 1,
            "price": {"id": "price_1", "product": "prod_1", "lookup_key": "book"}},
        {"id": "li_2", "amount_total": 400, "quantity": 1,
            "price": {"id": "price_2", "product": "prod_2", "recurring": {"interval": "month"}}},
        {"id": "li_3", "amount_total": 0, "quantity": 0, "price": {"id": "price_3"}},
        {"id": "li_4", "amount_total": 0, "quantity": 1, "price": null},
        {"id": "li_5", "amount_total": 1450, "quantity": 0, "quantity_decimal": "0.5",
            "price": {"id": "price_5", "product": "prod_5"}},
    ]});
    let said = payment(STRIPE.name, &payload);
    let book = Line {
        lookup_key: Some("book".to_owned()),
        once: true,
        ..line("price_1", "prod_1", 2500, None, "li_1")
    };
    let half = Line {
        once: true,
        ..line("price_5", "prod_5", 1450, None, "li_5")
    };
    let monthly = line("price_2", "prod_2", 400, None, "li_2");
    assert_eq!(said.lines, [book, monthly, half]);
    assert!(said.lines_incomplete);
}

#[test]
fn a_checkout_with_an_invoice_leaves_the_payment_to_it() {
    for version in [OLD, NEW] {
        let file = format!("stripe/checkout.session.completed--payment-with-invoice{version}");
        let said = facts(STRIPE.name, &load(&file));
        assert!(!said.iter().any(|fact| matches!(fact, Fact::Payment(_))));
        let ids = [
            test("cs_test_TgPiapayment000000000000000001"),
            test("in_1TgPia000000000000000001"),
            test("pi_3TgPia000000000000000001"),
            test("cus_TgPia0000000001"),
        ];
        assert_eq!(said.last(), Some(&Fact::PaymentLink { ids: ids.into() }));
    }
}

#[test]
fn a_guest_is_known_by_the_checkout() {
    let file = format!("stripe/checkout.session.completed--payment{NEW}");
    let mut payload = load(&file);
    payload["data"]["object"]["customer"] = Value::Null;
    let said = facts(STRIPE.name, &payload);
    let session = payload["data"]["object"]["id"].as_str().unwrap();
    let guest = ObjectKey {
        kind: Kind::Account,
        ..test(session)
    };
    let account = guest.clone();
    assert!(said.contains(&Fact::AccountNamed { account }), "{said:?}");
    let has_address = |fact: &Fact| match fact {
        Fact::Contact(it) => it.account == guest && it.contact.email.is_some(),
        _ => false,
    };
    assert!(said.iter().any(has_address), "{said:?}");
    assert_eq!(payment(STRIPE.name, &payload).account, Some(guest));
}

#[test]
fn a_checkout_that_only_saves_a_card_says_nothing() {
    for version in [OLD, NEW] {
        let file = format!("stripe/checkout.session.completed--setup{version}");
        let meaning = reading(STRIPE.name, &load(&file)).meaning;
        assert_eq!(
            meaning,
            Meaning::Ignored(IgnoreReason::Content),
            "{version}"
        );
    }
}
