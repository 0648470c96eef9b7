//! Configuration of image sources and trusted keys, from the environment and the workspace of this program.
//!
//! Only the workspace in which the program was built is read. A tree passed with `--repo` cannot add trusted keys.

mod vendors;

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use toml_edit::{DocumentMut, Item};

use openpgp_policy::{Fingerprint, Pin, TrustPolicy};

use crate::bounded_file;
use crate::cli::{AdvisorySource, ImageArgs};
use crate::keyring::{Keyring, read_certificates};
use crate::trusted_owners::TrustedOwners;
use coreos_types::{Error, ErrorExt, Result, ResultExt, Vendor, Vendors, shell};

/// The settings of `[workspace.metadata.stage1]`, overridden by the `XTASK_*` variables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// `mirror`, `XTASK_MIRROR`, `--mirror`.
    pub mirror: Option<String>,
    /// `allow-hosts`, then `XTASK_ALLOW_HOSTS`, separated by commas, then `--allow-host`: hosts that the URL of a
    /// `--repo` tree may have.
    pub allow_hosts: Vec<String>,
    /// `signing-key`, `XTASK_SIGNING_KEY`: a certificate instead of the pinned keys.
    pub signing_key: Option<PathBuf>,
    /// `pins`: fingerprints of further primary keys that are trusted.
    pub pins: Vec<String>,
    /// `key-servers`: used instead of the vendors' URLs and the default servers.
    pub key_servers: Option<Vec<String>>,
    /// `configure`, then `XTASK_CONFIGURE`: arguments added to those of rkt's `configure`.
    pub configure: Vec<String>,
    /// `make`, then `XTASK_MAKE`: arguments added to those of `make` and `make clean`.
    pub make: Vec<String>,
    /// The built-in vendors and those of `vendors.NAME`.
    pub vendors: Vendors,
    /// `vendors.NAME.certificate`: certificate files of vendors.
    pub vendor_certificates: Vec<PathBuf>,
    /// `advisories`, `XTASK_ADVISORIES`: the release notes that name security fixes.
    pub advisories: Option<AdvisorySource>,
    /// `cache-expiry = "off"`, `XTASK_CACHE_EXPIRY=off`: images in the cache do not expire by themselves.
    pub is_cache_expiry_off: bool,
}

/// Larger than any Cargo.toml, in bytes.
const MAX_CARGO_TOML: u64 = 128 << 10;

/// The workspace in which this program was built.
fn own_workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Whether a tree is the workspace in which this program was built.
pub fn is_own_workspace(root: &Path) -> bool {
    let own = own_workspace().canonicalize();
    own.is_ok_and(|own| root.canonicalize().is_ok_and(|root| root == own))
}

impl Config {
    /// Reads the workspace's Cargo.toml, then the environment, which comes first.
    ///
    /// # Errors
    /// Cargo.toml is not valid, or a value has an unexpected type.
    pub fn read() -> Result<Config> {
        let workspace = fs::canonicalize(own_workspace()).unwrap_or_else(|_| own_workspace());
        let path = workspace.join("Cargo.toml");
        let text = match bounded_file::read(&path, MAX_CARGO_TOML) {
            // A program that was moved out of its workspace has no configuration file.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            text => text.with_path("cannot read", &path)?,
        };
        let settings = Config::parse_cargo_toml(&String::from_utf8_lossy(&text));
        let mut settings = settings.with_path("cannot use", &path)?;
        if settings != Config::default() {
            let checked = TrustedOwners::from_env().check_file(&workspace, &path);
            checked.with_context(|| "cannot use [workspace.metadata.stage1]")?;
        }
        settings.signing_key = settings.signing_key.map(|key| workspace.join(key));
        settings.vendor_certificates.iter_mut().for_each(|path| *path = workspace.join(&path));
        if let Some(AdvisorySource::File(file)) = &mut settings.advisories {
            *file = workspace.join(&*file);
        }
        settings.mirror = variable("XTASK_MIRROR")?.or(settings.mirror);
        let advisories = variable("XTASK_ADVISORIES")?.and_then(|word| word.parse().ok());
        settings.advisories = advisories.or(settings.advisories);
        let hosts = variable("XTASK_ALLOW_HOSTS")?.unwrap_or_default();
        let hosts = hosts.split(',').map(str::trim).filter(|host| !host.is_empty());
        settings.allow_hosts.extend(hosts.map(str::to_owned));
        settings.signing_key = signing_key_variable().map(PathBuf::from).or(settings.signing_key);
        for (name, arguments) in
            [("XTASK_CONFIGURE", &mut settings.configure), ("XTASK_MAKE", &mut settings.make)]
        {
            let words = shell::split(&variable(name)?.unwrap_or_default());
            arguments.extend(words.ok_or_else(|| {
                Error::failed(format!("{name} has a quote without an end"))
                    .with_cause("it is split into words as a shell splits them, without expansions")
            })?);
        }
        if let Some(value) = variable("XTASK_CACHE_EXPIRY")? {
            settings.is_cache_expiry_off = parse_is_off(&value)
                .with_context(|| "XTASK_CACHE_EXPIRY is invalid")
                .with_hint("export XTASK_CACHE_EXPIRY=off")?;
        }
        Ok(settings)
    }

    /// Sets what the options of a run override.
    pub fn override_with(&mut self, args: &ImageArgs) {
        self.mirror = args.mirror.clone().or(self.mirror.take());
        self.allow_hosts.extend_from_slice(&args.allow_hosts);
    }

