//! What `--help` says beside the arguments: examples, exit codes, settings.

use crate::config;

/// Exit codes of all commands.
const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  not done: standard error says why
  2  the command line cannot be read; of `reconcile`: something differs and was not repaired";

/// Examples of the whole.
const EXAMPLES: &str = "\
Examples:
  tollgate demo                        see what it does, in ten seconds
  tollgate check-config --connect      are settings, store and broker right?
  tollgate serve                       receive, process, serve the API and the console
  tollgate events failures             what failed, by cause
  tollgate events replay --outcome failed --since 2026-01-31
  source <(tollgate completions bash)  complete commands in this shell";

/// Examples of `events list`.
pub(super) const EVENTS_LIST: &str = "\
Examples:
  tollgate events list --customer ann@example.com
  tollgate events list --customer sub_1MowQVLkdIwHu7ix --since 2026-01-01 --until 2026-01-31
  tollgate events list --outcome failed --no-limit --json | jq -r .id";

/// Examples of `events replay`.
pub(super) const EVENTS_REPLAY: &str = "\
Examples:
  tollgate events replay evt_1NG8Du2eZvKYlo2C --dry-run   what would change?
  tollgate events replay --outcome failed --error-code payload_field_missing
  tollgate events replay --all --force --per-second 50 --detach";

/// Examples of `events dismiss`.
pub(super) const EVENTS_DISMISS: &str = "\
Examples:
  tollgate events dismiss evt_1NG8Du2eZvKYlo2C --reason 'of another system'
  tollgate events dismiss --outcome failed --until 2025-12-31";

/// Examples of `replays`.
pub(super) const REPLAYS: &str = "\
Examples:
  tollgate replays list --json
  tollgate replays cancel rpl_01939f1bf0007cc8a4d0b1c2d3e4f506";

/// Examples of `trigger`.
pub(super) const TRIGGER: &str = "\
Examples:
  tollgate trigger --list
  tollgate trigger stripe customer.subscription.updated --set data.object.status=past_due
  tollgate trigger paddle transaction.completed --url https://tollgate.example.com

The secret is the first of STRIPE_WEBHOOK_SECRET or PADDLE_WEBHOOK_SECRET.";

/// Examples of `app`.
pub(super) const APP: &str = "\
Examples:
  tollgate app pause --reason 'a migration'
  tollgate app resume
  tollgate app list --json";

/// Examples of `reconcile`.
pub(super) const RECONCILE: &str = "\
Examples:
  tollgate reconcile stripe --dry-run                     what differs?
  tollgate reconcile paddle --since 2026-01-31 --app shop

Exit code 2: something differs and was not repaired.";

/// Examples of `token create`.
pub(super) const TOKEN: &str = "\
Examples:
  tollgate token create --name ops --role owner
  tollgate token create --name ci --role viewer --app shop --expires-in-days 90";

/// Examples of `serve`.
pub(super) const SERVE: &str = "\
Examples:
  tollgate serve
  tollgate serve --role receiver                          on the machines that face providers
  tollgate serve --role worker --role api                 on the others";

/// What follows the list of commands.
pub(super) fn of_all() -> String {
    let mut text =
        format!("{EXAMPLES}\n\n{EXIT_CODES}\n\nSettings, as variables or in the file:\n");
    let settings = config::settings();
    text.extend(settings.map(|(name, expected)| format!("  {name}\n          {expected}\n")));
    text.push_str("\ndocs/settings.md has their defaults, and what they mean.");
    text
}

/// What follows the list of commands in the short form.
pub(super) const SHORT: &str = "`--help` shows examples, exit codes and settings.";
