//! Layout of release servers: the URLs of a release's files.

use std::fmt;
use std::ops::Range;

use crate::http::Url;
use coreos_types::{Board, Channel, Error, Release, Result, Vendor, Vendors};

/// The directory of one release for one board, with the file name of the PXE image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseUrl {
    /// URL without the last slash and the file name.
    directory: String,
    image: String,
}

impl ReleaseUrl {
    /// The directory of an image's URL: `CCN_IMG_URL`, with its variables expanded.
    ///
    /// # Errors
    /// The URL is not valid, has a query, or has no file name.
    pub fn from_image_url(url: &str) -> Result<ReleaseUrl> {
        let parsed = parse_refusing_query(url)?;
        let (directory, image) = url.rsplit_once('/').unwrap_or_default();
        if image.is_empty() || !directory.contains("://") || directory.ends_with('/') {
            return Err(Error::failed(format!("{parsed} has no file name")));
        }
        Ok(ReleaseUrl { directory: directory.to_owned(), image: image.to_owned() })
    }

    /// `MIRROR/BOARD/RELEASE/IMAGE`, with the vendor's name of the board.
    ///
    /// # Errors
    /// The mirror's URL is not valid, or has a query.
    pub fn from_mirror(mirror: &str, vendor: &Vendor, board: Board, release: &Release) -> Result<ReleaseUrl> {
        parse_refusing_query(mirror)?;
        Ok(ReleaseUrl::under_base_url(mirror.trim_end_matches('/'), vendor, board, release))
    }

    fn under_base_url(base: &str, vendor: &Vendor, board: Board, release: &Release) -> ReleaseUrl {
        let mut name = vendor.board_name(board);
        if vendor.developer_url == Some(base) {
            name = name.trim_end_matches("-usr");
        }
        let directory = format!("{base}/{name}/{release}");
        ReleaseUrl { directory, image: vendor.pxe_image.to_owned() }
    }

    /// The vendor's directory of a release on a channel; developer builds (`4799.0.0+nightly-…`) may be on a separate
    /// host without channels.
    pub fn from_vendor(vendor: &Vendor, channel: Channel, board: Board, release: &Release) -> ReleaseUrl {
        let is_developer_build = release.as_str().contains(['+', '-']);
        let developer_url = vendor.developer_url.filter(|_| is_developer_build);
        let base = developer_url.map_or_else(|| vendor.base_url(channel), str::to_owned);
        ReleaseUrl::under_base_url(&base, vendor, board, release)
    }

    /// Replaces the board's common name, as make expands it in `CCN_IMG_URL`, by the vendor's name.
    pub fn with_board_name(self, vendor: &Vendor, board: Board) -> ReleaseUrl {
        match self.directory.rsplit_once(&format!("/{board}/")) {
            Some((above, below)) => {
                let directory = format!("{above}/{}/{below}", vendor.board_name(board));
                ReleaseUrl { directory, ..self }
            }
            None => self,
        }
    }

    /// The same directory on another channel; `None` if the URL has no channel.
    pub fn with_channel(&self, channel: Channel, vendors: &Vendors) -> Option<ReleaseUrl> {
        let (span, _) = self.channel_span(vendors)?;
        let mut directory = self.directory.clone();
        directory.replace_range(span, channel.id());
        Some(ReleaseUrl { directory, image: self.image.clone() })
    }

    /// The channel in the URL: where a vendor's URL has it, else in the path, `HOST/CHANNEL/BOARD/RELEASE`.
    pub fn channel(&self, vendors: &Vendors) -> Option<Channel> {
        self.channel_span(vendors).map(|(_, channel)| channel)
    }

    /// Whether the URL is one of a vendor's.
    pub fn is_vendor_url(&self, vendors: &Vendors) -> bool {
        vendors.match_base_url(&self.directory).is_some()
    }

    fn channel_span(&self, vendors: &Vendors) -> Option<(Range<usize>, Channel)> {
        let word = |span: Range<usize>| Some((span.clone(), self.directory[span].parse().ok()?));
        if let Some((_, base)) = vendors.match_base_url(&self.directory) {
            return word(base.channel?);
        }
        let (_, path) = self.directory.split_once("://")?.1.split_once('/')?;
        let mut above = path.rsplitn(4, '/');
        let (_release, board) = (above.next()?, above.next()?);
        board.parse::<Board>().ok()?;
        let name = above.next()?;
        let at = self.directory.len() - path.len() + above.next().map_or(0, |base| base.len() + 1);
        word(at..at + name.len())
    }

    /// The host of the URL; no error for a directory that was made from a valid URL.
    pub fn host(&self) -> Result<String> {
        Url::parse(&self.directory).map(|url| url.host().to_owned())
    }

