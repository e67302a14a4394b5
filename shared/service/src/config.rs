//! Every setting, read from the environment once. The only reader of environment variables.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use wire::Function;
use wire::topology::{LOG_AGE_SECONDS_DEFAULT, LOG_TENANT_PERCENT_DEFAULT, STORAGE_BYTES_DEFAULT, Sizes};

use crate::outbound::Outbound;

/// What an acknowledged task survives (design §10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Synced before it is acknowledged: survives a power cut.
    Strict,
    /// Synced every 100 ms: survives any process kill; a power cut may lose the last 0.1 s.
    Interval,
}

impl Durability {
    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Interval => "interval",
        }
    }

    /// The broker's `sync_interval`.
    pub fn sync_interval(self) -> &'static str {
        match self {
            Self::Strict => "always",
            Self::Interval => "100ms",
        }
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Every setting.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `TASKLANE_NATS_URL`: where the broker is, or the nodes of its cluster with commas between.
    pub nats_url: String,
    /// `TASKLANE_KEYS`: the folder with one `<function>.nk` seed per function.
    pub keys: PathBuf,
    /// `TASKLANE_PEPPER`: the file with the pepper of the API keys.
    pub pepper: PathBuf,
    /// `TASKLANE_MASTER_KEY`: the file with the key under which signing keys are sealed.
    pub master_key: PathBuf,
    /// `TASKLANE_HTTP`: where ingress listens.
    pub http: SocketAddr,
    /// `TASKLANE_WORK`: where runners unpack bundles and keep work folders.
    pub work: PathBuf,
    /// `TASKLANE_SLOTS`: tasks that one runner holds at once.
    pub slots: u32,
    /// `TASKLANE_KEEPER`: the program that runners start beside each task process; our own by default.
    pub keeper: Option<PathBuf>,
    /// `TASKLANE_DURABILITY`: `strict` or `interval`.
    pub durability: Durability,
    /// `TASKLANE_STORAGE_MB`, `TASKLANE_REPLICAS`, `TASKLANE_LOGS_DAYS` and `TASKLANE_LOGS_TENANT_PERCENT`: the sizes
    /// of the streams.
    pub sizes: Sizes,
    /// `TASKLANE_JOBS_OPEN_READS`: jobs of the Task Engine API can be read without a key, as its documents say.
    pub open_reads: bool,
    /// `TASKLANE_OPERATOR`: the tenant whose Admin keys may act for every tenant.
    pub operator: String,
    /// `TASKLANE_LOG`: which log lines are written, as `tracing` filters say it.
    pub log: String,
    /// `TASKLANE_LOG_FORMAT`: `text` or `json`.
    pub log_format: LogFormat,
    /// `TASKLANE_NATS_SERVER`: the broker's program, for `dev` and `demo`.
    pub nats_server: Option<PathBuf>,
    /// `TASKLANE_OUTBOUND_ALLOW`: where callbacks and gates may lead beside public addresses.
    pub outbound: Outbound,
    /// `TASKLANE_CALLBACK_SECRET`: the file with the secret that signs callbacks of the Task Engine.
    pub callback_secret: Option<PathBuf>,
    /// `PATH`, which task processes get, and in which programs are looked for.
    pub path: String,
    /// Where fetched programs are kept: `XDG_CACHE_HOME` or `HOME/.cache`, with `/tasklane`.
    pub cache: PathBuf,
    /// `XDG_DATA_HOME` or `HOME/.local/share`, with `/tasklane`: where `dev` keeps its data unasked.
    pub data: PathBuf,
}

/// A variable with a wrong value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongSetting {
    /// The variable.
    pub variable: &'static str,
    /// What it holds.
    pub value: String,
    /// What it may hold.
    pub accepted: String,
}

impl fmt::Display for WrongSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}='{}' is wrong: it takes {}", self.variable, self.value, self.accepted)
    }
}

impl std::error::Error for WrongSetting {}

/// Reads the settings from the environment of this process.
pub fn from_environment() -> Result<Settings, WrongSetting> {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
    let variables = std::env::vars().collect();
    Settings::from_variables(&variables)
}

struct Reader<'v>(&'v BTreeMap<String, String>);

