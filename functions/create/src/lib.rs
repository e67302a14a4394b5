//! Takes tasks in.
