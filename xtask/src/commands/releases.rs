//! `releases`: the newest release of each channel, from signed files.

use serde_json::{Value, json};

use crate::cache::ImageStore;
use crate::cli::ImageArgs;
use crate::context::Context;
use crate::http::{Client, MAX_SIGNATURE_LEN};
use crate::images::{ReleaseLocations, open_store};
use crate::report::Report;
use coreos_types::{Board, Channel, ChannelOrStream, Error, Release, Result, SystemdVersion};
use usr::published_lists::systemd_version_from_packages;

/// Limit of the long-term streams that are listed, and so of the requests that a server can cause.
const MAX_STREAMS: usize = 8;

/// The newest release of one channel.
struct Row {
    /// `None` on a mirror, which has no channels.
    channel: Option<ChannelOrStream>,
    release: Release,
    /// The day on which its `version.txt` was signed.
    date: String,
    systemd: Option<SystemdVersion>,
}

/// Prints the newest release of each channel, and the pinned release.
///
/// # Errors
/// No channel has a release that is available and signed.
pub fn releases(context: &Context<'_>, report: &mut Report) -> Result<()> {
    let store = open_store(context)?;
    let board = context.boards()?.first().copied().unwrap_or(Board::Amd64);
    let (mut rows, mut first_error) = (Vec::new(), None);
    let channels = fetch_channels(context, &store, board)?;
    for &channel in &channels {
        match fetch_newest(context, &store, board, channel) {
            Ok(row) => rows.push(row),
            Err(error) if channels.len() == 1 => return Err(error),
            Err(error) => {
                let name = channel.map_or_else(|| "the mirror".to_owned(), |channel| channel.to_string());
                context.term.warn(format!("{name} is unknown: {error}"));
                first_error.get_or_insert(error);
            }
        }
    }
    if rows.is_empty() {
        return Err(first_error.unwrap_or_else(|| Error::failed("no channel to list")));
    }
    let pinned = context.pins.release();
    report.output.extend(table(&rows, pinned));
    report.extra.insert("releases", rows.iter().map(|row| to_json(row, pinned)).collect());
    Ok(())
}

/// The channels to list: that of `--channel`, else all of the vendor with its long-term streams; `None` is a mirror.
fn fetch_channels(
    context: &Context<'_>,
    store: &ImageStore,
    board: Board,
) -> Result<Vec<Option<ChannelOrStream>>> {
    if let Some(channel) = context.image_args.channel {
        return Ok(vec![Some(channel)]);
    }
    let locations = ReleaseLocations::new(context)?;
    if locations.first_candidate(board, context.pins.release(), None)?.channel(locations.vendors()).is_none()
    {
        return Ok(vec![None]);
    }
    let channels = locations.vendor.channels.iter();
    let mut channels: Vec<ChannelOrStream> = channels.map(|&channel| channel.into()).collect();
    if locations.vendor.channels.contains(&Channel::Lts) {
        let release_url = locations.first_candidate(board, context.pins.release(), Some(Channel::Lts))?;
        // Not signed: the list only selects the streams to request.
        match store.client.get_bytes(&release_url.lts_info_url(), MAX_SIGNATURE_LEN) {
            Ok(Some(bytes)) => channels.extend(parse_lts_info(&String::from_utf8_lossy(&bytes))),
            Ok(None) => {}
            Err(error) => context.term.detail("streams", format!("not known: {error}")),
        }
    }
    Ok(channels.into_iter().map(Some).collect())
}

/// The supported streams of `lts-info`, lines of `MAJOR:YEAR:supported` (flatcar/scripts `image_changes.sh`).
fn parse_lts_info(text: &str) -> Vec<ChannelOrStream> {
    let stream = |line: &str| {
        let mut fields = line.trim().split(':');
        let (_, year, state) = (fields.next()?, fields.next()?, fields.next()?);
        (state == "supported").then(|| format!("lts-{year}").parse().ok()).flatten()
    };
    text.lines().filter_map(stream).take(MAX_STREAMS).collect()
}

fn fetch_newest(
    context: &Context<'_>,
    store: &ImageStore,
    board: Board,
    channel: Option<ChannelOrStream>,
) -> Result<Row> {
    let image_args = ImageArgs { channel, ..context.image_args.clone() };
    let context = Context { image_args, ..context.clone() };
    let locations = ReleaseLocations::new(&context)?;
    let (release, signer) =
        store.fetch_latest_release(&locations.latest_release_url(board)?, locations.vendor)?;
    let release_url = locations.first_candidate(board, &release, None)?;
    let packages =
        store.fetch_signed(&release_url.file_url(locations.vendor.packages_list), Client::get_bytes);
    let packages = packages.ok().flatten().map(|(bytes, _)| bytes);
    let systemd = packages.and_then(|bytes| systemd_version_from_packages(&String::from_utf8_lossy(&bytes)));
    let date = signer.signed_at.get(..10).unwrap_or(&signer.signed_at).to_owned();
    Ok(Row { channel, release, date, systemd })
}

/// One line per channel, in columns.
fn table(rows: &[Row], pinned: &Release) -> Vec<String> {
    let cells = |row: &Row| {
        let channel = row.channel.map_or_else(|| "mirror".to_owned(), |channel| channel.to_string());
        let systemd = row.systemd.map_or_else(|| "unknown".to_owned(), |version| version.to_string());
        let mark = match row.release.cmp(pinned) {
            std::cmp::Ordering::Equal => "pinned",
            std::cmp::Ordering::Greater => "newer",
            std::cmp::Ordering::Less => "older",
        };
        [channel, row.release.to_string(), row.date.clone(), systemd, mark.to_owned()]
    };
    let head = ["channel", "release", "date", "systemd", ""].map(str::to_owned);
    let lines: Vec<[String; 5]> = std::iter::once(head).chain(rows.iter().map(cells)).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..5).map(width).collect();
    let pad = |line: &[String; 5]| {
        let cells = line.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    lines.iter().map(pad).chain([format!("pinned: {pinned}")]).collect()
}

fn to_json(row: &Row, pinned: &Release) -> Value {
    json!({
        "channel": row.channel.map(|channel| channel.to_string()),
        "release": row.release.as_str(),
        "date": row.date,
        "systemd": row.systemd.map(|version| version.to_string()),
        "pinned": row.release == *pinned,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lts_streams_are_read_and_bounded() {
        let text = "2605:2020:unsupported\n3510:2023:supported\n4081:2024:supported\nodd\n1:x:supported\n";
        let names: Vec<String> = parse_lts_info(text).iter().map(ToString::to_string).collect();
        assert_eq!(names, ["lts-2023", "lts-2024"]);
        assert_eq!(parse_lts_info(&"1:2024:supported\n".repeat(1000)).len(), MAX_STREAMS);
    }
}
