//! `amqps`: whom the broker's certificate must be from.
//!
//! TLS ends at a relay in front of the shared broker. Its certificate, for `localhost`, and the
//! authority that signed it are in `fixtures/tls`; the authority's key was thrown away.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tollgate::queue::rabbitmq::RabbitQueue;
use tollgate::queue::{Lane, Publisher};

use super::rig::{ids, message, take};
use super::topology::chain;
use crate::support::rabbitmq::{prefix, shared};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/tls")
        .join(name)
}

/// Starts a relay to the shared broker; the port that speaks TLS.
pub(crate) async fn relay() -> u16 {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_file(fixture("broker.pem")).unwrap()],
            PrivateKeyDer::from_pem_file(fixture("broker.key")).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let broker = shared().address();
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // A client that trusts nobody hangs up.
                if let Ok(mut client) = acceptor.accept(client).await {
                    let mut broker = TcpStream::connect(broker).await.unwrap();
                    let _ = copy_bidirectional(&mut client, &mut broker).await;
                }
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn events_travel_over_tls_to_a_broker_of_the_configured_authority() {
    let mut settings = shared().settings(&prefix());
    settings.url = format!("amqps://guest:guest@localhost:{}/%2f", relay().await).into();
    settings.ca_file = Some(fixture("authority.pem"));
    let queue = RabbitQueue::start(&settings).await.unwrap();
    queue.publish(message("evt_1")).await.unwrap();
    let mut consumer = queue.consumer(Lane::Work);
    assert_eq!(ids(&take(&mut consumer).await), ["evt_1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_cannot_prove_its_name_gets_nothing() {
    let port = relay().await;
    let authority = Some(fixture("authority.pem"));
    let cases = [
        ("an unknown authority", "localhost", None, "UnknownIssuer"),
        ("another name", "127.0.0.1", authority, "not valid for name"),
    ];
    for (description, host, ca_file, expected) in cases {
        let mut settings = shared().settings(&prefix());
        settings.url = format!("amqps://guest:guest@{host}:{port}/%2f").into();
        settings.ca_file = ca_file;
        let error = RabbitQueue::check(&settings).await.err();
        let error = error.unwrap_or_else(|| panic!("{description} is accepted"));
        let said = chain(&error);
        assert!(said.contains(expected), "{description}: {said}");
    }
}
