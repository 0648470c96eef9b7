//! coreos-common.mk: read and set its `CCN_*` variables in text, and leave every other byte alone.

mod expand;
mod logical_lines;
mod makefile;
mod opaque;

use std::fmt::Display;
use std::ops::Range;
use std::str::FromStr;

use self::expand::{ExpandError, Variables};
use self::makefile::{Assignment, Makefile, OpaqueKind, Operator};
pub use self::opaque::IncludedFiles;
use self::opaque::hidden_assignment;
use coreos_types::error::{Error, Result};
use coreos_types::release::{Board, Brand, Channel, Release, SystemdVersion};

/// The path of the file, relative to the tree.
pub const COMMON_MK: &str = "stage1/usr_from_coreos/coreos-common.mk";
/// The variable with the release.
pub const RELEASE: &str = "CCN_IMG_RELEASE";
/// The variable with the version of systemd.
pub const SYSTEMD: &str = "CCN_SYSTEMD_VERSION";
/// The variable with the URL of the PXE image.
pub const URL: &str = "CCN_IMG_URL";
/// The variable that the build sets to the board; the URL refers to it.
const BOARD: &str = "RKT_STAGE1_COREOS_BOARD";

/// What a URL may look like, for who has to write one.
const EXAMPLE_URL: &str = "https://alpha.release.core-os.net/$(RKT_STAGE1_COREOS_BOARD)/$(CCN_IMG_RELEASE)/coreos_production_pxe_image.cpio.gz";

/// coreos-common.mk, read.
///
/// Invariant: each of the three variables has exactly one assignment outside conditionals; release and systemd
/// version are written out there, and the URL expands for every board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommonMk {
    text: Vec<u8>,
    makefile: Makefile,
    included: IncludedFiles,
    release: Pinned<Release>,
    systemd: Pinned<SystemdVersion>,
    url: Pinned<String>,
}

/// A value and the bytes that hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pinned<T> {
    value: T,
    span: Range<usize>,
    line: usize,
}

impl CommonMk {
    /// Parses the file, without knowledge of the files that it includes.
    ///
    /// # Errors
    /// As [`CommonMk::parse_with_includes`].
    pub fn parse(text: &[u8]) -> Result<CommonMk> {
        CommonMk::parse_with_includes(text, &IncludedFiles::new())
    }

    /// Parses the file.
    ///
    /// # Errors
    /// A variable with no assignment, or with two, outside conditionals; one that an included file or `$(eval …)` can
    /// assign again; a value that is not a release, version or URL; a file that make would not read. Each names the
    /// variable and the lines.
    pub fn parse_with_includes(text: &[u8], included: &IncludedFiles) -> Result<CommonMk> {
        let makefile = makefile::parse(text)
            .map_err(|bad| Error::failed(format!("{COMMON_MK}:{}: {}", bad.line, bad.what)))
            .map_err(|error| error.with_hint("fix the file: make would stop there too"))?;
        let read = CommonMk {
            release: pinned(text, &makefile, included, RELEASE, "1032.0.0")?,
            systemd: pinned(text, &makefile, included, SYSTEMD, "v229")?,
            url: pinned(text, &makefile, included, URL, EXAMPLE_URL)?,
            text: text.to_vec(),
            makefile,
            included: included.clone(),
        };
        Board::ALL.into_iter().try_for_each(|board| read.url(board).map(drop))?;
        Ok(read)
    }

    /// The names of the files that a makefile includes outside conditionals, each with whether make goes on without it.
    pub fn included_files(text: &[u8]) -> Vec<(String, bool)> {
        let opaque = makefile::parse(text).map(|makefile| makefile.opaque).unwrap_or_default();
        let mut names = Vec::new();
        for statement in opaque {
            if let OpaqueKind::Include { files, is_optional } = statement.kind {
                names.extend(files.split_whitespace().map(|name| (name.to_owned(), is_optional)));
            }
        }
        names
    }

