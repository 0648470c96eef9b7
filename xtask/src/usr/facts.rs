//! What is kept of a file's content: the few facts that checks ask for, never the bytes.

use super::elf::ElfInfo;

/// The facts of one regular file. A file whose content nobody asked for yet is [`Facts::Unread`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Facts {
    /// Nobody has read it yet.
    #[default]
    Unread,
    /// An ELF file.
    Elf(Box<ElfInfo>),
    /// It starts with `#!`: the interpreter's path, as written there.
    Script(String),
    /// A text that checks read whole: os-release and its kin, units, ld.so.conf.
    Text(String),
    /// Nothing of the above.
    Plain,
    /// An ELF magic, and behind it nothing that can be read; why.
    Broken(String),
}
