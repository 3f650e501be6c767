//! The demo: the main job of Tollgate on real input, for a newcomer to watch.
//!
//! A complete server starts in a temporary folder, on a free port. Four customers live through
//! four months of Stripe and Paddle webhooks, each signed and posted over HTTP; a fifth repeats
//! the life of the first, in an older API version, shuffled and with every webhook sent twice. The
//! effect of each webhook is read back through the API and checked; an unexpected result ends the
//! demo with a failure. Only the clock is not the system's: it follows the story.

mod error;
mod stage;
mod story;
mod table;
mod timeline;

use crate::output::line;
use crate::provider;
pub(crate) use error::DemoError;
use stage::{Stage, expect, expect_code};
use story::Customer;
use table::Table;
use timeline::{Scene, What};

/// Plays the whole story and returns the server on which it was played.
pub(crate) async fn play() -> Result<Stage, DemoError> {
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
    Ok(stage)
}

async fn play_in_order(stage: &mut Stage, table: &Table) -> Result<(), DemoError> {
    stage.set_plans().await?;
    stage.set_policy().await?;
    line(&table.title("Four customers, four months, each webhook signed and posted over HTTP"));
    line("policy: a failed payment suspends at once (suspend_after: 0d)");
    let mut month = String::new();
    for scene in timeline::scenes()? {
        let at = scene.at.to_string();
        if month != at[..7] {
            at[..7].clone_into(&mut month);
            line(&table.heading(&month));
        }
        play_scene(stage, table, &scene).await?;
    }
    Ok(())
}

/// Repeats the first life in disorder and checks that it ends as the first did.
async fn play_shuffled(stage: &mut Stage, table: &Table) -> Result<(), DemoError> {
    line("");
    line(
        &table.title("The first life once more: an older API version, shuffled, everything twice"),
    );
    let replayed = stage.post_shuffled(&story::ada_again()?).await?;
    line(&Table::shuffled(&replayed));
    let first = stage.picture(Customer::Ada).await?;
    let again = stage.picture(Customer::Zoe).await?;
    expect(first == again, || {
        format!("Ada ended as {first}, Zoe as {again}")
    })?;
    line(&table.same(Customer::Ada, Customer::Zoe));
    Ok(())
}

async fn show_the_end(stage: &mut Stage, table: &Table) -> Result<(), DemoError> {
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

/// Plays one scene and prints its result.
async fn play_scene(stage: &mut Stage, table: &Table, scene: &Scene) -> Result<(), DemoError> {
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

impl Stage {
    /// Follows the system's clock from now on, and prints how to reach the server.
    pub(crate) fn keep_serving(&self) -> Result<(), DemoError> {
        self.clock_to_system();
        let base = self.base();
        line("");
        line("still serving; Ctrl-C ends it and removes the folder");
        line(&format!("  console        {base}/console"));
        line(&format!("    signs you in {}", self.sign_in()?));
        line("                 (once, within five minutes)");
        line(&format!("  admin API      {base}/api/v1/customers"));
        line(&format!(
            "  access check   {base}/access?package=acme/forms&version=1.0.0"
        ));
        for provider in provider::names() {
            line(&format!("  webhooks       {base}/webhooks/{provider}"));
            line(&format!("    secret       {}", self.secret(provider)));
        }
        line(&format!("  owner token    {}", self.owner_token()));
        line(&format!(
            "  try            curl -H 'Authorization: Bearer {}' {base}/api/v1/customers",
            self.owner_token()
        ));
        Ok(())
    }
}
