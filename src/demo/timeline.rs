//! The timeline of the story: all webhooks, releases and access checks in the order of time.

use super::error::DemoError;
use super::story::{Customer, Webhook, ada, ben, fay, hal};
use crate::domain::time::Timestamp;
use crate::provider::Mode;

/// An event of the story.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    pub(super) at: Timestamp,
    pub(super) what: What,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    Webhook(Webhook),
    Release {
        package: &'static str,
        version: &'static str,
    },
    Access {
        customer: Customer,
        package: &'static str,
        version: &'static str,
        code: &'static str,
    },
}

/// Releases: time, package, version.
const RELEASES: [(&str, &str, &str); 4] = [
    ("2026-03-01T08:00:00Z", "acme/forms", "1.0.0"),
    ("2026-03-01T08:00:01Z", "acme/charts", "1.0.0"),
    ("2026-05-15T08:00:00Z", "acme/forms", "2.0.0"),
    ("2026-06-15T08:00:00Z", "acme/forms", "2.1.0"),
];

/// Access checks during the story: time, customer, package, version, and the code that the answer
/// must have.
const CHECKS: [(&str, Customer, &str, &str, &str); 9] = {
    use Customer::{Ada, Ben, Fay};
    [
        ("2026-03-02T12:00:00Z", Ada, "acme/forms", "1.0.0", "ok"),
        (
            "2026-03-02T12:00:01Z",
            Ada,
            "acme/forms",
            "2.0.0",
            "version_not_allowed",
        ),
        (
            "2026-03-02T12:00:02Z",
            Ada,
            "acme/charts",
            "1.0.0",
            "package_not_granted",
        ),
        (
            "2026-03-17T12:00:00Z",
            Ben,
            "acme/forms",
            "1.0.0",
            "customer_suspended",
        ),
        ("2026-03-18T12:00:00Z", Ben, "acme/forms", "1.0.0", "ok"),
        (
            "2026-05-02T12:00:00Z",
            Ada,
            "acme/forms",
            "1.0.0",
            "customer_suspended",
        ),
        (
            "2026-05-09T12:00:00Z",
            Fay,
            "acme/forms",
            "1.0.0",
            "customer_suspended",
        ),
        ("2026-05-16T12:00:00Z", Ada, "acme/forms", "2.0.0", "ok"),
        ("2026-05-16T12:00:01Z", Fay, "acme/charts", "1.0.0", "ok"),
    ]
};

/// Returns all scenes in the order of time.
pub(super) fn scenes() -> Result<Vec<Scene>, DemoError> {
    let mut scenes = Vec::new();
    for webhook in [ada(), ben(), fay(), hal()].into_iter().flatten() {
        scenes.push(Scene {
            at: occurred_at(&webhook)?,
            what: What::Webhook(webhook),
        });
    }
    for (at, package, version) in RELEASES {
        scenes.push(Scene {
            at: instant(at)?,
            what: What::Release { package, version },
        });
    }
    for (at, customer, package, version, code) in CHECKS {
        let what = What::Access {
            customer,
            package,
            version,
            code,
        };
        scenes.push(Scene {
            at: instant(at)?,
            what,
        });
    }
    scenes.sort_by_key(|scene| scene.at);
    Ok(scenes)
}

/// Access checks at the end of the story: package, version, and the code that the answer must have.
pub(super) fn last_checks(
    customer: Customer,
) -> &'static [(&'static str, &'static str, &'static str)] {
    match customer {
        Customer::Ada | Customer::Zoe => &[
            ("acme/forms", "2.0.0", "ok"),
            ("acme/forms", "2.1.0", "version_not_frozen"),
        ],
        Customer::Ben => &[
            ("acme/forms", "1.0.0", "ok"),
            ("acme/forms", "2.1.0", "version_not_allowed"),
        ],
        // Fay's change of plan was never billed, so what was paid before is what stays.
        Customer::Fay | Customer::Hal => &[
            ("acme/forms", "1.0.0", "ok"),
            ("acme/forms", "2.0.0", "version_not_allowed"),
        ],
    }
}

fn occurred_at(webhook: &Webhook) -> Result<Timestamp, DemoError> {
    let reading = webhook
        .provider
        .read(webhook.event_type, webhook.payload.as_bytes(), Mode::Any);
    let at = reading.ok().and_then(|reading| reading.occurred_at);
    at.ok_or_else(|| DemoError::Wrong(format!("the payload of {} has no time", webhook.event_type)))
}

fn instant(text: &str) -> Result<Timestamp, DemoError> {
    Timestamp::parse(text).ok_or_else(|| DemoError::Wrong(format!("`{text}` is no time")))
}