impl Reader<'_> {
    fn text(&self, variable: &str) -> Option<&str> {
        self.0.get(variable).map(String::as_str).filter(|value| !value.is_empty())
    }

    fn parsed<T>(
        &self,
        variable: &'static str,
        accepted: &str,
        default: T,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, WrongSetting> {
        let Some(value) = self.text(variable) else { return Ok(default) };
        parse(value).ok_or_else(|| WrongSetting {
            variable,
            value: value.chars().take(80).collect(),
            accepted: accepted.to_owned(),
        })
    }

    fn number(
        &self,
        variable: &'static str,
        least: u64,
        most: u64,
        default: u64,
    ) -> Result<u64, WrongSetting> {
        let accepted = format!("a whole number from {least} to {most}");
        let parse = |text: &str| text.parse().ok().filter(|number| (least..=most).contains(number));
        self.parsed(variable, &accepted, default, parse)
    }

    fn folder(&self, variable: &str, home: &str) -> PathBuf {
        let base = self.text(variable).map(PathBuf::from);
        let base = base.or_else(|| self.text("HOME").map(|h| PathBuf::from(h).join(home)));
        base.unwrap_or_else(std::env::temp_dir).join("tasklane")
    }
}

/// Every variable of ours, so that a mistyped one is refused and not ignored.
pub const KNOWN: &[&str] = &[
    "TASKLANE_NATS_URL",
    "TASKLANE_KEYS",
    "TASKLANE_PEPPER",
    "TASKLANE_MASTER_KEY",
    "TASKLANE_HTTP",
    "TASKLANE_WORK",
    "TASKLANE_SLOTS",
    "TASKLANE_KEEPER",
    "TASKLANE_DURABILITY",
    "TASKLANE_STORAGE_MB",
    "TASKLANE_REPLICAS",
    "TASKLANE_LOGS_DAYS",
    "TASKLANE_LOGS_TENANT_PERCENT",
    "TASKLANE_JOBS_OPEN_READS",
    "TASKLANE_OPERATOR",
    "TASKLANE_LOG",
    "TASKLANE_LOG_FORMAT",
    "TASKLANE_NATS_SERVER",
    "TASKLANE_OUTBOUND_ALLOW",
    "TASKLANE_CALLBACK_SECRET",
    "TASKLANE_URL",
    "TASKLANE_API_KEY",
];

impl Settings {
    /// Reads the settings from variables.
    pub fn from_variables(variables: &BTreeMap<String, String>) -> Result<Self, WrongSetting> {
        let reader = Reader(variables);
        let data = reader.folder("XDG_DATA_HOME", ".local/share");
        let megabytes =
            reader.number("TASKLANE_STORAGE_MB", 64, 1 << 30, STORAGE_BYTES_DEFAULT / (1024 * 1024))?;
        let replicas = reader.parsed("TASKLANE_REPLICAS", "1, 3 or 5", 1, |text| {
            text.parse().ok().filter(|n| [1usize, 3, 5].contains(n))
        })?;
        let slots = reader.number("TASKLANE_SLOTS", 1, 100_000, 64)?;
        let known_pepper = reader.text("TASKLANE_PEPPER").map(PathBuf::from);
        let known_master_key = reader.text("TASKLANE_MASTER_KEY").map(PathBuf::from);
        Ok(Self {
            nats_url: reader.parsed("TASKLANE_NATS_URL", URL_FORM, DEFAULT_URL.to_owned(), broker_url)?,
            keys: reader.text("TASKLANE_KEYS").map_or_else(|| data.join("keys"), PathBuf::from),
            pepper: known_pepper.unwrap_or_else(|| data.join("pepper")),
            master_key: known_master_key.unwrap_or_else(|| data.join("master.key")),
            http: reader.parsed("TASKLANE_HTTP", "ADDRESS:PORT", DEFAULT_HTTP, |text| text.parse().ok())?,
            work: reader.text("TASKLANE_WORK").map_or_else(|| data.join("work"), PathBuf::from),
            slots: u32::try_from(slots).unwrap_or(u32::MAX),
            keeper: reader.text("TASKLANE_KEEPER").map(PathBuf::from),
            durability: reader.parsed(
                "TASKLANE_DURABILITY",
                "strict or interval",
                Durability::Strict,
                durability,
            )?,
            sizes: Sizes { storage_bytes: megabytes * 1024 * 1024, replicas, ..log_sizes(&reader)? },
            open_reads: reader
                .parsed("TASKLANE_JOBS_OPEN_READS", "true or false", true, |text| text.parse().ok())?,
            operator: reader.text("TASKLANE_OPERATOR").unwrap_or("demo").to_owned(),
            log: reader.text("TASKLANE_LOG").unwrap_or("warn").to_owned(),
            log_format: reader.parsed("TASKLANE_LOG_FORMAT", "text or json", LogFormat::Text, |text| {
                match text {
                    "text" => Some(LogFormat::Text),
                    "json" => Some(LogFormat::Json),
                    _ => None,
                }
            })?,
            nats_server: reader.text("TASKLANE_NATS_SERVER").map(PathBuf::from),
            outbound: reader.parsed(
                "TASKLANE_OUTBOUND_ALLOW",
                "hosts, suffixes such as .corp.example, addresses and networks, with commas between",
                Outbound::default(),
                Outbound::parse,
            )?,
            callback_secret: reader.text("TASKLANE_CALLBACK_SECRET").map(PathBuf::from),
            path: reader.text("PATH").unwrap_or("/usr/local/bin:/usr/bin:/bin").to_owned(),
            cache: reader.folder("XDG_CACHE_HOME", ".cache"),
            data,
        })
        .and_then(|settings| refuse_unknown(variables).map(|()| settings))
    }

