//! Every setting with its default and its reason: the one list, from which `docs/settings.md` is
//! written.

use std::fmt::Write;

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// As in the environment and in the file.
    pub name: &'static str,
    /// What holds when it is not set; none: it is off.
    pub default: Option<&'static str>,
    /// Secrets can come from a file, `NAME_FILE`, and are never shown.
    pub secret: bool,
    /// What it does, and where to find its value.
    pub hint: &'static str,
}

const fn setting(name: &'static str, default: Option<&'static str>, hint: &'static str) -> Setting {
    Setting { name, default, secret: false, hint }
}

const fn secret(name: &'static str, hint: &'static str) -> Setting {
    Setting { name, default: None, secret: true, hint }
}

/// Each row makes the name a constant, so that a name is written once.
macro_rules! settings {
    ($($kind:ident $name:ident($($rest:expr),+);)+) => {
        /// The names of the settings.
        pub mod name {
            $(
                #[doc = concat!("`", stringify!($name), "`: see [`SETTINGS`](super::SETTINGS).")]
                pub const $name: &str = stringify!($name);
            )+
        }

        /// All of them, in the order of the documentation.
        pub const SETTINGS: &[Setting] = &[$($kind(name::$name, $($rest),+)),+];
    };
}

settings! {
    setting BIND_ADDR(Some("127.0.0.1:8080"),
        "where the service listens; put a reverse proxy with TLS in front");
    setting PUBLIC_URL(None,
        "the address under which browsers and HighLevel reach the service, as in `https://sync.example.com`; with https, its cookie and its pages are for https only");
    setting TRUSTED_PROXIES(Some("127.0.0.1,::1"),
        "addresses or networks of your proxies, separated by commas; in a request from one of these, the last entry of `X-Forwarded-For` is taken as the address of the client");
    setting DATABASE_URL(Some("sqlite://ghl-trafft-sync.db"),
        "where the store is: a SQLite file, created on first start, for one process; `postgres://user:password@host/name` for several");
    setting GHL_LOCATION_ID(None,
        "for a single account without an app of its own: the id of the location (sub-account): HighLevel, Settings, Business Profile, or the part of the address after `/location/`");
    secret GHL_ACCESS_TOKEN("the private integration token of that location: HighLevel, Settings, Private Integrations; scopes `contacts.readonly`, and better also `locations.readonly`, `locations/customFields.readonly`, `locations/tasks.readonly`");
    setting GHL_SCOPES(None,
        "the scopes of that token, separated by blanks; when set, calls that need another one are refused here, naming it");
    setting GHL_API_URL(Some("https://services.leadconnectorhq.com"),
        "base of HighLevel's API; another one only for a sandbox");
    setting GHL_CLIENT_ID(None,
        "turns installing through the browser on: the client id of your marketplace app; needs `GHL_CLIENT_SECRET`, `PUBLIC_URL`, `ADMIN_TOKEN` and `ENCRYPTION_KEY` as well");
    secret GHL_CLIENT_SECRET("the client secret of that app; HighLevel shows it once");
    setting GHL_APP_SCOPES(Some("contacts.readonly locations.readonly locations/customFields.readonly locations/tasks.readonly oauth.readonly oauth.write"),
        "what the app asks for, separated by blanks; each must be ticked in the app's settings at HighLevel");
    setting GHL_CHOOSER_URL(Some("https://marketplace.gohighlevel.com/v2/oauth/chooselocation"),
        "where an admin chooses the location to install the app in");
    setting GHL_WHITE_LABEL_CHOOSER_URL(Some("https://marketplace.leadconnectorhq.com/v2/oauth/chooselocation"),
        "the same for agencies that show HighLevel under a domain of their own");
    setting GHL_APP_ID(None,
        "the id of your marketplace app, by default the first part of `GHL_CLIENT_ID`; when known, signed events of other apps are refused");
    setting GHL_WEBHOOK_PUBLIC_KEYS(None,
        "keys that sign marketplace webhooks, as PEM, base64 or hex, several separated by commas; HighLevel's published key when not set");
    secret GHL_WORKFLOW_TOKEN("turns `/webhooks/ghl/workflow` on: the value that workflow webhooks send in `X-Workflow-Token`");
    secret GHL_WORKFLOW_SECRET("turns `/webhooks/ghl/workflow` on for relays that sign with HMAC-SHA256 (Standard Webhooks); `whsec_…` or base64 alone is decoded, anything else is the key itself");
    setting TRAFFT_API_URL(None,
        "of that location: the URL on the API card of Trafft, Features and Integrations; its origin, as in `https://name.admin.trafft.com`");
    setting TRAFFT_CLIENT_ID(None,
        "the client id on the same card");
    secret TRAFFT_CLIENT_SECRET("the client secret on the same card");
    secret ENCRYPTION_KEY("seals tokens and Trafft secrets in the database: 32 bytes in hex or base64, from `openssl rand -hex 32`; several separated by commas while one is being replaced: the first seals, all open");
    secret ADMIN_TOKEN("turns the admin API on: the bearer token that it asks for, at least 16 characters");
    setting SYNC_INLINE_DEADLINE_MS(Some("2000"),
        "how long a webhook waits for its contact to be synced before it is answered `queued`; 0 answers as soon as it is stored");
    setting MAPPING_FILE(None,
        "how contacts become customers; the defaults are in src/sync/mapping.toml");
    setting PHONE_REGION(None,
        "the country of phone numbers without `+`, two letters; the location's own when not set");
    setting TIME_ZONE(None,
        "the time zone in which times are written; the location's own when not set");
    setting DESCRIPTION_POLICY(Some("created"),
        "on which customers the description is ours to write: `created` (those that this service created), `all` (destroys what staff typed on linked ones), `at-creation` (once, never again)");
    setting DESCRIPTION_ESCAPE(Some("html"),
        "`html` writes `<`, `>` and `&` as entities, in case the description is shown as HTML; `none` if your account shows it as plain text");
    setting DELETE_POLICY(Some("keep"),
        "when a contact is deleted in HighLevel: `keep` (the customer stays, its description says so), `delete-created` (deleted too, if this service created it), `ignore` (the customer is left as it is)");
    setting MISSING_CUSTOMER_POLICY(Some("conflict"),
        "when a linked customer is deleted in Trafft: `conflict` (a person decides), `recreate` (a new one is made)");
    setting MAX_BODY_BYTES(Some("4194304"),
        "the largest request body that is accepted, in bytes; the proxy samples in deploy/ have the same limit");
    setting SETTLE_SECONDS(Some("60"),
        "how long a call to Trafft without an answer may still be running");
    setting TRAFFT_PAGE_PAUSE_MS(Some("100"),
        "pause between two pages of Trafft's customers");
    setting SWEEP_CONTACTS_MINUTES(Some("15"),
        "how often contacts are searched for that changed without an event reaching us; also at every start; 0: never");
    setting SWEEP_TASKS_MINUTES(Some("60"),
        "how often the location's tasks are compared with what we have: no event tells that a task was edited; 0: never");
    setting SWEEP_TASKS_CALLS(Some("20"),
        "calls, of 100 tasks each, that one such sweep may take; the next one goes on there");
    setting SWEEP_ROTATION_DAYS(Some("7"),
        "in this time the notes, tasks and appointments of every linked contact are read again; 0: never");
    setting SWEEP_IDS_HOURS(Some("24"),
        "how often contacts that are gone from HighLevel are looked for; 0: never");
    setting SWEEP_CUSTOMERS_HOURS(Some("24"),
        "how often all of Trafft's customers are looked through for what staff edited or deleted; 0: never");
    setting KEEP_EVENTS_DAYS(Some("30"),
        "how long events are kept, bodies included; a delivery that is repeated later is not recognised any more");
    setting KEEP_WRITES_DAYS(Some("365"),
        "how long the record of writes to Trafft, and of what sweeps found, is kept");
    setting CONNECTIONS_FILE(None,
        "further locations beside the one above: a TOML file with a `[[connection]]` for each, holding `ghl_location_id`, `ghl_access_token`, `trafft_api_url`, `trafft_client_id`, `trafft_client_secret` and, if wanted, `ghl_scopes`, `mapping_file`, `description_policy`, `description_escape`, `delete_policy`, `missing_customer_policy`, `time_zone`, `phone_region`; readable by the service alone");
    setting LEASE_SECONDS(Some("15"),
        "with several processes on one PostgreSQL: how long one is silent before the others take its locations over");
    setting SHUTDOWN_SECONDS(Some("30"),
        "how long a stop may take before what is still running is dropped");
    setting LOG_FORMAT(Some("text"),
        "`text` or `json`; what is logged follows `RUST_LOG`, `info` when not set");
}

