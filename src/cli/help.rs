//! What `--help` says beside the arguments: examples, exit codes, settings.

use crate::config;

/// Exit codes of all commands.
const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  not done: standard error says why
  2  the command line cannot be read; of `reconcile`: something differs and was not repaired;
     of `copy`: the two differ";

/// Examples of the whole.
const EXAMPLES: &str = "\
Examples:
  tollgate demo                        see what it does, in ten seconds
  tollgate check-config --connect      are settings, store and broker right?
  tollgate serve                       receive, process, serve the API and the console
  tollgate events failures             what failed, by cause
  tollgate events replay --outcome failed --since 2026-01-31
  source <(tollgate completions bash)  complete commands in this shell";

/// What follows the arguments of one command: its examples, anything more, and where the rest is.
macro_rules! examples {
    ($($line:literal),+ $(,)? $(; $more:literal)?) => {
        concat!(
            "Examples:\n",
            $("  ", $line, "\n",)+
            $("\n", $more, "\n",)?
            "\nExit codes and settings: tollgate --help"
        )
    };
}

/// Examples of `demo`.
pub(super) const DEMO: &str = examples![
    "tollgate demo",
    "tollgate demo --keep                 leave the server running, to look around",
];

/// Examples of `serve`.
pub(super) const SERVE: &str = examples![
    "tollgate serve",
    "tollgate serve --role receiver                          on the machines that face providers",
    "tollgate serve --role worker --role api                 on the others",
];

/// Examples of `migrate`.
pub(super) const MIGRATE: &str = examples![
    "tollgate migrate",
    "tollgate --config /etc/tollgate/tollgate.toml migrate",
];

/// Examples of `check-config`.
pub(super) const CHECK_CONFIG: &str = examples![
    "tollgate check-config",
    "tollgate --config /etc/tollgate/tollgate.toml check-config --connect",
];

/// Examples of `backup`.
pub(super) const BACKUP: &str = examples!["tollgate backup /var/backups/tollgate-2026-01-31.db",];

/// Examples of `copy`.
pub(super) const COPY: &str = examples![
    "tollgate copy --from sqlite:///var/lib/tollgate/tollgate.db --to postgres://tollgate@db.example.com/tollgate",
    ; "Exit code 2: a table is not the same on both sides."
];

/// Examples of `token create`.
pub(super) const TOKEN: &str = examples![
    "tollgate token create --name ops --role owner",
    "tollgate token create --name ci --role viewer --app shop --expires-in-days 90",
];

/// Examples of `rotate-key`.
pub(super) const ROTATE_KEY: &str = examples![
    "tollgate rotate-key --dry-run   what is still sealed with an old key?",
    "tollgate rotate-key",
];

/// Examples of `claim-queues`.
pub(super) const CLAIM_QUEUES: &str = examples![
    "tollgate claim-queues",
    "tollgate --config /etc/tollgate/tollgate.toml claim-queues",
];

/// Examples of `events`.
pub(super) const EVENTS: &str = examples![
    "tollgate events list --outcome failed",
    "tollgate events show evt_1NG8Du2eZvKYlo2C",
    "tollgate events replay evt_1NG8Du2eZvKYlo2C",
];

/// Examples of `events list`.
pub(super) const EVENTS_LIST: &str = examples![
    "tollgate events list --customer ann@example.com",
    "tollgate events list --customer sub_1MowQVLkdIwHu7ix --since 2026-01-01 --until 2026-01-31",
    "tollgate events list --outcome failed --no-limit --json | jq -r .id",
];

/// Examples of `events failures`.
pub(super) const EVENTS_FAILURES: &str = examples![
    "tollgate events failures",
    "tollgate events failures --provider stripe --since 2026-01-31 --json",
];

/// Examples of `events unaccounted`.
pub(super) const EVENTS_UNACCOUNTED: &str = examples![
    "tollgate events unaccounted",
    "tollgate events unaccounted --json | jq -r .id",
];

