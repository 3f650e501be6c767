//! The Composer repository of a customer: what the access check would let through of the app's own
//! repository.
//!
//! Each version is decided by `PackageAccess`, which is the access check itself, so what is listed
//! here and what `/access` says cannot differ. Releases that the repository has are recorded before
//! anything is decided, with the times that it gives: a customer whose access reaches to a date keeps
//! what was released until then, whether or not anybody told us of it. Branches are no releases,
//! because they move on under their names; but their archives are remembered, for locks.

mod error;
mod record;
mod refresh;
mod visitor;

use std::collections::BTreeSet;

use bytes::Bytes;
use reqwest::header::HeaderMap;
use reqwest::{Method, Response, Url};

use crate::composer::answers::{Answers, Draft, Tag};
use crate::composer::location::{Repository, Target};
use crate::composer::metadata::Listed;
use crate::composer::named::Named;
use crate::composer::upstream::{Found, Freshness, UpstreamError};
use crate::domain::access::check::{self, AccessCode};
use crate::domain::access::versions::{Scheme, Version};
use crate::domain::time::Timestamp;
use crate::offload;
use crate::pipeline::registries::Repositories;

pub use error::ComposerError;
pub use refresh::{Refreshed, refresh, refresh_all};
use visitor::Visitor;
pub use visitor::{Answer, Granted, Refused, Request};

/// The archive of a version.
#[derive(Debug)]
pub struct Archive {
    /// Where it is.
    pub target: Target,
    /// True if the environment names the repository.
    pub is_fixed: bool,
    repository: Repository,
    repositories: Repositories,
}

impl Archive {
    /// Asks the repository for the archive at this URL, its own or not.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn request(
        &self,
        (url, is_own): (&Url, bool),
        method: Method,
        headers: HeaderMap,
    ) -> Result<Response, UpstreamError> {
        let upstream = self.repositories.upstream();
        let from = (url, is_own);
        upstream
            .archive(&self.repository, from, method, headers)
            .await
    }
}

/// The metadata of a package for a customer, which need not be written for who has it already.
#[derive(Debug)]
pub struct File {
    draft: Draft,
    answers: Answers,
}

impl File {
    /// What stands for its content.
    pub const fn tag(&self) -> Tag {
        self.draft.tag()
    }

    /// Writes it, unless it is kept.
    pub async fn write(self) -> Bytes {
        let Self { draft, answers } = self;
        match answers.get(draft.tag()) {
            Some(kept) => kept,
            // A version takes no longer to write than to compare.
            None => offload::run(draft.versions(), move || answers.write(&draft)).await,
        }
    }
}

/// Lists the packages of a customer.
///
/// # Errors
/// When the store or the repository does not answer.
pub async fn packages(request: Request<'_>) -> Answer<BTreeSet<String>> {
    let visitor = match Visitor::find(request, None).await? {
        Ok(visitor) => visitor,
        Err(refused) => return Ok(Err(refused)),
    };
    let holder = visitor.holder();
    if let Err(code) = check::check_holder(holder, request.now) {
        return Ok(Err(visitor.refused(code, None, None)));
    }
    let repository = visitor.repository(request)?;
    let upstream = request.repositories.upstream();
    let packages = check::packages(holder).into_iter();
    let packages = packages.filter(|it| holder.schemes.of(it) == Scheme::Composer);
    let listed = upstream.available(&repository, packages.collect());
    let packages = listed.await.map_err(|source| visitor.failed(source))?;
    Ok(Ok(visitor.granted(Some(packages))))
}

