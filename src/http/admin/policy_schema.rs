//! The schemas of a policy: whole, and as the fields that are to change.

use std::borrow::Cow;

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AdditionalProperties, Object, ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::policy::{PolicyBody, PolicyChange};
use crate::domain::policy::{
    EarlyEnd, OnCollectionPause, OnDisputeLost, OnDisputeOpened, OnEnd, OnEndUnpaid, OnFullRefund,
    OnPause, OnPaymentFailed, OnSameEmail, OnSilence, Policy,
};
use crate::http::openapi::words::one_of;

fn span() -> Object {
    let text = ObjectBuilder::new().schema_type(Type::String);
    text.pattern(Some("^[0-9]+[smhd]$"))
        .examples(["14d"])
        .build()
}

fn fields() -> [(&'static str, ObjectBuilder); 15] {
    [
        (
            "on_payment_failed",
            one_of(OnPaymentFailed::WORDS),
            "The effect of a failing subscription after its grace: no access, what was paid for, or \
             none until `end_after`.",
        ),
        (
            "suspend_after",
            span(),
            "How long a failing subscription stays good.",
        ),
        (
            "end_after",
            span(),
            "How long a subscription may fail before it counts as ended.",
        ),
        (
            "on_end",
            one_of(OnEnd::WORDS),
            "The effect of an end: what was paid for stays, or nothing.",
        ),
        (
            "on_end_unpaid",
            one_of(OnEndUnpaid::WORDS),
            "The effect of the end of a subscription that nobody ever paid for.",
        ),
        (
            "early_end",
            one_of(EarlyEnd::WORDS),
            "The effect of an end in the middle of a paid period.",
        ),
        (
            "freeze_after",
            span(),
            "The paid time that must have run before anything stays after an end.",
        ),
        (
            "on_pause",
            one_of(OnPause::WORDS),
            "The effect of a pause that somebody wanted.",
        ),
        (
            "on_collection_pause",
            one_of(OnCollectionPause::WORDS),
            "The effect when the subscription runs on but collection is paused.",
        ),
        (
            "on_dispute_opened",
            one_of(OnDisputeOpened::WORDS),
            "The effect of an open dispute, once money was taken back, on what it is about.",
        ),
        (
            "on_dispute_lost",
            one_of(OnDisputeLost::WORDS),
            "The effect of a lost dispute on what it is about.",
        ),
        (
            "on_full_refund",
            one_of(OnFullRefund::WORDS),
            "The effect of a full refund on the subscription whose payment it was.",
        ),
        (
            "on_silence",
            one_of(OnSilence::WORDS),
            "The effect of a period that ended without any news; it is flagged in any case.",
        ),
        (
            "silence_after",
            span(),
            "The time after the end of a period after which the silence counts.",
        ),
        (
            "on_same_email",
            one_of(OnSameEmail::WORDS),
            "The effect of a billing account whose e-mail address another customer has.",
        ),
    ]
    .map(|(name, schema, about)| {
        let field = ObjectBuilder::from(schema).description(Some(about));
        (name, field)
    })
}

impl PartialSchema for Policy {
    fn schema() -> RefOr<Schema> {
        let about = "How billing events affect access.";
        let mut policy = ObjectBuilder::new().description(Some(about));
        for (name, field) in fields() {
            policy = policy.property(name, field).required(name);
        }
        RefOr::T(Schema::Object(policy.build()))
    }
}

impl ToSchema for Policy {}

impl PartialSchema for PolicyBody {
    fn schema() -> RefOr<Schema> {
        let mut body = ObjectBuilder::new()
            .description(Some("The fields to change; the others stay as they are."))
            .additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)));
        for (name, field) in fields() {
            body = body.property(name, field);
        }
        RefOr::T(Schema::Object(body.build()))
    }
}

impl ToSchema for PolicyBody {
    fn name() -> Cow<'static, str> {
        "PolicyBody".into()
    }
}

impl PartialSchema for PolicyChange {
    fn schema() -> RefOr<Schema> {
        PolicyBody::schema()
    }
}

impl ToSchema for PolicyChange {
    fn name() -> Cow<'static, str> {
        "PolicyChange".into()
    }
}
