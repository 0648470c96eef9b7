//! Vendors of the configuration: `[workspace.metadata.stage1.vendors.NAME]`.

use std::path::PathBuf;

use toml_edit::{Item, TableLike};

use super::{parse_string, parse_strings};
use crate::http::Url;
use coreos_types::release::{Board, Channel};
use coreos_types::vendor::{Vendor, Vendors};
use openpgp_policy::Fingerprint;

/// The keys of a vendor's table.
const KEYS: [&str; 13] = [
    "id",
    "name",
    "variable-prefix",
    "urls",
    "developer-url",
    "image",
    "contents-list",
    "packages-list",
    "channels",
    "pins",
    "certificate",
    "certificate-url",
    "boards",
];
/// More vendors than anyone has.
const MAX_VENDORS: usize = 32;

type Result<T> = std::result::Result<T, String>;

/// The vendors of the configuration, after the built-in ones, and the certificate file of each that has one.
pub(super) fn parse(item: Option<&Item>) -> Result<(Vendors, Vec<PathBuf>)> {
    let (mut vendors, mut certificates) = (Vendors::default(), Vec::new());
    let Some(item) = item else { return Ok((vendors, certificates)) };
    let table = item
        .as_table_like()
        .ok_or("stage1.vendors is not a table: write [workspace.metadata.stage1.vendors.NAME]")?;
    if table.len() > MAX_VENDORS {
        return Err(format!("stage1.vendors has {} vendors: expected at most {MAX_VENDORS}", table.len()));
    }
    for (name, item) in table.iter() {
        let what = format!("vendors.{name}");
        let keys = item.as_table_like().ok_or_else(|| format!("stage1.{what} is not a table"))?;
        let reader = Reader { what, keys };
        let vendor = reader.vendor(name)?;
        if vendors.get(vendor.id).is_some() {
            return Err(reader.error("id", &format!("{:?} is the id of another vendor", vendor.id)));
        }
        vendors.add(vendor);
        certificates.extend(reader.text("certificate")?.map(PathBuf::from));
    }
    Ok((vendors, certificates))
}

/// Reads the keys of one vendor.
struct Reader<'a> {
    /// `vendors.NAME`, for messages.
    what: String,
    keys: &'a dyn TableLike,
}

