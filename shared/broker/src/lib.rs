//! The only crate that names async-nats: connections, buckets, feeds, bodies, calls, and the one writer
//! of task records. Conflicts are told apart here, by the broker's codes, and nowhere else.

pub mod body;
pub mod bucket;
pub mod call;
mod common;
pub mod connect;
pub mod feed;
mod look;
mod near;
pub mod outlet;
pub mod provision;
mod read;
pub mod reader;
mod shared;
pub mod tasks;
pub mod topics;
pub mod view;
pub mod weights;
pub mod work;
mod write;

pub use bucket::Bucket;
pub use connect::{Broker, ConnectError, Credentials};
pub use feed::{Feed, News};
pub use look::{Look, Record};
pub use near::Near;
pub use tasks::{Applied, Known, Tasks};
pub use view::View;
pub use write::WriteError;
