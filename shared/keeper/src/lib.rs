//! One small process beside every task process: starts it, limits it, and leaves nothing of it behind.
//!
//! The runner calls [`start`], which executes the same program again with a hidden argument. That second
//! process, the keeper, does nothing but [`keeper_main`]: it starts the task's command as its child, carries
//! the runner's wishes to it, and ends every descendant when the command ends or when the runner is gone.
//! It is a process of its own because a runner killed by SIGKILL can clean up nothing, and because only a
//! parent of everything (a "child subreaper") can know that nothing is left.

mod error;
mod keeper;
mod leftovers;
mod memory;
mod processes;
mod protocol;
mod runner;

pub use error::KeeperError;
pub use keeper::{Fences, fences, keeper_main};
pub use leftovers::end_leftovers;
pub use processes::live_descendants;
pub use protocol::{Exit, Fence, Launch, Limits};
pub use runner::{KeeperProgram, Kept, start};

/// The argument with which a program is started as a keeper.
pub const ARGUMENT: &str = "keep";
