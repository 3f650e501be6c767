//! What happens when: the webhooks of all lives, releases and access checks, on one line of time.

use super::story::{Customer, Webhook, ada, ben, fay, hal};
use crate::cli::CliError;
use crate::domain::time::Timestamp;
use crate::provider::Mode;

/// Something that happens.
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

/// What comes out: when, which package, which version.
const RELEASES: [(&str, &str, &str); 4] = [
    ("2026-03-01T08:00:00Z", "acme/forms", "1.0.0"),
    ("2026-03-01T08:00:01Z", "acme/charts", "1.0.0"),
    ("2026-05-15T08:00:00Z", "acme/forms", "2.0.0"),
    ("2026-06-15T08:00:00Z", "acme/forms", "2.1.0"),
];

/// What registries ask on the way: when, for whom, which package, which version, and the code
/// that they must be answered.
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

/// Everything that happens, in the order of time.
pub(super) fn scenes() -> Result<Vec<Scene>, CliError> {
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

/// What must be let through at the end, and what not: package, version, code.
pub(super) fn last_checks(
    customer: Customer,
) -> &'static [(&'static str, &'static str, &'static str)] {
    match customer {
        Customer::Ada | Customer::Fay | Customer::Zoe => &[
            ("acme/forms", "2.0.0", "ok"),
            ("acme/forms", "2.1.0", "version_not_frozen"),
        ],
        Customer::Ben => &[
            ("acme/forms", "1.0.0", "ok"),
            ("acme/forms", "2.1.0", "version_not_allowed"),
        ],
        Customer::Hal => &[
            ("acme/forms", "1.0.0", "ok"),
            ("acme/forms", "2.0.0", "version_not_allowed"),
        ],
    }
}

fn occurred_at(webhook: &Webhook) -> Result<Timestamp, CliError> {
    let reading = webhook
        .provider
        .read(webhook.event_type, webhook.payload.as_bytes(), Mode::Any);
    let at = reading.ok().and_then(|reading| reading.occurred_at);
    at.ok_or_else(|| CliError::Demo(format!("the payload of {} has no time", webhook.event_type)))
}

fn instant(text: &str) -> Result<Timestamp, CliError> {
    Timestamp::parse(text).ok_or_else(|| CliError::Demo(format!("`{text}` is no time")))
}
