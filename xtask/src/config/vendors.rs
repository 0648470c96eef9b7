//! Vendors of the configuration: `[workspace.metadata.stage1.vendors.NAME]`.

use std::path::PathBuf;

use toml_edit::{Item, TableLike};

use super::{parse_string, parse_strings};
use crate::http::Url;
use coreos_types::{Board, Channel, Error, Result, Vendor, Vendors};
use openpgp_policy::Fingerprint;

/// The keys of a vendor's table, each with an example for hints.
const KEYS: [(&str, &str); 13] = [
    ("id", "\"acme\", the ID of the image's os-release"),
    ("name", "\"Acme Linux\""),
    ("variable-prefix", "\"ACME\", as in ACME_BOARD"),
    ("urls", "[\"https://HOST/CHANNEL\"], the part of an image's URL above BOARD/RELEASE/FILE"),
    ("developer-url", "\"https://HOST/images\""),
    ("image", "\"acme_production_pxe_image.cpio.gz\""),
    ("contents-list", "\"acme_production_image_contents.txt\""),
    ("packages-list", "\"acme_production_image_packages.txt\""),
    ("channels", "[\"alpha\", \"beta\", \"stable\"]"),
    ("pins", "[\"FINGERPRINT\"], of primary keys, 40 or 64 hex digits each"),
    ("certificate", "\"keys/acme.asc\", a file in the workspace"),
    ("certificate-url", "\"https://HOST/acme.asc\""),
    ("boards", "{ amd64-usr = \"x86-64\" }"),
];
/// More vendors than anyone has.
const MAX_VENDORS: usize = 32;

/// The built-in vendors and those of the configuration, and the certificate files of the latter.
pub(super) fn parse(item: Option<&Item>) -> Result<(Vendors, Vec<PathBuf>)> {
    let (mut vendors, mut certificates) = (Vendors::default(), Vec::new());
    let Some(item) = item else { return Ok((vendors, certificates)) };
    let not_table = |what: &str| {
        Error::failed(format!("stage1.{what} is not a table"))
            .with_hint("[workspace.metadata.stage1.vendors.NAME]")
    };
    let table = item.as_table_like().ok_or_else(|| not_table("vendors"))?;
    if table.len() > MAX_VENDORS {
        return Err(Error::failed(format!("stage1.vendors has more than {MAX_VENDORS} vendors")));
    }
    for (name, item) in table.iter() {
        let table_path = format!("vendors.{name}");
        let table =
            VendorTable { keys: item.as_table_like().ok_or_else(|| not_table(&table_path))?, table_path };
        if vendors.get(name).is_some() {
            return Err(Error::failed(format!("stage1.{}: {name} is built in", table.table_path))
                .with_hint("use another name"));
        }
        vendors.add(table.to_vendor(name)?);
        certificates.extend(table.get("certificate", parse_string)?.map(PathBuf::from));
    }
    Ok((vendors, certificates))
}

struct VendorTable<'a> {
    /// `vendors.NAME`, for messages.
    table_path: String,
    keys: &'a dyn TableLike,
}

