//! `tollgate demo`: the main job, on real input, before the newcomer's eyes.
//!
//! A whole server starts in a temporary folder, on a free port. Four customers live through four
//! months of Stripe and Paddle webhooks, each signed and posted over HTTP; a fifth lives the
//! first one's life again, in an older API version, shuffled and everything twice. What each
//! webhook did is read back through the API, and every step is checked: what is not as it should
//! be ends the demo with a failure. Only the clock is not the system's: it stands where the
//! story is.

mod stage;
mod story;
mod table;
mod timeline;

use std::process::ExitCode;

use clap::Args;

use super::CliError;
use super::output::line;
use super::stop::StopOrders;
use crate::provider;
use stage::{Stage, expect, expect_code};
use story::Customer;
use table::Table;
use timeline::{Scene, What};

#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Goes on serving when the story is told, and prints the URLs and a token.
    #[arg(long)]
    keep: bool,
}

pub(super) async fn run(args: DemoArgs) -> Result<ExitCode, CliError> {
    let mut stage = Stage::set().await?;
    let table = Table::new();
    line(&table.title("Tollgate demo"));
    line(&format!(
        "a whole server at {}, data in {}\n",
        stage.base(),
        stage.folder().display()
    ));
    play_in_order(&mut stage, &table).await?;
    play_shuffled(&mut stage, &table).await?;
    show_the_end(&mut stage, &table).await?;
    line("");
    line(&table.done(stage.posted(), stage.seconds()));
    if args.keep {
        keep(stage).await
    } else {
        end(stage).await
    }
}

async fn play_in_order(stage: &mut Stage, table: &Table) -> Result<(), CliError> {
    stage.set_plans().await?;
    line(&table.title("Four customers, four months, each webhook signed and posted over HTTP"));
    let mut month = String::new();
    for scene in timeline::scenes()? {
        let at = scene.at.to_string();
        if month != at[..7] {
            at[..7].clone_into(&mut month);
            line(&table.heading(&month));
        }
        play(stage, table, &scene).await?;
    }
    Ok(())
}

/// The first life once more must end as the first did, however it is told.
async fn play_shuffled(stage: &mut Stage, table: &Table) -> Result<(), CliError> {
    line("");
    line(
        &table.title("The first life once more: an older API version, shuffled, everything twice"),
    );
    let told = stage.tell_shuffled(&story::ada_again()?).await?;
    line(&Table::shuffled(&told));
    let first = stage.picture(Customer::Ada).await?;
    let again = stage.picture(Customer::Zoe).await?;
    expect(first == again, || {
        format!("Ada ended as {first}, Zoe as {again}")
    })?;
    line(&table.same(Customer::Ada, Customer::Zoe));
    Ok(())
}

async fn show_the_end(stage: &mut Stage, table: &Table) -> Result<(), CliError> {
    line("");
    line(&table.title("Where it ended"));
    for customer in Customer::ALL {
        let shown = stage.customer(customer).await?;
        line(&table.customer(customer, &shown));
        for (package, version, code) in timeline::last_checks(customer) {
            let answer = stage.access(customer, package, version).await?;
            expect_code(&answer, code)?;
            line(&table.access(None, &answer));
        }
    }
    Ok(())
}

/// Plays one scene and prints what came of it.
async fn play(stage: &mut Stage, table: &Table, scene: &Scene) -> Result<(), CliError> {
    stage.clock_to(scene.at);
    match &scene.what {
        What::Webhook(webhook) => {
            let event = stage.deliver(webhook).await?;
            line(&table.webhook(webhook, &event));
            if let Some(status) = webhook.status_after {
                let shown = stage.customer(webhook.customer).await?;
                expect(shown["status"] == status, || {
                    format!(
                        "{} should be {status} now and is {}",
                        webhook.customer, shown["status"]
                    )
                })?;
            }
        }
        What::Release { package, version } => {
            stage.release(package, version, scene.at).await?;
            line(&table.release(scene.at, package, version));
        }
        What::Access {
            customer,
            package,
            version,
            code,
        } => {
            let answer = stage.access(*customer, package, version).await?;
            line(&table.access(Some((scene.at, *customer)), &answer));
            expect_code(&answer, code)?;
        }
    }
    Ok(())
}

async fn end(stage: Stage) -> Result<ExitCode, CliError> {
    stage.strike().await;
    Ok(ExitCode::SUCCESS)
}

/// Serves on, by the system's clock, until somebody interrupts.
async fn keep(stage: Stage) -> Result<ExitCode, CliError> {
    let mut orders = StopOrders::listen()?;
    stage.clock_to_system();
    let base = stage.base();
    line("");
    line("still serving; Ctrl-C ends it and removes the folder");
    line(&format!("  admin API      {base}/api/v1/customers"));
    line(&format!(
        "  access check   {base}/access?package=acme/forms&version=1.0.0"
    ));
    for provider in provider::names() {
        line(&format!("  webhooks       {base}/webhooks/{provider}"));
        line(&format!("    secret       {}", stage.secret(provider)));
    }
    line(&format!("  owner token    {}", stage.owner_token()));
    line(&format!(
        "  try            curl -H 'Authorization: Bearer {}' {base}/api/v1/customers",
        stage.owner_token()
    ));
    orders.next().await;
    end(stage).await
}
