//! A violated rule.

/// A violated rule, with the keys and dates in its message.
#[derive(Debug, Clone)]
pub(super) struct Violation {
    /// The rule's name in reports.
    pub(super) rule: &'static str,
    pub(super) message: String,
}

impl Violation {
    pub(super) fn new(rule: &'static str, message: impl Into<String>) -> Violation {
        Violation { rule, message: message.into() }
    }
}
