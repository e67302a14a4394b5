//! The broker binary: found or fetched, started as a child, ended with us.
