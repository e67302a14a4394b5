//! The log of the service itself: lines on standard error, as text or JSON.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::SystemTime;

use crate::config::{LogFormat, Settings};

/// Begins to log. A second call changes nothing.
pub fn begin(settings: &Settings) {
    let filter = EnvFilter::try_new(format!("rskafka=error,{}", settings.log))
        .unwrap_or_else(|_| EnvFilter::new("info"));
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_timer(SystemTime).with_writer(std::io::stderr);
    // A second begin in one process finds the first one in place, which is what is wanted.
    let _ = match settings.log_format {
        LogFormat::Text => builder.with_ansi(false).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
}
