//! Who it is about: contacts, and the scope of ids.

use serde_json::{Value, json};
use tollgate::domain::billing::fact::{Address, Contact, ContactFact, ContactSource, Fact};
use tollgate::provider::{IgnoreReason, Meaning, Mode, PADDLE, STRIPE};

use super::support::{NEW, facts, load, paddle, path_of, reading, test};
use crate::support::spec::read;

#[test]
fn a_contact_shows_what_changed() {
    let payload = load(&format!("stripe/customer.updated--email{NEW}"));
    let lyon = Address {
        line1: Some("1 rue Exemple".to_owned()),
        city: Some("Lyon".to_owned()),
        postal_code: Some("69001".to_owned()),
        country: Some("FR".to_owned()),
        ..Address::default()
    };
    let now = Contact {
        email: Some("ada@new.example.com".to_owned()),
        name: Some("Ada Example".to_owned()),
        phone: None,
        address: Some(lyon),
    };
    let before = Contact {
        email: Some("ada@example.com".to_owned()),
        address: None,
        ..now.clone()
    };
    let expected = Fact::Contact(ContactFact {
        account: test("cus_TgAda0000000001"),
        contact: now,
        before: Some(before),
        source: ContactSource::Updated,
        request: Some("req_TgAda00000007".to_owned()),
    });
    assert_eq!(facts(STRIPE.name, &payload), [expected]);
}

#[test]
fn a_contacts_texts_are_cleaned() {
    let mut payload = load(&format!("stripe/customer.created--new{NEW}"));
    let object = &mut payload["data"]["object"];
    object["email"] = json!("  ada@example.com\n");
    object["name"] = json!("\u{0}Ada\u{0} ");
    object["phone"] = json!(7);
    object["address"] = json!({"line1": "", "city": "  "});
    let [Fact::Contact(fact)] = &facts(STRIPE.name, &payload)[..] else {
        panic!("no contact")
    };
    let expected = Contact {
        email: Some("ada@example.com".to_owned()),
        name: Some("Ada".to_owned()),
        phone: None,
        address: None,
    };
    assert_eq!(fact.contact, expected);
    assert_eq!(fact.source, ContactSource::Created);

    payload["data"]["object"]["email"] = json!(format!("{}@example.com", "a".repeat(600)));
    let [Fact::Contact(fact)] = &facts(STRIPE.name, &payload)[..] else {
        panic!("no contact")
    };
    assert_eq!(fact.contact.email, None, "too long to be an address");
}

#[test]
fn a_checkout_names_the_account_and_shows_its_contact() {
    let payload = load(&format!(
        "stripe/checkout.session.completed--subscription{NEW}"
    ));
    let facts = facts(STRIPE.name, &payload);
    let account = test("cus_TgAda0000000001");
    assert_eq!(
        facts[0],
        Fact::AccountNamed {
            account: account.clone()
        }
    );
    let Fact::Contact(contact) = &facts[1] else {
        panic!("no contact")
    };
    assert_eq!(
        (&contact.account, contact.source),
        (&account, ContactSource::Secondary)
    );
    assert_eq!(contact.contact.email.as_deref(), Some("ada@example.com"));
    let linked = Fact::PaymentLink {
        ids: [
            test("cs_test_TgAdasubscription000000000000000001"),
            test("in_1TgAda000000000000000001"),
            account,
        ]
        .into(),
    };
    assert_eq!(facts[2..], [linked], "its subscription is no payment");
}

#[test]
fn an_account_with_two_ids_is_one() {
    let pair = Fact::PaymentLink {
        ids: [test("cus_TgAda0000000001"), test("acct_buyer")].into(),
    };
    for file in [
        "invoice.paid--renewal",
        "invoice.payment_failed--renewal",
        "checkout.session.completed--subscription",
        "checkout.session.completed--payment",
        "charge.succeeded--first-payment",
        "payment_intent.succeeded--first-payment",
        "charge.refunded--part",
        "refund.created--part",
    ] {
        let mut payload = load(&format!("stripe/{file}{NEW}"));
        payload["data"]["object"]["customer"] = json!("cus_TgAda0000000001");
        payload["data"]["object"]["customer_account"] = json!("acct_buyer");
        let facts = facts(STRIPE.name, &payload);
        assert!(facts.contains(&pair), "{file}: {facts:?}");
        let named = |fact: &Fact| format!("{fact:?}").contains("acct_buyer");
        let named = facts.iter().filter(|fact| named(fact)).count();
        assert_eq!(named, 1, "{file}: the customer is the account");

        payload["data"]["object"]["customer"] = Value::Null;
        let facts = self::facts(STRIPE.name, &payload);
        assert!(!facts.contains(&pair), "{file}");
        let named = format!("{facts:?}").contains("acct_buyer");
        assert!(
            named,
            "{file}: the account of a customer that has no other id"
        );
    }
}

#[test]
fn a_business_gives_a_name_and_no_address() {
    let payload = load("paddle/business.created--company.json");
    let [Fact::Contact(fact)] = &facts(PADDLE.name, &payload)[..] else {
        panic!("no contact")
    };
    assert_eq!(fact.source, ContactSource::Secondary);
    let expected = Contact {
        name: Some("Example Works".to_owned()),
        ..Contact::default()
    };
    assert_eq!(fact.contact, expected);
}

