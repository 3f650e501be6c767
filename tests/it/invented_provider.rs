//! A provider that nobody here knows: ids that are plain numbers, counted for each kind on its
//! own, and no URL, signature or reader. Its facts go where all facts go.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use tollgate::domain::access::plan::{PackageGrant, Plan};
use tollgate::domain::apply::change::Outcome;
use tollgate::domain::billing::fact::{
    Contact, ContactFact, ContactSource, DisputeStage, Fact, Item, Occurrence, PaymentFact,
    PaymentStep, RefundFact, RefundStage, SubscriptionFact, SubscriptionState, SubscriptionStatus,
};
use tollgate::domain::customer::flag::{FlagHolder, FlagKind};
use tollgate::domain::customer::profile::ProfileChange;
use tollgate::domain::customer::row::Customer;
use tollgate::domain::id::{AppSlug, CustomerId, Kind, ObjectKey, Provider, Scope};
use tollgate::domain::precondition::Precondition;
use tollgate::domain::time::Timestamp;
use tollgate::pipeline::customers::{self, SameEmail};
use tollgate::pipeline::order::Order;
use tollgate::pipeline::{plans, subscriptions};
use tollgate::store::{Actor, FlagFilter, LockMode, PlanSource, Store, Window};

use crate::support::stores::{Engine, TestStore, on_both_stores};

const INVENTED: Provider = Provider::named("invented");

fn at(second: i64) -> Timestamp {
    Timestamp::from_seconds(1_790_000_000 + second).unwrap()
}

fn app() -> AppSlug {
    AppSlug::default_app()
}

fn key(kind: Kind, id: &str) -> ObjectKey {
    let scope = Scope {
        provider: INVENTED,
        livemode: true,
        connected: None,
    };
    scope.key(kind, id)
}

fn account(id: &str) -> ObjectKey {
    key(Kind::Account, id)
}

/// What others call an order is a sale with its payment.
fn order(id: &str) -> ObjectKey {
    key(Kind::Transaction, id)
}

fn customer(id: &str) -> Fact {
    Fact::Contact(ContactFact {
        account: account(id),
        contact: Contact {
            email: Some(format!("{id}@example.com")),
            ..Contact::default()
        },
        before: None,
        source: ContactSource::Created,
        request: None,
    })
}

fn subscription(id: &str, of: &str, price: &str) -> Fact {
    let item = Item {
        price: price.to_owned(),
        product: None,
        lookup_key: None,
        quantity: Some(1),
    };
    let state = SubscriptionState {
        status: SubscriptionStatus::Active,
        items: vec![item],
        period_end: None,
        cancel_at: None,
        collection_paused: false,
        items_incomplete: false,
        account: Some(account(of)),
        latest_invoice: None,
        pause_reason: None,
        test_clock: None,
    };
    Fact::Subscription(SubscriptionFact {
        subscription: key(Kind::Subscription, id),
        state,
        before: None,
        created: true,
        imported: false,
        request: None,
        ended_at: None,
    })
}

fn paid_by(id: &str, of: &str) -> Fact {
    Fact::PaymentLink {
        ids: [order(id), account(of)].into(),
    }
}

fn disputed(id: &str, of_order: &str) -> Fact {
    Fact::Disputed {
        dispute: key(Kind::Dispute, id),
        stage: DisputeStage::Open,
        ids: [order(of_order)].into(),
    }
}

/// An order of 100 that was paid.
fn paid(id: &str, of: &str) -> Fact {
    Fact::Payment(PaymentFact {
        document: order(id),
        account: Some(account(of)),
        subscription: None,
        reason: None,
        step: PaymentStep::Paid {
            money: 100,
            cost: 100,
        },
        lines: Vec::new(),
        lines_incomplete: false,
        has_unpriced_items: false,
    })
}

/// All of an order is given back.
fn refunded(id: &str) -> Fact {
    Fact::Refunded(RefundFact {
        refund: key(Kind::Refund, id),
        stage: RefundStage::Succeeded,
        amount: 100,
        lines: BTreeMap::new(),
        ids: [order(id)].into(),
    })
}

