//! Vendors of images as data: names, file names, servers and pinned keys.
//!
//! Two vendors are built in. Layouts and names are those of their release servers (coreos/docs
//! `notes-for-distributors.md`, flatcar/init `bin/flatcar-install`). Others come from the configuration.

use std::fmt;
use std::ops::Range;

use super::board::Board;
use super::channel::Channel;

/// The word of [`Vendor::url_templates`] in place of the channel.
const CHANNEL: &str = "CHANNEL";

/// The vendor of an image.
#[derive(Debug, PartialEq, Eq)]
pub struct Vendor {
    /// The identifier: the value of `--brand`, and a directory of the cache.
    pub id: &'static str,
    /// `ID` of the image's os-release, and the directory of its files below `share`. Rebuilt images may have that of
    /// the original vendor.
    pub os_release_id: &'static str,
    /// The name in messages.
    pub name: &'static str,
    /// The prefix of variables in `version.txt` and os-release (`COREOS_BOARD`).
    pub variable_prefix: &'static str,
    /// The URLs above `BOARD/RELEASE/FILE`, with the word `CHANNEL` where the channel is; new URLs have the first.
    pub url_templates: &'static [&'static str],
    /// The URL above `BOARD/RELEASE/FILE` of developer builds (`4799.0.0+nightly-…`), where they have one. Boards have
    /// no `-usr` there.
    pub developer_url: Option<&'static str>,
    /// The name of the PXE image in a release directory.
    pub pxe_image: &'static str,
    /// The name of the list of the image's files in a release directory.
    pub contents_list: &'static str,
    /// The name of the list of the image's packages in a release directory.
    pub packages_list: &'static str,
    /// The channels; new URLs have the first where the release is on no known one.
    pub channels: &'static [Channel],
    /// The fingerprints of the primary keys that sign releases.
    pub pinned_fingerprints: &'static [&'static str],
    /// The URL of the certificate with these keys.
    pub certificate_url: Option<&'static str>,
    /// The vendor's names of [`Board::ALL`], in release directories and in the image.
    pub boards: [&'static str; 2],
}

const BOARDS: [&str; 2] = [Board::Amd64.id(), Board::Arm64.id()];

impl Vendor {
    /// CoreOS Container Linux, 2013 to 2020. rkt pinned its alpha channel.
    pub const COREOS: &'static Vendor = &Vendor {
        id: "coreos",
        os_release_id: "coreos",
        name: "CoreOS",
        variable_prefix: "COREOS",
        url_templates: &["https://CHANNEL.release.core-os.net"],
        developer_url: None,
        pxe_image: "coreos_production_pxe_image.cpio.gz",
        contents_list: "coreos_production_image_contents.txt",
        packages_list: "coreos_production_image_packages.txt",
        channels: &[Channel::Alpha, Channel::Beta, Channel::Stable],
        pinned_fingerprints: &["04127D0BFABEC8871FFB2CCE50E0885593D2DCB4"],
        certificate_url: Some("https://coreos.com/security/image-signing-key/CoreOS_Image_Signing_Key.asc"),
        boards: BOARDS,
    };

    /// Flatcar Container Linux, which continues it. Developer builds: flatcar/scripts `ci-automation`.
    pub const FLATCAR: &'static Vendor = &Vendor {
        id: "flatcar",
        os_release_id: "flatcar",
        name: "Flatcar",
        variable_prefix: "FLATCAR",
        url_templates: &["https://CHANNEL.release.flatcar-linux.net", "https://flatcar.cdn.cncf.io/CHANNEL"],
        developer_url: Some("https://bincache.flatcar-linux.net/images"),
        pxe_image: "flatcar_production_pxe_image.cpio.gz",
        contents_list: "flatcar_production_image_contents.txt",
        packages_list: "flatcar_production_image_packages.txt",
        channels: &Channel::ALL,
        pinned_fingerprints: &["F88CFEDEFF29A5B4D9523864E25D9AED0593B34A"],
        certificate_url: Some(
            "https://www.flatcar.org/security/image-signing-key/Flatcar_Image_Signing_Key.asc",
        ),
        boards: BOARDS,
    };

    /// The built-in vendors.
    pub const BUILT_IN: [&'static Vendor; 2] = [Vendor::COREOS, Vendor::FLATCAR];

    /// The vendor's name of a board.
    pub fn board_name(&self, board: Board) -> &'static str {
        self.boards[board as usize]
    }

    /// The URL above `BOARD/RELEASE/FILE` of a channel.
    pub fn base_url(&self, channel: Channel) -> String {
        self.url_templates.first().map_or_else(String::new, |url| url.replace(CHANNEL, channel.id()))
    }

    /// Finds one of the vendor's URLs at the start of a URL. The scheme is not compared; host names are compared in
    /// lower case.
    pub fn match_base_url(&self, url: &str) -> Option<BaseUrlMatch> {
        let start = url.find("://")? + 3;
        let developer = self.developer_url.as_slice();
        self.url_templates.iter().chain(developer).find_map(|template| {
            let template = template.split_once("://")?.1;
            let (before, after) = template.split_once(CHANNEL).unwrap_or((template, ""));
            let mut end = start + prefix_len_ignore_case(&url[start..], before)?;
            let mut channel = None;
            if before.len() < template.len() {
                let word = end..end + url[end..].find(['.', '/'])?;
                end = word.end + prefix_len_ignore_case(&url[word.end..], after)?;
                channel = Some(word).filter(|word| !word.is_empty());
                channel.as_ref()?;
            }
            url[end..].starts_with('/').then_some(BaseUrlMatch { end, channel })
        })
    }
}

