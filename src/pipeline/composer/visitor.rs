//! Who asks, and what is granted to them.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::error::{ComposerError, failed, repository_of};
use super::record::{record, seen_by_repository};
use crate::composer::location::Repository;
use crate::composer::upstream::{Found, UpstreamError};
use crate::domain::access::check::{self, AccessCode, Holder, PackageAccess};
use crate::domain::access::refusal::{self, HeldMessage};
use crate::domain::access::released::Released;
use crate::domain::access::token::TokenHash;
use crate::domain::access::versions::Scheme;
use crate::domain::id::AppSlug;
use crate::domain::time::Timestamp;
use crate::pipeline::access::{Asker, Basis, registry_for};
use crate::pipeline::registries::Repositories;
use crate::pipeline::released;
use crate::store::{BranchArchive, Registry, Store, StoreError, Tx};

/// So many versions that are read already are compared while one is read: measured, some ten
/// nanoseconds beside about a microsecond, with room for longer ones.
const READ_ALREADY: usize = 16;

/// A customer's Composer asks.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The store.
    pub store: &'a Store,
    /// The repositories.
    pub repositories: &'a Repositories,
    /// The token that was shown.
    pub token: Option<&'a TokenHash>,
    /// Now, by the local clock.
    pub now: Timestamp,
}

/// What somebody may not have, and why.
#[derive(Debug)]
pub struct Refused {
    /// The code of the access check.
    pub code: AccessCode,
    /// The sentence for whoever installs.
    pub warning: String,
    /// Who asked; `None` if nobody has the token.
    pub asker: Option<Box<Asker>>,
}

/// The answer to a question: what was asked for, or a refusal.
pub type Answer<T> = Result<Result<Granted<T>, Refused>, ComposerError>;

/// Something for somebody.
#[derive(Debug)]
pub struct Granted<T> {
    /// What was asked for; `None` if the repository does not have it.
    pub found: Option<T>,
    /// Who asked.
    pub asker: Asker,
}

/// A customer, and what it is granted.
pub(super) struct Visitor {
    asker: Asker,
    basis: Basis,
    /// When the versions of the package came out, if that matters.
    released: Arc<Released>,
    registry: Registry,
}

impl Visitor {
    /// Finds the customer of a token, and what decides about this package. Without one, what it may have
    /// of each is not known.
    pub(super) async fn find(
        request: Request<'_>,
        package: Option<&str>,
    ) -> Result<Result<Self, Refused>, StoreError> {
        let mut tx = request.store.read().await?;
        let holder = match request.token {
            Some(token) => tx.access_find(token).await?,
            None => None,
        };
        let Some(holder) = holder else {
            let code = AccessCode::TokenUnknown;
            return Ok(Err(Refused {
                code,
                warning: refusal::sentence(code, HeldMessage::default(), None, None),
                asker: None,
            }));
        };
        let asker = Asker::from(holder);
        let basis = Basis::load_of(&mut tx, &asker, None, request.now).await?;
        let released = match package {
            Some(package) => {
                released(&mut tx, request, basis.holder(&asker), &asker.app, package).await?
            }
            None => Arc::default(),
        };
        let registry = match request.repositories.fixed(&asker.app) {
            // Then only whoever is held is told something of it.
            Some(_) => registry_for(&mut tx, &asker).await?,
            None => tx.registry_find(&asker.app).await?,
        };
        Ok(Ok(Self {
            asker,
            basis,
            released,
            registry,
        }))
    }

    /// Lets in who is granted a package, in whatever version.
    pub(super) async fn enter(
        request: Request<'_>,
        package: &str,
    ) -> Result<Result<(Self, Repository), Refused>, ComposerError> {
        let visitor = match Self::find(request, Some(package)).await? {
            Ok(visitor) => visitor,
            Err(refused) => return Ok(Err(refused)),
        };
        // Which versions, if any, is decided one by one.
        if let Some(code) = check::closed(visitor.holder(), package, request.now) {
            return Ok(Err(visitor.refused(code, Some(package), None)));
        }
        if visitor.holder().schemes.of(package) != Scheme::Composer {
            // Whatever the repository has under this name is another package.
            let code = AccessCode::PackageNotGranted;
            return Ok(Err(visitor.refused(code, Some(package), None)));
        }
        let repository = visitor.repository(request)?;
        Ok(Ok((visitor, repository)))
    }