/// The page of the documentation.
pub fn markdown() -> String {
    let mut page = String::from(
        "# Settings\n\n\
         Written by `ghl-trafft-sync settings`; a test holds this page to the program.\n\n\
         Every setting is an environment variable, or a key of the same name in a TOML file (`--config FILE`, or\n\
         `CONFIG_FILE`); the environment wins. A secret can also come from a file: `NAME_FILE` holds its path.\n\
         Whatever is wrong is told at start, all at once.\n\n\
         The environment has a few more that are no settings of ours: `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`\n\
         ([proxies](operations.md#behind-your-networks-proxy)), `SSL_CERT_FILE` and `SSL_CERT_DIR`\n\
         ([certificates](operations.md#certificates)), `RUST_LOG` and `NO_COLOR` ([the log](operations.md#the-log)).\n\n\
         | setting | default | what it does |\n| --- | --- | --- |\n",
    );
    for Setting { name, default, secret, hint } in SETTINGS {
        let default = default.map_or_else(|| "—".to_owned(), |default| format!("`{default}`"));
        let by_file = if *secret { " (or by file)" } else { "" };
        // Writing into a String cannot fail.
        let _ = writeln!(page, "| `{name}`{by_file} | {default} | {} |", hint.replace('|', "\\|"));
    }
    page
}
