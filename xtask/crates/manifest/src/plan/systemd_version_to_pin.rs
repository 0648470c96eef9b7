//! The systemd version to pin: detected in the images, or set with `--systemd`.

use coreos_types::{Board, Error, Result, SystemdVersion};

/// The version for all boards, because the sources pin only one. `detected` has the version of each image, or why it is
/// unknown. `requested` is used if a version is unknown or the versions differ from each other; it cannot override a
/// version that all images with a known one share.
///
/// # Errors
/// A version is unknown or the versions differ, and `requested` is `None`; the known versions are equal and differ from
/// `requested`.
pub fn choose_systemd_version(
    requested: Option<SystemdVersion>,
    detected: impl IntoIterator<Item = (Board, std::result::Result<SystemdVersion, String>)>,
) -> Result<SystemdVersion> {
    let detected: Vec<_> = detected.into_iter().collect();
    let unknown = detected.iter().find_map(|(board, version)| Some((board, version.as_ref().err()?)));
    let mut known = detected.iter().filter_map(|(board, version)| Some((board, *version.as_ref().ok()?)));
    let first = known.next();
    let other = known.find(|(_, version)| first.is_some_and(|(_, expected)| expected != *version));
    match (requested, first, other, unknown) {
        (Some(requested), Some((board, version)), None, _) if requested != version => Err(Error::failed(
            format!("the {board} image has systemd {version}, and --systemd {requested} was given"),
        )
        .with_hint("omit --systemd: it is only for images without a detectable version")),
        (Some(requested), ..) => Ok(requested),
        (None, _, _, Some((board, why))) => {
            Err(Error::failed(format!("no systemd version found in the {board} image"))
                .with_cause(why)
                .with_hint("set the version: --systemd vN"))
        }
        (None, Some((board, version)), Some((other, differs)), None) => Err(Error::failed(format!(
            "the {board} image has systemd {version}, the {other} image {differs}"
        ))
        .with_hint("bump one board at a time with --board, or set the version: --systemd vN")),
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
    fn systemd_option_only_fills_gaps() {
        let mut out = String::new();
        for requested in [None, Some(252), Some(999)] {
            for versions in [
                [Some(252), Some(252)],
                [Some(252), Some(257)],
                [Some(252), None],
                [None, Some(252)],
                [None, None],
            ] {
                let each = Board::ALL.into_iter().zip(
                    versions.map(|version| version.map(SystemdVersion).ok_or("no such file".to_owned())),
                );
                let answer = match choose_systemd_version(requested.map(SystemdVersion), each) {
                    Ok(version) => version.to_string(),
                    Err(error) => error.to_string(),
                };
                let column = |version: Option<u32>| version.map_or("-".to_owned(), |v| v.to_string());
                let [amd64, arm64] = versions.map(column);
                let _ = writeln!(out, "{:>3} for {amd64:>3} {arm64:>3}: {answer}", column(requested));
            }
        }
        expect![[r#"
              - for 252 252: v252
              - for 252 257: the amd64-usr image has systemd v252, the arm64-usr image v257
              - for 252   -: no systemd version found in the arm64-usr image: no such file
              - for   - 252: no systemd version found in the amd64-usr image: no such file
              - for   -   -: no systemd version found in the amd64-usr image: no such file
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
        .assert_eq(&out);
    }
}
