//! The schemas of a policy: whole, and as the fields that are to change.

use std::borrow::Cow;

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AdditionalProperties, Object, ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::policy::PolicyBody;
use crate::domain::policy::{
    EarlyEnd, OnCollectionPause, OnDisputeLost, OnDisputeOpened, OnEnd, OnEndUnpaid, OnFullRefund,
    OnPause, OnPaymentFailed, OnSilence, Policy,
};
use crate::http::openapi::words::one_of;

fn told(about: &str, schema: Object) -> ObjectBuilder {
    ObjectBuilder::from(schema).description(Some(about))
}

fn fields() -> [(&'static str, ObjectBuilder); 15] {
    let span = || {
        let text = ObjectBuilder::new().schema_type(Type::String);
        text.pattern(Some("^[0-9]+[smhd]$"))
            .examples(["14d"])
            .build()
    };
    let yes_or_no = ObjectBuilder::new().schema_type(Type::Boolean).build();
    [
        (
            "on_payment_failed",
            told(
                "The effect of a failing subscription after its grace: no access, what was paid for, \
                 or none.",
                one_of(OnPaymentFailed::WORDS),
            ),
        ),
        (
            "suspend_after",
            told("How long a failing subscription stays good.", span()),
        ),
        (
            "end_after",
            told(
                "How long a subscription may fail before it counts as ended.",
                span(),
            ),
        ),
        (
            "on_end",
            told(
                "The effect of an end: what was paid for stays, or nothing does.",
                one_of(OnEnd::WORDS),
            ),
        ),
        (
            "on_end_unpaid",
            told(
                "The effect of the end of a subscription that nobody ever paid for.",
                one_of(OnEndUnpaid::WORDS),
            ),
        ),
        (
            "early_end",
            told(
                "The effect of an end in the middle of a paid period.",
                one_of(EarlyEnd::WORDS),
            ),
        ),
        (
            "freeze_after",
            told(
                "The paid time that must have run before anything stays after an end.",
                span(),
            ),
        ),
        (
            "on_pause",
            told(
                "The effect of a paused subscription.",
                one_of(OnPause::WORDS),
            ),
        ),
        (
            "on_collection_pause",
            told(
                "The effect when the subscription runs on but collection is paused.",
                one_of(OnCollectionPause::WORDS),
            ),
        ),
        (
            "on_dispute_opened",
            told(
                "The effect of an open dispute, once money was taken back, on what it is about.",
                one_of(OnDisputeOpened::WORDS),
            ),
        ),
        (
            "on_dispute_lost",
            told(
                "The effect of a lost dispute on what it is about.",
                one_of(OnDisputeLost::WORDS),
            ),
        ),
        (
            "on_full_refund",
            told(
                "The effect of a full refund on a subscription.",
                one_of(OnFullRefund::WORDS),
            ),
        ),
        (
            "on_silence",
            told(
                "The effect of a period that ended without any news.",
                one_of(OnSilence::WORDS),
            ),
        ),
        (
            "silence_after",
            told(
                "How long after the end of a period the silence counts.",
                span(),
            ),
        ),
        (
            "match_by_email",
            told(
                "Links billing accounts to customers by their first e-mail address.",
                yes_or_no,
            ),
        ),
    ]
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