/// The length of `prefix` if the text begins with it, in any case.
fn prefix_len_ignore_case(text: &str, prefix: &str) -> Option<usize> {
    text.get(..prefix.len())?.eq_ignore_ascii_case(prefix).then_some(prefix.len())
}

/// One of a vendor's URLs in a longer URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrlMatch {
    /// The byte after it, a slash.
    pub end: usize,
    /// The byte range of the channel; `None` if the vendor's URL has none.
    pub channel: Option<Range<usize>>,
}

impl fmt::Display for Vendor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// The known vendors: the built-in ones, then those of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vendors(Vec<&'static Vendor>);

impl Default for Vendors {
    fn default() -> Vendors {
        Vendors(Vendor::BUILT_IN.to_vec())
    }
}

impl Vendors {
    /// Adds a vendor, which lives as long as the process: the configuration is read once.
    pub fn add(&mut self, vendor: Vendor) {
        self.0.push(Box::leak(Box::new(vendor)));
    }

    /// Every vendor, the built-in ones first.
    pub fn iter(&self) -> impl Iterator<Item = &'static Vendor> + '_ {
        self.0.iter().copied()
    }

    /// The vendor with this identifier.
    pub fn get(&self, id: &str) -> Option<&'static Vendor> {
        self.iter().find(|vendor| vendor.id == id)
    }

    /// The vendor whose URL a URL begins with.
    pub fn match_base_url(&self, url: &str) -> Option<(&'static Vendor, BaseUrlMatch)> {
        self.iter().find_map(|vendor| Some((vendor, vendor.match_base_url(url)?)))
    }

    /// `coreos, flatcar or acme`.
    pub fn joined_ids(&self) -> String {
        let ids: Vec<&str> = self.iter().map(|vendor| vendor.id).collect();
        let (last, first) = ids.split_last().unwrap_or((&"", &[]));
        format!("{} or {last}", first.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vendor_urls_are_recognized() {
        let acme = Vendor { id: "acme", url_templates: &["http://127.0.0.1:8000/a"], ..*Vendor::FLATCAR };
        let mut vendors = Vendors::default();
        vendors.add(acme);
        for (url, expected) in [
            ("https://alpha.release.core-os.net/x", Some(("coreos", "alpha"))),
            ("http://ALPHA.release.CORE-OS.net/x", Some(("coreos", "ALPHA"))),
            ("https://$(C).release.core-os.net/x", Some(("coreos", "$(C)"))),
            ("https://lts.release.flatcar-linux.net/", Some(("flatcar", "lts"))),
            ("https://flatcar.cdn.cncf.io/stable/amd64-usr/1/x", Some(("flatcar", "stable"))),
            ("https://bincache.flatcar-linux.net/images/amd64/1/x", Some(("flatcar", ""))),
            ("http://127.0.0.1:8000/a/x", Some(("acme", ""))),
            ("http://127.0.0.1:8000/ab/x", None),
            ("http://127.0.0.1:9/a/x", None),
            ("https://evilrelease.core-os.net/x", None),
            ("https://.release.core-os.net/x", None),
            ("https://release.core-os.net/x", None),
            ("https://a.b.release.core-os.net/x", None),
            ("https://alpha.release.core-os.net.evil.example/x", None),
            ("https://alpha.release.core-os.net@evil.example/x", None),
            ("https://alpha.release.core-os.net:1/x", None),
            ("https://flatcar.cdn.cncf.io/x", None),
            ("x", None),
        ] {
            let found = vendors.match_base_url(url);
            let shown = found.map(|(vendor, base)| (vendor.id, base.channel.map_or("", |span| &url[span])));
            assert_eq!(shown, expected, "{url}");
        }
        assert_eq!(vendors.joined_ids(), "coreos, flatcar or acme");
    }
}