#[test]
fn ids_belong_to_the_connected_account() {
    let mut payload = load(&format!("stripe/customer.created--connected{NEW}"));
    let read = |payload: &Value| reading(STRIPE.name, payload).connected;
    assert_eq!(read(&payload).as_deref(), Some("acct_1TgConnected0001"));
    let [Fact::Contact(fact)] = &facts(STRIPE.name, &payload)[..] else {
        panic!("no contact")
    };
    let key = "account:stripe:test:acct_1TgConnected0001:cus_TgKai0000000001";
    assert_eq!(fact.account.to_string(), key);
    payload["account"] = Value::Null;
    payload["context"] = json!("org_1/acct_2");
    assert_eq!(
        read(&payload).as_deref(),
        Some("acct_2"),
        "an organisation's endpoint"
    );
    payload["context"] = json!("org_1");
    assert_eq!(read(&payload), None);
    for bad in [
        json!("acct:1"),
        json!(""),
        json!(7),
        json!("acct\u{e9}"),
        json!("a b"),
    ] {
        payload["account"] = bad.clone();
        assert_eq!(path_of(STRIPE.name, &payload), "malformed account", "{bad}");
    }
}

#[test]
fn live_and_test_are_kept_apart() {
    let mut payload = load(&format!("stripe/customer.created--new{NEW}"));
    let mismatch = Meaning::Ignored(IgnoreReason::LivemodeMismatch);
    for (livemode, mode, matches) in [
        (true, Mode::Any, true),
        (false, Mode::Any, true),
        (true, Mode::Live, true),
        (false, Mode::Live, false),
        (true, Mode::Test, false),
        (false, Mode::Test, true),
    ] {
        payload["livemode"] = json!(livemode);
        let body = payload.to_string();
        let reading = read(STRIPE.name, body.as_bytes(), mode).unwrap();
        assert_eq!(reading.livemode, Some(livemode));
        assert_eq!(reading.meaning != mismatch, matches, "{livemode} at {mode}");
    }

    let body = load("paddle/customer.created--new.json").to_string();
    for (mode, said, key) in [
        (
            Mode::Any,
            None,
            "account:paddle:live::ctm_01ktfay0000000000000000001",
        ),
        (
            Mode::Live,
            Some(true),
            "account:paddle:live::ctm_01ktfay0000000000000000001",
        ),
        (
            Mode::Test,
            Some(false),
            "account:paddle:test::ctm_01ktfay0000000000000000001",
        ),
    ] {
        let reading = read(PADDLE.name, body.as_bytes(), mode).unwrap();
        assert_eq!(reading.livemode, said, "{mode}");
        let Meaning::Facts(occurrence) = reading.meaning else {
            panic!("no facts")
        };
        let [Fact::Contact(fact)] = &occurrence.facts[..] else {
            panic!("no contact")
        };
        assert_eq!(fact.account.to_string(), key, "{mode}");
    }
}

#[test]
fn what_paddle_simulates_is_never_live() {
    let mut payload = load("paddle/subscription.canceled--simulated.json");
    let real = load("paddle/subscription.canceled--now.json");
    let mut by_notification = real.clone();
    by_notification["notification_id"] = payload["notification_id"].clone();
    payload["notification_id"] = real["notification_id"].clone();
    for simulated in [payload, by_notification] {
        let body = simulated.to_string();
        for (mode, ignored) in [(Mode::Any, false), (Mode::Live, true), (Mode::Test, false)] {
            let reading = read(PADDLE.name, body.as_bytes(), mode).unwrap();
            assert!(reading.simulated, "{mode}");
            assert_eq!(reading.livemode, Some(false), "{mode}");
            assert!(reading.occurred_at.is_some(), "{mode}");
            match reading.meaning {
                Meaning::Ignored(reason) => {
                    assert_eq!((reason, ignored), (IgnoreReason::Simulated, true), "{mode}");
                    assert_eq!(reason.code(), Some("simulated"));
                }
                Meaning::Facts(said) => {
                    let Fact::Subscription(fact) = &said.facts[0] else {
                        panic!("no subscription")
                    };
                    let live = fact.subscription.scope.livemode;
                    assert!(!live && !ignored, "{mode}: kept apart from the real one");
                }
            }
        }
    }
    let mut unread = load("paddle/address.created--new.json");
    unread["event_id"] = json!("ntfsimevt_01ktsim000000000000000002");
    let unread = read(PADDLE.name, unread.to_string().as_bytes(), Mode::Live).unwrap();
    assert_eq!(unread.meaning, Meaning::Ignored(IgnoreReason::Simulated));
    let real = read(PADDLE.name, real.to_string().as_bytes(), Mode::Live).unwrap();
    assert!(!real.simulated && matches!(real.meaning, Meaning::Facts(_)));
}

#[test]
fn an_api_key_that_was_found_in_public_is_told() {
    let payload = load("paddle/api_key_exposure.created--found.json");
    let key = paddle("apikey_01ktsel0000000000000000001");
    assert_eq!(facts(PADDLE.name, &payload), [Fact::KeyExposed { key }]);
}

#[test]
fn a_text_that_goes_on_and_on_is_cut() {
    let long = "long ".repeat(200_000);
    let text = json!({
        "id": "evt_1", "type": "customer.created", "created": 1_772_442_000, "livemode": true,
        "data": { "object": { "id": "cus_1", "object": "customer", "name": long } },
    });
    let reading = read(STRIPE.name, text.to_string().as_bytes(), Mode::Any).unwrap();
    let Meaning::Facts(occurrence) = reading.meaning else {
        panic!("a customer says something")
    };
    let Fact::Contact(contact) = &occurrence.facts[0] else {
        panic!("a customer has a contact")
    };
    assert!(contact.contact.name.as_ref().unwrap().len() <= 1024);
}
