//! Reading fixtures, whole and changed.

use serde_json::Value;
use tollgate::domain::billing::fact::{Fact, Item, Line, PaymentFact, SubscriptionFact};
use tollgate::domain::id::{ObjectKey, Provider, Scope};
use tollgate::domain::time::Timestamp;
use tollgate::provider::{Meaning, Mode, PADDLE, ReadError, Reading, STRIPE};

use crate::convergence::rig::kind;
use crate::support::fixtures::provider_of;
pub(super) use crate::support::fixtures::{NEW, OLD, load};
use crate::support::spec::read;

/// The newest version of a fixture, named without its version.
pub(super) fn newest(stem: &str) -> (Provider, Value) {
    let provider = provider_of(stem);
    let end = if provider == STRIPE.name {
        NEW
    } else {
        ".json"
    };
    (provider, load(&format!("{stem}{end}")))
}

pub(super) fn reading(provider: Provider, payload: &Value) -> Reading {
    read(provider, payload.to_string().as_bytes(), Mode::Any).unwrap()
}

pub(super) fn facts(provider: Provider, payload: &Value) -> Vec<Fact> {
    match reading(provider, payload).meaning {
        Meaning::Facts(occurrence) => occurrence.facts,
        Meaning::Ignored(reason) => panic!("ignored: {reason:?}"),
    }
}

pub(super) fn subscription(provider: Provider, payload: &Value) -> SubscriptionFact {
    match &facts(provider, payload)[..] {
        // Paddle's first event of a subscription also names its first payment.
        [Fact::Subscription(fact)] | [Fact::Subscription(fact), Fact::Payment(_)] => fact.clone(),
        other => panic!("not one subscription: {other:?}"),
    }
}

pub(super) fn payment(provider: Provider, payload: &Value) -> PaymentFact {
    let mut facts = facts(provider, payload).into_iter();
    let payment = facts.find_map(|fact| match fact {
        Fact::Payment(payment) => Some(payment),
        _ => None,
    });
    payment.unwrap_or_else(|| panic!("no payment: {payload}"))
}

/// A line of a subscription for one of a price, with its period and id.
pub(super) fn line(
    price: &str,
    product: &str,
    amount: i64,
    period: Option<(&str, &str)>,
    id: &str,
) -> Line {
    let instant = |text| Timestamp::parse(text).unwrap();
    Line {
        price: price.to_owned(),
        product: Some(product.to_owned()),
        lookup_key: None,
        amount,
        quantity: None,
        start: period.map(|(start, _)| instant(start)),
        end: period.map(|(_, end)| instant(end)),
        once: false,
        id: Some(id.to_owned()),
    }
}

/// What a payload fails with: `missing` or `malformed`, and the path.
pub(super) fn path_of(provider: Provider, payload: &Value) -> String {
    match read(provider, payload.to_string().as_bytes(), Mode::Any) {
        Err(ReadError::FieldMissing { path }) => format!("missing {path}"),
        Err(ReadError::FieldMalformed { path, .. }) => format!("malformed {path}"),
        other => panic!("no field is wrong: {other:?}"),
    }
}

pub(super) fn remove(payload: &mut Value, pointer: &str) {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match payload.pointer_mut(parent) {
        Some(Value::Object(fields)) => {
            fields.remove(name);
        }
        Some(Value::Array(values)) => {
            values.remove(name.parse().unwrap());
        }
        _ => panic!("nothing at {pointer}"),
    }
}

pub(super) fn item(price: &str, product: &str, quantity: i64) -> Item {
    Item {
        price: price.to_owned(),
        product: Some(product.to_owned()),
        lookup_key: None,
        quantity: Some(quantity),
    }
}

/// A key of Stripe's test mode, in which all of our fixtures are.
pub(super) fn test(id: &str) -> ObjectKey {
    Scope {
        provider: STRIPE.name,
        livemode: false,
        connected: None,
    }
    .key(kind(id), id)
}

/// A key of Paddle's, whose secret says nothing.
pub(super) fn paddle(id: &str) -> ObjectKey {
    Scope {
        provider: PADDLE.name,
        livemode: true,
        connected: None,
    }
    .key(kind(id), id)
}