impl VendorTable<'_> {
    fn to_vendor(&self, name: &str) -> Result<Vendor> {
        if let Some((unknown, _)) =
            self.keys.iter().find(|(key, _)| KEYS.iter().all(|(known, _)| known != key))
        {
            let known: Vec<&str> = KEYS.iter().map(|(key, _)| *key).collect();
            return Err(Error::failed(format!("stage1.{}.{unknown} is not a known key", self.table_path))
                .with_hint(format!("known keys: {}", known.join(", "))));
        }
        let is_id = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
        let is_file = |c: char| c.is_ascii_alphanumeric() || "._-+".contains(c);
        let is_variable = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        let word = |key, default: String, is_valid: &dyn Fn(char) -> bool| {
            self.check_word(key, self.get(key, parse_string)?.unwrap_or(default), is_valid)
        };
        if !is_word(name, &is_id) {
            return Err(Error::failed(format!("stage1.{} is not a name of a vendor", self.table_path))
                .with_hint(
                    "use lower-case letters, digits and hyphens: [workspace.metadata.stage1.vendors.acme]",
                ));
        }
        let pxe_image = word("image", format!("{name}_production_pxe_image.cpio.gz"), &is_file)?;
        if !pxe_image.ends_with(".cpio.gz") {
            return Err(self.error("image", &format!("{pxe_image:?} is not the name of a .cpio.gz file")));
        }
        let prefix = name.to_ascii_uppercase().replace(['.', '-'], "_");
        let channel =
            |text: String| text.parse::<Channel>().map_err(|why| self.error("channels", &why.to_string()));
        let pin = |text: String| {
            text.parse::<Fingerprint>()
                .map(|pin| leak(pin.as_str()))
                .map_err(|why| self.error("pins", &why.to_string()))
        };
        let url = |key: &'static str| {
            self.get(key, parse_string)?.map(|url| self.parse_https_url(key, &url)).transpose()
        };
        Ok(Vendor {
            id: leak(name),
            os_release_id: word("id", name.to_owned(), &is_id)?,
            name: word("name", name.to_owned(), &|c| c.is_alphanumeric() || " ._-".contains(c))?,
            variable_prefix: word("variable-prefix", prefix, &is_variable)?,
            url_templates: self.non_empty_list("urls", &[], |url| self.parse_https_url("urls", &url))?,
            developer_url: url("developer-url")?,
            pxe_image,
            contents_list: word("contents-list", format!("{name}_production_image_contents.txt"), &is_file)?,
            packages_list: word("packages-list", format!("{name}_production_image_packages.txt"), &is_file)?,
            channels: self.non_empty_list("channels", &["alpha", "beta", "stable"], channel)?,
            pinned_fingerprints: self.non_empty_list("pins", &[], pin)?,
            certificate_url: url("certificate-url")?,
            boards: self.board_names(&is_file)?,
        })
    }

    fn board_names(&self, is_valid: &dyn Fn(char) -> bool) -> Result<[&'static str; 2]> {
        let mut names = Board::ALL.map(|board| board.id());
        let Some(item) = self.keys.get("boards") else { return Ok(names) };
        let table = item.as_table_like().ok_or_else(|| self.error("boards", "it is not a table"))?;
        for (board, name) in table.iter() {
            let index = names.iter().position(|id| *id == board);
            let index = index.ok_or_else(|| self.error("boards", &format!("{board} is not a board")))?;
            let name = name
                .as_str()
                .ok_or_else(|| self.error("boards", &format!("the name of {board} is not a string")))?;
            names[index] = self.check_word("boards", name.to_owned(), is_valid)?;
        }
        Ok(names)
    }

    /// A URL without the last slash. `CHANNEL` stands for the channel.
    fn parse_https_url(&self, key: &str, text: &str) -> Result<&'static str> {
        let url =
            Url::parse(&text.replace("CHANNEL", "alpha")).map_err(|why| self.error(key, &why.to_string()))?;
        if !url.is_https() && !url.is_loopback() {
            return Err(self.error(key, &format!("{url} is not https")));
        }
        if url.has_query() || text.contains('#') {
            return Err(self.error(key, &format!("{url} has a query or a fragment")));
        }
        Ok(leak(text.trim_end_matches('/')))
    }

    /// The value of a key; `None` without the key.
    fn get<T>(&self, key: &str, parse: fn(&str, &Item) -> Result<T>) -> Result<Option<T>> {
        let parse = |item| parse(&format!("{}.{key}", self.table_path), item);
        self.keys.get(key).map(parse).transpose().map_err(|why| self.with_example(key, why))
    }

    /// The parsed texts of an array, which must not be empty.
    fn non_empty_list<T>(
        &self,
        key: &str,
        default: &[&str],
        parse: impl Fn(String) -> Result<T>,
    ) -> Result<&'static [T]> {
        let texts = self.get(key, parse_strings)?;
        let texts = texts.unwrap_or_else(|| default.iter().map(|&text| text.to_owned()).collect());
        if texts.is_empty() {
            return Err(self.error(key, "it is missing or empty"));
        }
        Ok(texts.into_iter().map(parse).collect::<Result<Vec<T>>>()?.leak())
    }

    fn check_word(&self, key: &str, word: String, is_valid: &dyn Fn(char) -> bool) -> Result<&'static str> {
        let valid = is_word(&word, is_valid).then(|| leak(&word));
        valid.ok_or_else(|| self.error(key, &format!("{word:?} is not valid there")))
    }

    fn error(&self, key: &str, why: &str) -> Error {
        self.with_example(
            key,
            Error::failed(format!("stage1.{}.{key} is malformed", self.table_path)).with_cause(why),
        )
    }

    fn with_example(&self, key: &str, error: Error) -> Error {
        let example = KEYS.iter().find(|(known, _)| *known == key).map_or("", |(_, example)| example);
        error.with_hint(format!("write it as {key} = {example}"))
    }
}

/// Whether a text is a name of a vendor, file or variable that has only valid characters.
fn is_word(text: &str, is_valid: &dyn Fn(char) -> bool) -> bool {
    (1..=100).contains(&text.len()) && !text.starts_with(['.', '-', ' ']) && text.chars().all(is_valid)
}

