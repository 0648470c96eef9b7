//! Layout of release servers: where the files of a release are.

use std::fmt;

use crate::http::Url;
use coreos_types::error::{Error, Result};
use coreos_types::release::{Board, Brand, Channel, Release};

/// The host of Flatcar's developer builds, whose directories are laid out differently
/// (flatcar/scripts `ci-automation`).
const DEVELOPER_HOST: &str = "bincache.flatcar-linux.net";

/// The directory of one release for one board, with the name of the PXE image in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseDir {
    /// Everything up to the slash before the file.
    directory: String,
    image: String,
}

impl ReleaseDir {
    /// The directory of an image's URL: `CCN_IMG_URL`, with its variables expanded.
    ///
    /// # Errors
    /// The URL is not valid, has a query, or names no file.
    pub fn from_image_url(url: &str) -> Result<ReleaseDir> {
        let parsed = parse_without_query(url)?;
        match url.rsplit_once('/') {
            Some((directory, image))
                if !image.is_empty() && directory.contains("://") && !directory.ends_with('/') =>
            {
                Ok(ReleaseDir { directory: directory.to_owned(), image: image.to_owned() })
            }
            _ => Err(Error::failed(format!("{parsed} names no file"))),
        }
    }

    /// `MIRROR/BOARD/RELEASE/IMAGE`; on the host of Flatcar's developer builds `MIRROR/ARCH/RELEASE/IMAGE`.
    ///
    /// # Errors
    /// The mirror's URL is not valid, or has a query.
    pub fn from_mirror(mirror: &str, board: Board, release: &Release, image: &str) -> Result<ReleaseDir> {
        let parsed = parse_without_query(mirror)?;
        let board = board.id();
        let board = if parsed.host() == DEVELOPER_HOST { board.trim_end_matches("-usr") } else { board };
        let directory = format!("{}/{board}/{release}", mirror.trim_end_matches('/'));
        Ok(ReleaseDir { directory, image: image.to_owned() })
    }

    /// Where the vendor publishes a release on a channel; Flatcar's developer builds (`4799.0.0+nightly-…`) are on
    /// no channel, and have a host of their own.
    ///
    /// # Errors
    /// None for the built-in vendors.
    pub fn from_vendor(
        brand: Brand,
        channel: Channel,
        board: Board,
        release: &Release,
    ) -> Result<ReleaseDir> {
        let base = match (brand, release.as_str().contains(['+', '-'])) {
            (Brand::Flatcar, true) => format!("https://{DEVELOPER_HOST}/images"),
            _ => format!("https://{channel}.{}", brand.release_domain()),
        };
        ReleaseDir::from_mirror(&base, board, release, brand.pxe_image())
    }

    /// The same directory on another channel; `None` where the URL names no channel.
    pub fn with_channel(&self, channel: Channel) -> Option<ReleaseDir> {
        let from = self.channel()?;
        let directory = self.directory.replacen(&format!("://{from}."), &format!("://{channel}."), 1);
        Some(ReleaseDir { directory, image: self.image.clone() })
    }

    /// The channel that the host names.
    pub fn channel(&self) -> Option<Channel> {
        let url = Url::parse(&self.directory).ok()?;
        let (first, rest) = url.host().split_once('.')?;
        rest.starts_with("release.").then(|| first.parse().ok()).flatten()
    }

    /// The directory that always has the channel's newest release, next to this one. Only `version.txt` is read
    /// from it: an image there may change between one file and the next (coreos/bugs#1131).
    pub fn current(&self) -> ReleaseDir {
        let parent = self.directory.rsplit_once('/').map_or("", |(parent, _)| parent);
        ReleaseDir { directory: format!("{parent}/current"), image: self.image.clone() }
    }

    /// The URL of the PXE image.
    pub fn image_url(&self) -> String {
        self.file_url(&self.image)
    }

    /// The URL of another file of the release.
    pub fn file_url(&self, name: &str) -> String {
        format!("{}/{name}", self.directory)
    }
}

impl fmt::Display for ReleaseDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.directory)
    }
}

/// Parses the URL of a directory or image; names of files are appended to it, so it has no query.
fn parse_without_query(url: &str) -> Result<Url> {
    let parsed = Url::parse(url)?;
    if parsed.has_query() || url.contains('#') {
        return Err(Error::failed(format!(
            "{parsed} has a query or a fragment: expected a URL that ends with its path"
        ))
        .with_hint("leave out what follows ? or #; a mirror that requires a token cannot be used"));
    }
    Ok(parsed)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const IMAGE: &str =
        "https://alpha.release.core-os.net/amd64-usr/1032.0.0/coreos_production_pxe_image.cpio.gz";

    #[test]
    fn urls_of_a_release() {
        let dir = ReleaseDir::from_image_url(IMAGE).unwrap();
        assert_eq!(dir.image_url(), IMAGE);
        assert_eq!(dir.channel(), Some(Channel::Alpha));
        let beta = dir.with_channel(Channel::Beta).unwrap();
        assert_eq!(beta.image_url(), IMAGE.replace("alpha", "beta"));
        let current = beta.current().file_url("version.txt");
        assert_eq!(current, "https://beta.release.core-os.net/amd64-usr/current/version.txt");
        let loopback = ReleaseDir::from_image_url("http://127.0.0.1:80/x/y").unwrap();
        assert_eq!(loopback.with_channel(Channel::Beta), None);
        for invalid in [
            "https://a.example",
            "https://a.example/",
            "https://a.example/x?t=SECRET",
            "https://a.example/x#y",
        ] {
            let error = ReleaseDir::from_image_url(invalid).unwrap_err();
            assert!(!error.to_string().contains("SECRET"), "{error}");
        }
    }

    #[test]
    fn mirrors_and_developer_builds() {
        let release: Release = "4799.0.0+nightly-20260810-2100".parse().unwrap();
        let image = Brand::Flatcar.pxe_image();
        let mirror =
            ReleaseDir::from_mirror("http://127.0.0.1:8080/m/", Board::Arm64, &release, image).unwrap();
        assert_eq!(mirror.to_string(), "http://127.0.0.1:8080/m/arm64-usr/4799.0.0+nightly-20260810-2100");
        let own = ReleaseDir::from_vendor(Brand::Flatcar, Channel::Alpha, Board::Amd64, &release).unwrap();
        assert_eq!(
            own.to_string(),
            "https://bincache.flatcar-linux.net/images/amd64/4799.0.0+nightly-20260810-2100"
        );
        let lts: Release = "4081.3.6".parse().unwrap();
        let vendor = ReleaseDir::from_vendor(Brand::Flatcar, Channel::Lts, Board::Amd64, &lts).unwrap();
        assert_eq!(vendor.to_string(), "https://lts.release.flatcar-linux.net/amd64-usr/4081.3.6");
    }
}
