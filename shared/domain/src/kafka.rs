//! Whether the topics of a stream task lie on a Kafka cluster, and which of Kafka's own properties are honoured.
//! What can't be served is refused by name, so that nobody counts on it.

use crate::stream::Params;

/// Where the cluster is; with it both topics lie on Kafka.
pub const SERVERS: &str = "bootstrap.servers";
const RESET: &str = "auto.offset.reset";
const SECURITY: &str = "security.protocol";
const ISOLATION: &str = "isolation.level";

/// The most servers that are named, and the most characters of a topic, which is Kafka's own bound.
const SERVERS_MOST: usize = 16;
const TOPIC_CHARS_MAX: usize = 249;

/// A cluster as a task reaches it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kafka {
    /// The servers that are asked first, as `host:port`.
    pub servers: Vec<String>,
    /// A partition whose position is not known is read from its oldest record on, or else from its end.
    pub from_oldest: bool,
}

impl Kafka {
    /// Reads the properties; `None` where there is no cluster in them.
    pub fn read(params: &Params) -> Result<Option<Self>, String> {
        let Some(text) = params.get(SERVERS) else { return Ok(None) };
        let servers: Vec<String> = text.split(',').map(|server| server.trim().to_owned()).collect();
        if servers.len() > SERVERS_MOST || !servers.iter().all(|server| is_server(server)) {
            return Err(format!(
                "parameter '{SERVERS}' must be host:port, or up to {SERVERS_MOST} of them with commas between; \
                 a host is a name or an IPv4 address"
            ));
        }
        let from_oldest = match params.get(RESET).map(String::as_str) {
            None | Some("earliest") => true,
            Some("latest") => false,
            Some(_) => return Err(format!("parameter '{RESET}' must be earliest or latest")),
        };
        refuse_what_is_not_served(params)?;
        Ok(Some(Self { servers, from_oldest }))
    }
}

fn refuse_what_is_not_served(params: &Params) -> Result<(), String> {
    let other = |name: &str, served: &str| {
        params.get(name).filter(|text| !text.eq_ignore_ascii_case(served)).map(|text| (name.to_owned(), text))
    };
    if let Some((name, text)) = other(SECURITY, "PLAINTEXT").or_else(|| other(ISOLATION, "read_uncommitted"))
    {
        return Err(format!("parameter '{name}' is {text}, which is not served here"));
    }
    match params.keys().find(|name| name.starts_with("sasl.") || name.starts_with("ssl.")) {
        Some(name) => Err(format!("parameter '{name}' is not served: Kafka is reached without SASL and TLS")),
        None => Ok(()),
    }
}

/// A name or an IPv4 address with a port behind it.
fn is_server(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    (1..=253).contains(&host.len())
        && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
        && digits
        && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// The topic of a parameter, by Kafka's own rule for names.
pub fn topic(params: &Params, name: &str) -> Result<String, String> {
    let text = params.get(name).ok_or_else(|| format!("parameter '{name}' is missing"))?;
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    if plain && (1..=TOPIC_CHARS_MAX).contains(&text.len()) && text != "." && text != ".." {
        return Ok(text.clone());
    }
    Err(format!(
        "parameter '{name}' is no topic of Kafka: letters, digits, dots, hyphens and underscores, \
         {TOPIC_CHARS_MAX} at the most"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Option<Kafka>, String> {
        Kafka::read(&pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect())
    }

    #[test]
    fn topics_lie_on_kafka_where_servers_are_named() {
        assert_eq!(read(&[("group.id", "g")]), Ok(None));
        let two = read(&[(SERVERS, "a.example:9092, 10.0.0.1:1"), (SECURITY, "plaintext")]).unwrap().unwrap();
        assert_eq!(
            (two.servers, two.from_oldest),
            (vec!["a.example:9092".into(), "10.0.0.1:1".into()], true)
        );
        assert!(!read(&[(SERVERS, "a:1"), (RESET, "latest")]).unwrap().unwrap().from_oldest);
        for bad in
            ["", "a", "a:", ":1", "a:0", "a:65536", "a:+1", "a:1,", "[::1]:9092", "u@a:1", "a/b:1", "a b:1"]
        {
            assert!(read(&[(SERVERS, bad)]).unwrap_err().contains(SERVERS), "{bad:?}");
        }
    }

    #[test]
    fn what_is_not_served_is_refused_by_name() {
        for (name, text) in [
            (RESET, "none"),
            (SECURITY, "SASL_SSL"),
            (ISOLATION, "read_committed"),
            ("sasl.mechanism", "PLAIN"),
            ("ssl.truststore.location", "x"),
        ] {
            assert!(read(&[(SERVERS, "a:1"), (name, text)]).unwrap_err().contains(name), "{name}");
        }
    }

    #[test]
    fn a_topic_is_named_by_kafkas_rule() {
        let topic = |text: &str| topic(&[("t".to_owned(), text.to_owned())].into(), "t");
        assert!(topic("scores_in-1.x").is_ok());
        for bad in ["", ".", "..", "a b", "a/b", "ü", &"x".repeat(250)] {
            assert!(topic(bad).is_err(), "{bad:?}");
        }
    }
}
