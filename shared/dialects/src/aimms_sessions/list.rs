//! The parameters of the two lists: which rows, in which order, and which page (reference/aimms.md §7.18).

use domain::session::list::{SessionField, SessionQuery};
use domain::{SessionKind, Standing};
use wire::Error;

use crate::text::name;
use crate::{Parameters, listing};

/// A word for sessions, and where those stand that it means.
type Words = [(&'static str, &'static [Standing])];

/// AIMMS knows two states of a session with a page (seed 002).
const WEBUI: &Words = &[
    ("running", &[Standing::Starting, Standing::Running]),
    ("terminated", &[Standing::Finished, Standing::Failed, Standing::Terminated]),
];

const TASK: &Words = &[
    ("starting", &[Standing::Starting]),
    ("running", &[Standing::Running]),
    ("finished", &[Standing::Finished]),
    ("failed", &[Standing::Failed]),
    ("terminated", &[Standing::Terminated]),
];

const SORT: &[(&str, Option<SessionField>)] = &[
    ("session_id", Some(SessionField::Id)),
    ("state", Some(SessionField::State)),
    ("app_name", Some(SessionField::App)),
    ("app_version", Some(SessionField::Version)),
    ("user_name", Some(SessionField::User)),
    ("created_at", Some(SessionField::CreatedAt)),
    ("started_at", Some(SessionField::StartedAt)),
    ("ended_at", Some(SessionField::EndedAt)),
    // All rows are of one tenant.
    ("environment_name", None),
];

const fn words(kind: SessionKind) -> &'static Words {
    match kind {
        SessionKind::Webui => WEBUI,
        SessionKind::Task => TASK,
    }
}

/// The words of `state`.
pub(super) fn states(kind: SessionKind) -> Vec<&'static str> {
    words(kind).iter().map(|(word, _)| *word).collect()
}

/// The words of `sort`.
pub(super) fn sort_fields() -> Vec<&'static str> {
    SORT.iter().map(|(name, _)| *name).collect()
}

/// The word for where a session stands.
pub(super) fn state(kind: SessionKind, standing: Standing) -> &'static str {
    let found = words(kind).iter().find(|(_, means)| means.contains(&standing));
    found.map_or_else(|| standing.name(), |(word, _)| word)
}

/// Reads the list that is asked for.
pub(super) fn query(parameters: &Parameters, kind: SessionKind) -> Result<SessionQuery, Error> {
    let part = |part: &'static str| parameters.get(part)?.map(|text| name(part, text)).transpose();
    Ok(SessionQuery {
        id: None,
        kind: Some(kind),
        app: part("app_name")?,
        version: part("app_version")?,
        user: part("user_name")?,
        states: listing::states(parameters, "state", words(kind))?,
        before: listing::moment(parameters, "created_before")?,
        after: listing::moment(parameters, "created_after")?,
        sort: listing::sort(parameters, SORT)?,
        offset: parameters.unsigned("offset")?.unwrap_or(0),
        limit: listing::limit(parameters)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_standing_has_a_word_of_each_kind() {
        let all = [
            (Standing::Starting, "starting", "running"),
            (Standing::Running, "running", "running"),
            (Standing::Finished, "finished", "terminated"),
            (Standing::Failed, "failed", "terminated"),
            (Standing::Terminated, "terminated", "terminated"),
        ];
        for (standing, task, webui) in all {
            assert_eq!(state(SessionKind::Task, standing), task);
            assert_eq!(state(SessionKind::Webui, standing), webui);
        }
    }
}
