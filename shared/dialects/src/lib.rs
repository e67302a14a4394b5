//! The REST APIs, each a folder: HTTP to calls and replies to HTTP, purely.