/// Puts a fact into the store as a worker does.
async fn apply(store: &Store, second: i64, fact: Fact) -> Outcome {
    let occurrence = Occurrence {
        at: at(second),
        facts: vec![fact],
    };
    let mut tx = store.begin().await.unwrap();
    tx.lock_apps([&app()], LockMode::Shared).await.unwrap();
    let loaded = tx.working_set_load(&app(), &occurrence.lookup_keys()).await;
    let mut working_set = loaded.unwrap();
    let mut fresh_id = || CustomerId::from_uuid(uuid::Uuid::now_v7());
    let effect = working_set.apply(&occurrence, at(100), &mut fresh_id);
    tx.working_set_save(&app(), &working_set, at(100))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    effect.outcome
}

/// Two customers whose subscriptions and orders have each other's numbers.
async fn told(engine: Engine) -> TestStore {
    let test = TestStore::new(engine, at(0)).await;
    for (second, fact) in [
        (1, customer("2")),
        (2, customer("3")),
        (3, subscription("3", "2", "20")),
        (4, subscription("2", "3", "30")),
        (5, paid_by("3", "2")),
        (6, paid_by("2", "3")),
        (7, paid("3", "2")),
        (8, paid("2", "3")),
    ] {
        apply(&test.store, second, fact).await;
    }
    test
}

async fn by_external(store: &Store, external_id: &str) -> Option<Customer> {
    let mut tx = store.read().await.unwrap();
    let found = tx.customer_find_by_external(&app(), external_id, &[]).await;
    found.unwrap()
}

async fn objects_of_one_number_are_found_by_every_look_up(engine: Engine) {
    let test = told(engine).await;
    let store = &test.store;
    let (two, three) = (
        by_external(store, "invented_2").await.unwrap(),
        by_external(store, "invented_3").await.unwrap(),
    );
    assert_ne!(two.id, three.id);
    assert_eq!(two.derived.contact.email.as_deref(), Some("2@example.com"));
    assert_eq!(two.derived.external_id.as_deref(), Some("invented_2"));
    assert_eq!(by_external(store, "2").await.unwrap().id, two.id);
    assert_eq!(by_external(store, "other_2").await, None);
    assert_eq!(by_external(store, "4").await, None);

    for (customer, id, price) in [(&two, "3", "20"), (&three, "2", "30")] {
        let listed = subscriptions::list_of(store, &app(), &customer.id, at(100)).await;
        let listed = listed.unwrap().into_iter();
        let keys: Vec<_> = listed.map(|it| it.subscription.key).collect();
        assert_eq!(keys, [key(Kind::Subscription, id)]);
        let paid: Vec<_> = customer.derived.entitlements.iter().collect();
        assert_eq!(
            (paid[0].provider, paid[0].price.as_str()),
            (INVENTED, price)
        );
    }
    let mut tx = store.read().await.unwrap();
    let every = Occurrence {
        at: at(9),
        facts: vec![
            customer("2"),
            subscription("2", "2", "20"),
            disputed("2", "2"),
            refunded("2"),
        ],
    };
    let loaded = tx.working_set_load(&app(), &every.lookup_keys()).await;
    let loaded = loaded.unwrap();
    let accounts: BTreeSet<_> = loaded.accounts.keys().cloned().collect();
    assert_eq!(accounts, [account("2"), account("3")].into());
    let subscriptions: BTreeSet<_> = loaded.subscriptions.keys().cloned().collect();
    let both = ["2", "3"].map(|id| key(Kind::Subscription, id));
    assert_eq!(subscriptions, both.into());
    let two = order("2");
    let linked: Vec<_> = loaded.payment_links.of(&two).collect();
    assert_eq!(linked, [&account("3")]);
}

