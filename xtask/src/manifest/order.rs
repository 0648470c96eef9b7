//! The order a manifest is kept in, and where a new line belongs.

use super::text::ManifestText;

/// The order of a manifest's entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// By bytes, as `LC_ALL=C sort` does.
    Bytes,
    /// In no order that is known here.
    Unsorted,
}

impl Order {
    /// The order that a text is in.
    pub fn of(text: &ManifestText) -> Order {
        let lines: Vec<&str> = text.entries().map(|(_, line)| line).collect();
        if lines.is_sorted() { Order::Bytes } else { Order::Unsorted }
    }

    /// The index at which a new line belongs.
    pub fn position(self, text: &ManifestText, line: &str) -> usize {
        text.lines().iter().position(|other| other.text.as_str() > line).unwrap_or(text.lines().len())
    }
}
