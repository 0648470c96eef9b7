//! Where the files of a release lie.

use std::fmt;

use super::url::Url;
use coreos_types::error::{Error, Result};
use coreos_types::release::{Board, Brand, Channel, Release};

/// The host of Flatcar's developer builds, whose directories are laid out differently
/// (flatcar/scripts `ci-automation`).
const DEVELOPER_HOST: &str = "bincache.flatcar-linux.net";

/// The directory of one release for one board, with the name of the PXE image in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseDir {
    /// Everything up to the slash before the file.
    folder: String,
    image: String,
}

impl ReleaseDir {
    /// The directory that an image's whole URL names: `CCN_IMG_URL`, with its variables expanded.
    ///
    /// # Errors
    /// It is no address, or has no file at its end.
    pub fn of_image(url: &str) -> Result<ReleaseDir> {
        Url::parse(url)?;
        match url.rsplit_once('/') {
            Some((folder, image))
                if !image.is_empty() && folder.contains("://") && !folder.ends_with('/') =>
            {
                Ok(ReleaseDir { folder: folder.to_owned(), image: image.to_owned() })
            }
            _ => Err(Error::failed(format!("{url} names no file"))),
        }
    }

    /// `MIRROR/BOARD/RELEASE/IMAGE`; below the host of Flatcar's developer builds `MIRROR/ARCH/RELEASE/IMAGE`.
    ///
    /// # Errors
    /// The mirror is no address.
    pub fn below(mirror: &str, board: Board, release: &Release, image: &str) -> Result<ReleaseDir> {
        let address = Url::parse(mirror)?;
        let board = board.id();
        let board = if address.host == DEVELOPER_HOST { board.trim_end_matches("-usr") } else { board };
        let folder = format!("{}/{board}/{release}", mirror.trim_end_matches('/'));
        Ok(ReleaseDir { folder, image: image.to_owned() })
    }

    /// Where the vendor publishes a release on a channel; Flatcar's developer builds (`4799.0.0+nightly-…`) are on
    /// none, and have a host of their own.
    ///
    /// # Errors
    /// None for the vendors there are.
    pub fn of_vendor(brand: Brand, channel: Channel, board: Board, release: &Release) -> Result<ReleaseDir> {
        let base = match (brand, release.as_str().contains(['+', '-'])) {
            (Brand::Flatcar, true) => format!("https://{DEVELOPER_HOST}/images"),
            _ => format!("https://{channel}.{}", brand.release_domain()),
        };
        ReleaseDir::below(&base, board, release, brand.pxe_image())
    }

    /// The same directory on another channel's host; `None` where the host names no channel.
    pub fn on_channel(&self, channel: Channel) -> Option<ReleaseDir> {
        let from = self.channel()?;
        let folder = self.folder.replacen(&format!("://{from}."), &format!("://{channel}."), 1);
        Some(ReleaseDir { folder, image: self.image.clone() })
    }

    /// The channel that the host names.
    pub fn channel(&self) -> Option<Channel> {
        let host = Url::parse(&self.folder).ok()?.host;
        let (first, rest) = host.split_once('.')?;
        rest.starts_with("release.").then(|| first.parse().ok()).flatten()
    }

    /// The directory that always holds the channel's newest release, beside this one. Only `version.txt` is read
    /// from it: an image there may change between one file and the next (coreos/bugs#1131).
    pub fn current(&self) -> ReleaseDir {
        let above = self.folder.rsplit_once('/').map_or("", |(above, _)| above);
        ReleaseDir { folder: format!("{above}/current"), image: self.image.clone() }
    }

    /// The URL of the PXE image.
    pub fn image(&self) -> String {
        self.file(&self.image)
    }

    /// The URL of another file of the release.
    pub fn file(&self, name: &str) -> String {
        format!("{}/{name}", self.folder)
    }
}

impl fmt::Display for ReleaseDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.folder)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const IMAGE: &str =
        "https://alpha.release.core-os.net/amd64-usr/1032.0.0/coreos_production_pxe_image.cpio.gz";

    #[test]
    fn places_of_a_release() {
        let dir = ReleaseDir::of_image(IMAGE).unwrap();
        assert_eq!(dir.image(), IMAGE);
        assert_eq!(dir.channel(), Some(Channel::Alpha));
        let beta = dir.on_channel(Channel::Beta).unwrap();
        assert_eq!(beta.image(), IMAGE.replace("alpha", "beta"));
        let current = beta.current().file("version.txt");
        assert_eq!(current, "https://beta.release.core-os.net/amd64-usr/current/version.txt");
        assert_eq!(ReleaseDir::of_image("http://127.0.0.1:80/x/y").unwrap().on_channel(Channel::Beta), None);
        assert!(ReleaseDir::of_image("https://alpha.release.core-os.net").is_err());
        assert!(ReleaseDir::of_image("https://alpha.release.core-os.net/").is_err());
    }

    #[test]
    fn mirrors_and_developer_builds() {
        let release: Release = "4799.0.0+nightly-20260810-2100".parse().unwrap();
        let image = Brand::Flatcar.pxe_image();
        let mirror = ReleaseDir::below("http://127.0.0.1:8080/m/", Board::Arm64, &release, image).unwrap();
        assert_eq!(mirror.to_string(), "http://127.0.0.1:8080/m/arm64-usr/4799.0.0+nightly-20260810-2100");
        let own = ReleaseDir::of_vendor(Brand::Flatcar, Channel::Alpha, Board::Amd64, &release).unwrap();
        assert_eq!(
            own.to_string(),
            "https://bincache.flatcar-linux.net/images/amd64/4799.0.0+nightly-20260810-2100"
        );
        let lts: Release = "4081.3.6".parse().unwrap();
        let vendor = ReleaseDir::of_vendor(Brand::Flatcar, Channel::Lts, Board::Amd64, &lts).unwrap();
        assert_eq!(vendor.to_string(), "https://lts.release.flatcar-linux.net/amd64-usr/4081.3.6");
    }
}
