//! The parameters of `get_tasks`: which rows, in which order, and which page (reference/aimms.md §1.6).

use domain::list::{Query, SortField, StateFilter};
use wire::Error;

use crate::Parameters;
use crate::listing::{self, Names, States};

const NAMES: Names = Names {
    app: "appName",
    version: "appVersion",
    all: "listAll",
    states: STATES,
    sort: &[
        ("id", Some(SortField::Id)),
        ("appName", Some(SortField::App)),
        ("appVersion", Some(SortField::Version)),
        ("serviceName", Some(SortField::Service)),
        ("state", Some(SortField::State)),
        ("createdAt", Some(SortField::CreatedAt)),
        ("assignedAt", Some(SortField::AssignedAt)),
        ("runningAt", Some(SortField::RunningAt)),
        ("endedAt", Some(SortField::EndedAt)),
        ("queueTime", Some(SortField::QueueTime)),
        ("runTime", Some(SortField::RunTime)),
        ("returnCode", Some(SortField::ReturnCode)),
        ("errorMessage", Some(SortField::Error)),
        ("sessionId", Some(SortField::Session)),
        ("username", Some(SortField::User)),
        // All rows are of one tenant and, as long as there are no schedules, of none.
        ("userEnvironment", None),
        ("scheduleFor", None),
        ("scheduleInterval", None),
        ("groupIndex", None),
    ],
};

/// The words of `sort`.
pub(super) fn sort_fields() -> Vec<&'static str> {
    NAMES.sort.iter().map(|(name, _)| *name).collect()
}

/// Reads the list that is asked for.
pub(super) fn query(parameters: &Parameters) -> Result<Query, Error> {
    listing::query(parameters, &NAMES)
}

/// AIMMS has no words for a task that waits for its time or is held back, nor for one that was given up.
const STATES: &States = &[
    ("queued", &[StateFilter::Queued, StateFilter::Scheduled, StateFilter::Paused, StateFilter::Stopped]),
    ("assigned", &[StateFilter::Assigned]),
    ("running", &[StateFilter::Running]),
    ("solving", &[StateFilter::Solving]),
    ("completed", &[StateFilter::Completed]),
    ("failed", &[StateFilter::Failed, StateFilter::Broken]),
];
