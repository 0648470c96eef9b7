//! The programs that run a script: the kernel's reading of `#!` (execve(2)), and env(1).

/// A program that runs a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interpreter {
    /// An absolute path, or a name to search in `search_path`.
    pub program: String,
    /// The directories of an assignment to `PATH`; empty for the default.
    pub search_path: Vec<String>,
}

/// The programs that a line after `#!` starts, in order: the interpreter, and, where that is env(1), the program that
/// env starts.
pub fn interpreters(after_hashbang: &str) -> Vec<Interpreter> {
    let is_blank = [' ', '\t'];
    let (name, argument) = after_hashbang.split_once(is_blank).unwrap_or((after_hashbang, ""));
    if name.is_empty() {
        return Vec::new();
    }
    // A relative path starts at the working directory, which is / for what systemd starts; no PATH is searched.
    let path = if name.starts_with('/') { name.to_owned() } else { format!("/{name}") };
    let by_env = path.ends_with("/env").then(|| started_by_env(argument.trim_matches(is_blank))).flatten();
    let interpreter = Interpreter { program: path, search_path: Vec::new() };
    std::iter::once(interpreter).chain(by_env).collect()
}

/// The program that env starts with this one argument, which is all that the kernel passes. `None` where env starts the
/// script itself, or where the name holds a variable.
fn started_by_env(argument: &str) -> Option<Interpreter> {
    if !argument.starts_with('-') {
        let is_program = !argument.is_empty() && !argument.contains('=');
        return is_program.then(|| Interpreter { program: argument.to_owned(), search_path: Vec::new() });
    }
    program_of_env(split_words(split_string_operand(argument)?))
}

/// The program that env starts with these arguments. `None` where env starts none, after `-S`, and where the name holds a
/// variable.
pub(super) fn program_of_env(arguments: impl IntoIterator<Item = String>) -> Option<Interpreter> {
    let mut words = arguments.into_iter();
    let mut search_path = Vec::new();
    let mut has_options = true;
    while let Some(word) = words.next() {
        if has_options && word.starts_with('-') {
            if split_string_operand(&word).is_some() {
                return None;
            }
            has_options = word != "--";
            if takes_an_argument(&word) {
                words.next();
            }
        } else if let Some((name, value)) = word.split_once('=') {
            has_options = false;
            if name == "PATH" {
                search_path = value.split(':').map(str::to_owned).collect();
            }
        } else {
            return (!word.contains('$')).then_some(Interpreter { program: word, search_path });
        }
    }
    None
}

/// The text that `-S` or `--split-string` splits; short options without an argument may come before it (`-iS`, `-vS`).
fn split_string_operand(argument: &str) -> Option<&str> {
    if let Some(long) = argument.strip_prefix("--split-string") {
        return long.strip_prefix('=').or_else(|| long.strip_prefix([' ', '\t']));
    }
    let (before, text) = argument.strip_prefix('-')?.split_once('S')?;
    before.chars().all(|c| "iv0".contains(c)).then_some(text)
}

/// Whether an option of env takes the next word as its argument.
fn takes_an_argument(option: &str) -> bool {
    match option.strip_prefix("--") {
        Some(long) => matches!(long, "unset" | "chdir" | "argv0"),
        // `-u NAME`, also behind other letters (`-iu NAME`); `-uNAME` has it.
        None => option.find(['u', 'C', 'a']).is_some_and(|at| at + 1 == option.len()),
    }
}

/// The words of a text as `env -S` splits it: quotes, escapes and comments.
fn split_words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match (c, quote) {
            ('\'' | '"', Some(open)) if c == open => quote = None,
            ('\'' | '"', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            ('\\', quote) if quote != Some('\'') => match rest.next() {
                Some('c') if quote.is_none() => break,
                Some('_') if quote.is_none() => words.extend(word.take()),
                Some(escaped) => word.get_or_insert_default().push(unescape(escaped)),
                None => {}
            },
            ('#', None) if word.is_none() => break,
            (' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r', None) => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

fn unescape(c: char) -> char {
    match c {
        '_' => ' ',
        'f' => '\x0c',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\x0b',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shebang_interpreters_are_parsed() {
        for (line, expected) in [
            ("/bin/sh", "/bin/sh"),
            ("/bin/sh -e", "/bin/sh"),
            ("/bin/sh\r", "/bin/sh\r"),
            ("/bin/sh -e\r", "/bin/sh"),
            ("bin/sh", "/bin/sh"),
            ("sh", "/sh"),
            ("/bin/env fred", "/bin/env fred"),
            ("/usr/bin/env\tfred", "/usr/bin/env fred"),
            ("/usr/bin/env fred\r", "/usr/bin/env fred\r"),
            ("/usr/bin/env /opt/fred", "/usr/bin/env /opt/fred"),
            // One argument to the kernel, and one name to env.
            ("/usr/bin/env python3 -u", "/usr/bin/env python3 -u"),
            ("/usr/bin/env -S python3 -u", "/usr/bin/env python3"),
            ("/usr/bin/env -S python3 -u\r", "/usr/bin/env python3"),
            ("/usr/bin/env -Spython3", "/usr/bin/env python3"),
            ("/usr/bin/env -vS python3", "/usr/bin/env python3"),
            ("/usr/bin/env --split-string=python3 -u", "/usr/bin/env python3"),
            ("/usr/bin/env --split-string python3", "/usr/bin/env python3"),
            ("/usr/bin/env -S -i A=1 B=2 python3 C=3", "/usr/bin/env python3"),
            ("/usr/bin/env -S -u NAME -C /tmp --unset=X --chdir /x -- python3", "/usr/bin/env python3"),
            ("/usr/bin/env -S -iu NAME python3", "/usr/bin/env python3"),
            ("/usr/bin/env -S \"my tool\" x", "/usr/bin/env my tool"),
            ("/usr/bin/env -S my\\_tool", "/usr/bin/env my"),
            ("/usr/bin/env -S 'a'b # c", "/usr/bin/env ab"),
            ("/usr/bin/env -S PATH=/usr/libexec:/bin fred", "/usr/bin/env fred@/usr/libexec:/bin"),
            ("/usr/bin/env -S ${X} y", "/usr/bin/env"),
            ("/usr/bin/env -i", "/usr/bin/env"),
            ("/usr/bin/env A=1", "/usr/bin/env"),
            ("/usr/bin/env", "/usr/bin/env"),
            ("/usr/bin/coreutils --coreutils-prog-shebang=cp", "/usr/bin/coreutils"),
        ] {
            let show = |one: Interpreter| {
                let path = one.search_path.join(":");
                format!("{}{}{path}", one.program, if path.is_empty() { "" } else { "@" })
            };
            let found: Vec<String> = interpreters(line).into_iter().map(show).collect();
            assert_eq!(found.join(" "), expected, "{line:?}");
        }
    }
}
