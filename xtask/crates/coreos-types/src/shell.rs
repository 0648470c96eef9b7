//! Words of a POSIX shell: quoted for commands that are printed, and split as the shell splits them.

/// Quotes one word for a POSIX shell; a word of plain characters is returned unchanged.
pub fn quote(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=+,@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Quotes a path for a command that takes options: one that begins with `-` gets `./` in front.
pub fn quote_path(path: &str) -> String {
    if path.starts_with('-') { quote(&format!("./{path}")) } else { quote(path) }
}

/// Splits a text into words as a POSIX shell does, by blanks, quotes and backslashes (XCU 2.2); nothing is expanded.
/// `None` if a quote does not end.
pub fn split(text: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quote): (Vec<String>, Option<String>, Option<char>) = Default::default();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, quote) {
            (' ' | '\t' | '\n', None) => words.extend(word.take()),
            ('\'' | '"', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, Some(open)) if c == open => quote = None,
            ('\\', None) => match chars.next()? {
                '\n' => {}
                escaped => word.get_or_insert_default().push(escaped),
            },
            ('\\', Some('"')) => match chars.next_if(|c| "$`\"\\\n".contains(*c)) {
                Some('\n') => {}
                escaped => word.get_or_insert_default().push(escaped.unwrap_or('\\')),
            },
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_reads_what_quote_writes() {
        for (text, words) in [
            ("", Some(&[][..])),
            (" -j2\tV=3\n", Some(&["-j2", "V=3"])),
            (r"-j2 '_MISC_CTS_SPACE_=$() '", Some(&["-j2", "_MISC_CTS_SPACE_=$() "])),
            (r#"CFLAGS="-O2 -g" x"y"'z'"#, Some(&["CFLAGS=-O2 -g", "xyz"])),
            (r#"a\ b "\$x \" \a" ''"#, Some(&["a b", r#"$x " \a"#, ""])),
            ("a\\\nb", Some(&["ab"])),
            ("'open", None),
            (r#""open\""#, None),
            (r"open\", None),
        ] {
            let words = words.map(|words| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>());
            assert_eq!(split(text), words, "{text}");
        }
        let words = ["it's", "", "a b\n", "$(x)", "\"\\"];
        let line = words.map(quote).join(" ");
        assert_eq!(split(&line).as_deref(), Some(&words.map(str::to_owned)[..]));
    }

    #[test]
    fn quote_plain_and_special_words() {
        assert_eq!(quote("/a/b-c.d"), "/a/b-c.d");
        assert_eq!(quote("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(quote_path("-rf x"), "'./-rf x'");
        assert_eq!(quote_path("/a"), "/a");
    }
}
