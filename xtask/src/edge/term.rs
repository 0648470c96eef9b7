//! Progress, colour, and the only print.
