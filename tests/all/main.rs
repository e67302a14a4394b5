//! The one test binary: every module is one kind of test against a real broker and real processes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what fails in a helper of a test fails the test"
)]

mod abuse;
mod aimms;
mod authorization;
mod bodies;
mod broker_away;
mod callbacks;
mod cli;
mod cluster;
mod dev;
mod dialect_cases;
mod escapes;
mod examples;
mod faults;
mod health;
mod idempotency;
mod jobs;
mod kafka;
mod lanes;
mod lifecycle;
mod log_room;
mod logs;
mod media;
mod names;
mod nats_door;
mod nats_page;
mod nats_rights;
mod near;
mod pages;
mod permissions;
mod reading;
mod receivers;
mod restarts;
mod runtime;
mod schedules;
mod session_document;
mod session_ends;
mod session_manager;
mod sessions;
mod shared_syncs;
mod signatures;
mod stream_kills;
mod stream_params;
mod stream_processes;
mod streams;
mod symetry;
mod tails;
mod tidy;
mod topology;
mod triggers;
mod workflows;
