//! The parameters of our own list of tasks.

use domain::list::{Query, SortField, StateFilter};
use wire::Error;

use crate::Parameters;
use crate::listing::{self, Names, States};

const NAMES: Names = Names {
    app: "app",
    version: "version",
    all: "all",
    states: STATES,
    sort: &[
        ("id", Some(SortField::Id)),
        ("user", Some(SortField::User)),
        ("app", Some(SortField::App)),
        ("version", Some(SortField::Version)),
        ("service", Some(SortField::Service)),
        ("state", Some(SortField::State)),
        ("created_at", Some(SortField::CreatedAt)),
        ("assigned_at", Some(SortField::AssignedAt)),
        ("running_at", Some(SortField::RunningAt)),
        ("ended_at", Some(SortField::EndedAt)),
        ("queue_time", Some(SortField::QueueTime)),
        ("run_time", Some(SortField::RunTime)),
        ("return_code", Some(SortField::ReturnCode)),
        ("error", Some(SortField::Error)),
        ("session", Some(SortField::Session)),
    ],
};

/// Reads the list that is asked for.
pub(super) fn query(parameters: &Parameters) -> Result<Query, Error> {
    listing::query(parameters, &NAMES)
}

/// Our own words; `solving` is a running task in that phase.
const STATES: &States = &[
    ("scheduled", &[StateFilter::Scheduled]),
    ("queued", &[StateFilter::Queued]),
    ("assigned", &[StateFilter::Assigned]),
    ("running", &[StateFilter::Running]),
    ("solving", &[StateFilter::Solving]),
    ("paused", &[StateFilter::Paused]),
    ("stopped", &[StateFilter::Stopped]),
    ("completed", &[StateFilter::Completed]),
    ("failed", &[StateFilter::Failed]),
    ("broken", &[StateFilter::Broken]),
];
