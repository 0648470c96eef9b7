//! The version of systemd that is pinned: what the images tell, and what a person answers where they do not.

use coreos_types::error::{Error, Result};
use coreos_types::release::{Board, SystemdVersion};

/// The one version of every image: the sources pin one for all boards. `told` is what each image says of itself, or why
/// it says nothing. `given` answers for images that are silent or disagree, and never contradicts them.
///
/// # Errors
/// The images do not tell one version and none was given; one was given, and they tell another.
pub fn agreed(
    given: Option<SystemdVersion>,
    told: impl IntoIterator<Item = (Board, std::result::Result<SystemdVersion, String>)>,
) -> Result<SystemdVersion> {
    let (mut known, mut silent) = (Vec::new(), None);
    for (board, version) in told {
        match version {
            Ok(version) => known.push((board, version)),
            Err(why) => silent = silent.or(Some((board, why))),
        }
    }
    let first = known.first().copied();
    let other =
        known.into_iter().find(|(_, version)| first.is_some_and(|(_, expected)| expected != *version));
    match (given, first, other, silent) {
        (Some(given), Some((board, version)), None, _) if given != version => Err(Error::failed(format!(
            "the {board} image has systemd {version}, and --systemd {given} was given"
        ))
        .with_hint("leave --systemd out: it answers only where the images do not tell")),
        (Some(given), ..) => Ok(given),
        (None, _, _, Some((board, why))) => {
            Err(Error::failed(format!("the {board} image does not tell its systemd version"))
                .with_cause(why)
                .with_hint("give it on the command line: --systemd vN"))
        }
        (None, Some((board, version)), Some((other, differs)), None) => Err(Error::failed(format!(
            "the {board} image has systemd {version}, the {other} image {differs}"
        ))
        .with_hint("bump one board at a time with --board, or give the version: --systemd vN")),
        (None, Some((_, version)), None, None) => Ok(version),
        (None, None, ..) => Err(Error::failed("no board has an image")),
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use expect_test::expect;

    use super::*;

    #[test]
    fn what_is_given_answers_and_never_contradicts() {
        let mut said = String::new();
        for given in [None, Some(252), Some(999)] {
            for told in [
                [Some(252), Some(252)],
                [Some(252), Some(257)],
                [Some(252), None],
                [None, Some(252)],
                [None, None],
            ] {
                let each = Board::ALL
                    .into_iter()
                    .zip(told.map(|told| told.map(SystemdVersion).ok_or("nothing is there".to_owned())));
                let answer = match agreed(given.map(SystemdVersion), each) {
                    Ok(version) => version.to_string(),
                    Err(error) => error.to_string(),
                };
                let word = |version: Option<u32>| version.map_or("-".to_owned(), |v| v.to_string());
                let [amd64, arm64] = told.map(word);
                let _ = writeln!(said, "{:>3} for {amd64:>3} {arm64:>3}: {answer}", word(given));
            }
        }
        expect![[r#"
              - for 252 252: v252
              - for 252 257: the amd64-usr image has systemd v252, the arm64-usr image v257
              - for 252   -: the arm64-usr image does not tell its systemd version: nothing is there
              - for   - 252: the amd64-usr image does not tell its systemd version: nothing is there
              - for   -   -: the amd64-usr image does not tell its systemd version: nothing is there
            252 for 252 252: v252
            252 for 252 257: v252
            252 for 252   -: v252
            252 for   - 252: v252
            252 for   -   -: v252
            999 for 252 252: the amd64-usr image has systemd v252, and --systemd v999 was given
            999 for 252 257: v999
            999 for 252   -: the amd64-usr image has systemd v252, and --systemd v999 was given
            999 for   - 252: the arm64-usr image has systemd v252, and --systemd v999 was given
            999 for   -   -: v999
        "#]]
        .assert_eq(&said);
    }
}
