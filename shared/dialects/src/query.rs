//! The query of a request as named parameters. Every message names the parameter, the value and what is
//! accepted; parameters that nobody asks for are ignored, since PRO's own ingress strips them.

use wire::Error;

use crate::bad;
use crate::path::decode;
use crate::text::shown;

/// The parameters of a query, in the order in which they came.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parameters {
    pairs: Vec<(String, String)>,
}

impl Parameters {
    /// Reads `name=value&…` as forms encode it. A bad percent escape is refused wherever it is.
    pub fn parse(query: &str) -> Result<Self, Error> {
        let mut pairs = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            pairs.push((form_text(name, pair)?, form_text(value, pair)?));
        }
        Ok(Self { pairs })
    }

    /// The value of a parameter. One that is given twice is refused, because the two could contradict.
    pub fn get(&self, name: &str) -> Result<Option<&str>, Error> {
        #[cfg(test)]
        asked::note(name);
        let mut values =
            self.pairs.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str());
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            (_, Some(_)) => Err(bad(format!("parameter '{name}' is given more than once; give it once"))),
        }
    }

    /// Whether a parameter is given at all, for refusing what is not there.
    pub fn has(&self, name: &str) -> bool {
        self.pairs.iter().any(|(known, _)| known == name)
    }

    /// The value of a parameter that is `true` or `false` in any case; `None` if it is not given.
    pub fn boolean(&self, name: &str) -> Result<Option<bool>, Error> {
        let Some(value) = self.get(name)? else { return Ok(None) };
        match value.to_ascii_lowercase().as_str() {
            "true" => Ok(Some(true)),
            "false" => Ok(Some(false)),
            _ => Err(wrong(name, value, "true or false")),
        }
    }

    /// The value of a parameter that is a whole number from 0 on; `None` if it is not given.
    pub fn unsigned(&self, name: &str) -> Result<Option<u64>, Error> {
        let Some(value) = self.get(name)? else { return Ok(None) };
        // `u64::from_str` takes a sign, which no documented client sends and which hides a mistyped '-'.
        let digits = value.bytes().all(|byte| byte.is_ascii_digit());
        match value.parse() {
            Ok(number) if digits => Ok(Some(number)),
            Ok(_) | Err(_) => Err(wrong(name, value, "a whole number from 0 on")),
        }
    }

    /// The words of a comma-separated parameter, without the empty ones.
    pub fn words(&self, name: &str) -> Result<Vec<&str>, Error> {
        let value = self.get(name)?.unwrap_or_default();
        Ok(value.split(',').map(str::trim).filter(|word| !word.is_empty()).collect())
    }
}

/// The refusal of a parameter's value.
pub(crate) fn wrong(name: &str, value: &str, accepted: &str) -> Error {
    bad(format!("parameter '{name}' is '{}', but it must be {accepted}", shown(value)))
}

fn form_text(text: &str, pair: &str) -> Result<String, Error> {
    let spaced = text.bytes().map(|byte| if byte == b'+' { b' ' } else { byte });
    decode(spaced).ok_or_else(|| {
        bad(format!("the query part '{}' is not valid percent-encoded UTF-8 text", shown(pair)))
    })
}

/// Which names were looked for, so that a test can hold them against a document.
#[cfg(test)]
pub(crate) mod asked {
    use std::cell::RefCell;
    use std::collections::BTreeSet;

    thread_local! {
        static NAMES: RefCell<BTreeSet<String>> = RefCell::default();
    }

    pub(super) fn note(name: &str) {
        NAMES.with_borrow_mut(|names| names.insert(name.to_owned()));
    }

    pub(crate) fn forget() {
        NAMES.with_borrow_mut(BTreeSet::clear);
    }

    pub(crate) fn names() -> BTreeSet<String> {
        NAMES.with_borrow(Clone::clone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_decoded_and_found_by_exact_name() {
        let parameters = Parameters::parse("a=1+2%2B&&b&c=x%3Dy=z&A=other").unwrap();
        assert_eq!(parameters.get("a"), Ok(Some("1 2+")));
        assert_eq!(parameters.get("b"), Ok(Some("")));
        assert_eq!(parameters.get("c"), Ok(Some("x=y=z")));
        assert_eq!(parameters.get("A"), Ok(Some("other")));
        assert_eq!(parameters.get("d"), Ok(None));
        for query in ["a=%", "a=%zz", "%ff=1", "a=%00"] {
            assert!(Parameters::parse(query).is_err(), "{query}");
        }
    }

    #[test]
    fn a_repeated_parameter_is_refused_by_name() {
        let parameters = Parameters::parse("limit=1&limit=1").unwrap();
        assert!(parameters.get("limit").unwrap_err().message.contains("'limit'"));
    }

    #[test]
    fn typed_values_are_read_or_refused_with_what_is_accepted() {
        let parameters = Parameters::parse("t=TRUE&f=false&n=0&m=-1&p=%2B1&e=&w=a,+b,,c").unwrap();
        assert_eq!(parameters.boolean("t"), Ok(Some(true)));
        assert_eq!(parameters.boolean("f"), Ok(Some(false)));
        assert_eq!(parameters.boolean("none"), Ok(None));
        assert!(parameters.boolean("n").unwrap_err().message.contains("true or false"));
        assert_eq!(parameters.unsigned("n"), Ok(Some(0)));
        for name in ["m", "p", "e", "t"] {
            assert!(parameters.unsigned(name).unwrap_err().message.contains(name), "{name}");
        }
        assert_eq!(parameters.words("w"), Ok(vec!["a", "b", "c"]));
        assert_eq!(parameters.words("none"), Ok(vec![]));
    }
}
