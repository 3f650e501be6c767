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
pub(super) type ConfirmResult = Result<Confirmation, lapin::Error>;

/// The result of a publish, and who waits for it.
pub(super) type Completed = (ConfirmResult, oneshot::Sender<Result<(), BrokerError>>);

/// What a publish is polled in: some two kilobytes, so it is reused.
pub(super) type PublishBox<'a> = ReusableBoxFuture<'a, Completed>;

/// One publish that the broker has not answered yet. Its box outlives it.
pub(super) struct PendingPublish<'a>(Option<PublishBox<'a>>);

impl<'a> PendingPublish<'a> {
    /// Begins one, in the box of a completed one if there is any.
    pub(super) fn new(
        publish: impl Future<Output = Completed> + Send + 'a,
        used: Option<PublishBox<'a>>,
    ) -> Self {
        Self(Some(match used {
            Some(mut used) => {
                used.set(publish);
                used
            }
            None => ReusableBoxFuture::new(publish),
        }))
    }
}

impl<'a> Future for PendingPublish<'a> {
    type Output = (Completed, PublishBox<'a>);

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(mut boxed) = self.0.take() else {
            // It has completed: nobody asks again.
            return Poll::Pending;
        };
        if let Poll::Ready(completed) = boxed.poll(context) {
            return Poll::Ready((completed, boxed));
        }
        self.0 = Some(boxed);
        Poll::Pending
    }
}

/// Publishes a message, and waits for what the broker says of it.
pub(super) async fn publish(channel: &Channel, outgoing: Box<Outgoing>) -> ConfirmResult {
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
