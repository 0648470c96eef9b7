//! The command line: clap types and help, nothing else.
