//! `$ORIGIN`, `$LIB` and `$PLATFORM` in search paths and names (ld.so(8), "Dynamic string tokens").

/// The values of the tokens for one object.
pub(super) struct Tokens<'a> {
    /// The directory of the object, absolute.
    pub(super) origin: &'a str,
    /// `lib64`, or `lib/x86_64-linux-gnu` if the loader is configured so.
    pub(super) lib: &'a str,
    /// The processor, `x86_64`.
    pub(super) platform: &'a str,
}

impl Tokens<'_> {
    /// Replaces every token, plain or in braces; a `$` before other text is kept.
    pub(super) fn expand(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            rest = &rest[at..];
            match self.token(rest) {
                Some((value, length)) => {
                    out.push_str(value);
                    rest = &rest[length..];
                }
                None => {
                    out.push('$');
                    rest = &rest[1..];
                }
            }
        }
        out.push_str(rest);
        out
    }

    /// The value of the token at the start of `text`, and the token's length.
    fn token(&self, text: &str) -> Option<(&str, usize)> {
        [("ORIGIN", self.origin), ("LIB", self.lib), ("PLATFORM", self.platform)].into_iter().find_map(
            |(name, value)| {
                let rest = &text[1..];
                if rest
                    .strip_prefix('{')
                    .and_then(|rest| rest.strip_prefix(name))
                    .is_some_and(|r| r.starts_with('}'))
                {
                    return Some((value, name.len() + 3));
                }
                let after = rest.strip_prefix(name)?;
                let is_longer_word = after.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
                (!is_longer_word).then_some((value, name.len() + 1))
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_replaced_plain_and_in_braces() {
        let tokens = Tokens { origin: "/usr/bin", lib: "lib64", platform: "x86_64" };
        for (text, expanded) in [
            ("$ORIGIN/../lib", "/usr/bin/../lib"),
            ("${ORIGIN}/${LIB}/$PLATFORM", "/usr/bin/lib64/x86_64"),
            ("/opt/$LIB", "/opt/lib64"),
            ("$LIBX/$LIB_/$ORIGIN2", "$LIBX/$LIB_/$ORIGIN2"),
            ("${ORIGIN/$", "${ORIGIN/$"),
            ("$$LIB", "$lib64"),
            ("/usr/lib", "/usr/lib"),
        ] {
            assert_eq!(tokens.expand(text), expanded, "{text}");
        }
    }
}
