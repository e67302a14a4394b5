//! One small process beside every task process: starts it, limits it, and leaves nothing of it behind.