    /// Parses the text of a Cargo.toml.
    ///
    /// # Errors
    /// The text is not TOML, or a value has an unexpected type.
    pub fn parse_cargo_toml(text: &str) -> Result<Config> {
        let document: DocumentMut =
            text.parse().map_err(|error: toml_edit::TomlError| Error::failed(error.to_string()))?;
        let item = |key: &str| document.get("workspace")?.get("metadata")?.get("stage1")?.get(key);
        let text = |key: &str| item(key).map(|value| parse_string(key, value)).transpose();
        let texts = |key: &str| item(key).map(|value| parse_strings(key, value)).transpose();
        let (vendors, vendor_certificates) = vendors::parse(item("vendors"))?;
        Ok(Config {
            mirror: text("mirror")?,
            allow_hosts: texts("allow-hosts")?.unwrap_or_default(),
            signing_key: text("signing-key")?.map(PathBuf::from),
            pins: texts("pins")?.unwrap_or_default(),
            key_servers: texts("key-servers")?,
            configure: texts("configure")?.unwrap_or_default(),
            make: texts("make")?.unwrap_or_default(),
            vendors,
            vendor_certificates,
            advisories: text("advisories")?.and_then(|word| word.parse().ok()),
            is_cache_expiry_off: parse_is_off(text("cache-expiry")?.as_deref().unwrap_or("on"))?,
        })
    }

    /// The trusted keys: only those of `signing_key`, else those of the vendor (of all vendors for `None`) and
    /// the additional pins.
    ///
    /// # Errors
    /// A certificate cannot be read, or a pin is not a fingerprint.
    pub fn keyring(
        &self,
        vendor: Option<&Vendor>,
        signing_key: Option<&Path>,
        directory: Option<PathBuf>,
    ) -> Result<Keyring> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
        if let Some(path) = signing_key.or(self.signing_key.as_deref()) {
            let source = match (signing_key, signing_key_variable()) {
                (Some(_), _) => "--signing-key FILE",
                (None, Some(_)) => "XTASK_SIGNING_KEY=FILE",
                (None, None) => "signing-key = \"FILE\" in [workspace.metadata.stage1]",
            };
            let hint = format!("pass an OpenPGP certificate, as gpg --export writes it: {source}");
            return Keyring::from_file(path, now).with_hint(hint);
        }
        let mut policy = match vendor {
            Some(vendor) => TrustPolicy::for_vendor(vendor, now),
            None => TrustPolicy::for_vendors(&self.vendors, now),
        };
        for pin in &self.pins {
            let primary: Fingerprint = pin.parse().map_err(|why: Error| {
                Error::failed(format!("pins of [workspace.metadata.stage1] has {pin:?}"))
                    .with_cause(why.to_string())
            })?;
            policy.pins.push(Pin::built_in_or_new(primary, "pinned in Cargo.toml"));
        }
        let files = self.vendor_certificates.iter().map(|path| read_certificates(path));
        let hint = "set certificate in [workspace.metadata.stage1.vendors.NAME] to an OpenPGP certificate";
        let shipped = files.collect::<Result<Vec<_>>>().with_hint(hint)?.concat();
        let keyring = Keyring::new(policy, directory).with_vendor_certificates(shipped);
        Ok(keyring.with_servers(self.key_servers.clone()))
    }
}

/// An environment variable; `None` if it is not set or empty.
fn variable(name: &str) -> Result<Option<String>> {
    match env::var(name) {
        Err(env::VarError::NotUnicode(_)) => Err(Error::failed(format!("{name} is not UTF-8"))),
        value => Ok(value.ok().filter(|value| !value.is_empty())),
    }
}

fn signing_key_variable() -> Option<OsString> {
    env::var_os("XTASK_SIGNING_KEY").filter(|value| !value.is_empty())
}

fn parse_is_off(value: &str) -> Result<bool> {
    match value {
        "off" => Ok(true),
        "on" => Ok(false),
        other => Err(Error::failed(format!("{other:?}: expected on or off"))),
    }
}

fn parse_string(key: &str, value: &Item) -> Result<String> {
    let text = value.as_str().map(str::to_owned);
    text.ok_or_else(|| {
        Error::failed(format!("stage1.{key} has the type {}, expected a string", value.type_name()))
    })
}

fn parse_strings(key: &str, value: &Item) -> Result<Vec<String>> {
    let found = || {
        Error::failed(format!(
            "stage1.{key} has the type {}, expected an array of strings",
            value.type_name()
        ))
    };
    let array = value.as_array().ok_or_else(found)?;
    array.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(found)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workspace_table_is_parsed() {
        let text = "[workspace.metadata.stage1]\nmirror = \"http://127.0.0.1:1\"\nsigning-key = \"k.asc\"\npins = [\"AB\"]\nconfigure = [\"--disable-tpm\"]\nmake = [\"-j4\", \"V=3\"]\n";
        let settings = Config::parse_cargo_toml(text).unwrap_or_default();
        assert_eq!(settings.mirror.as_deref(), Some("http://127.0.0.1:1"));
        assert_eq!(settings.signing_key.as_deref(), Some(Path::new("k.asc")));
        assert_eq!(settings.pins, ["AB"]);
        assert_eq!(
            (settings.configure.join(" "), settings.make.join(" ")),
            ("--disable-tpm".into(), "-j4 V=3".into())
        );
    }

    #[test]
    fn value_of_another_type_is_an_error() {
        let error = Config::parse_cargo_toml("[workspace.metadata.stage1]\nmirror = 1\n").err();
        assert_eq!(error.unwrap().message, "stage1.mirror has the type integer, expected a string");
    }

    #[test]
    fn own_workspace_is_readable() {
        assert!(Config::read().is_ok());
    }
}