    /// The file, byte for byte.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text
    }

    /// The pinned release.
    pub fn release(&self) -> &Release {
        &self.release.value
    }

    /// The version of systemd that it is said to hold.
    pub fn systemd(&self) -> SystemdVersion {
        self.systemd.value
    }

    /// The line that assigns one of the three variables, from 1.
    pub fn line(&self, variable: &str) -> usize {
        match variable {
            RELEASE => self.release.line,
            SYSTEMD => self.systemd.line,
            _ => self.url.line,
        }
    }

    /// The URL as written, make variables and all.
    pub fn url_as_written(&self) -> &str {
        &self.url.value
    }

    /// The URL of the image for a board, every make variable expanded as GNU make would at this point of the file.
    ///
    /// # Errors
    /// A variable that the file does not assign, or a result that is no `http` or `https` URL.
    pub fn url(&self, board: Board) -> Result<String> {
        let variables = Variables::of(&self.text, &self.makefile.assignments, &[(BOARD, board.id())]);
        let at = format!("{COMMON_MK}:{}: {URL}", self.url.line);
        let url = variables.value(URL).map_err(|why| match why {
            ExpandError::Unknown(name) => {
                Error::failed(format!("{at} uses $({name}), which has no value here"))
                    .with_hint(format!("write the value of $({name}) out, or assign it above {URL}"))
            }
            ExpandError::Loop(name) => Error::failed(format!("{at} uses $({name}), which needs itself"))
                .with_hint(format!("write the value of $({name}) out")),
            ExpandError::TooLong(name) => {
                Error::failed(format!("{at} uses $({name}), which grows beyond all measure"))
                    .with_hint(format!("write the value of $({name}) out"))
            }
            ExpandError::NotText => {
                Error::failed(format!("{at} is not UTF-8")).with_hint(write_it_as(URL, EXAMPLE_URL))
            }
        })?;
        let host = Host::of(&url).map(|host| url[host.0].to_owned()).unwrap_or_default();
        let blank = |byte: u8| byte.is_ascii_whitespace() || byte.is_ascii_control();
        if host.is_empty() || url.bytes().any(blank) {
            return Err(Error::failed(format!("{at} is {url:?}: expected an http or https URL"))
                .with_hint(write_it_as(URL, EXAMPLE_URL)));
        }
        Ok(url)
    }

    /// The channel that the URL names: in its host, where that is a vendor's, else in its path, as in
    /// `HOST/CHANNEL/BOARD/RELEASE/FILE`.
    pub fn channel(&self) -> Option<Channel> {
        match self.vendor_host() {
            Some((_, channel)) => channel,
            None => {
                self.url(Board::Amd64).ok().and_then(|url| path_channel(&url)).map(|(_, channel)| channel)
            }
        }
    }

    /// The brand that the URL's host names, or else its file name.
    pub fn brand(&self) -> Option<Brand> {
        let by_file = |brand: &Brand| self.url.value.rsplit('/').next() == Some(brand.pxe_image());
        self.vendor_host().map(|(brand, _)| brand).or_else(|| Brand::ALL.into_iter().find(by_file))
    }

    /// Pins another release.
    ///
    /// # Errors
    /// The URL does not change with the release: what a build gets would stay what it is.
    pub fn set_release(&mut self, release: &Release) -> Result<()> {
        let mut moved = self.clone();
        moved.splice(self.release.span.clone(), release.as_str())?;
        if *release != self.release.value && moved.url(Board::Amd64)? == self.url(Board::Amd64)? {
            let why = format!("it does not use $({RELEASE}), and would stay as it is for {release}");
            return Err(self.url_fault(why));
        }
        *self = moved;
        Ok(())
    }

    /// Says another version of systemd.
    ///
    /// # Errors
    /// None that a file which was read can give.
    pub fn set_systemd(&mut self, version: SystemdVersion) -> Result<()> {
        self.splice(self.systemd.span.clone(), &version.to_string())
    }

    /// Changes the word of the URL that names the channel, and nothing else.
    ///
    /// # Errors
    /// The host is no vendor's, is not written out, or the brand has no such channel.
    pub fn set_url_channel(&mut self, channel: Channel) -> Result<()> {
        if self.channel() == Some(channel) {
            return Ok(());
        }
        let brand = self.brand().ok_or_else(|| self.not_a_vendors_host())?;
        match path_channel(&self.url.value).filter(|_| self.vendor_host().is_none()) {
            Some((span, _)) => {
                check_channel(brand, channel)?;
                let start = self.url.span.start;
                self.splice(start + span.start..start + span.end, channel.id())
            }
            None => self.set_host(brand, channel),
        }
    }

    /// Moves the URL to the other vendor: host and file name change, make variables and channel stay.
    ///
    /// # Errors
    /// The host is no vendor's or is not written out, the file has a name of its own, or the other brand has no
    /// such channel.
    pub fn set_brand(&mut self, brand: Brand) -> Result<()> {
        let Some((old, channel)) = self.vendor_host() else { return Err(self.not_a_vendors_host()) };
        if old == brand && self.url.value.ends_with(brand.pxe_image()) {
            return Ok(());
        }
        let channel = channel.ok_or_else(|| self.not_a_vendors_host())?;
        let file = Brand::ALL.into_iter().map(Brand::pxe_image).find(|file| self.url.value.ends_with(file));
        let Some(file) = file else {
            return Err(self.url_fault(format!("its file is not {:?}", old.pxe_image())));
        };
        let end = self.url.span.end;
        let mut moved = self.clone();
        // From the back to the front, so that the first change does not move the second.
        moved.splice(end - file.len()..end, brand.pxe_image())?;
        moved.set_host(brand, channel)?;
        *self = moved;
        Ok(())
    }

    fn set_host(&mut self, brand: Brand, channel: Channel) -> Result<()> {
        check_channel(brand, channel)?;
        let written =
            |host: &Host| host.vendor(&self.url.value).is_some_and(|(_, channel)| channel.is_some());
        let host = Host::of(&self.url.value).filter(written).ok_or_else(|| self.not_a_vendors_host())?.0;
        let span = self.url.span.start + host.start..self.url.span.start + host.end;
        self.splice(span, &format!("{channel}.{}", brand.release_domain()))
    }

    /// Brand and channel of the host, once expanded.
    fn vendor_host(&self) -> Option<(Brand, Option<Channel>)> {
        let url = self.url(Board::Amd64).ok()?;
        Host::of(&url)?.vendor(&url)
    }

    fn not_a_vendors_host(&self) -> Error {
        let shapes = Brand::ALL.map(|brand| format!("CHANNEL.{}", brand.release_domain())).join(" or ");
        self.url_fault(format!("its host is not written out as {shapes}"))
    }

    fn url_fault(&self, why: String) -> Error {
        let (line, url) = (self.url.line, &self.url.value);
        Error::failed(format!("{COMMON_MK}:{line}: cannot edit {URL} := {url}"))
            .with_cause(why)
            .with_hint(format!("edit {URL} by hand, then run the command again"))
    }

    fn splice(&mut self, span: Range<usize>, value: &str) -> Result<()> {
        let mut text = self.text.clone();
        text.splice(span, value.bytes());
        *self = CommonMk::parse_with_includes(&text, &self.included)?;
        Ok(())
    }
}

