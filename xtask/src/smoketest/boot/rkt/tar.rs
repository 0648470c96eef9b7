//! A tar archive in memory (POSIX.1-1988 ustar): the subset for an app image.

/// The size of a header, and of the units of content.
const BLOCK: usize = 512;
/// The longest name, and the longest target of a link. Longer ones are omitted.
const MAX_NAME: usize = 100;

/// An archive under construction.
#[derive(Debug, Default)]
pub(super) struct TarWriter(Vec<u8>);

impl TarWriter {
    pub(super) fn directory(&mut self, name: &str) {
        self.entry(name, b'5', 0o755, "", &[]);
    }

    pub(super) fn symlink(&mut self, name: &str, target: &str) {
        self.entry(name, b'2', 0o777, target, &[]);
    }

    pub(super) fn file(&mut self, name: &str, content: &[u8], mode: u32) {
        self.entry(name, b'0', mode, "", content);
    }

    /// The archive, with the two empty blocks at its end.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 2 * BLOCK, 0);
        self.0
    }

    fn entry(&mut self, name: &str, kind: u8, mode: u32, target: &str, content: &[u8]) {
        if name.len() > MAX_NAME || target.len() > MAX_NAME {
            return;
        }
        let mut header = [0; BLOCK];
        let mut put = |start: usize, bytes: &[u8]| header[start..start + bytes.len()].copy_from_slice(bytes);
        put(0, name.as_bytes());
        put(100, format!("{mode:07o}").as_bytes());
        // Owner, group and time: root, and the epoch.
        [108, 116].iter().for_each(|&start| put(start, b"0000000"));
        put(124, format!("{:011o}", content.len()).as_bytes());
        put(136, b"00000000000");
        put(148, b"        ");
        put(156, &[kind]);
        put(157, target.as_bytes());
        put(257, b"ustar\x0000");
        let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.0.extend(header);
        self.0.extend(content);
        self.0.resize(self.0.len().next_multiple_of(BLOCK), 0);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn tar_reads_the_archive() {
        let home = tempfile::tempdir().unwrap();
        let mut tar = TarWriter::default();
        tar.directory("d");
        tar.symlink("d/link", "file");
        tar.file("d/file", &[b'x'; 1000], 0o755);
        tar.file(&"n".repeat(101), b"", 0o644);
        let archive = home.path().join("a.tar");
        std::fs::write(&archive, tar.finish()).unwrap();
        let status =
            std::process::Command::new("tar").arg("-C").arg(home.path()).arg("-xf").arg(&archive).status();
        assert!(status.unwrap().success());
        assert_eq!(std::fs::read(home.path().join("d/link")).unwrap(), [b'x'; 1000]);
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 2);
    }
}
