//! The lines below a file.

use std::borrow::Cow;

use super::{escaped, line, unescaped};
use crate::usr::elf::{DlopenNote, DlopenPriority, ElfInfo, VersionNeed};
use crate::usr::facts::Facts;

/// Writes what was read of a file; of one that was not, nothing.
pub(super) fn print(out: &mut String, facts: &Facts) {
    let mut one = |word: &str, text: &str| line(out, &["", word, &escaped(text)]);
    match facts {
        Facts::Unread => {}
        Facts::Plain => line(out, &["", "plain"]),
        Facts::Script(interpreter) => one("script", interpreter),
        Facts::Text(text) => one("text", text),
        Facts::Broken(why) => one("broken", why),
        Facts::Elf(info) => print_elf(out, info),
    }
}

fn print_elf(out: &mut String, info: &ElfInfo) {
    let class = if info.is_64 { "64" } else { "32" };
    let order = if info.big_endian { "big" } else { "little" };
    let mut head = vec!["", "elf", class, order];
    let machine = info.machine.to_string();
    head.push(&machine);
    head.extend(info.dynamic.then_some("dynamic"));
    head.extend(info.no_default_dirs.then_some("nodeflib"));
    line(out, &head);
    let lists: [(&str, &[String]); 5] = [
        ("needed", &info.needed),
        ("rpath", &info.rpath),
        ("runpath", &info.runpath),
        ("version", &info.version_defs),
        ("system-dir", &info.system_dirs),
    ];
    let single = [("interp", &info.interp), ("soname", &info.soname), ("systemd", &info.systemd_version)];
    for (word, text) in single.iter().filter_map(|(word, text)| Some((word, text.as_ref()?))) {
        line(out, &["", word, &escaped(text)]);
    }
    for (word, texts) in lists {
        texts.iter().for_each(|text| line(out, &["", word, &escaped(text)]));
    }
    for need in &info.version_needs {
        let strength = if need.weak { "weak" } else { "strong" };
        line(out, &["", "needs", strength, &escaped(&need.library), &escaped(&need.version)]);
    }
    for note in &info.dlopen {
        let (feature, description) = (escaped(&note.feature), escaped(&note.description));
        let sonames: Vec<_> = note.sonames.iter().map(|name| escaped(name)).collect();
        let mut fields = vec!["", "dlopen", note.priority.id(), &feature, &description];
        fields.extend(sonames.iter().map(AsRef::as_ref));
        line(out, &fields);
    }
}

/// Adds one line, without its leading tab, to what is known of its file; `None` where it is none.
pub(super) fn read(facts: &mut Facts, text: &str) -> Option<()> {
    let mut fields = text.split('\t');
    let word = fields.next()?;
    let whole = |rest: Option<&str>| rest.and_then(unescaped).map(Cow::into_owned);
    if let Facts::Elf(info) = facts {
        return read_elf(info, word, fields);
    }
    if *facts != Facts::Unread {
        return None;
    }
    *facts = match word {
        "plain" => Facts::Plain,
        "script" => Facts::Script(whole(fields.next())?),
        "text" => Facts::Text(whole(fields.next())?),
        "broken" => Facts::Broken(whole(fields.next())?),
        "elf" => Facts::Elf(Box::new(elf_head(&mut fields)?)),
        _ => return None,
    };
    fields.next().is_none().then_some(())
}

fn elf_head<'a>(fields: &mut impl Iterator<Item = &'a str>) -> Option<ElfInfo> {
    let mut info = ElfInfo {
        is_64: fields.next()? == "64",
        big_endian: fields.next()? == "big",
        machine: fields.next()?.parse().ok()?,
        ..ElfInfo::default()
    };
    for word in fields {
        match word {
            "dynamic" => info.dynamic = true,
            "nodeflib" => info.no_default_dirs = true,
            _ => return None,
        }
    }
    Some(info)
}

fn read_elf<'a>(info: &mut ElfInfo, word: &str, mut fields: impl Iterator<Item = &'a str>) -> Option<()> {
    let mut text = || fields.next().and_then(unescaped).map(Cow::into_owned);
    match word {
        "interp" => info.interp = Some(text()?),
        "soname" => info.soname = Some(text()?),
        "systemd" => info.systemd_version = Some(text()?),
        "needed" => info.needed.push(text()?),
        "rpath" => info.rpath.push(text()?),
        "runpath" => info.runpath.push(text()?),
        "version" => info.version_defs.push(text()?),
        "system-dir" => info.system_dirs.push(text()?),
        "needs" => {
            let weak = text()? == "weak";
            info.version_needs.push(VersionNeed { library: text()?, version: text()?, weak });
        }
        "dlopen" => {
            let priority = match text()?.as_str() {
                "required" => DlopenPriority::Required,
                "recommended" => DlopenPriority::Recommended,
                "suggested" => DlopenPriority::Suggested,
                _ => return None,
            };
            let (feature, description) = (text()?, text()?);
            let sonames = std::iter::from_fn(text).collect();
            info.dlopen.push(DlopenNote { sonames, feature, description, priority });
        }
        _ => return None,
    }
    fields.next().is_none().then_some(())
}
