//! From a release's number to its proved image: out of the cache, else over the network.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::PathBuf;

use super::image::Image;
use super::kept::Terms;
use super::road::{Proving, Road, no_signature};
use super::shelf::Shelf;
use super::stamp::Stamp;
use crate::coreos::{Board, Brand, Release};
use crate::edge::http::{Download, MOST_IMAGE, MOST_SIGNATURE, ReleaseDir, Resume};
use crate::edge::image::VerifiedImage;
use crate::fault::{Fault, FaultKind, OrFault, Result};

/// The image that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its vendor.
    pub brand: Brand,
    /// Its board.
    pub board: Board,
    /// Its release.
    pub release: Release,
    /// Where it is to be had.
    pub dir: ReleaseDir,
}

/// A proved image in its place, with what was unpacked of it on the way there.
struct Downloaded {
    path: PathBuf,
    signature: Vec<u8>,
    verified: VerifiedImage,
}

impl Road<'_> {
    /// The image of a release; `None` where the server has no such release.
    ///
    /// # Errors
    /// It cannot be got, or is refused.
    pub fn release(&self, wanted: &Wanted) -> Result<Option<Image>> {
        let shelf = Shelf::lock(&self.cache, self.term, wanted)?;
        let mut refused = None;
        for kept in shelf.images()? {
            match Image::at(self, kept.image.clone(), wanted.dir.image(), Some(kept.signature)) {
                Ok(image) => return Ok(Some(image)),
                Err(fault) if self.client.is_offline() => refused = Some(fault),
                Err(fault) => self.term.warn(format!("{fault}; getting it again")),
            }
        }
        if let Some(fault) = refused {
            return Err(fault);
        }
        let Some(downloaded) = self.download(&shelf, wanted)? else { return Ok(None) };
        let Downloaded { path, signature, verified } = downloaded;
        let stamp = Stamp::of(&File::open(&path).or_fault(|| format!("cannot open {}", path.display()))?)?;
        let terms: Terms = self.terms(stamp, Some(&signature));
        Image::of_verified(path, Some(signature), verified, Some(terms)).map(Some)
    }

    /// The channel's newest release, from its `version.txt`, whose signature counts like any other's.
    ///
    /// # Errors
    /// It cannot be got, is not signed, or names no release.
    pub fn latest(&self, dir: &ReleaseDir, brand: Brand) -> Result<Release> {
        let url = dir.current().file("version.txt");
        let (bytes, _) = self.list(&url)?.ok_or_else(|| {
            Fault::failed(format!("there is no {url}"))
                .hint("name the release by its number instead of latest")
        })?;
        let text = String::from_utf8_lossy(&bytes);
        let key = format!("{}_VERSION_ID=", brand.variable_prefix());
        let value = text.lines().find_map(|line| line.strip_prefix(&key));
        let value = value.ok_or_else(|| Fault::failed(format!("{url} has no line {key}…")))?;
        value.trim_matches('"').parse().or_fault(|| format!("cannot use {url}"))
    }

    fn download(&self, shelf: &Shelf, wanted: &Wanted) -> Result<Option<Downloaded>> {
        let url = wanted.dir.image();
        let Some(signature) = self.client.get_small(&format!("{url}.sig"), MOST_SIGNATURE)? else {
            // A release that is not there has no signature either; an image without one is refused.
            let image = self.client.get(&url, MOST_IMAGE, None, &crate::edge::term::Silent)?;
            return image.map_or(Ok(None), |_| Err(no_signature(&url)));
        };
        // A verdict that stands without the data needs no download.
        let mut proving = self.proving(&url, Some(&signature))?;
        let (mut partial, mut resume) = shelf.partial()?;
        // Once with what is there, once after the file changed under way, once from zero after a bad signature.
        for _ in 0..3 {
            match self.attempt(shelf, &url, &mut partial, resume.take().as_ref(), proving)? {
                Attempt::Proved(verified) => {
                    partial.sync_data().or_fault(|| "cannot write the download to disk")?;
                    let path = shelf.put(verified.digest(), &signature)?;
                    return Ok(Some(Downloaded { path, signature, verified }));
                }
                Attempt::Missing => {
                    shelf.drop_partial();
                    return Ok(None);
                }
                Attempt::Again => proving = self.proving(&url, Some(&signature))?,
            }
        }
        Err(Fault::failed(format!("{url} changes while it is downloaded")).hint("try again later"))
    }

    /// One download, from where the last one stopped if that can be, proved as it comes.
    fn attempt(
        &self,
        shelf: &Shelf,
        url: &str,
        partial: &mut File,
        resume: Option<&Resume>,
        proving: Proving,
    ) -> Result<Attempt> {
        let progress = self.term.progress("download", None);
        let Some(mut download) = self.client.get(url, MOST_IMAGE, resume, progress.as_ref())? else {
            return Ok(Attempt::Missing);
        };
        let held = download.at();
        if held == 0 {
            partial.set_len(0).or_fault(|| "cannot begin the download anew")?;
        }
        partial.rewind().or_fault(|| "cannot read the download that was begun")?;
        shelf.note(download.resume_after(0).as_ref())?;
        progress.advance(held);
        let proved = self.prove(url, Stored { partial, held, download: &mut download }, proving);
        progress.finish();
        match proved {
            Ok(verified) => Ok(Attempt::Proved(verified)),
            Err(_) if download.must_restart() => Ok(Attempt::Again),
            Err(fault) if fault.kind == FaultKind::Refused && held > 0 => {
                self.term.warn(format!("{fault}; getting it once more from the start"));
                Ok(Attempt::Again)
            }
            Err(fault) => {
                if fault.kind == FaultKind::Refused {
                    shelf.drop_partial();
                }
                Err(fault)
            }
        }
    }
}

/// What one download came to.
enum Attempt {
    Proved(VerifiedImage),
    Missing,
    Again,
}

/// What is there of a download, then the rest of it, which is stored as it comes.
struct Stored<'d, 'c> {
    partial: &'d mut File,
    /// Bytes of the partial file still to be read.
    held: u64,
    download: &'d mut Download<'c>,
}

impl Read for Stored<'_, '_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.held > 0 {
            let most = usize::try_from(self.held).map_or(out.len(), |held| out.len().min(held));
            let count = self.partial.read(&mut out[..most])?;
            self.held = if count == 0 { 0 } else { self.held - count as u64 };
            if count > 0 {
                return Ok(count);
            }
        }
        let count = self.download.read(out)?;
        let stored =
            self.partial.write_all(&out[..count]).or_fault(|| "cannot store the download in the cache");
        let hint = "free some space, or set XTASK_CACHE_DIR to a larger file system";
        stored.map_err(|fault| io::Error::other(fault.hint(hint)))?;
        Ok(count)
    }
}
