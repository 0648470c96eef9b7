//! Text of images and manifests as Markdown: none of it is markup, a mention or a link.

use usr::lossless_text::escape_to_one_line;

/// Text in a line or a table cell, none of which is markup. A word that GitHub would turn into a link or a mention is
/// written as a code span.
pub(super) fn inline(text: &str) -> String {
    let text = escape_to_one_line(text);
    let words =
        text.split(' ').map(|word| if is_reference(word) { cell_code_span(word) } else { escaped(word) });
    words.collect::<Vec<_>>().join(" ")
}

fn is_reference(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    ["@", "://", "www.", "gh-"].iter().any(|mark| word.contains(mark))
        || word.split('#').skip(1).any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '|' | '`' | '*' | '_' | '[' | ']' | '\\' | '#' | '~' | '$' | '!' => {
                out.push('\\');
                out.push(c);
            }
            other => out.push(other),
        }
    }
    out
}

/// A code span that holds any text.
pub(super) fn code_span(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    let fence = "`".repeat(longest_backtick_run(text) + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{pad}{}{pad}{fence}", escape_to_one_line(text))
}

/// A code span in a table, where a bar ends the cell even in a code span.
pub(super) fn cell_code_span(text: &str) -> String {
    code_span(text).replace('|', "\\|")
}

/// A code block with a fence longer than any in the text.
pub(super) fn code_block(language: &str, text: &str) -> String {
    let fence = "`".repeat(longest_backtick_run(text).max(2) + 1);
    let end = if text.ends_with('\n') { "" } else { "\n" };
    format!("{fence}{language}\n{text}{end}{fence}\n")
}

/// Text in quotes, as entities of mermaid where a character has a meaning in it, in HTML or in Markdown.
pub(in crate::report) fn mermaid_text(text: &str) -> String {
    let mut out = String::new();
    for c in escape_to_one_line(text).chars() {
        match c {
            '#' | '"' | '`' | '<' | '>' | '&' | '\\' => out.push_str(&format!("#{};", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

fn longest_backtick_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_not_markup() {
        assert_eq!(inline("a|b <i> *x* \n$y$"), "a\\|b &lt;i&gt; \\*x\\* \\\\n\\$y\\$");
        assert_eq!(inline("![x](y) # z"), "\\!\\[x\\](y) \\# z");
        assert_eq!(code_span("a`b|c"), "``a`b|c``");
        assert_eq!(cell_code_span("a`b|c"), "``a`b\\|c``");
        assert_eq!(code_span("`a"), "`` `a ``");
        assert_eq!(code_span("a\n```\nb"), "````a\\n```\\nb````");
    }

    #[test]
    fn names_are_not_mentions_or_links() {
        for word in
            ["@octocat", "closes #1", "o/r#1", "https://evil.example/x.png", "www.evil.example", "GH-1"]
        {
            let text = inline(&format!("see {word}"));
            assert!(text.ends_with('`'), "{text}");
        }
        assert_eq!(inline("bin/a#b"), "bin/a\\#b");
    }

    #[test]
    fn names_do_not_leave_the_drawing() {
        let text = mermaid_text("a\"]\n```\n<b>#`&");
        assert_eq!(text, "a#34;]#92;n#96;#96;#96;#92;n#60;b#62;#35;#96;#38;");
    }

    #[test]
    fn code_fence_is_longer_than_any_in_text() {
        assert_eq!(code_block("diff", "a\n````\n"), "`````diff\na\n````\n`````\n");
    }
}