    /// Everything that the access check looks at.
    pub(super) fn holder(&self) -> Holder<'_> {
        self.basis.holder(&self.asker)
    }

    /// Who asks.
    pub(super) const fn asker(&self) -> &Asker {
        &self.asker
    }

    /// Logs grants that cannot be read.
    pub(super) fn report_unreadable(&self) {
        self.basis.report_unreadable(&self.asker);
    }

    /// How many comparisons it takes to decide about so many versions of a package, for `offload`.
    /// These are read already, which is most of the work with each of those that are counted there.
    pub(super) fn comparisons(&self, versions: usize) -> usize {
        self.basis.comparisons(versions.div_ceil(READ_ALREADY))
    }

    /// What may be had of a package.
    pub(super) fn access(&self, package: &str, now: Timestamp) -> PackageAccess {
        let released = Arc::clone(&self.released);
        PackageAccess::with_released(self.holder(), package, released, now)
    }

    /// The repository of the customer's app.
    pub(super) fn repository(&self, request: Request<'_>) -> Result<Repository, ComposerError> {
        repository_of(request.repositories, &self.asker.app, &self.registry)
    }

    /// Records releases that are not recorded yet; what may be had can depend on them.
    pub(super) async fn recording(
        self,
        request: Request<'_>,
        package: &str,
        found: &Found,
    ) -> Result<Self, ComposerError> {
        let order = seen_by_repository(self.asker.app.clone(), request.now);
        if record(request.store, &order, package, found).await? == 0 {
            return Ok(self);
        }
        let mut tx = request.store.read().await?;
        let (holder, app) = (self.holder(), &self.asker.app);
        let released = released(&mut tx, request, holder, app, package).await?;
        Ok(Self { released, ..self })
    }

    /// Finds the archive of a branch as it was once.
    pub(super) async fn past_archive(
        &self,
        request: Request<'_>,
        package: &str,
        file: &str,
    ) -> Result<Option<BranchArchive>, StoreError> {
        let mut tx = request.store.read().await?;
        tx.branch_archive_find(&self.asker.app, package, file).await
    }

    pub(super) fn granted<T>(self, found: Option<T>) -> Granted<T> {
        Granted {
            found,
            asker: self.asker,
        }
    }

    pub(super) fn refused(
        self,
        code: AccessCode,
        package: Option<&str>,
        version: Option<&str>,
    ) -> Refused {
        let held = self.registry.held_message();
        Refused {
            code,
            warning: refusal::sentence(code, held, package, version),
            asker: Some(Box::new(self.asker)),
        }
    }

    pub(super) fn failed(&self, source: UpstreamError) -> ComposerError {
        failed(&self.asker.app, source)
    }
}

/// Reads when the versions of a package came out, if it matters to this holder: mostly they are the same
/// as the last time, which the store says in one row.
async fn released(
    tx: &mut Tx,
    request: Request<'_>,
    holder: Holder<'_>,
    app: &AppSlug,
    package: &str,
) -> Result<Arc<Released>, StoreError> {
    let mut of_package = holder
        .grants
        .iter()
        .filter(|it| it.grant.package == package);
    let is_dated = of_package.any(|it| it.until.is_some());
    if !is_dated || !holder.derived.needs_releases() {
        return Ok(Arc::default());
    }
    let Some(mark) = tx.release_mark(app, package).await? else {
        return Ok(Arc::default());
    };
    let (kept, scheme) = (request.repositories.releases(), holder.schemes.of(package));
    if let Some(released) = kept.get(app, package, scheme, mark) {
        return Ok(released);
    }
    let wanted = BTreeSet::from([package.to_owned()]);
    let listed = tx.release_list(app, &wanted).await?;
    let package = (app.clone(), package.to_owned());
    Ok(released::read(kept, &package, scheme, mark, listed).await)
}
