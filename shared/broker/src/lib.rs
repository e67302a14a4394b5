//! The only crate that names async-nats: connections, buckets, payloads, calls, and the one writer of tasks.