/// The one value of a variable outside conditionals.
fn pinned<T>(
    text: &[u8],
    makefile: &Makefile,
    included: &IncludedFiles,
    name: &str,
    example: &str,
) -> Result<Pinned<T>>
where
    T: FromStr<Err: Display>,
{
    let assignments = &makefile.assignments;
    let mut outside: Vec<&Assignment> =
        assignments.iter().filter(|a| a.name == name && !a.conditional).collect();
    // What is before an `undefine` does not count.
    if let Some(last) = outside.iter().rposition(|a| a.operator == Operator::Undefine) {
        outside.drain(..=last);
    }
    let [one] = outside.as_slice() else { return Err(not_one(name, assignments, &outside)) };
    let index = assignments.iter().position(|assignment| std::ptr::eq(assignment, *one)).unwrap_or_default();
    if let Some(hidden) = hidden_assignment(makefile, text, index, included) {
        return Err(assigned_elsewhere(name, one.line, &hidden));
    }
    let at = format!("{COMMON_MK}:{}: {name}", one.line);
    if matches!(one.operator, Operator::Append | Operator::Shell | Operator::Define) {
        return Err(Error::failed(format!("{at} is not assigned with :=, = or ?="))
            .with_hint(write_it_as(name, example)));
    }
    let value = String::from_utf8_lossy(&text[one.value.clone()]).into_owned();
    // Quotes are part of a value to make.
    let bare = value.trim_matches(['"', '\'']);
    let meant = if bare.parse::<T>().is_ok() { bare } else { example };
    let value = value
        .parse()
        .map_err(|bad: T::Err| Error::failed(at).with_cause(bad).with_hint(write_it_as(name, meant)))?;
    Ok(Pinned { value, span: one.value.clone(), line: one.line })
}

