//! The request that a task serves. Task-local, so that errors and log lines can name it without its being
//! passed through functions that know nothing of HTTP.

use std::sync::Arc;

use tokio::task::JoinHandle;
use tracing::{Instrument, Span};

tokio::task_local! {
    static CURRENT: Arc<RequestContext>;
}

/// What is known of a request when it begins.
#[derive(Debug)]
pub(crate) struct RequestContext {
    /// As in the answer's header: short, and of harmless characters.
    pub(crate) id: String,
    /// One of the usual methods, or `other`.
    pub(crate) method: &'static str,
    /// The route as declared, because a path can contain an e-mail address; none where no route matches.
    pub(crate) route: Option<Arc<str>>,
    /// The sender's span, if it sent one that is well-formed.
    pub(crate) traceparent: Option<String>,
}

impl RequestContext {
    /// Calls `look` with the request that this task serves; `None` outside of a request.
    pub(crate) fn with<T>(look: impl FnOnce(&Self) -> T) -> Option<T> {
        CURRENT.try_with(|context| look(context)).ok()
    }

    /// Runs `work` as part of this request.
    pub(crate) fn scope<F: Future>(
        self: Arc<Self>,
        work: F,
    ) -> impl Future<Output = F::Output> + use<F> {
        CURRENT.scope(self, work)
    }
}

/// Spawns work of the present request that goes on even when the sender hangs up.
pub(crate) fn detach<F>(work: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let work = work.in_current_span();
    match CURRENT.try_with(Arc::clone) {
        Ok(context) => tokio::spawn(context.scope(work)),
        Err(_) => tokio::spawn(work),
    }
}

/// Runs work of the present request on a thread where it may block.
pub(crate) fn spawn_blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    let (span, context) = (Span::current(), CURRENT.try_with(Arc::clone));
    tokio::task::spawn_blocking(move || {
        let work = || span.in_scope(work);
        match context {
            Ok(context) => CURRENT.sync_scope(context, work),
            Err(_) => work(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn detached_work_is_still_of_its_request() {
        let id = || RequestContext::with(|context| context.id.clone());
        let context = Arc::new(RequestContext {
            id: "abc".to_owned(),
            method: "GET",
            route: None,
            traceparent: None,
        });
        let detached = async {
            let elsewhere = spawn_blocking(id).await.unwrap();
            (detach(async move { id() }).await.unwrap(), elsewhere)
        };
        let expected = Some("abc".to_owned());
        assert_eq!(context.scope(detached).await, (expected.clone(), expected));
        assert_eq!(detach(async move { id() }).await.unwrap(), None);
        assert_eq!(spawn_blocking(id).await.unwrap(), None);
    }
}
