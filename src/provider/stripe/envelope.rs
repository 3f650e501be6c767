//! The envelope of an event: everything around its object.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::super::fields::Fields;
use super::super::json::{self, Pruned};
use super::super::metadata::MAX_ID;
use super::super::reading::ReadError;
use crate::domain::id::{Kind, ObjectKey, Provider, Scope};
use crate::domain::time::Timestamp;

pub(super) const NAME: Provider = Provider::named("stripe");

/// The event around the object: <https://docs.stripe.com/api/events/object>.
#[derive(Deserialize)]
pub(super) struct Envelope<'a> {
    id: Option<Pruned>,
    object: Option<Pruned>,
    created: Option<Pruned>,
    livemode: Option<Pruned>,
    account: Option<Pruned>,
    context: Option<Pruned>,
    request: Option<Pruned>,
    related_object: Option<Pruned>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

impl Envelope<'_> {
    /// Event notifications ("thin events") carry no object, only where to fetch it:
    /// <https://docs.stripe.com/api/v2/core/events>.
    pub(super) fn is_thin(&self) -> bool {
        value(self.object.as_ref()).and_then(Value::as_str) == Some("v2.core.event")
    }

    /// The object that a thin event is about, or the event itself if it names none.
    pub(super) fn related(&self, scope: &Scope) -> Result<ObjectKey, ReadError> {
        let related = value(self.related_object.as_ref()).unwrap_or(&Value::Null);
        let related = Fields::new(related, "related_object");
        if let Some(id) = related.id(&["id"])? {
            let kind = related.word("type")?.map_or(Kind::Other, kind);
            return Ok(scope.key(kind, id));
        }
        let event = value(self.id.as_ref()).and_then(Value::as_str);
        Ok(scope.key(Kind::Event, event.unwrap_or_default()))
    }

    /// Snapshot events say seconds, thin ones RFC 3339.
    pub(super) fn occurred_at(&self) -> Option<Timestamp> {
        match value(self.created.as_ref())? {
            Value::String(text) => Timestamp::parse(text),
            value => value.as_i64().and_then(Timestamp::from_seconds),
        }
    }

    pub(super) fn need_time(&self) -> Result<Timestamp, ReadError> {
        let path = || "created".to_owned();
        match &self.created {
            None => Err(ReadError::FieldMissing { path: path() }),
            Some(_) => self.occurred_at().ok_or_else(|| ReadError::FieldMalformed {
                path: path(),
                wanted: "a time in seconds since 1970",
            }),
        }
    }

    /// The connected account. Endpoints of an organisation get `context` alone, such as
    /// `org_1/acct_2`; a connected account's events carry both.
    pub(super) fn connected(&self) -> Result<Option<String>, ReadError> {
        let (path, account) = match (value(self.account.as_ref()), value(self.context.as_ref())) {
            (Some(account), _) => ("account", account.as_str()),
            (None, Some(Value::String(context))) => {
                let last = context.rsplit('/').next();
                ("context", last.filter(|last| last.starts_with("acct_")))
            }
            (None, _) => return Ok(None),
        };
        // The account is a part of keys whose parts are joined by colons.
        let good = |id: &&str| {
            (1..=255).contains(&id.len())
                && id
                    .bytes()
                    .all(|byte| byte.is_ascii_graphic() && byte != b':')
        };
        match account.filter(good) {
            Some(account) => Ok(Some(account.to_owned())),
            None if path == "context" => Ok(None),
            None => Err(ReadError::FieldMalformed {
                path: path.to_owned(),
                wanted: "an id",
            }),
        }
    }

    pub(super) fn scope(&self, livemode: Option<bool>) -> Result<Scope, ReadError> {
        if value(self.livemode.as_ref()).is_some_and(|value| !value.is_boolean()) {
            let path = "livemode".to_owned();
            return Err(ReadError::FieldMalformed {
                path,
                wanted: "true or false",
            });
        }
        Ok(Scope {
            provider: NAME,
            livemode: livemode.unwrap_or(true),
            connected: self.connected()?,
        })
    }

    /// True or false, as the event says it.
    pub(super) fn livemode(&self) -> Option<bool> {
        value(self.livemode.as_ref()).and_then(Value::as_bool)
    }

    /// The id of the API call behind the event; before 2017-05-25 `request` was that id itself.
    pub(super) fn request(&self) -> Option<String> {
        let request = value(self.request.as_ref())?;
        let id = request.get("id").unwrap_or(request).as_str()?;
        // It is kept with each observation.
        (id.len() <= MAX_ID).then(|| id.to_owned())
    }

    /// What is around the object, unread.
    pub(super) fn raw_data(&self) -> Option<&RawValue> {
        self.data
    }

    pub(super) fn data(&self) -> Result<Value, ReadError> {
        let path = || "data.object".to_owned();
        let data = self
            .data
            .ok_or_else(|| ReadError::FieldMissing { path: path() })?;
        let data = json::parse(data.get()).map_err(|error| ReadError::FieldMalformed {
            path: path(),
            wanted: json::wanted(&error),
        })?;
        match data.get("object") {
            Some(Value::Object(_)) => Ok(data),
            None | Some(Value::Null) => Err(ReadError::FieldMissing { path: path() }),
            Some(_) => Err(ReadError::FieldMalformed {
                path: path(),
                wanted: "an object",
            }),
        }
    }
}

fn value(field: Option<&Pruned>) -> Option<&Value> {
    field.map(|field| &field.0)
}

/// Maps Stripe's name of an object to a kind. Thin events put its version before a newer name,
/// as in `v2.core.account`: <https://docs.stripe.com/api/v2/core/events>.
fn kind(object_type: &str) -> Kind {
    match object_type {
        "customer" => Kind::Account,
        "subscription" => Kind::Subscription,
        "entitlements.active_entitlement_summary" => Kind::FeatureList,
        "invoice" => Kind::Invoice,
        "charge" => Kind::Charge,
        "payment_intent" => Kind::PaymentIntent,
        "checkout.session" => Kind::Session,
        "dispute" => Kind::Dispute,
        "refund" => Kind::Refund,
        "event" => Kind::Event,
        _ => Kind::Other,
    }
}
