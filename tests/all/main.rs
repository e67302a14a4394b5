//! The one test binary: every module is one kind of test against a real broker and real processes.

mod aimms;
mod lifecycle;
