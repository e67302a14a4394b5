//! All that crosses a process border, and every name in the system, once.
