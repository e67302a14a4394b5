//! The query parameters of a list of tasks. The dialects differ in the names alone.

use domain::Timestamp;
use domain::list::{PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX, Query, SortField, StateFilter};
use wire::Error;

use crate::query::wrong;
use crate::text::{name, shown};
use crate::{Parameters, bad, moment};

/// How one dialect names the parameters that are not the same everywhere.
pub(crate) struct Names {
    /// Only this app.
    pub app: &'static str,
    /// Only this version.
    pub version: &'static str,
    /// All that the caller may see.
    pub all: &'static str,
    /// The states by name.
    pub states: &'static States,
    /// The fields to sort by; `None` is a field that is the same in every row, so it changes no order.
    pub sort: &'static [(&'static str, Option<SortField>)],
}

/// The words of a filter by state, each with the states that it means.
pub(crate) type States = [(&'static str, &'static [StateFilter])];

/// Reads the list that is asked for.
pub(crate) fn query(parameters: &Parameters, names: &Names) -> Result<Query, Error> {
    Ok(Query {
        states: states(parameters, "states", names.states)?,
        list_all: parameters.boolean(names.all)?.unwrap_or(false),
        sort: sort(parameters, names.sort)?,
        ..page(parameters, names.app, names.version)?
    })
}

/// Reads what every list has: the app and its version under their names, two moments, and which page.
pub(crate) fn page(
    parameters: &Parameters,
    app: &'static str,
    version: &'static str,
) -> Result<Query, Error> {
    let part = |part: &'static str| parameters.get(part)?.map(|text| name(part, text)).transpose();
    Ok(Query {
        app: part(app)?,
        version: part(version)?,
        before: moment(parameters, "before")?,
        after: moment(parameters, "after")?,
        offset: parameters.unsigned("offset")?.unwrap_or(0),
        limit: limit(parameters)?,
        ..Query::default()
    })
}

/// Generated clients leave a zero out and some send it, so both mean the default.
pub(crate) fn limit(parameters: &Parameters) -> Result<u64, Error> {
    let asked = parameters.unsigned("limit")?.filter(|rows| *rows > 0);
    Ok(asked.unwrap_or(PAGE_ROWS_DEFAULT).min(PAGE_ROWS_MAX))
}

/// A moment under its name.
pub(crate) fn moment(parameters: &Parameters, name: &str) -> Result<Option<Timestamp>, Error> {
    let Some(text) = parameters.get(name)? else { return Ok(None) };
    moment::parse(text).map(Some).ok_or_else(|| wrong(name, text, moment::ACCEPTED))
}

/// States by their words, each word with the states that it means.
pub(crate) fn states<S: Copy + PartialEq>(
    parameters: &Parameters,
    parameter: &str,
    known: &[(&'static str, &'static [S])],
) -> Result<Vec<S>, Error> {
    let mut states = Vec::new();
    for word in parameters.words(parameter)? {
        let found = known.iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
        let Some((_, meant)) = found else {
            let accepted = known.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
            return Err(bad(format!(
                "parameter '{parameter}' has '{}'; the states are {accepted}",
                shown(word)
            )));
        };
        for state in *meant {
            if !states.contains(state) {
                states.push(*state);
            }
        }
    }
    Ok(states)
}

/// Fields to sort by, each with `true` for descending; `None` is a field that is the same in every row.
pub(crate) fn sort<F: Copy + PartialEq>(
    parameters: &Parameters,
    names: &[(&str, Option<F>)],
) -> Result<Vec<(F, bool)>, Error> {
    let mut sort: Vec<(F, bool)> = Vec::new();
    for word in parameters.words("sort")? {
        let descending = word.starts_with('-');
        let plain = word.strip_prefix(['-', '+']).unwrap_or(word);
        let Some((_, field)) = names.iter().find(|(name, _)| *name == plain) else {
            let accepted = names.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
            return Err(bad(format!(
                "parameter 'sort' has '{}'; the fields are {accepted}, each with '-' before it for descending order",
                shown(word)
            )));
        };
        // Rows that the first mention of a field leaves equal stay equal under a second one.
        if let Some(field) = *field
            && !sort.iter().any(|(known, _)| *known == field)
        {
            sort.push((field, descending));
        }
    }
    Ok(sort)
}
