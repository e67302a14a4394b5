//! The chassis of every function: settings, serving, clock, shutdown, telemetry.
