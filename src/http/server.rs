//! The HTTP server: accepts connections, within limits, until told to stop.
//!
//! axum's own `serve` has no limit on slow senders and no time limit on a graceful shutdown, so the
//! accept loop is here, built from the same parts. A sender can occupy a connection, never a
//! thread; its cost is bounded by [`limits`].

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::Request;
use axum::response::Response;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use ipnet::IpNet;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

use super::connection_limit::ConnectionLimit;
use super::head_timer::HeadTimer;
use super::limits::{self, Limits};
use super::write_timeout::WriteTimeout;
use crate::causes::chain;

/// The pause after the system refused a connection, usually because no file descriptor is free:
/// trying again at once would only burn CPU until one is.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `router` on `listener` until `shutdown`. Trusted proxies may have any number of the
/// connections. After `shutdown` no connection is accepted, running requests are finished, and
/// those that take longer than the limit's `drain_time` are cut off.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    trusted_proxies: Vec<IpNet>,
    shutdown: CancellationToken,
) {
    let permits = Arc::new(Semaphore::new(limits.connections));
    let connection_limit = ConnectionLimit::new(limits.connections_of_one, trusted_proxies);
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept(&listener, &permits) => accepted,
        };
        // The semaphore is never closed.
        let Some((stream, peer, permit)) = accepted else {
            break;
        };
        let Some(slot) = connection_limit.take(peer.ip()) else {
            tracing::debug!(client.address = %peer.ip(), "too many connections of one address");
            continue;
        };
        let router = router.clone();
        let shutdown = shutdown.clone();
        connections.spawn(async move {
            serve_connection(stream, peer, router, limits, shutdown).await;
            drop((slot, permit));
        });
    }
    // Closed at once, so that a new process on the same address can take over.
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// Accepts the next connection once there is a permit for it. Until then it waits in the system's
/// queue, where it costs us nothing.
async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits).acquire_owned().await.ok()?;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return Some((stream, peer, permit)),
            Err(error) => {
                tracing::warn!(error = chain(&error), "accepting a connection failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves one connection to its end.
async fn serve_connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    limits: Limits,
    shutdown: CancellationToken,
) {
    // An answer is written at once, so Nagle's algorithm would only delay its last packet.
    let _ = stream.set_nodelay(true);
    let stream = WriteTimeout::new(stream, limits.write_time);
    let service = service_fn(move |request| answer(router.clone(), peer, request));
    let connection = http1::Builder::new()
        .timer(HeadTimer::new())
        .header_read_timeout(limits.head_time)
        .max_buf_size(limits::HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    // In a set, which asks it only when it has woken: it takes a lock that all connections share, and would
    // be asked at each step of each request.
    let mut stopping = FuturesUnordered::from_iter([shutdown.cancelled()]);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        Some(()) = stopping.next() => {
            connection.as_mut().graceful_shutdown();
            let drained = tokio::time::timeout(limits.drain_time, connection).await;
            drained.unwrap_or_else(|_| {
                tracing::warn!("a connection was cut off because the server stops");
                Ok(())
            })
        }
    };
    // Clients that vanish, are slow, or do not speak HTTP: nothing that anybody has to act on.
    if let Err(error) = ended {
        tracing::debug!(
            error = chain(&error),
            client.address = %peer.ip(),
            "a connection ended early"
        );
    }
}

fn answer(
    mut router: Router,
    peer: SocketAddr,
    mut request: Request<Incoming>,
) -> impl Future<Output = Result<Response, Infallible>> {
    request.extensions_mut().insert(ConnectInfo(peer));
    // A router is always ready.
    router.call(request)
}