async fn money_without_an_account_is_traced_by_kind_and_number(engine: Engine) {
    let test = told(engine).await;
    let store = &test.store;
    let three = by_external(store, "invented_3").await.unwrap();
    let two = by_external(store, "invented_2").await.unwrap();
    for (second, fact) in [
        (10, disputed("3", "2")),
        (11, refunded("3")),
        (12, disputed("2", "9")),
        (
            13,
            Fact::Unfetched {
                object: key(Kind::Other, "2"),
            },
        ),
    ] {
        apply(store, second, fact).await;
    }
    let mut tx = store.read().await.unwrap();
    let window = Window::Page { number: 1, size: 9 };
    let listed = tx.flag_list(&app(), &FlagFilter::default(), &window).await;
    let flags = listed.unwrap().rows;
    let shown: BTreeSet<_> = flags
        .iter()
        .filter(|held| held.flag.kind != FlagKind::UnmappedPrice)
        .map(|held| {
            let subject = held.flag.subject.as_str();
            (held.flag.kind, subject, held.holder.clone())
        })
        .collect();
    let expected = [
        (
            FlagKind::OpenDispute,
            "3",
            FlagHolder::Customer(three.id.clone()),
        ),
        (
            FlagKind::FullRefund,
            "3",
            FlagHolder::Customer(two.id.clone()),
        ),
        (
            FlagKind::Unlinked,
            "2",
            FlagHolder::Object(key(Kind::Dispute, "2")),
        ),
        (
            FlagKind::ApiKeyNeeded,
            "2",
            FlagHolder::Object(key(Kind::Other, "2")),
        ),
    ];
    assert_eq!(shown, expected.into());
    for held in &flags {
        let found = tx.flag_find(&app(), &held.id()).await.unwrap();
        assert_eq!(found.as_ref(), Some(held));
    }
    drop(tx);

    // Who paid is told last.
    apply(store, 14, paid_by("9", "2")).await;
    let mut tx = store.read().await.unwrap();
    let two = FlagFilter {
        kind: Some(FlagKind::OpenDispute),
        customer: Some(two.id),
    };
    let listed = tx.flag_list(&app(), &two, &window).await.unwrap();
    let subjects: Vec<_> = listed.rows.iter().map(|it| &it.flag.subject).collect();
    assert_eq!(subjects, ["2"]);
}

async fn plans_and_admins_name_its_objects(engine: Engine) {
    let test = told(engine).await;
    let store = &test.store;
    let grant = PackageGrant {
        package: "acme/two".to_owned(),
        constraint: "*".to_owned(),
    };
    let act = Order {
        app: app(),
        actor: Actor::Root,
        now: at(100),
        reason: None,
    };
    let plan = Plan {
        packages: vec![grant.clone()],
        ..Plan::default()
    };
    let price = "20".to_owned();
    let set = plans::put(
        store,
        &act,
        INVENTED,
        price,
        plan.clone(),
        &Precondition::None,
    )
    .await;
    set.unwrap();
    let found = plans::find(store, &app(), INVENTED, "20").await.unwrap();
    assert_eq!(
        (found.plan.plan(), found.plan.source),
        (plan, PlanSource::Api)
    );
    let two = by_external(store, "invented_2").await.unwrap();
    let mut tx = store.read().await.unwrap();
    let who = std::slice::from_ref(&two);
    let granted = tx.access_granted(&app(), who, at(100)).await.unwrap();
    let packages: Vec<_> = granted.of(&two).into_iter().map(|it| it.grant).collect();
    assert_eq!(packages, [grant]);
    drop(tx);

    let wanted: ProfileChange =
        serde_json::from_value(json!({"name": "Four", "external_id": "invented_4"})).unwrap();
    let made = customers::create(store, &act, &wanted, SameEmail::Refused).await;
    let made = made.unwrap().customer;
    apply(store, 20, customer("4")).await;
    let four = by_external(store, "4").await.unwrap();
    assert_eq!(four.id, made.id);
    assert_eq!(four.derived.contact.email.as_deref(), Some("4@example.com"));
}

#[test]
fn a_key_reads_back_whatever_its_id() {
    let scope = |connected: Option<&str>| Scope {
        provider: INVENTED,
        livemode: connected.is_none(),
        connected: connected.map(str::to_owned),
    };
    for kind in Kind::ALL {
        for id in ["cus_1", "2", "a:b", ""] {
            for scope in [scope(None), scope(Some("acct_1"))] {
                let key = scope.key(kind, id);
                assert_eq!(key.to_string().parse(), Ok(key));
            }
        }
    }
}

#[test]
fn other_texts_are_no_keys() {
    for text in [
        "",
        "account:stripe:live:cus_1",
        "customer:stripe:live::cus_1",
        "account:stripe:maybe::cus_1",
        "account:a_b:live::cus_1",
    ] {
        assert!(text.parse::<ObjectKey>().is_err(), "{text}");
    }
}

on_both_stores! {
    objects_of_one_number_are_found_by_every_look_up,
    money_without_an_account_is_traced_by_kind_and_number,
    plans_and_admins_name_its_objects,
}
