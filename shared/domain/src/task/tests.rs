//! Tables over every (state, input) pair.