impl Reader<'_> {
    fn vendor(&self, name: &str) -> Result<Vendor> {
        if let Some((unknown, _)) = self.keys.iter().find(|(key, _)| !KEYS.contains(key)) {
            return Err(
                self.error(unknown, &format!("this key is not known: expected one of {}", KEYS.join(", ")))
            );
        }
        // The name is the value of --brand, and the id that of os-release: both are the same word.
        let id =
            self.word("id", name, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c))?;
        let upper = id.to_ascii_uppercase().replace(['.', '-'], "_");
        let channels = self.list("channels", &["alpha", "beta", "stable"])?;
        let channels = channels.iter().map(|channel| {
            channel.parse::<Channel>().map_err(|why| self.error("channels", &why.to_string()))
        });
        let file = |key: &str, default: String| {
            self.word(key, &default, |c| c.is_ascii_alphanumeric() || "._-+".contains(c))
        };
        let image = file("image", format!("{id}_production_pxe_image.cpio.gz"))?;
        if !image.ends_with(".cpio.gz") {
            return Err(self.error("image", &format!("{image:?} is not a PXE image: expected NAME.cpio.gz")));
        }
        Ok(Vendor {
            id,
            name: self.word("name", name, |c| c == ' ' || c.is_alphanumeric() || "._-".contains(c))?,
            variable_prefix: self.word("variable-prefix", &upper, |c| {
                c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'
            })?,
            urls: self.urls()?,
            developer_url: self
                .text("developer-url")?
                .map(|url| self.url("developer-url", &url))
                .transpose()?,
            pxe_image: image,
            contents_list: file("contents-list", format!("{id}_production_image_contents.txt"))?,
            packages_list: file("packages-list", format!("{id}_production_image_packages.txt"))?,
            channels: channels.collect::<Result<Vec<_>>>()?.leak(),
            pins: self.pins()?,
            certificate_url: self
                .text("certificate-url")?
                .map(|url| self.url("certificate-url", &url))
                .transpose()?,
            boards: self.boards()?,
        })
    }

    fn urls(&self) -> Result<&'static [&'static str]> {
        let urls = self.list("urls", &[])?;
        let urls: Vec<_> = urls.iter().map(|url| self.url("urls", url)).collect::<Result<_>>()?;
        if urls.is_empty() {
            return Err(self.error(
                "urls",
                "it is missing: expected [\"https://HOST/CHANNEL\"], the URL above BOARD/RELEASE/FILE",
            ));
        }
        Ok(urls.leak())
    }

    fn pins(&self) -> Result<&'static [&'static str]> {
        let pins = self.list("pins", &[])?;
        let parse =
            |pin: &String| pin.parse::<Fingerprint>().map_err(|why| self.error("pins", &why.to_string()));
        let pins: Vec<_> = pins.iter().map(|pin| Ok(leak(parse(pin)?.to_string()))).collect::<Result<_>>()?;
        if pins.is_empty() {
            return Err(self.error(
                "pins",
                "it is missing: expected the fingerprints of the primary keys, 40 or 64 hex digits each",
            ));
        }
        Ok(pins.leak())
    }

    fn boards(&self) -> Result<[&'static str; 2]> {
        let mut names = Board::ALL.map(|board| board.id());
        let Some(item) = self.keys.get("boards") else { return Ok(names) };
        let table = item
            .as_table_like()
            .ok_or_else(|| self.error("boards", "it is not a table: expected { amd64-usr = \"NAME\" }"))?;
        for (board, name) in table.iter() {
            let board: Board = board.parse().map_err(|why| self.error("boards", &format!("{why}")))?;
            let key = format!("{}.boards.{board}", self.what);
            let name = parse_string(&key, name)?;
            names[board as usize] =
                self.check_word("boards", name, |c| c.is_ascii_alphanumeric() || "._-".contains(c))?;
        }
        Ok(names)
    }

    /// A URL without a trailing slash; `CHANNEL` may stand in it.
    fn url(&self, key: &str, url: &str) -> Result<&'static str> {
        let parsed =
            Url::parse(&url.replace("CHANNEL", "alpha")).map_err(|why| self.error(key, &why.to_string()))?;
        let is_http = url.starts_with("https://") || url.starts_with("http://") && parsed.is_loopback();
        match (is_http, parsed.has_query() || url.contains('#')) {
            (true, false) => Ok(leak(url.trim_end_matches('/').to_owned())),
            (false, _) => Err(self.error(key, &format!("{parsed} is not https"))),
            (_, true) => Err(self.error(key, &format!("{parsed} has a query or a fragment"))),
        }
    }

    fn text(&self, key: &str) -> Result<Option<String>> {
        self.keys.get(key).map(|item| parse_string(&format!("{}.{key}", self.what), item)).transpose()
    }

    fn list(&self, key: &str, default: &[&str]) -> Result<Vec<String>> {
        let found = self
            .keys
            .get(key)
            .map(|item| parse_strings(&format!("{}.{key}", self.what), item))
            .transpose()?;
        Ok(found.unwrap_or_else(|| default.iter().map(|&word| word.to_owned()).collect()))
    }

    /// The text of a key that has only characters of one kind, and is not a name of files that `.` begins.
    fn word(&self, key: &str, default: &str, is_valid: impl Fn(char) -> bool) -> Result<&'static str> {
        let word = self.text(key)?.unwrap_or_else(|| default.to_owned());
        self.check_word(key, word, is_valid)
    }

    fn check_word(&self, key: &str, word: String, is_valid: impl Fn(char) -> bool) -> Result<&'static str> {
        let is_word = (1..=100).contains(&word.len())
            && !word.starts_with(['.', '-', ' '])
            && word.chars().all(is_valid);
        if is_word {
            Ok(leak(word))
        } else {
            Err(self.error(key, &format!("{word:?} has a character that is not allowed there")))
        }
    }

    fn error(&self, key: &str, why: &str) -> String {
        format!("stage1.{}.{key}: {why}", self.what)
    }
}

/// A text that lives as long as the process; the configuration is read once.
fn leak(text: String) -> &'static str {
    text.leak()
}
