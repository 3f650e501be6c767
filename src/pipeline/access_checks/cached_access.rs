//! What is known about a token and a package: enough to answer about every version.

use std::sync::Arc;
use std::time::Instant;

use super::look_ups::LookedUp;
use crate::domain::access::check::{self, AccessCode, Holder, PackageAccess};
use crate::domain::access::refusal::{self, HeldMessage};
use crate::domain::access::token::CustomerToken;
use crate::domain::access::versions::{Scheme, Schemes};
use crate::domain::customer::row::Status;
use crate::domain::id::{AppSlug, CustomerId};
use crate::domain::time::Timestamp;
use crate::pipeline::access::{Answer, meant_version, report_unreadable};

/// Who asked.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The app of the customer.
    pub app: AppSlug,
    /// The customer.
    pub customer: CustomerId,
    /// The status of the customer.
    pub status: Status,
    /// The token that was shown.
    pub token: CustomerToken,
}

/// The answer about one package.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The code that says yes, or why not.
    pub code: AccessCode,
    /// The package in lower case, as names are kept.
    pub package: String,
    /// The version that was asked for.
    pub version: Option<String>,
    /// The sentence for whoever installs, if the answer is no.
    pub warning: Option<String>,
    /// The one who asked.
    pub subject: Arc<Subject>,
}

impl Checked {
    /// The answer to somebody with a token; `None` for an admin's.
    pub(super) fn of(answer: Answer) -> Option<Self> {
        let asker = answer.asker;
        Some(Self {
            code: answer.code,
            package: answer.package,
            version: answer.version,
            warning: answer.warning,
            subject: Arc::new(Subject {
                app: asker.app,
                customer: asker.customer.id,
                status: asker.customer.derived.status,
                token: asker.token?,
            }),
        })
    }
}

/// When something was looked up.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReadAt {
    /// Before the store was asked.
    pub(super) began: Instant,
    /// The same by the clock that decides about ends.
    pub(super) now: Timestamp,
    /// The store's count of changes before that.
    pub(super) changes: u64,
}

/// What is known of a token and a package.
#[derive(Debug)]
pub(super) struct CachedAccess {
    pub(super) read_at: ReadAt,
    /// The first end of something that counts: the token, or a grant by hand. `None`: nothing ends.
    pub(super) ends_at: Option<Timestamp>,
    /// The number of releases that decide.
    pub(super) releases: usize,
    subject: Arc<Subject>,
    scheme: Scheme,
    access: PackageAccess,
    /// The refusal for requests from a Composer repository, if this is not a Composer package: there, the
    /// name belongs to a different package.
    of_composer: Option<AccessCode>,
    held_text: Option<String>,
    held_url: Option<String>,
}

impl CachedAccess {
    pub(super) fn new((found, released): LookedUp, package: &str, read_at: ReadAt) -> Self {
        let now = read_at.now;
        let live = found.live_grants(package, now);
        let token = found.holder.token;
        let derived = &found.holder.customer.derived;
        let schemes: Schemes = [(package.to_owned(), found.scheme)].into_iter().collect();
        let holder = Holder {
            token: Some(&token),
            derived,
            grants: &live,
            releases: &[],
            schemes: &schemes,
        };
        report_unreadable(&found.holder.customer.id, holder);
        let of_composer = (found.scheme != Scheme::Composer).then(|| {
            let closed = check::closed(holder, package, now);
            closed.unwrap_or(AccessCode::PackageNotGranted)
        });
        let ends = found.by_hand.iter().filter_map(|(it, _)| it.expires_at);
        let ends = ends.chain(token.expires_at).filter(|end| *end > now);
        Self {
            read_at,
            ends_at: ends.min(),
            releases: released.len(),
            scheme: found.scheme,
            access: PackageAccess::with_released(holder, package, released, now),
            of_composer,
            held_text: found.registry.held_text,
            held_url: found.registry.held_url,
            subject: Arc::new(Subject {
                app: found.holder.app,
                status: derived.status,
                customer: found.holder.customer.id,
                token,
            }),
        }
    }

    /// Decides about a version of the package, or any.
    pub(super) fn decide(
        &self,
        package: &str,
        version: Option<&str>,
        is_of_composer: bool,
    ) -> Checked {
        let version = version.filter(|version| !version.is_empty());
        let (code, version) = if let Some(code) = self.of_composer.filter(|_| is_of_composer) {
            (code, None)
        } else {
            let version = version.map(|text| meant_version(self.scheme, text));
            (self.access.asked(version.as_deref()), version)
        };
        let held = HeldMessage {
            text: self.held_text.as_deref(),
            url: self.held_url.as_deref(),
        };
        let warning = || refusal::sentence(code, held, Some(package), version.as_deref());
        Checked {
            code,
            package: package.to_owned(),
            warning: (!code.is_allowed()).then(warning),
            version,
            subject: Arc::clone(&self.subject),
        }
    }
}
