//! Rule: of several copies of a library, the listed one is the copy that the image's loader finds first. Advice: the
//! listed copy works.

use super::lint_state::{Lint, join};
use usr::UsrPath;

pub(super) fn check(lint: &mut Lint<'_, '_>) {
    for ((selected, chain), load) in &lint.dependencies.different_providers {
        let (needed_by, how) = (&load.needed_by, &load.how);
        let Some(location) = lint.selection.location(selected) else { continue };
        let unlisted: Vec<&UsrPath> =
            chain.iter().filter(|path| !lint.selection.paths.contains(*path)).collect();
        let (names, file) = (join(&unlisted, ", "), location.file);
        let message =
            format!("{needed_by} loads {names} in the image, by the {how}; {file} lists {selected} instead");
        lint.advise_adding(location, chain.last().unwrap_or(selected), needed_by, &unlisted, message);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check_and_fix;

    #[test]
    fn search_in_a_long_chain_is_no_error() {
        // The loader checks libz.so last.
        let chain = (0..900).map(|at| format!("lib64/libd{at}.so libd{}.so", at + 1));
        let mut image: Vec<String> = chain.collect();
        image.extend([
            "lib64/libd900.so".to_owned(),
            "lib64/systemd/libd900.so".to_owned(),
            "lib64/libz.so".to_owned(),
        ]);
        let mut manifest: String = (0..=900).map(|at| format!("lib64/libd{at}.so\n")).collect();
        manifest.push_str("lib64/libz.so\n");
        let image: Vec<&str> = image.iter().map(String::as_str).collect();
        let found = check_and_fix(&image, &manifest);
        assert_eq!(found.findings.len(), 1, "{:?}", &found.findings[..found.findings.len().min(3)]);
        assert!(found.message.contains("loads lib64/systemd/libd900.so in the image"), "{}", found.message);
    }
}
