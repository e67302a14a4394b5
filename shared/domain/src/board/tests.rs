//! The board on its own: order, limits, repair.
