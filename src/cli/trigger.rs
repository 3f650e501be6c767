//! `tollgate trigger`: signs a built-in sample event and posts it.

use std::process::ExitCode;

use clap::Args;
use reqwest::Url;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::error::CliError;
use super::sample::{Sample, assignment};
use super::server_url::server_url;
use crate::client::{RequestError, client};
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Source};
use crate::output;
use crate::provider::{self, Spec};
use crate::random;

#[derive(Debug, Args)]
pub(super) struct TriggerArgs {
    /// The sender: stripe or paddle.
    #[arg(required_unless_present = "list")]
    provider: Option<&'static Spec>,
    /// The event type, such as `invoice.payment_failed`.
    #[arg(value_name = "TYPE", required_unless_present = "list")]
    event_type: Option<String>,
    /// Lists the types that have a sample, of one provider or of all, and sends nothing.
    #[arg(long, conflicts_with_all = ["event_type", "url", "changes", "additions", "keep_id"])]
    list: bool,
    /// Of `--list`: prints a JSON object a line.
    #[arg(long, requires = "list")]
    json: bool,
    /// URL to post it to: of a webhook, or of a server, whose webhooks of the app `default` are
    /// meant; `http://` may be left out. Default: the server at `TOLLGATE_LISTEN`.
    #[arg(long, value_parser = server_url)]
    url: Option<String>,
    /// Changes a value that the sample has; the value is JSON or else text, as in
    /// `data.object.status=past_due`. May be repeated.
    #[arg(long = "set", value_name = "PATH=VALUE", value_parser = assignment)]
    changes: Vec<(String, Value)>,
    /// Changes a value like `--set`, and adds keys that the sample does not have.
    #[arg(long = "add", value_name = "PATH=VALUE", value_parser = assignment)]
    additions: Vec<(String, Value)>,
    /// Keeps the sample's event id; by default, each call sends a new event.
    #[arg(long)]
    keep_id: bool,
}

/// The secret is the first of `STRIPE_WEBHOOK_SECRET` or `PADDLE_WEBHOOK_SECRET`.
pub(super) async fn run(args: TriggerArgs, source: &Source) -> Result<ExitCode, CliError> {
    if args.list {
        list(args.provider, args.json);
        return Ok(ExitCode::SUCCESS);
    }
    // The command line was refused without both.
    let (Some(provider), Some(event_type)) = (args.provider, args.event_type) else {
        return Ok(ExitCode::FAILURE);
    };
    let config = Config::load(source).map_err(Box::new)?.config;
    let name = provider.name;
    let settings = config.provider(name);
    let secret = settings
        .and_then(|settings| settings.webhook_secrets.first())
        .ok_or_else(|| CliError::Usage {
            what: "there is no secret to sign with".to_owned(),
            right: format!(
                "set {}_WEBHOOK_SECRET to the endpoint's secret",
                name.as_str().to_uppercase()
            ),
        })?;
    let mut sample = Sample::new(provider, &event_type)?;
    if !args.keep_id {
        let id = random::uuid(SystemClock.now())?;
        sample.set_id(&format!("evt_{}", id.simple()))?;
    }
    for (path, value) in args.changes {
        sample.set(&path, value)?;
    }
    for (path, value) in args.additions {
        sample.add(&path, value)?;
    }
    let given = args.url;
    let given = given.unwrap_or_else(|| format!("http://{}", config.http.listen));
    let url = webhook_url(given, name.as_str());
    let (status, answer) = post(&client()?, &url, provider, secret, sample.body()).await?;
    output::line(&format!("{status} {answer}"));
    Ok(if status == 200 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Prints the types that have a sample, and what each says.
fn list(of: Option<&'static Spec>, as_json: bool) {
    for spec in provider::ALL {
        if of.is_some_and(|of| of.name != spec.name) {
            continue;
        }
        for kind in spec.types.iter().filter(|kind| kind.sample.is_some()) {
            let (name, says) = (kind.name, kind.says);
            output::line(&if as_json {
                json!({"provider": spec.name, "type": name, "says": says}).to_string()
            } else {
                format!("{:<7} {name:<44} {says}", spec.name.as_str())
            });
        }
    }
}

/// The URL of a webhook; of a server, that of the app `default`.
fn webhook_url(given: String, provider: &str) -> String {
    match Url::parse(&given) {
        Ok(url) if url.path() == "/" && url.query().is_none() => {
            format!("{}/webhooks/{provider}", given.trim_end_matches('/'))
        }
        // What is no URL is refused by whoever posts to it.
        _ => given,
    }
}

/// Signs and posts a body as its provider would; returns status and body of the answer.
async fn post(
    client: &reqwest::Client,
    url: &str,
    provider: &Spec,
    secret: &SecretString,
    body: Vec<u8>,
) -> Result<(u16, String), RequestError> {
    let signature = provider.sign(secret, &body, SystemClock.now());
    let response = client
        .post(url)
        .header(provider.header, signature)
        .header("content-type", "application/json")
        .body(body)
        .send()
        .await
        .map_err(RequestError::to(url))?;
    let status = response.status().as_u16();
    Ok((
        status,
        response.text().await.map_err(RequestError::to(url))?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_stands_for_its_webhooks_of_the_first_app() {
        for (given, expected) in [
            (
                "http://localhost:8080",
                "http://localhost:8080/webhooks/stripe",
            ),
            (
                "http://localhost:8080/",
                "http://localhost:8080/webhooks/stripe",
            ),
            (
                "http://h/webhooks/shop/stripe",
                "http://h/webhooks/shop/stripe",
            ),
            ("http://h/tollgate/hook", "http://h/tollgate/hook"),
        ] {
            assert_eq!(webhook_url(given.to_owned(), "stripe"), expected);
        }
    }
}
