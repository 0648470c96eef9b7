//! The options that say where an image comes from, shared by every command that reads one.

use std::fmt::Display;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, value_parser};

use coreos_types::release::{Board, Brand, Channel};

/// Where an image comes from and who may have signed it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImageArgs {
    /// The channel to ask.
    pub channel: Option<Channel>,
    /// Replaces scheme, host and leading path of the URL.
    pub mirror: Option<String>,
    /// Plain http to other hosts than loopback.
    pub insecure_http: bool,
    /// Local images, one a board.
    pub images: Vec<PathBuf>,
    /// The signature of the one local image.
    pub signature: Option<PathBuf>,
    /// A certificate in place of the pinned keys.
    pub signing_key: Option<PathBuf>,
    /// The vendor to move the tree to.
    pub brand: Option<Brand>,
    /// Accept a local image that has no signature.
    pub unsigned: bool,
    /// The boards; empty is every board that has manifests.
    pub boards: Vec<Board>,
    /// Use no network: what the cache holds, or nothing.
    pub offline: bool,
}

const HEADING: &str = "Where the image comes from";

/// The options themselves.
pub(super) fn args() -> Vec<Arg> {
    let args = vec![
        option("channel", "CHANNEL", "Ask this channel: alpha, beta, stable, lts")
            .value_parser(|text: &str| text.parse::<Channel>()),
        option("mirror", "URL", "Get URL/BOARD/RELEASE/FILE instead").env_hint("XTASK_MIRROR"),
        flag("insecure-http", "Allow plain http beyond loopback"),
        option("image", "FILE", "Take a local PXE image, one a board (repeatable)")
            .action(ArgAction::Append)
            .value_parser(value_parser!(PathBuf)),
        option("signature", "FILE", "Signature of the local image [default: FILE.sig]")
            .value_parser(value_parser!(PathBuf))
            .requires("image"),
        option("signing-key", "FILE", "Trust this OpenPGP certificate instead")
            .value_parser(value_parser!(PathBuf))
            .env_hint("XTASK_SIGNING_KEY"),
        option("brand", "BRAND", "Move the tree to this vendor: coreos, flatcar")
            .value_parser(|text: &str| text.parse::<Brand>()),
        flag("unsigned", "Accept a local image that has no signature")
            .requires("image")
            .conflicts_with("signature"),
        option("board", "BOARD", "amd64-usr or arm64-usr (repeatable) [default: all]")
            .action(ArgAction::Append)
            .value_parser(|text: &str| text.parse::<Board>()),
        flag("offline", "Use the cache only, no network"),
    ];
    args.into_iter().map(|arg| arg.help_heading(HEADING)).collect()
}

fn option(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

/// Names the environment variable that serves as well; reading it is the edge's work.
trait EnvHint {
    fn env_hint(self, variable: &str) -> Self;
}

impl EnvHint for Arg {
    fn env_hint(self, variable: &str) -> Arg {
        let help = self.get_help().map(ToString::to_string).unwrap_or_default();
        self.help(format!("{help} [env: {variable}]"))
    }
}

impl ImageArgs {
    pub(super) fn of(matches: &ArgMatches) -> ImageArgs {
        let many = |name| matches.get_many(name).into_iter().flatten().cloned().collect();
        ImageArgs {
            channel: matches.get_one("channel").copied(),
            mirror: matches.get_one("mirror").cloned(),
            insecure_http: matches.get_flag("insecure-http"),
            images: many("image"),
            signature: matches.get_one("signature").cloned(),
            signing_key: matches.get_one("signing-key").cloned(),
            brand: matches.get_one("brand").copied(),
            unsigned: matches.get_flag("unsigned"),
            boards: matches.get_many("board").into_iter().flatten().copied().collect(),
            offline: matches.get_flag("offline"),
        }
    }
}

/// The options again, as words of a command line.
impl ImageArgs {
    /// Those that say where any release comes from, and who may have signed it.
    pub fn source(&self) -> Vec<String> {
        let mut words = Words::default();
        words.option("--channel", self.channel);
        words.option("--mirror", self.mirror.as_deref());
        words.switch("--insecure-http", self.insecure_http);
        words.option("--signing-key", self.signing_key.as_ref().map(|path| path.display()));
        words.option("--brand", self.brand.map(Brand::id));
        words.0
    }

    /// Those that say which image of the release it is.
    pub fn image(&self) -> Vec<String> {
        let mut words = Words::default();
        self.images.iter().for_each(|path| words.option("--image", Some(path.display())));
        words.option("--signature", self.signature.as_ref().map(|path| path.display()));
        words.switch("--unsigned", self.unsigned);
        self.boards.iter().for_each(|board| words.option("--board", Some(board)));
        words.switch("--offline", self.offline);
        words.0
    }
}

/// Words of a command line.
#[derive(Default)]
pub(super) struct Words(pub(super) Vec<String>);

impl Words {
    pub(super) fn option(&mut self, name: &str, value: Option<impl Display>) {
        let Some(value) = value.map(|value| value.to_string()) else { return };
        if value.starts_with('-') {
            self.0.push(format!("{name}={value}"));
        } else {
            self.0.extend([name.to_owned(), value]);
        }
    }

    pub(super) fn switch(&mut self, name: &str, on: bool) {
        self.0.extend(on.then(|| name.to_owned()));
    }
}
