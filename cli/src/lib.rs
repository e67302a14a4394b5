//! The command line of Tasklane.
