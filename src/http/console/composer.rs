//! What Composer would get of a package for a customer, and why.

use super::query::Asked;
use super::visitor::Visitor;
use super::words::Badge;
use crate::domain::access::check::AccessCode;
use crate::domain::access::live_grant::{GrantSource, LiveGrant};
use crate::domain::access::versions::Scheme;
use crate::domain::id::CustomerId;
use crate::http::{ApiError, AppState};
use crate::pipeline::access::{Answer, Question, check_customer};
use crate::pipeline::releases;

/// The answer to a question about a package.
pub(super) struct Reply {
    /// Yes or no.
    pub(super) badge: Badge,
    /// What Composer gets, or what it prints.
    pub(super) sentence: String,
    /// What the answer comes from.
    pub(super) reasons: Vec<String>,
}

/// Answers what the address asks; `None` if it names no package.
pub(super) async fn reply(
    state: &AppState,
    visitor: &Visitor,
    id: &CustomerId,
    asked: &Asked,
) -> Result<Option<Reply>, ApiError> {
    let (package, version) = (asked.get("package"), asked.get("version"));
    let Some(package) = package else {
        return Ok(None);
    };
    let question = Question {
        package: Some(package),
        version,
        reference: None,
        is_of_composer: false,
    };
    let (store, app, now) = (&state.store, &visitor.app, state.clock.now());
    let answer = check_customer(store, app, id, question, now).await?;
    let mut reasons = vec![format!("code: {}", answer.code.as_str())];
    reasons.extend(answer.grants.iter().map(given));
    if answer.code == AccessCode::PackageNotGranted {
        reasons.push(format!(
            "nothing that this customer has gives {}",
            answer.package
        ));
    }
    if let Some(version) = version {
        let released = releases::list(store, app, answer.package.clone()).await?;
        let schemes = [Scheme::Composer, Scheme::Semver];
        let meant = schemes.map(|scheme| scheme.version(version).ok());
        let meant: Vec<_> = meant.into_iter().flatten().collect();
        let is_meant = |text: &str| meant.iter().any(|it| it.to_string() == text);
        let release = released.iter().find(|it| is_meant(&it.normalized));
        reasons.push(match release {
            _ if meant.is_empty() => {
                format!("“{version}” is no version: ask for one, such as 2.1.0 or dev-main")
            }
            Some(release) => format!("{} was released {}", release.version, release.released_at),
            None => format!("{version} is no release that is known here"),
        });
    }
    Ok(Some(Reply {
        badge: Badge::allowed(answer.code.is_allowed()),
        sentence: sentence(answer, version),
        reasons,
    }))
}

fn sentence(answer: Answer, version: Option<&str>) -> String {
    if let Some(warning) = answer.warning {
        return format!("Composer prints: “{warning}”");
    }
    let wanted = version.unwrap_or("some version of it");
    format!("Composer gets {} ({wanted}).", answer.package)
}

/// What gives the package.
fn given(live: &LiveGrant) -> String {
    let by = match &live.source {
        GrantSource::Hand { .. } => "by hand",
        GrantSource::Plan { price, .. } => price,
    };
    let until = live.until.map(|at| format!(", what was released by {at}"));
    let grant = &live.grant;
    let until = until.unwrap_or_default();
    format!("{} {} from {by}{until}", grant.package, grant.constraint)
}
