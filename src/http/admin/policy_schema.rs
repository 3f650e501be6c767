//! The schemas of a policy: whole, and as the fields that are to change.

use std::borrow::Cow;

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AdditionalProperties, Object, ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::policy::PolicyBody;
use crate::domain::policy::{
    OnCollectionPause, OnDisputeLost, OnDisputeOpened, OnEnd, OnFullRefund, OnPause,
    OnPaymentFailed, Policy,
};
use crate::http::openapi::words::one_of;

fn told(about: &str, schema: Object) -> ObjectBuilder {
    ObjectBuilder::from(schema).description(Some(about))
}

fn fields() -> [(&'static str, ObjectBuilder); 10] {
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
                "The effect when no subscription is good and one is failing.",
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
                "The effect when every subscription has ended.",
                one_of(OnEnd::WORDS),
            ),
        ),
        (
            "on_pause",
            told(
                "The effect when the best subscription is paused.",
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
                "The effect of an open dispute, once money was taken back.",
                one_of(OnDisputeOpened::WORDS),
            ),
        ),
        (
            "on_dispute_lost",
            told(
                "The effect of a lost dispute.",
                one_of(OnDisputeLost::WORDS),
            ),
        ),
        (
            "on_full_refund",
            told("The effect of a full refund.", one_of(OnFullRefund::WORDS)),
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
