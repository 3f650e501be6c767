//! A provider's API that answers what a test lays down.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header;
use axum::response::Response;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Laid {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) retry_after: Option<u64>,
}

/// The API.
pub(crate) struct Answers {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    laid: Mutex<BTreeMap<String, Laid>>,
    date: Mutex<i64>,
    asked: Mutex<Vec<String>>,
    headers: Mutex<Vec<(String, String)>>,
    /// A request takes one of these before it is answered.
    open: Semaphore,
}

impl Answers {
    /// Serves nothing yet; its clock stands at `date`, in seconds.
    pub(crate) async fn serve(date: i64) -> Self {
        let shared = Arc::new(Shared {
            laid: Mutex::default(),
            date: Mutex::new(date),
            asked: Mutex::default(),
            headers: Mutex::default(),
            open: Semaphore::new(1_000),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, shared }
    }

    /// Lays down the answer to a path; with a query where the path has one.
    pub(crate) fn lay(&self, path: &str, body: Value) {
        let laid = Laid {
            status: 200,
            body,
            retry_after: None,
        };
        self.lay_as(path, laid);
    }

    pub(crate) fn lay_as(&self, path: &str, laid: Laid) {
        let mut all = self.shared.laid.lock().unwrap();
        all.insert(path.to_owned(), laid);
    }

    /// Sets its clock.
    pub(crate) fn set_date(&self, seconds: i64) {
        *self.shared.date.lock().unwrap() = seconds;
    }

    /// The paths that were asked for, with their queries.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// A header of the last request.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let headers = self.shared.headers.lock().unwrap();
        let found = headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone())
    }

    /// Lets no request be answered until it is opened again; what is asked is read at once.
    pub(crate) fn close(&self) {
        self.shared.open.forget_permits(1_000);
    }

    /// Lets so many be answered.
    pub(crate) fn open(&self, requests: usize) {
        self.shared.open.add_permits(requests);
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let uri = request.uri().to_string();
    let headers = request.headers().iter();
    let headers = headers.map(|(name, value)| {
        let value = value.to_str().unwrap_or_default().to_owned();
        (name.to_string(), value)
    });
    *shared.headers.lock().unwrap() = headers.collect();
    let laid = {
        let all = shared.laid.lock().unwrap();
        let found = all.get(&uri).or_else(|| all.get(request.uri().path()));
        found.cloned()
    };
    let date = *shared.date.lock().unwrap();
    shared.asked.lock().unwrap().push(uri);
    shared.open.acquire().await.unwrap().forget();
    let laid = laid.unwrap_or_else(|| Laid {
        status: 404,
        body: json!({"error": {"type": "invalid_request_error", "code": "resource_missing"}}),
        retry_after: None,
    });
    let at = chrono::DateTime::<chrono::Utc>::from_timestamp(date, 0).unwrap();
    let date = at.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let mut response = Response::builder()
        .status(laid.status)
        .header(header::DATE, date)
        .header(header::CONTENT_TYPE, "application/json");
    if let Some(seconds) = laid.retry_after {
        response = response.header(header::RETRY_AFTER, seconds);
    }
    response.body(Body::from(laid.body.to_string())).unwrap()
}
