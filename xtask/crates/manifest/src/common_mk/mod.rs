//! coreos-common.mk: parses its `CCN_*` variables and edits their values; every other byte is unchanged.

mod expand;
mod hidden_assignment;
mod logical_lines;
mod makefile;

use std::fmt::Display;
use std::ops::Range;
use std::str::FromStr;

use self::expand::{ExpandError, Variables};
pub use self::hidden_assignment::IncludedFiles;
use self::hidden_assignment::{HiddenAssignment, find_hidden_assignment};
use self::makefile::{Assignment, Makefile, OpaqueStatementKind, Operator};
use coreos_types::{Board, Channel, Error, Release, Result, SystemdVersion, Vendor, Vendors};

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

/// An example of a URL, for hints.
const EXAMPLE_URL: &str = "https://alpha.release.core-os.net/$(RKT_STAGE1_COREOS_BOARD)/$(CCN_IMG_RELEASE)/coreos_production_pxe_image.cpio.gz";

/// A parsed coreos-common.mk.
///
/// Invariant: each of the three variables has exactly one assignment outside conditionals; release and systemd
/// version are written out there, and the URL expands for every board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommonMk {
    text: Vec<u8>,
    makefile: Makefile,
    included: IncludedFiles,
    vendors: Vendors,
    release: Pinned<Release>,
    systemd: Pinned<SystemdVersion>,
    url: Pinned<String>,
}

/// A value and its byte range in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pinned<T> {
    value: T,
    span: Range<usize>,
    line: usize,
}

impl CommonMk {
    /// Parses the file, with the built-in vendors and without knowledge of the files that it includes.
    pub fn parse(text: &[u8]) -> Result<CommonMk> {
        CommonMk::parse_with_includes(text, &IncludedFiles::new(), &Vendors::default())
    }

    /// Parses the file.
    ///
    /// # Errors
    /// A variable with no assignment, or with two, outside conditionals; one that an included file or `$(eval …)` can
    /// assign again; a value that is not a release, version or URL; a file that make would not read. Each names the
    /// variable and the lines.
    pub fn parse_with_includes(text: &[u8], included: &IncludedFiles, vendors: &Vendors) -> Result<CommonMk> {
        let makefile = makefile::parse(text)
            .map_err(|bad| Error::failed(format!("{COMMON_MK}:{}: {}", bad.line, bad.what)))
            .map_err(|error| error.with_hint("fix the file: make would stop there too"))?;
        let read = CommonMk {
            release: parse_pin(text, &makefile, included, RELEASE, "1032.0.0")?,
            systemd: parse_pin(text, &makefile, included, SYSTEMD, "v229")?,
            url: parse_pin(text, &makefile, included, URL, EXAMPLE_URL)?,
            text: text.to_vec(),
            makefile,
            included: included.clone(),
            vendors: vendors.clone(),
        };
        Board::ALL.into_iter().try_for_each(|board| read.url(board).map(drop))?;
        Ok(read)
    }

