//! Quoting for commands that are printed, so that they can be pasted into a POSIX shell.

/// Quotes one word for a POSIX shell; a word of plain characters stays as it is.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quote_plain_and_special_words() {
        assert_eq!(quote("/a/b-c.d"), "/a/b-c.d");
        assert_eq!(quote("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(quote_path("-rf x"), "'./-rf x'");
        assert_eq!(quote_path("/a"), "/a");
    }
}