    /// The seed of a function's nkey, from its file.
    pub fn seed(&self, function: Function) -> Result<String, String> {
        let path = self.keys.join(format!("{function}.nk"));
        let seed = std::fs::read_to_string(&path);
        let seed =
            seed.map_err(|e| format!("the key of {function} can't be read from {}: {e}", path.display()))?;
        Ok(seed.trim().to_owned())
    }
}

/// What may be kept of logs.
fn log_sizes(reader: &Reader<'_>) -> Result<Sizes, WrongSetting> {
    let days = reader.number("TASKLANE_LOGS_DAYS", 1, 3650, LOG_AGE_SECONDS_DEFAULT / DAY_SECONDS)?;
    let percent = reader.number("TASKLANE_LOGS_TENANT_PERCENT", 1, 100, LOG_TENANT_PERCENT_DEFAULT)?;
    Ok(Sizes { log_age_seconds: days * DAY_SECONDS, log_tenant_percent: percent, ..Sizes::default() })
}

const DAY_SECONDS: u64 = 24 * 3600;
const DEFAULT_URL: &str = "nats://127.0.0.1:4222";
const URL_FORM: &str = "nats://HOST:PORT or tls://HOST:PORT, several with commas between";
const DEFAULT_HTTP: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);

fn broker_url(text: &str) -> Option<String> {
    let known = |node: &str| node.starts_with("nats://") || node.starts_with("tls://");
    text.split(',').all(known).then(|| text.to_owned())
}

/// Reads the word of a durability class.
pub fn durability(text: &str) -> Option<Durability> {
    [Durability::Strict, Durability::Interval].into_iter().find(|class| class.name() == text)
}

fn refuse_unknown(variables: &BTreeMap<String, String>) -> Result<(), WrongSetting> {
    // Task processes get variables of their own that begin the same way; a tool started by a task must run.
    let ours = |name: &&String| {
        name.starts_with("TASKLANE_") && !variables.contains_key("TASKLANE_TASK_ID") && !name.ends_with("_FD")
    };
    match variables.keys().filter(ours).find(|name| !KNOWN.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(WrongSetting {
            variable: "TASKLANE_*",
            value: name.clone(),
            accepted: format!("no variable of that name; the variables are {}", KNOWN.join(", ")),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Settings, WrongSetting> {
        let owned = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Settings::from_variables(&owned)
    }

    #[test]
    fn a_wrong_value_is_refused_by_the_name_of_its_variable() {
        let wrong = [
            ("TASKLANE_HTTP", "8080"),
            ("TASKLANE_SLOTS", "0"),
            ("TASKLANE_SLOTS", "many"),
            ("TASKLANE_DURABILITY", "always"),
            ("TASKLANE_STORAGE_MB", "1"),
            ("TASKLANE_REPLICAS", "2"),
            ("TASKLANE_LOGS_DAYS", "0"),
            ("TASKLANE_LOGS_TENANT_PERCENT", "101"),
            ("TASKLANE_NATS_URL", "localhost"),
            ("TASKLANE_NATS_URL", "nats://a:4222,b:4222"),
            ("TASKLANE_LOG_FORMAT", "xml"),
            ("TASKLANE_OUTBOUND_ALLOW", "10.0.0.0/99"),
        ];
        for (variable, value) in wrong {
            let error = read(&[(variable, value)]).unwrap_err();
            assert_eq!((error.variable, error.value.as_str()), (variable, value));
        }
        assert!(read(&[("TASKLANE_SLOT", "1")]).unwrap_err().to_string().contains("TASKLANE_SLOT"));
    }

    #[test]
    fn defaults_hold_where_nothing_is_said() {
        let settings = read(&[]).unwrap();
        assert_eq!(settings.durability, Durability::Strict);
        assert_eq!(settings.http.to_string(), "127.0.0.1:8080");
    }
}