/// Examples of `events show`.
pub(super) const EVENTS_SHOW: &str = examples![
    "tollgate events show evt_1NG8Du2eZvKYlo2C",
    "tollgate events show evt_1NG8Du2eZvKYlo2C --json | jq .payload",
];

/// Examples of `events replay`.
pub(super) const EVENTS_REPLAY: &str = examples![
    "tollgate events replay evt_1NG8Du2eZvKYlo2C --dry-run   what would change?",
    "tollgate events replay --outcome failed --error-code payload_field_missing",
    "tollgate events replay --all --force --per-second 50 --detach",
];

/// Examples of `events dismiss`.
pub(super) const EVENTS_DISMISS: &str = examples![
    "tollgate events dismiss evt_1NG8Du2eZvKYlo2C --reason 'of another system'",
    "tollgate events dismiss --outcome failed --until 2025-12-31",
];

/// Examples of `replays`.
pub(super) const REPLAYS: &str = examples![
    "tollgate replays list --json",
    "tollgate replays cancel rpl_01939f1bf0007cc8a4d0b1c2d3e4f506",
];

/// Examples of `replays list`.
pub(super) const REPLAYS_LIST: &str = examples![
    "tollgate replays list",
    "tollgate replays list --no-limit --json | jq -r .status",
];

/// Examples of `replays show`.
pub(super) const REPLAYS_SHOW: &str =
    examples!["tollgate replays show rpl_01939f1bf0007cc8a4d0b1c2d3e4f506",];

/// Examples of `replays cancel`.
pub(super) const REPLAYS_CANCEL: &str =
    examples!["tollgate replays cancel rpl_01939f1bf0007cc8a4d0b1c2d3e4f506",];

/// Examples of `reconcile`.
pub(super) const RECONCILE: &str = examples![
    "tollgate reconcile stripe --dry-run                     what differs?",
    "tollgate reconcile paddle --since 2026-01-31 --app shop",
    ; "Exit code 2: something differs and was not repaired."
];

/// Examples of `import customers`.
pub(super) const IMPORT: &str = examples![
    "tollgate import customers customers.csv --dry-run   what would be made?",
    "tollgate import customers customers.csv --app shop",
];

/// Examples of `trigger`.
pub(super) const TRIGGER: &str = examples![
    "tollgate trigger --list",
    "tollgate trigger stripe customer.subscription.updated --set data.object.status=past_due",
    "tollgate trigger paddle transaction.completed --url https://tollgate.example.com",
    ; "The secret is the first of STRIPE_WEBHOOK_SECRET or PADDLE_WEBHOOK_SECRET."
];

/// Examples of `app`.
pub(super) const APP: &str = examples![
    "tollgate app pause --reason 'a migration'",
    "tollgate app resume",
    "tollgate app list --json",
];

/// Examples of `app list`.
pub(super) const APP_LIST: &str = examples![
    "tollgate app list",
    "tollgate app list --json | jq -r .slug",
];

/// Examples of `app pause`.
pub(super) const APP_PAUSE: &str =
    examples!["tollgate app pause --app shop --reason 'a migration'",];

/// Examples of `app resume`.
pub(super) const APP_RESUME: &str =
    examples!["tollgate app resume --app shop --reason 'migrated'",];

/// Examples of `openapi`.
pub(super) const OPENAPI: &str = examples!["tollgate openapi > openapi.json",];

/// Examples of `completions`.
pub(super) const COMPLETIONS: &str = examples![
    "source <(tollgate completions bash)",
    "tollgate completions fish > ~/.config/fish/completions/tollgate.fish",
];

/// Examples of `man`.
pub(super) const MAN: &str = examples![
    "tollgate man | man -l -",
    "tollgate man --folder /usr/local/share/man/man1",
];

/// Examples of `simulate`.
pub(super) const SIMULATE: &str =
    examples!["tollgate simulate --customers 100 --months 3 --seed 7 --shuffle",];

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
