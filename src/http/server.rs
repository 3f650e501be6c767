//! Listening: connections in, within limits, until told to stop.
//!
//! axum's own `serve` has no limit on slow senders and no bound on a graceful stop, so the loop
//! is here, on the same parts that it is made of. A sender can hold a connection, never a thread:
//! what it may cost is in [`limits`].

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use ipnet::IpNet;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::connection_limit::ConnectionLimit;
use super::limits::{self, Limits};
use super::write_timeout::WriteTimeout;
use crate::causes::chain;

/// How long to wait after the system refused a connection, usually because no file descriptor is
/// free: trying again at once would only burn the processor until one is.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `router` on `listener` until `shutdown`; trusted proxies may hold any number of the
/// connections. Then nothing more is accepted, requests under
/// way are finished, and those that take longer than the limit's `drain_time` are cut off.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    trusted_proxies: Vec<IpNet>,
    shutdown: CancellationToken,
) {
    let room = Arc::new(Semaphore::new(limits.connections));
    let connection_limit = ConnectionLimit::new(limits.connections_of_one, trusted_proxies);
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept(&listener, &room) => accepted,
        };
        // The semaphore is never closed.
        let Some((stream, peer, place)) = accepted else {
            break;
        };
        let Some(seat) = connection_limit.take(peer.ip()) else {
            tracing::debug!(client.address = %peer.ip(), "too many connections of one address");
            continue;
        };
        let router = router.clone();
        let shutdown = shutdown.clone();
        connections.spawn(async move {
            converse(stream, peer, router, limits, shutdown).await;
            drop((seat, place));
        });
    }
    // Closed at once, so that a successor on the same address can take over.
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// The next connection, once there is room for it. Without room it waits in the system's queue,
/// where it costs us nothing.
async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = Arc::clone(room).acquire_owned().await.ok()?;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return Some((stream, peer, place)),
            Err(error) => {
                tracing::warn!(error = chain(&error), "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves one connection to its end.
async fn converse(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    limits: Limits,
    shutdown: CancellationToken,
) {
    // An answer is written whole; holding back its last packet only delays it.
    let _ = stream.set_nodelay(true);
    let stream = WriteTimeout::new(stream, limits.write_time);
    let service = service_fn(move |request| answer(router.clone(), peer, request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_time)
        .max_buf_size(limits::HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let drained = tokio::time::timeout(limits.drain_time, connection).await;
            drained.unwrap_or_else(|_| {
                tracing::warn!("a connection was cut off because the server stops");
                Ok(())
            })
        }
    };
    // Senders that vanish, dawdle or do not speak HTTP: nothing that anybody here must act on.
    if let Err(error) = ended {
        tracing::debug!(
            error = chain(&error),
            client.address = %peer.ip(),
            "a connection ended early"
        );
    }
}

fn answer(
    router: Router,
    peer: SocketAddr,
    mut request: Request<Incoming>,
) -> impl Future<Output = Result<Response<Body>, Infallible>> {
    request.extensions_mut().insert(ConnectInfo(peer));
    router.oneshot(request.map(Body::new))
}
