//! The boards, with their words in files and programs of an image.

use std::str::FromStr;

use super::error::{Error, Result};

word_enum! {
    /// A board: the machine that an image is for. The words are those of release and manifest directories.
    Board {
        /// x86_64.
        Amd64 = "amd64-usr",
        /// AArch64.
        Arm64 = "arm64-usr",
    }
}

impl Board {
    /// `e_machine` of this board's ELF files (gABI, "ELF header").
    pub fn elf_machine(self) -> u16 {
        match self {
            Board::Amd64 => 62,
            Board::Arm64 => 183,
        }
    }

    /// The file name of glibc's dynamic loader.
    pub fn loader_name(self) -> &'static str {
        match self {
            Board::Amd64 => "ld-linux-x86-64.so.2",
            Board::Arm64 => "ld-linux-aarch64.so.1",
        }
    }

    /// The machine as `uname -m` and the GNU triplet write it.
    pub fn uname_machine(self) -> &'static str {
        match self {
            Board::Amd64 => "x86_64",
            Board::Arm64 => "aarch64",
        }
    }
}

impl FromStr for Board {
    type Err = Error;
    fn from_str(text: &str) -> Result<Board> {
        let known = Board::ALL.into_iter().find(|board| board.id() == text);
        known.ok_or_else(|| Error::invalid_word("board", text, "amd64-usr or arm64-usr"))
    }
}