    /// The directory that always has the newest release of the channel, or of its long-term stream of that year, next
    /// to this one. Only `version.txt` is read from it: an image there may change between one file and the next
    /// (coreos/bugs#1131).
    pub fn sibling_current(&self, year: Option<u16>) -> ReleaseUrl {
        let parent = self.directory.rsplit_once('/').map_or("", |(parent, _)| parent);
        let name = year.map_or_else(|| "current".to_owned(), |year| format!("current-{year}"));
        ReleaseUrl { directory: format!("{parent}/{name}"), image: self.image.clone() }
    }

    /// The URL of the list of long-term streams, next to the boards of the lts channel.
    pub fn lts_info_url(&self) -> String {
        let above = self.directory.rsplitn(3, '/').nth(2).unwrap_or_default();
        format!("{above}/lts-info")
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

impl fmt::Display for ReleaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.directory)
    }
}

/// Parses the URL of a directory or image; names of files are appended to it, so it has no query.
fn parse_refusing_query(url: &str) -> Result<Url> {
    let parsed = Url::parse(url)?;
    if parsed.has_query() || url.contains('#') {
        let message = format!("{parsed} has a query or a fragment: expected a URL that ends with its path");
        return Err(Error::failed(message)
            .with_hint("remove the part from ? or # on; mirrors that require a token are not supported"));
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
    fn release_urls_are_built() {
        let vendors = Vendors::default();
        let release_url = ReleaseUrl::from_image_url(IMAGE).unwrap();
        assert_eq!(release_url.image_url(), IMAGE);
        assert_eq!(release_url.channel(&vendors), Some(Channel::Alpha));
        let beta = release_url.with_channel(Channel::Beta, &vendors).unwrap();
        assert_eq!(beta.image_url(), IMAGE.replace("alpha", "beta"));
        let current = beta.sibling_current(None).file_url("version.txt");
        assert_eq!(current, "https://beta.release.core-os.net/amd64-usr/current/version.txt");
        let loopback = ReleaseUrl::from_image_url("http://127.0.0.1:80/x/y").unwrap();
        assert_eq!(loopback.with_channel(Channel::Beta, &vendors), None);
        for invalid in [
            "https://a.example",
            "https://a.example/",
            "https://a.example/x?t=SECRET",
            "https://a.example/x#y",
        ] {
            let error = ReleaseUrl::from_image_url(invalid).unwrap_err();
            assert!(!error.to_string().contains("SECRET"), "{error}");
        }
    }

    #[test]
    fn channel_in_the_path_is_replaced() {
        let vendors = Vendors::default();
        let image =
            "https://flatcar.cdn.cncf.io/stable/amd64-usr/4593.2.5/flatcar_production_pxe_image.cpio.gz";
        let release_url = ReleaseUrl::from_image_url(image).unwrap();
        assert_eq!(release_url.channel(&vendors), Some(Channel::Stable));
        let lts = release_url.with_channel(Channel::Lts, &vendors).unwrap();
        assert_eq!(lts.image_url(), image.replace("stable", "lts"));
        assert_eq!(
            lts.sibling_current(Some(2024)).to_string(),
            "https://flatcar.cdn.cncf.io/lts/amd64-usr/current-2024"
        );
        assert_eq!(lts.lts_info_url(), "https://flatcar.cdn.cncf.io/lts/lts-info");
        for (url, channel) in [
            ("http://127.0.0.1:8/m/beta/arm64-usr/1.0.0/x", Some(Channel::Beta)),
            ("https://a.example/alpha/1.0.0/x", None),
            ("https://a.example/amd64-usr/1.0.0/x", None),
            ("https://a.example/alpha/other/1.0.0/x", None),
            ("https://alpha.example/beta/amd64-usr/1.0.0/x", Some(Channel::Beta)),
        ] {
            assert_eq!(ReleaseUrl::from_image_url(url).unwrap().channel(&vendors), channel, "{url}");
        }
    }

    #[test]
    fn mirror_and_developer_urls_are_built() {
        let release: Release = "4799.0.0+nightly-20260810-2100".parse().unwrap();
        let mirror = "http://127.0.0.1:8080/m/";
        let mirror = ReleaseUrl::from_mirror(mirror, Vendor::FLATCAR, Board::Arm64, &release).unwrap();
        assert_eq!(mirror.to_string(), "http://127.0.0.1:8080/m/arm64-usr/4799.0.0+nightly-20260810-2100");
        let own = ReleaseUrl::from_vendor(Vendor::FLATCAR, Channel::Alpha, Board::Amd64, &release);
        assert_eq!(
            own.to_string(),
            "https://bincache.flatcar-linux.net/images/amd64/4799.0.0+nightly-20260810-2100"
        );
        let lts: Release = "4081.3.6".parse().unwrap();
        let vendor = ReleaseUrl::from_vendor(Vendor::FLATCAR, Channel::Lts, Board::Amd64, &lts);
        assert_eq!(vendor.to_string(), "https://lts.release.flatcar-linux.net/amd64-usr/4081.3.6");
    }
}