/// Finds the metadata of a package. `dists` is the address below which its archives are here.
///
/// # Errors
/// When the store or the repository does not answer.
pub async fn metadata(request: Request<'_>, package: &str, dev: bool, dists: &str) -> Answer<File> {
    let (visitor, repository) = match Visitor::enter(request, package).await? {
        Ok(entered) => entered,
        Err(refused) => return Ok(Err(refused)),
    };
    let upstream = request.repositories.upstream();
    let found = upstream.package(&repository, package, dev, Freshness::Cached);
    let found = found.await.map_err(|source| visitor.failed(source))?;
    if found.files.is_empty() {
        return Ok(Ok(visitor.granted(None)));
    }
    let visitor = visitor.recording(request, package, &found).await?;
    let comparisons = visitor.comparisons(found.versions(package));
    let (package, dists) = (package.to_owned(), dists.to_owned());
    let answers = request.repositories.answers().clone();
    let now = request.now;
    let decide = move || {
        visitor.report_unreadable();
        let access = visitor.access(&package, now);
        let is_mixed = found.is_mixed;
        let allows = |listed: &Listed| {
            listed.version.as_ref().is_some_and(|version| {
                let is_asked_for = !is_mixed || version.is_dev() == dev;
                is_asked_for && access.version(version.parsed.as_ref()).is_allowed()
            })
        };
        let draft = Draft::new(found, package, dists, allows);
        visitor.granted(Some(File { draft, answers }))
    };
    Ok(Ok(offload::run(comparisons, decide).await))
}

/// Finds the archive of a version by its name here.
///
/// # Errors
/// When the store or the repository does not answer.
pub async fn archive(request: Request<'_>, package: &str, file: &str) -> Answer<Archive> {
    let (mut visitor, repository) = match Visitor::enter(request, package).await? {
        Ok(entered) => entered,
        Err(refused) => return Ok(Err(refused)),
    };
    let upstream = request.repositories.upstream();
    // What is not there may be new: another process may have listed it a moment ago.
    for freshness in [Freshness::Cached, Freshness::Recent] {
        for dev in [false, true] {
            let found = upstream.package(&repository, package, dev, freshness);
            let found = found.await.map_err(|source| visitor.failed(source))?;
            let Some(listed) = listed_as(&found, package, file) else {
                if found.is_mixed {
                    break;
                }
                continue;
            };
            visitor = visitor.recording(request, package, &found).await?;
            let wanted = Wanted {
                version: listed.version.as_deref(),
                address: listed.dist.as_ref().map_or("", |dist| &dist.url),
            };
            return send(visitor, request, repository, package, wanted).await;
        }
        if freshness == Freshness::Cached
            && let Some(past) = visitor.past_archive(request, package, file).await?
        {
            let version = Named::new(past.version);
            let wanted = Wanted {
                version: Some(&version),
                address: &past.url,
            };
            return send(visitor, request, repository, package, wanted).await;
        }
    }
    Ok(Ok(visitor.granted(None)))
}

/// The archive of a version, at the repository.
struct Wanted<'a> {
    version: Option<&'a Named>,
    address: &'a str,
}

/// Finds an archive at the repository, if its version may be had.
async fn send(
    visitor: Visitor,
    request: Request<'_>,
    repository: Repository,
    package: &str,
    wanted: Wanted<'_>,
) -> Answer<Archive> {
    let Wanted { version, address } = wanted;
    let parsed = version.and_then(|it| it.parsed.clone());
    let (visitor, code) = decided(visitor, package, parsed, request.now).await;
    if !code.is_allowed() {
        let version = version.map(|version| version.text.as_str());
        return Ok(Err(visitor.refused(code, Some(package), version)));
    }
    let target = repository.location.resolve(address).await;
    let archive = target.map(|target| Archive {
        target,
        is_fixed: request.repositories.fixed(&visitor.asker().app).is_some(),
        repository,
        repositories: request.repositories.clone(),
    });
    Ok(Ok(visitor.granted(archive)))
}

/// Decides whether a version may be had.
async fn decided(
    visitor: Visitor,
    package: &str,
    version: Option<Version>,
    now: Timestamp,
) -> (Visitor, AccessCode) {
    let comparisons = visitor.comparisons(1);
    let package = package.to_owned();
    let decide = move || {
        visitor.report_unreadable();
        let code = visitor.access(&package, now).version(version.as_ref());
        (visitor, code)
    };
    offload::run(comparisons, decide).await
}

/// The version whose archive has this name here.
fn listed_as<'a>(found: &'a Found, package: &str, file: &str) -> Option<&'a Listed> {
    let mut versions = found.of(package).flat_map(|package| &package.versions);
    versions.find(|listed| listed.dist.as_ref().is_some_and(|dist| dist.file == file))
}
