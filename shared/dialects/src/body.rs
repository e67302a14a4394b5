//! Small JSON bodies, read strictly: a name that comes twice is refused, and every message names the field and
//! what is accepted. Depth is bounded by `serde_json`.

use std::fmt;

use domain::Timestamp;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use wire::Error;

use crate::text::shown;
use crate::{bad, moment};

/// Reads one JSON document.
pub(crate) fn json(body: &[u8]) -> Result<Value, Error> {
    let refused = |error: serde_json::Error| bad(format!("the body is not the JSON that is needed: {error}"));
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = Strict.deserialize(&mut deserializer).map_err(refused)?;
    deserializer.end().map_err(refused)?;
    Ok(value)
}

/// The fields of a JSON object, none of them unknown.
pub(crate) struct Fields {
    fields: Map<String, Value>,
}

impl Fields {
    /// Reads an object that may have these fields and no others.
    pub(crate) fn parse(body: &[u8], known: &[&str]) -> Result<Self, Error> {
        let accepted = known.join(", ");
        if body.is_empty() {
            return Err(bad(format!("the body is missing; send a JSON object with {accepted}")));
        }
        let Value::Object(mut fields) = json(body)? else {
            return Err(bad(format!("the body must be a JSON object with {accepted}")));
        };
        if let Some(unknown) = fields.keys().find(|name| !known.contains(&name.as_str())) {
            return Err(bad(format!("field '{}' is unknown; the fields are {accepted}", shown(unknown))));
        }
        // Many clients write `null` for what they leave out.
        fields.retain(|_, value| !value.is_null());
        Ok(Self { fields })
    }

    /// A text that must be there.
    pub(crate) fn text(&self, name: &str) -> Result<&str, Error> {
        self.fields.get(name).and_then(Value::as_str).ok_or_else(|| self.refused(name, "a text"))
    }

    /// A list of texts that must be there and not be empty.
    pub(crate) fn texts(&self, name: &str) -> Result<Vec<&str>, Error> {
        let texts = self.fields.get(name).and_then(Value::as_array).filter(|texts| !texts.is_empty());
        let texts = texts.and_then(|texts| texts.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
        texts.ok_or_else(|| self.refused(name, "a list of one or more texts"))
    }

    /// A moment, if it is there.
    pub(crate) fn moment(&self, name: &str) -> Result<Option<Timestamp>, Error> {
        let Some(value) = self.fields.get(name) else { return Ok(None) };
        let moment = value.as_str().and_then(moment::parse);
        moment.map(Some).ok_or_else(|| self.refused(name, moment::ACCEPTED))
    }

    /// A whole number from 0 to `max`, if it is there.
    pub(crate) fn number(&self, name: &str, max: u64) -> Result<Option<u64>, Error> {
        let Some(value) = self.fields.get(name) else { return Ok(None) };
        let number = value.as_u64().filter(|number| *number <= max);
        number.map(Some).ok_or_else(|| self.refused(name, &format!("a whole number from 0 to {max}")))
    }

    fn refused(&self, name: &str, accepted: &str) -> Error {
        match self.fields.get(name) {
            Some(value) => {
                bad(format!("field '{name}' is {}, but it must be {accepted}", shown(&value.to_string())))
            }
            None => bad(format!("field '{name}' is missing; it must be {accepted}")),
        }
    }
}

/// A JSON value whose objects have no name twice; `serde_json` itself would keep the last one silently.
struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Strict)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            if object.contains_key(&name) {
                return Err(A::Error::custom(format!("the name '{}' comes twice", shown(&name))));
            }
            object.insert(name, entries.next_value_seed(Strict)?);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_read_as_serde_json_reads_it() {
        for text in ["null", "[1,-2,2.5,true,\"ü\",{}]", "{\"a\":{\"b\":[null]}}", " 18446744073709551615 "]
        {
            assert_eq!(json(text.as_bytes()), Ok(serde_json::from_str(text).unwrap()), "{text}");
        }
    }

    #[test]
    fn what_is_ambiguous_too_deep_or_no_json_is_refused() {
        let deep = "[".repeat(1000);
        for text in
            ["", "{", "{} {}", "{\"a\":1,\"a\":1}", "{\"b\":[{\"a\":1,\"a\":2}]}", deep.as_str(), "\"\u{1}\""]
        {
            assert!(json(text.as_bytes()).is_err(), "{text}");
        }
        assert!(json(b"\"\xff\"").is_err());
    }
}
