//! Where we may dial to: a pure rule over URLs and addresses, so that no caller's URL leads into the networks that
//! only we can reach (reference/reliability.md §4.4). The one who connects resolves a name once, asks here about
//! each address, and connects to the very address that was allowed.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use url::{Host, Url};

/// The most characters of a URL that we dial to.
pub const URL_CHARS_MAX: usize = 2_048;

/// What may be dialled beside public addresses: `TASKLANE_OUTBOUND_ALLOW`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outbound {
    hosts: Vec<String>,
    suffixes: Vec<String>,
    networks: Vec<IpNet>,
}

/// A URL, taken apart the way it is then dialled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Through TLS.
    pub https: bool,
    /// The host: a name, or a literal address without brackets.
    pub host: String,
    /// The address, where the host is one.
    pub literal: Option<IpAddr>,
    /// The port.
    pub port: u16,
    /// Host and port for the header `Host`.
    pub authority: String,
    /// Path and query.
    pub path: String,
}

/// Why a URL or an address may not be dialled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forbidden(String);

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Forbidden {}

fn forbidden<T>(why: impl Into<String>) -> Result<T, Forbidden> {
    Err(Forbidden(why.into()))
}

impl Outbound {
    /// Reads the allow-list: hosts, suffixes that begin with a dot, addresses and networks, with commas between.
    pub fn parse(text: &str) -> Option<Self> {
        let mut outbound = Self::default();
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            if let Ok(network) = entry.parse::<IpNet>() {
                outbound.networks.push(network);
            } else if let Ok(address) = entry.parse::<IpAddr>() {
                outbound.networks.push(IpNet::from(address));
            } else if let Some(suffix) = entry.strip_prefix('.') {
                outbound.suffixes.push(format!(".{}", host_name(suffix)?));
            } else {
                outbound.hosts.push(host_name(entry)?);
            }
        }
        Some(outbound)
    }

    /// The same with 127.0.0.1 allowed, as `dev` and `demo` have it.
    pub fn with_loopback(mut self) -> Self {
        self.networks.push(IpNet::from(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        self
    }

    /// Takes a URL apart. What can be known without resolving a name is refused here, so a caller is told when it
    /// gives the URL.
    pub fn target(&self, text: &str) -> Result<Target, Forbidden> {
        if text.len() > URL_CHARS_MAX {
            return forbidden(format!("the URL is longer than {URL_CHARS_MAX} characters"));
        }
        // A parser that repairs is right for dialling, since what it makes of the text is what is checked. But
        // what needs such repair is nothing that a sender of ours has to write.
        if text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
            return forbidden("the URL has spaces, control characters or backslashes");
        }
        let url = Url::parse(text).map_err(|e| Forbidden(format!("the URL can't be read: {e}")))?;
        let https = match url.scheme() {
            "https" => true,
            "http" => false,
            other => return forbidden(format!("the URL begins with {other}; it must be http or https")),
        };
        if !url.username().is_empty() || url.password().is_some() || has_user(text) {
            return forbidden("the URL has a user or password in it");
        }
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return forbidden("the URL has no host");
        };
        let (name, literal) = match host {
            Host::Domain(name) => (name.trim_end_matches('.').to_owned(), None),
            Host::Ipv4(address) => (address.to_string(), Some(IpAddr::V4(address))),
            Host::Ipv6(address) => (address.to_string(), Some(IpAddr::V6(address))),
        };
        if name.is_empty() || port == 0 {
            return forbidden("the URL has no host or no port");
        }
        if let Some(address) = literal {
            self.allow(&name, address)?;
        } else if is_local_name(&name) {
            self.allow(&name, IpAddr::V4(Ipv4Addr::LOCALHOST))?;
        }
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_string(),
        };
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        Ok(Target { https, host: name, literal, port, authority, path })
    }

    /// Whether this address may be dialled for this host.
    pub fn allow(&self, host: &str, address: IpAddr) -> Result<(), Forbidden> {
        let listed = self.networks.iter().any(|network| network.contains(&address))
            || self.hosts.iter().any(|allowed| allowed == host)
            || self.suffixes.iter().any(|suffix| host.ends_with(suffix.as_str()));
        if listed || is_public(address) {
            return Ok(());
        }
        forbidden(format!("{address} is not a public address, and the operator has not allowed it"))
    }
}

/// A host as URLs are read to have it.
fn host_name(text: &str) -> Option<String> {
    match Host::parse(text).ok()? {
        Host::Domain(name) => Some(name.trim_end_matches('.').to_owned()).filter(|name| !name.is_empty()),
        Host::Ipv4(_) | Host::Ipv6(_) => None,
    }
}

/// The parser drops an empty user; an `@` before the path is refused whatever it makes of it.
fn has_user(text: &str) -> bool {
    let rest = text.split_once(':').map_or(text, |(_, rest)| rest).trim_start_matches('/');
    rest.split(['/', '?', '#']).next().is_some_and(|authority| authority.contains('@'))
}

fn is_local_name(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

/// Whether everybody can reach it.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    match address.octets() {
        [0 | 10 | 127 | 224..=255, ..]
        | [100, 64..=127, ..]
        | [169, 254, ..]
        | [172, 16..=31, ..]
        | [192, 168, ..]
        | [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _] => false,
        [_, _, _, _] => true,
    }
}

/// Only 2000::/3 is for everybody, and in it some blocks are not or carry an IPv4 address that they hide:
/// 2001::/23 with Teredo, documentation, 6to4.
fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        [0x2001, 0..=0x01ff, ..] | [0x2001, 0x0db8, ..] | [0x2002, ..] | [0x3fff, 0..=0x0fff, ..] => false,
        [first, ..] => (0x2000..=0x3fff).contains(&first),
    }
}

#[cfg(test)]
#[path = "outbound_tests.rs"]
mod tests;
