//! A task: its record and states, what may happen to it, and the one function that decides it.

pub mod hook;
pub mod input;
pub mod state;
pub mod timing;
pub mod transition;
pub mod workflow;

#[cfg(test)]
mod tests;