    /// The names of the files that a makefile includes outside conditionals, each with whether the file is optional.
    pub fn included_files(text: &[u8]) -> Vec<(String, bool)> {
        let opaque = makefile::parse(text).map(|makefile| makefile.opaque).unwrap_or_default();
        let mut names = Vec::new();
        for statement in opaque {
            if let OpaqueStatementKind::Include { files, is_optional } = statement.kind {
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

    /// The pinned version of systemd.
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

    /// The URL as written, with unexpanded make variables.
    pub fn url_as_written(&self) -> &str {
        &self.url.value
    }

    /// The URL of the image for a board, every make variable expanded as GNU make would at this point of the file.
    ///
    /// # Errors
    /// A variable that the file does not assign, or a result that is not an `http` or `https` URL.
    pub fn url(&self, board: Board) -> Result<String> {
        let variables = Variables::new(&self.text, &self.makefile.assignments, (BOARD, board.id()));
        let at = format!("{COMMON_MK}:{}: {URL}", self.url.line);
        let url = variables.value(URL).map_err(|ExpandError { variable, problem }| {
            if variable == URL {
                return Error::failed(format!("{at} {problem}")).with_hint(assignment_hint(URL, EXAMPLE_URL));
            }
            // The name of a make function has arguments: `shell date`.
            let is_function = variable.contains(char::is_whitespace);
            let assign = if is_function { "" } else { ", or assign a plain value to it above CCN_IMG_URL" };
            Error::failed(format!("{at} uses $({variable}), which {problem}"))
                .with_hint(format!("write the value of $({variable}) out{assign}"))
        })?;
        let host = host_span(&url).map(|span| url[span].to_owned()).unwrap_or_default();
        let blank = |byte: u8| byte.is_ascii_whitespace() || byte.is_ascii_control();
        if host.is_empty() || url.bytes().any(blank) {
            return Err(Error::failed(format!("{at} is {url:?}: expected an http or https URL"))
                .with_hint(assignment_hint(URL, EXAMPLE_URL)));
        }
        Ok(url)
    }

    /// The channel in the URL: where the vendor's URL has it, else in the path, as in
    /// `HOST/CHANNEL/BOARD/RELEASE/FILE`.
    pub fn channel(&self) -> Option<Channel> {
        let url = self.url(Board::Amd64).ok()?;
        url[self.channel_span(&url)?].parse().ok()
    }

    /// The vendor with the URL's host, or else with its file name.
    pub fn vendor(&self) -> Option<&'static Vendor> {
        let by_host = self.url(Board::Amd64).ok().and_then(|url| self.vendors.match_base_url(&url));
        by_host.map(|(vendor, _)| vendor).or_else(|| self.vendor_by_file_name())
    }

    fn vendor_by_file_name(&self) -> Option<&'static Vendor> {
        let file = self.url.value.rsplit('/').next()?;
        self.vendors.iter().find(|vendor| vendor.pxe_image == file)
    }

    fn channel_span(&self, url: &str) -> Option<Range<usize>> {
        match self.vendors.match_base_url(url) {
            Some((_, base)) => base.channel,
            None => path_channel_span(url),
        }
    }

    /// Pins another release.
    ///
    /// # Errors
    /// The URL does not depend on the release: the build would download the same image as before.
    pub fn set_release(&mut self, release: &Release) -> Result<()> {
        let mut moved = self.clone();
        moved.splice(self.release.span.clone(), release.as_str())?;
        if *release != self.release.value && moved.url(Board::Amd64)? == self.url(Board::Amd64)? {
            let why = format!("it does not use $({RELEASE}), and would not change for {release}");
            let mut error = self.url_edit_error(why);
            let (old, url) = (self.release.value.as_str(), &self.url.value);
            if url.contains(old) {
                let url = url.replace(old, &format!("$({RELEASE})"));
                error.hint = Some(format!("write it as {URL} := {url}"));
            }
            return Err(error);
        }
        *self = moved;
        Ok(())
    }

    /// Pins another version of systemd.
    ///
    /// # Errors
    /// None: a parsed file remains valid.
    pub fn set_systemd(&mut self, version: SystemdVersion) -> Result<()> {
        self.splice(self.systemd.span.clone(), &version.to_string())
    }

    /// Changes only the channel in the URL.
    ///
    /// # Errors
    /// The host is not a vendor's or contains a variable, or the brand has no such channel.
    pub fn set_url_channel(&mut self, channel: Channel) -> Result<()> {
        if self.channel() == Some(channel) {
            return Ok(());
        }
        let vendor = self.vendor().ok_or_else(|| self.unknown_host_error())?;
        check_channel(vendor, channel)?;
        let written = &self.url.value;
        let is_channel = |span: &Range<usize>| written[span.clone()].parse::<Channel>().is_ok();
        let span = self.channel_span(written).filter(is_channel).ok_or_else(|| self.unknown_host_error())?;
        let start = self.url.span.start;
        self.splice(start + span.start..start + span.end, channel.id())
    }

    /// Moves the URL to another vendor: host and file name change, make variables stay, and the channel too where
    /// `channel` is `None`.
    ///
    /// # Errors
    /// The host is not a vendor's or contains a variable, the file name is not a vendor's, or the other vendor has no
    /// such channel.
    pub fn set_vendor(&mut self, vendor: &'static Vendor, channel: Option<Channel>) -> Result<()> {
        let written = self.url.value.clone();
        let (old, base) = self.vendors.match_base_url(&written).ok_or_else(|| self.unknown_host_error())?;
        if old == vendor && written.ends_with(vendor.pxe_image) {
            return Ok(());
        }
        let Some(file) = self.vendor_by_file_name().map(|vendor| vendor.pxe_image) else {
            return Err(self.url_edit_error(format!("its file is not {:?}", old.pxe_image)));
        };
        let Range { start, end } = self.url.span;
        let mut moved = self.clone();
        // The last change first: it does not shift the byte range of the other.
        moved.splice(end - file.len()..end, vendor.pxe_image)?;
        if old != vendor {
            let channel = match (channel, &base.channel) {
                (Some(channel), _) => channel,
                (None, Some(span)) => written[span.clone()].parse().map_err(|_| self.unknown_host_error())?,
                (None, None) => vendor.channels.first().copied().unwrap_or(Channel::Alpha),
            };
            check_channel(vendor, channel)?;
            moved.splice(start..start + base.end, &vendor.base_url(channel))?;
        }
        *self = moved;
        Ok(())
    }

    fn unknown_host_error(&self) -> Error {
        let urls: Vec<&str> =
            self.vendors.iter().filter_map(|vendor| vendor.url_templates.first().copied()).collect();
        self.url_edit_error(format!("its host is not written out as {}", urls.join(" or ")))
    }

    fn url_edit_error(&self, why: String) -> Error {
        let (line, url) = (self.url.line, &self.url.value);
        Error::failed(format!("{COMMON_MK}:{line}: cannot edit {URL} := {url}"))
            .with_cause(why)
            .with_hint(format!("edit {URL} manually, then run the command again"))
    }

    fn splice(&mut self, span: Range<usize>, value: &str) -> Result<()> {
        let mut text = self.text.clone();
        text.splice(span, value.bytes());
        *self = CommonMk::parse_with_includes(&text, &self.included, &self.vendors)?;
        Ok(())
    }
}

/// The only value of a variable outside conditionals.
fn parse_pin<T>(
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
        assignments.iter().filter(|a| a.name == name && a.conditionals == 0).collect();
    // Assignments before an `undefine` have no effect.
    if let Some(last) = outside.iter().rposition(|a| a.operator == Operator::Undefine) {
        outside.drain(..=last);
    }
    let [one] = outside.as_slice() else {
        return Err(assignment_count_error(name, example, assignments, &outside));
    };
    let index = assignments.iter().position(|assignment| std::ptr::eq(assignment, *one)).unwrap_or_default();
    if let Some(hidden) = find_hidden_assignment(makefile, text, index, included) {
        return Err(assigned_elsewhere_error(name, one.line, &hidden));
    }
    let at = format!("{COMMON_MK}:{}: {name}", one.line);
    if matches!(one.operator, Operator::Append | Operator::Shell | Operator::Define) {
        return Err(Error::failed(format!("{at} is not an assignment with :=, = or ?="))
            .with_hint(assignment_hint(name, example)));
    }
    let value = String::from_utf8_lossy(&text[one.value_span.clone()]).into_owned();
    // Quotes are part of a value to make.
    let bare = value.trim_matches(['"', '\'']);
    let meant = if bare.parse::<T>().is_ok() { bare } else { example };
    let value = value.parse().map_err(|bad: T::Err| {
        Error::failed(format!("{at} has an invalid value"))
            .with_cause(bad)
            .with_hint(assignment_hint(name, meant))
    })?;
    Ok(Pinned { value, span: one.value_span.clone(), line: one.line })
}

/// The error for a variable that another statement assigns again.
fn assigned_elsewhere_error(name: &str, line: usize, hidden: &HiddenAssignment) -> Error {
    let may = if hidden.is_certain { "assigns" } else { "may assign" };
    let (at, statement) = (hidden.line, &hidden.statement);
    Error::failed(format!("{COMMON_MK}:{at}: {statement:?} {may} {name}, which line {line} assigns"))
        .with_cause("this tool does not evaluate it, so an edit of that line may have no effect")
        .with_hint(format!("move the line above line {line}, or remove {name} from what the line reads"))
}

/// A hint that shows the expected assignment.
fn assignment_hint(name: &str, value: &str) -> String {
    format!("write it on one line, without quotes: {name} := {value}")
}

fn assignment_count_error(
    name: &str,
    example: &str,
    assignments: &[Assignment],
    outside: &[&Assignment],
) -> Error {
    let lines = |of: &[&Assignment]| of.iter().map(|a| a.line.to_string()).collect::<Vec<_>>().join(", ");
    let (problem, hint) = if outside.is_empty() {
        let inside = lines(&assignments.iter().filter(|a| a.name == name).collect::<Vec<_>>());
        let note = if inside.is_empty() { String::new() } else { format!(" (inside: lines {inside})") };
        (format!("no assignment outside conditionals{note}"), format!("add the line {name} := {example}"))
    } else {
        let (count, lines) = (outside.len(), lines(outside));
        let problem = format!("{count} assignments outside conditionals, at lines {lines}");
        (problem, format!("keep one of the lines {lines}"))
    };
    Error::failed(format!("{COMMON_MK}: {name} has {problem}: expected one")).with_hint(hint)
}

fn check_channel(vendor: &Vendor, channel: Channel) -> Result<()> {
    if vendor.channels.contains(&channel) {
        return Ok(());
    }
    let names: Vec<&str> = vendor.channels.iter().map(|channel| channel.id()).collect();
    Err(Error::failed(format!("{vendor} has no {channel} channel"))
        .with_hint(format!("use one of its channels with --channel: {}", names.join(", "))))
}

/// The path segment that names the channel in `HOST/CHANNEL/BOARD/RELEASE/FILE`, if it is not a variable.
fn path_channel_span(url: &str) -> Option<Range<usize>> {
    let path = host_span(url)?.end;
    let slashes: Vec<usize> = url[path..].match_indices('/').map(|(at, _)| path + at).collect();
    let [.., before, after, _, _] = slashes.as_slice() else { return None };
    let span = before + 1..*after;
    url[span.clone()].parse::<Channel>().is_ok().then_some(span)
}

fn host_span(url: &str) -> Option<Range<usize>> {
    let start = ["https://", "http://"].into_iter().find(|scheme| url.starts_with(scheme))?.len();
    let end = url[start..].find(['/', ':', '?', '#']).map_or(url.len(), |at| start + at);
    Some(start..end)
}

#[cfg(test)]
mod tests;