/// The error for a variable whose value is not that of its line.
fn assigned_elsewhere(name: &str, line: usize, hidden: &opaque::Hidden<'_>) -> Error {
    let statement = match &hidden.statement.kind {
        OpaqueKind::Include { files, .. } => format!("include {files}"),
        OpaqueKind::Eval(text) => text.clone(),
    };
    let may = if hidden.is_certain { "assigns" } else { "may assign" };
    let at = hidden.statement.line;
    Error::failed(format!("{COMMON_MK}:{at}: {statement:?} {may} {name}, which line {line} assigns"))
        .with_cause("this tool does not evaluate it, so an edit of that line may have no effect")
        .with_hint(format!("move the line to a place above line {line}, or remove {name} from what it reads"))
}

/// The line that a value should stand on.
fn write_it_as(name: &str, value: &str) -> String {
    format!("write it on one line, without quotes: {name} := {value}")
}

fn not_one(name: &str, assignments: &[Assignment], outside: &[&Assignment]) -> Error {
    let lines = |of: &mut dyn Iterator<Item = &Assignment>| {
        of.map(|a| a.line.to_string()).collect::<Vec<_>>().join(", ")
    };
    if outside.is_empty() {
        let inside = lines(&mut assignments.iter().filter(|a| a.name == name));
        let seen = if inside.is_empty() { String::new() } else { format!(" (inside: lines {inside})") };
        Error::failed(format!(
            "{COMMON_MK}: {name} has no assignment outside conditionals{seen}: expected one"
        ))
        .with_hint(format!("add a line with {name} := …"))
    } else {
        let (count, lines) = (outside.len(), lines(&mut outside.iter().copied()));
        Error::failed(format!(
            "{COMMON_MK}: {name} has {count} assignments outside conditionals, at lines {lines}: expected one"
        ))
        .with_hint(format!("keep one of the lines {lines}"))
    }
}

fn check_channel(brand: Brand, channel: Channel) -> Result<()> {
    match brand.channels().contains(&channel) {
        true => Ok(()),
        false => Err(Error::failed(format!("{brand} has no {channel} channel"))
            .with_hint(format!("name one of its channels with --channel: {}", names(brand.channels())))),
    }
}

/// The path segment that names the channel in `HOST/CHANNEL/BOARD/RELEASE/FILE`, as far as it is written out.
fn path_channel(url: &str) -> Option<(Range<usize>, Channel)> {
    let path = Host::of(url)?.0.end;
    let slashes: Vec<usize> = url[path..].match_indices('/').map(|(at, _)| path + at).collect();
    let [.., before, after, _, _] = slashes.as_slice() else { return None };
    let span = before + 1..*after;
    Some((span.clone(), url[span].parse().ok()?))
}

fn names(channels: &[Channel]) -> String {
    channels.iter().map(|channel| channel.id()).collect::<Vec<_>>().join(", ")
}

/// The bytes of a URL that are its host.
struct Host(Range<usize>);

impl Host {
    fn of(url: &str) -> Option<Host> {
        let start = ["https://", "http://"].into_iter().find(|scheme| url.starts_with(scheme))?.len();
        let end = url[start..].find(['/', ':', '?', '#']).map_or(url.len(), |at| start + at);
        Some(Host(start..end))
    }

    fn vendor(&self, url: &str) -> Option<(Brand, Option<Channel>)> {
        let host = &url[self.0.clone()];
        let (channel, domain) = host.split_once('.')?;
        let brand = Brand::ALL.into_iter().find(|brand| brand.release_domain() == domain)?;
        Some((brand, channel.parse().ok()))
    }
}

#[cfg(test)]
mod tests;
