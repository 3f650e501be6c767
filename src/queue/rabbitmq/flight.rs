//! One message on its way to the broker, until it is confirmed or returned.

use std::pin::Pin;
use std::task::{Context, Poll};

use lapin::options::BasicPublishOptions;
use lapin::{Channel, Confirmation};
use tokio::sync::oneshot;
use tokio_util::sync::ReusableBoxFuture;

use super::error::BrokerError;
use super::outgoing::Outgoing;

/// The broker's answer to one publish, as the client library reports it.
pub(super) type Landing = Result<Confirmation, lapin::Error>;

/// What has landed, and who waits for it.
pub(super) type Landed = (Landing, oneshot::Sender<Result<(), BrokerError>>);

/// What a publish is kept in until it has landed: some two kilobytes, so it is used again.
pub(super) type FlightBox<'a> = ReusableBoxFuture<'a, Landed>;

/// One publish in flight. Its box outlives it.
pub(super) struct Flight<'a>(Option<FlightBox<'a>>);

impl<'a> Flight<'a> {
    /// Begins one, in the box of one that has landed if there is any.
    pub(super) fn new(
        flight: impl Future<Output = Landed> + Send + 'a,
        used: Option<FlightBox<'a>>,
    ) -> Self {
        Self(Some(match used {
            Some(mut used) => {
                used.set(flight);
                used
            }
            None => ReusableBoxFuture::new(flight),
        }))
    }
}

impl<'a> Future for Flight<'a> {
    type Output = (Landed, FlightBox<'a>);

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(mut boxed) = self.0.take() else {
            // It has landed: nobody asks again.
            return Poll::Pending;
        };
        if let Poll::Ready(landed) = boxed.poll(context) {
            return Poll::Ready((landed, boxed));
        }
        self.0 = Some(boxed);
        Poll::Pending
    }
}

/// Publishes a message, and waits for what the broker says of it.
pub(super) async fn publish(channel: &Channel, outgoing: Box<Outgoing>) -> Landing {
    let Outgoing {
        exchange,
        key,
        properties,
        body,
        mandatory,
    } = *outgoing;
    let options = BasicPublishOptions {
        mandatory,
        ..BasicPublishOptions::default()
    };
    let published = channel.basic_publish(exchange, key, options, &body, properties);
    published.await?.await
}

/// The error of a publish whose outcome is unknown.
pub(super) fn lost(cause: lapin::Error) -> BrokerError {
    BrokerError::amqp("publishing")(cause)
}
