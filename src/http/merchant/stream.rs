//! All customers of a merchant in one answer, however many there are.
//!
//! The answer is written while the customers are read, a page at a time, so that it takes the
//! memory of one page. Each page is a transaction of its own: one for the whole walk would stay
//! open as long as the slowest reader takes. Whoever is made meanwhile is newer than where the
//! walk stands and is left out; whoever is deleted meanwhile may be left out.
//!
//! The status has been sent when a later page fails. The answer then breaks off, so that the
//! reader sees a broken transfer and not an end.

use futures::{Stream, stream};

use super::view::MerchantCustomer;
use crate::causes::chain;
use crate::domain::id::AppSlug;
use crate::pipeline::customers;
use crate::store::{CustomerFilter, Listed, Store, StoreError, Window};

/// Customers a page: some fifty kilobytes of answer.
const PAGE: u32 = 100;

/// The part of the answer that is still to be written.
enum Rest {
    /// A page that has been read, the first of all or not.
    Page { page: Page, is_first: bool },
    /// Everything after this customer.
    After(String),
}

struct Page {
    customers: Vec<MerchantCustomer>,
    next: Option<String>,
}

struct Walk {
    store: Store,
    app: AppSlug,
}

/// The answer `{"customers":[…]}`, in parts.
///
/// # Errors
/// When the first page cannot be read: then there is no answer yet, and the error is one.
pub(super) async fn customers(
    store: Store,
    app: AppSlug,
) -> Result<impl Stream<Item = Result<Vec<u8>, StoreError>>, StoreError> {
    let walk = Walk { store, app };
    let page = walk.page(None).await?;
    let is_first = true;
    let start = Some((walk, Rest::Page { page, is_first }));
    Ok(stream::try_unfold(start, |left| async {
        match left {
            Some((walk, rest)) => walk.step(rest).await.map(Some),
            None => Ok(None),
        }
    }))
}

impl Walk {
    async fn page(&self, after: Option<String>) -> Result<Page, StoreError> {
        let window = Window::Walk { after, size: PAGE };
        let all = CustomerFilter::default();
        let part = customers::list_alone(&self.store, &self.app, &all, &window).await?;
        let Listed { rows, next, .. } = part;
        let dress = |row| MerchantCustomer::of(&self.app, row);
        let customers = rows.into_iter().map(dress).collect();
        Ok(Page { customers, next })
    }

    /// The next part of the answer, and what is left after it.
    async fn step(self, rest: Rest) -> Result<(Vec<u8>, Option<(Self, Rest)>), StoreError> {
        let (page, is_first) = match rest {
            Rest::Page { page, is_first } => (page, is_first),
            Rest::After(id) => {
                let page = self.page(Some(id)).await.inspect_err(broken_off)?;
                (page, false)
            }
        };
        let mut part = Vec::new();
        if is_first {
            part.extend_from_slice(br#"{"customers":["#);
        }
        for (index, customer) in page.customers.iter().enumerate() {
            if index > 0 || !is_first {
                part.push(b',');
            }
            let json = serde_json::to_vec(customer);
            part.extend(json.map_err(|source| StoreError::Document { source })?);
        }
        if page.next.is_none() {
            part.extend_from_slice(b"]}");
        }
        let left = page.next.map(|id| (self, Rest::After(id)));
        Ok((part, left))
    }
}

fn broken_off(error: &StoreError) {
    tracing::error!(
        error = chain(error),
        "list broken off: a later part could not be read"
    );
}
