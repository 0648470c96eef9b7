//! Patterns of paths with wildcards, as in glob(7) without brackets.

/// Whether a pattern matches a text, and the number of steps that the comparison took: `?` is one character and `*` any
/// number of them, both without slashes; `**` is any number of characters. Every other character is itself.
pub fn match_counting_steps(pattern: &str, text: &str) -> (bool, usize) {
    let Some(literal) = pattern.find(['*', '?']) else { return (pattern == text, 1) };
    // Most texts differ before the first wildcard.
    if !text.starts_with(&pattern[..literal]) {
        return (false, 1);
    }
    let text: Vec<char> = text.chars().collect();
    // Whether the pattern so far matches that many characters of the text.
    let mut matches = vec![false; text.len() + 1];
    matches[0] = true;
    let mut steps = 1;
    let mut pattern = pattern.chars().peekable();
    while let Some(wanted) = pattern.next() {
        steps += matches.len();
        if wanted == '*' {
            let is_double = pattern.next_if_eq(&'*').is_some();
            for (at, &c) in text.iter().enumerate() {
                matches[at + 1] |= matches[at] && (is_double || c != '/');
            }
        } else {
            for (at, &c) in text.iter().enumerate().rev() {
                matches[at + 1] = matches[at] && (c == wanted || wanted == '?' && c != '/');
            }
            matches[0] = false;
        }
    }
    (matches[text.len()], steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_documented() {
        for (pattern, text, expected) in [
            ("bin/[", "bin/[", true),
            ("*.conf", "x.conf.disabled", false),
            ("lib64/libz.so*", "lib64/libz.so.1", true),
            ("lib64/*", "lib64/systemd/x", false),
            ("lib64/**", "lib64/systemd/x", true),
            ("**/x", "lib64/systemd/x", true),
            ("*/x", "lib64/systemd/x", false),
            ("**/*.so.?", "a/b/c.so.1", true),
            ("**/*.so.?", "a/b/c.so.12", false),
            ("**/*.so.?", "a/b/c.so./", false),
            ("*", "", true),
            ("?", "", false),
            ("a*b*c", "a1b2b3c", true),
            ("a*b*c", "a1b2b3", false),
            ("**a*/b", "xa/ya/b", true),
            (r"a\x2d*", r"a\x2db", true),
            ("a?c*?", "aéc–", true),
            ("a??c", "aéc", false),
            ("*??", "é", false),
        ] {
            assert_eq!(match_counting_steps(pattern, text).0, expected, "{pattern} {text}");
        }
        // With backtracking the time would be exponential.
        let (is_match, steps) =
            match_counting_steps(&"*a".repeat(200), &"a".repeat(5_000).replace("aaaaa", "aaaab"));
        assert!(!is_match && steps < 3_000_000, "{steps}");
    }
}