/// A text that lives as long as the process; the configuration is read once.
fn leak(text: &str) -> &'static str {
    text.to_owned().leak()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::Config;
    use super::*;

    const PIN: &str = "0123456789ABCDEF0123456789ABCDEF01234567";

    fn parse(name: &str, keys: &str) -> Result<Config> {
        Config::parse_cargo_toml(&format!("[workspace.metadata.stage1.vendors.{name}]\n{keys}\n"))
    }

    #[test]
    fn vendor_table_is_read() {
        let least =
            parse("acme-os", &format!("urls = [\"https://acme.example/CHANNEL/\"]\npins = [\"{PIN}\"]"))
                .unwrap();
        let vendor = least.vendors.get("acme-os").unwrap();
        assert_eq!(
            (vendor.os_release_id, vendor.variable_prefix, vendor.name),
            ("acme-os", "ACME_OS", "acme-os")
        );
        assert_eq!(vendor.pxe_image, "acme-os_production_pxe_image.cpio.gz");
        assert_eq!(vendor.base_url(Channel::Beta), "https://acme.example/beta");
        assert_eq!((vendor.pinned_fingerprints, vendor.board_name(Board::Arm64)), (&[PIN][..], "arm64-usr"));
        let keys = format!(
            "id = \"flatcar\"\nname = \"Acme Linux\"\nvariable-prefix = \"FLATCAR\"\nurls = [\"http://127.0.0.1:8000/x\"]\n\
             developer-url = \"https://dev.acme.example\"\nimage = \"a.cpio.gz\"\ncontents-list = \"c.txt\"\npackages-list = \"p.txt\"\n\
             channels = [\"lts\"]\npins = [\"0x{PIN}\", \"{PIN}\"]\ncertificate = \"k.asc\"\n\
             certificate-url = \"https://acme.example/k.asc\"\nboards = {{ arm64-usr = \"aarch64\" }}"
        );
        let full = parse("acme", &keys).unwrap();
        let vendor = full.vendors.get("acme").unwrap();
        assert_eq!(
            (vendor.os_release_id, vendor.pxe_image, vendor.channels),
            ("flatcar", "a.cpio.gz", &[Channel::Lts][..])
        );
        assert_eq!(
            (vendor.board_name(Board::Amd64), vendor.board_name(Board::Arm64)),
            ("amd64-usr", "aarch64")
        );
        assert_eq!(full.vendor_certificates, [PathBuf::from("k.asc")]);
        assert_eq!(full.vendors.joined_ids(), "coreos, flatcar or acme");
    }

    #[test]
    fn malformed_key_is_an_error_with_a_hint() {
        for (key, value) in [
            ("id", "\"a b\""),
            ("id", "1"),
            ("name", "\"\\n\""),
            ("variable-prefix", "\"acme\""),
            ("urls", "[]"),
            ("urls", "\"https://acme.example\""),
            ("urls", "[\"http://acme.example/CHANNEL\"]"),
            ("urls", "[\"https://user:pw@acme.example\"]"),
            ("urls", "[\"https://acme.example/?token=x\"]"),
            ("developer-url", "\"ftp://acme.example\""),
            ("image", "\"../x.cpio.gz\""),
            ("image", "\"x.img\""),
            ("contents-list", "\"a/b\""),
            ("packages-list", "\"\""),
            ("channels", "[\"edge\"]"),
            ("channels", "[]"),
            ("pins", "[\"B78B519C0D878303\"]"),
            ("pins", "[]"),
            ("certificate", "[]"),
            ("certificate-url", "\"acme.asc\""),
            ("boards", "{ x86 = \"a\" }"),
            ("boards", "{ amd64-usr = \"a/b\" }"),
            ("boards", "{ amd64-usr = 1 }"),
            ("boards", "[]"),
        ] {
            let others =
                [("urls", "[\"https://acme.example\"]".to_owned()), ("pins", format!("[\"{PIN}\"]"))];
            let others = others.iter().filter(|(other, _)| *other != key);
            let keys: String = others.map(|(key, value)| format!("{key} = {value}\n")).collect();
            let error = parse("acme", &format!("{keys}{key} = {value}")).unwrap_err();
            assert!(error.message.contains(&format!("stage1.vendors.acme.{key}")), "{error}");
            assert!(error.hint.as_ref().unwrap().contains(&format!("{key} = ")), "{error:?}");
            assert!(
                !error.to_string().contains("user:pw") && !error.to_string().contains("token=x"),
                "{error}"
            );
        }
        for (name, keys, message) in [
            ("coreos", "", "coreos is built in"),
            ("\"..\"", "", "not a name of a vendor"),
            ("Acme", "", "not a name of a vendor"),
            ("acme", "pin = 1", "vendors.acme.pin is not a known key"),
            ("acme", "", "vendors.acme.urls is malformed"),
        ] {
            let error = parse(name, keys).unwrap_err();
            assert!(error.message.contains(message) && error.hint.is_some(), "{error:?}");
        }
        assert!(
            Config::parse_cargo_toml("workspace.metadata.stage1.vendors = 1").unwrap_err().hint.is_some()
        );
    }
}
