//! Images from files of this machine, each with its signature beside it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::{Asked, Images, Opened, ensure_all};
use crate::cmd::context::Context;
use crate::coreos::Board;
use crate::edge::image::{Scratch, Unsigned, VerifiedImage};
use crate::edge::openpgp::{DetachedSignature, Keyring};
use crate::edge::term::Progress;
use crate::fault::{Fault, OrFault, Result};
use crate::flags::{ImageFlags, Wanted};
use crate::report::Signer;

/// The most bytes a signature file may have, and one that shows it has more.
const SIGNATURE_LIMIT: u64 = 64 * 1024 + 1;

/// Opens every `--image`.
pub(super) fn open(
    context: &Context<'_>,
    flags: &ImageFlags,
    wanted: &Wanted,
    boards: &[Board],
) -> Result<Images> {
    if flags.signature.is_some() && flags.images.len() > 1 {
        return Err(Fault::failed("--signature goes with a single --image")
            .hint("lay each image's signature beside it, as FILE.sig"));
    }
    let brand = context.brand(flags);
    let keyring = context.settings.keyring(Some(brand), flags.signing_key.as_deref(), None)?;
    let mut asked = Asked {
        brand,
        release: match wanted {
            Wanted::Number(release) => Some(release.clone()),
            Wanted::Latest => None,
        },
        boards: boards.to_vec(),
    };
    let mut opened: BTreeMap<Board, Opened> = BTreeMap::new();
    for path in &flags.images {
        let image = prove(context, flags, &keyring, path)?;
        let (board, release, image) = Opened::of(image, &asked)?;
        asked.release.get_or_insert(release);
        if let Some(other) = opened.insert(board, image) {
            return Err(Fault::failed(format!(
                "{} and {} are both for {board}",
                other.origin.source,
                path.display()
            )));
        }
    }
    ensure_all(boards, &opened)?;
    let release = asked.release.ok_or_else(|| Fault::failed("no --image was given"))?;
    Ok(Images { release, channel: flags.channel, opened })
}

fn prove(context: &Context<'_>, flags: &ImageFlags, keyring: &Keyring, path: &Path) -> Result<VerifiedImage> {
    let source = path.display().to_string();
    let file = File::open(path).or_fault(|| format!("cannot open the image {source}"))?;
    let length = file.metadata().or_fault(|| format!("cannot read the image {source}"))?.len();
    let progress = context.term.progress("verifying", Some(length));
    let stream = Counted { file, progress: &*progress };
    let scratch = Scratch::in_folder(&std::env::temp_dir());
    let image = match signature(flags, path)? {
        Some(signature) => {
            let proof = keyring.open(&signature, None)?;
            VerifiedImage::prove(&source, stream, proof, &scratch)?
        }
        None => VerifiedImage::prove(&source, stream, Unsigned, &scratch)?,
    };
    progress.finish();
    match image.signer() {
        Some(signer) => context.term.stage("verified", sentence(&source, signer)),
        None => context.term.warn(format!("{source} has no signature, and --unsigned accepts that")),
    }
    Ok(image)
}

/// Who signed, for people.
pub(super) fn sentence(source: &str, signer: &Signer) -> String {
    let name = signer.name.as_deref().unwrap_or(&signer.primary);
    let subkey = signer.subkey.get(signer.subkey.len().saturating_sub(8)..).unwrap_or(&signer.subkey);
    let on = signer.signed_at.get(..10).unwrap_or(&signer.signed_at);
    format!("{source}: {name}, signed {on} by subkey {subkey}")
}

/// The signature of a local image; `None` where it has none and none is asked for.
fn signature(flags: &ImageFlags, image: &Path) -> Result<Option<DetachedSignature>> {
    let path = flags.signature.clone().unwrap_or_else(|| beside(image));
    let message = || format!("cannot read the signature {}", path.display());
    let file = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && flags.unsigned => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Fault::refused(format!("{} has no signature", image.display()))
                .because(format!("{} is not there", path.display()))
                .hint(
                    "lay the signature beside the image, name it with --signature FILE, or add --unsigned",
                ));
        }
        opened => opened.or_fault(message)?,
    };
    let mut bytes = Vec::new();
    file.take(SIGNATURE_LIMIT).read_to_end(&mut bytes).or_fault(message)?;
    DetachedSignature::parse(&bytes, &path.display().to_string()).map(Some)
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".sig");
    PathBuf::from(name)
}

/// A file that tells how far it was read.
struct Counted<'p> {
    file: File,
    progress: &'p dyn Progress,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.progress.advance(read as u64);
        Ok(read)
    }
}
