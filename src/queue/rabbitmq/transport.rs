//! The bytes to the broker and back: TCP, and TLS over it for `amqps`.
//!
//! Refused: the client library's own TLS. It brings what reads client certificates out of key
//! stores, which no setting of ours can name: 45 crates that everybody would build first.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_rs::traits::Reactor;
use async_rs::util::RuntimeParts;
use async_rs::{Runtime, Tokio};
use futures::Stream;
use futures::io::{AsyncRead, AsyncWrite};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{AsyncTcpStream, Connection, ConnectionProperties};
use reqwest::Url;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};
use tokio_util::either::Either;

/// Longest time for one address of the broker's host: one lost packet is sent again after a second.
const ADDRESS_TIME: Duration = Duration::from_millis(1_500);

/// A connection's bytes, in the traits that the client library reads and writes by.
type Wire = Compat<Either<TcpStream, TlsStream<TcpStream>>>;

/// Reads the address of a broker. The library takes `localhost` for the host of one with an IPv6 address, and would
/// give a password to whoever listens there.
pub(super) fn address(url: &str) -> Option<AMQPUri> {
    let mut uri: AMQPUri = url.parse().ok()?;
    let host = Url::parse(url).ok()?.host_str()?.to_owned();
    if let Some(inside) = host.strip_prefix('[') {
        inside
            .trim_end_matches(']')
            .clone_into(&mut uri.authority.host);
    }
    Some(uri)
}

/// Connects, and speaks the protocol's first words.
pub(super) async fn connect(
    uri: AMQPUri,
    properties: ConnectionProperties,
    tls: TlsConnector,
) -> lapin::Result<Connection> {
    let runtime = RuntimeParts::new(Tokio::current(), Wires(Tokio::current()));
    let wire = async move |uri: AMQPUri, _| Ok(AsyncTcpStream::Plain(wire(uri, &tls).await?));
    Connection::connector(uri, Runtime::new(runtime), wire, properties).await
}

async fn wire(uri: AMQPUri, tls: &TlsConnector) -> io::Result<Wire> {
    let (host, port) = (uri.authority.host, uri.authority.port);
    let tcp = reach(&host, port).await?;
    // Confirms and acknowledgements are small, and waited for.
    tcp.set_nodelay(true)?;
    let wire = match uri.scheme {
        AMQPScheme::AMQP => Either::Left(tcp),
        AMQPScheme::AMQPS => {
            let name = ServerName::try_from(host).map_err(io::Error::other)?;
            Either::Right(tls.connect(name, tcp).await?)
        }
    };
    Ok(wire.compat())
}

/// Connects to the first address of a host that answers. Each has its time: a node of a cluster whose
/// machine is gone says nothing, and the others are behind it in the list.
async fn reach(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut last = None;
    for address in tokio::net::lookup_host((host, port)).await? {
        match timeout(ADDRESS_TIME, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = Some(error),
            Err(_elapsed) => last = Some(io::ErrorKind::TimedOut.into()),
        }
    }
    Err(last.unwrap_or_else(|| io::Error::other("the host has no address")))
}

/// Finds out whether a port speaks TLS, whatever its certificate; `None` if it does not say.
pub(super) async fn speaks_tls(uri: &AMQPUri, tls: &TlsConnector) -> Option<bool> {
    let (host, port) = (uri.authority.host.as_str(), uri.authority.port);
    let tcp = reach(host, port).await.ok()?;
    let name = ServerName::try_from(host.to_owned()).ok()?;
    let Err(error) = tls.connect(name, tcp).await else {
        return Some(true);
    };
    match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        // Words of another protocol, such as AMQP's.
        rustls::Error::InvalidMessage(_) => Some(false),
        // A certificate that is not trusted, or a refusal: both are said in TLS.
        _ => Some(true),
    }
}

/// Trusts the public authorities, and those of a PEM file.
pub(super) fn connector(authorities: Option<&Path>) -> io::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    if let Some(path) = authorities {
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(&std::fs::read(path)?)
            .collect::<Result<_, _>>()
            .map_err(io::Error::other)?;
        let (added, _) = roots.add_parsable_certificates(certificates);
        // Entries that are not certificates were skipped; with none left, the file would add no trust.
        if added == 0 {
            return Err(io::Error::other("it holds no certificate in PEM form"));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// The reactor of the client library's runtime for Tokio, but for the kind of stream.
#[derive(Clone, Debug)]
struct Wires(Tokio);

impl Reactor for Wires {
    type TcpStream = Wire;
    type Sleep = <Tokio as Reactor>::Sleep;

    fn register<H: Read + Write + Send + 'static>(
        &self,
        _: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        Err::<Wire, _>(io::ErrorKind::Unsupported.into())
    }

    fn sleep(&self, time: Duration) -> Self::Sleep {
        self.0.sleep(time)
    }

    fn interval(&self, time: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        self.0.interval(time)
    }

    fn tcp_connect_addr(
        &self,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<Wire>> + Send + 'static {
        let connecting = TcpStream::connect(address);
        async { Ok(Either::Left(connecting.await?).compat()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host_and_port::host_and_port;

    #[test]
    fn each_host_is_the_one_that_is_written() {
        for (url, place) in [
            ("amqp://u:p@[fd00::5]:5673/shop", "[fd00::5]:5673"),
            ("amqps://u:p@[::1]/shop", "[::1]:5671"),
            ("amqp://u:p@192.0.2.1/shop", "192.0.2.1:5672"),
            ("amqp://u:p@mq.example.com", "mq.example.com:5672"),
        ] {
            let uri = address(url).unwrap();
            let at = host_and_port(&uri.authority.host, uri.authority.port);
            assert_eq!(at, place);
            assert!(!uri.authority.host.contains('['), "{url}");
        }
    }
}
