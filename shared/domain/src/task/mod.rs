//! A task: its record and states, what may happen to it, and the one function that decides it.

pub mod input;
pub mod state;
pub mod transition;

#[cfg(test)]
mod tests;
