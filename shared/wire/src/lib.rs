//! All that crosses a process border: every call, record and message, and every name in the system, once.

pub mod calls;
pub mod door;
pub mod error;
pub mod function;
pub mod names;
pub mod permissions;
pub mod records;
pub mod runner;
pub mod streams;
pub mod subjects;
pub mod topology;

pub use error::{Code, Error};
pub use function::Function;
