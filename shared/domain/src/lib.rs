//! The rules of Tasklane: pure functions over tasks, lanes, schedules and access.
