//! One binary: its sections, and the crates that fill them.

use std::collections::BTreeMap;
use std::fmt;

use object::{Object, ObjectSection, ObjectSymbol, SectionFlags, SectionKind, elf};

use crate::figures::{Figures, key};
use crate::{Result, crates, map};

/// Variables below this size are not listed, bytes.
const LISTED_BYTES: u64 = 1_024;

/// Where a section ends up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Executable, in the file or in flash.
    Code,
    /// Constants, in the file or in flash.
    Constants,
    /// Variables that start with a value: in the file or in flash, and in memory.
    Variables,
    /// Variables that start as zero: in memory only.
    Zeros,
    /// In the file, never loaded.
    Unloaded,
}

#[derive(Debug)]
struct Section {
    name: String,
    place: Place,
    bytes: u64,
}

/// What one crate put into the binary.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    code_bytes: u64,
    constants_bytes: u64,
    zeros_bytes: u64,
}

#[derive(Debug)]
pub(crate) struct Image {
    file_bytes: u64,
    sections: Vec<Section>,
    /// The crates, and what they put in.
    shares: BTreeMap<String, Share>,
    /// Variables that start as zero, by name.
    statics: Vec<(String, u64)>,
    /// Whether this is firmware: then flash and RAM count, else the file.
    is_firmware: bool,
}

impl Image {
    pub(crate) fn read(path: &str) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|e| format!("{path}: {e}"))?;
        let file = object::File::parse(&*bytes).map_err(|e| format!("{path}: {e}"))?;
        let sections: Vec<Section> = file
            .sections()
            .filter_map(|section| {
                let name = section.name().ok().filter(|name| !name.is_empty())?.to_string();
                Some(Section { name, place: place(&section), bytes: section.size() })
            })
            .collect();
        let mut image = Self {
            file_bytes: bytes.len() as u64,
            sections,
            shares: BTreeMap::new(),
            statics: Vec::new(),
            is_firmware: file.architecture() == object::Architecture::Arm,
        };
        match std::fs::read_to_string(format!("{path}.map")) {
            Ok(map) => image.share_by_map(&map).map_err(|e| format!("{path}: {e}"))?,
            Err(_) => image.share_by_symbols(&file),
        }
        if image.shares.is_empty() {
            return Err(format!("{path}: neither {path}.map nor a symbol table"));
        }
        Ok(image)
    }

    fn share_by_map(&mut self, map: &str) -> Result<()> {
        let pieces = map::pieces(map);
        // A map of another build would tell another story.
        for section in self.sections.iter().filter(|s| s.name == ".text") {
            let text = pieces.iter().filter(|piece| piece.output == section.name);
            if text.map(|piece| piece.bytes).sum::<u64>() != section.bytes {
                return Err(
                    "its map is of another build; `cargo clean -p midge-agent`, then build again"
                        .into(),
                );
            }
        }
        for piece in pieces {
            let owner = match piece.input {
                "*fill*" => "(padding)".to_string(),
                input => crates::of_section(input, piece.object),
            };
            self.add(piece.output, owner, piece.input, piece.bytes);
        }
        Ok(())
    }

    fn share_by_symbols(&mut self, file: &object::File<'_>) {
        for symbol in file.symbols() {
            let section = symbol.section_index().and_then(|at| file.section_by_index(at).ok());
            let Some(section) = section else { continue };
            let (Ok(section), Ok(name)) = (section.name(), symbol.name()) else { continue };
            let owner = crates::of_symbol(name).unwrap_or_else(|| "(no crate)".to_string());
            self.add(section, owner, name, symbol.size());
        }
    }

    fn add(&mut self, section: &str, owner: String, name: &str, bytes: u64) {
        let place = self.sections.iter().find(|s| s.name == section).map(|s| s.place);
        let Some(place) = place.filter(|place| *place != Place::Unloaded) else { return };
        if bytes == 0 {
            return;
        }
        let share = self.shares.entry(owner).or_default();
        match place {
            Place::Code => share.code_bytes += bytes,
            Place::Constants | Place::Variables => share.constants_bytes += bytes,
            Place::Zeros => {
                share.zeros_bytes += bytes;
                if let Some(name) = crates::path_of_symbol(name) {
                    self.statics.push((name, bytes));
                }
            }
            Place::Unloaded => {}
        }
    }

    fn bytes_in(&self, places: &[Place]) -> u64 {
        self.sections.iter().filter(|s| places.contains(&s.place)).map(|s| s.bytes).sum()
    }

    /// Variables: what it has of memory before it begins.
    pub(crate) fn static_bytes(&self) -> u64 {
        self.bytes_in(&[Place::Variables, Place::Zeros])
    }

    /// The variable of this name that starts as zero.
    pub(crate) fn static_named(&self, name: &str) -> Option<u64> {
        let is_it = |path: &str| path.rsplit("::").next() == Some(name);
        self.statics.iter().find(|(path, _)| is_it(path)).map(|(_, bytes)| *bytes)
    }

    /// What each section and each crate has of it, by keys that begin with this name.
    pub(crate) fn shares(&self, name: &str) -> Figures {
        let mut figures = Figures::new();
        for section in self.sections.iter().filter(|s| s.place != Place::Unloaded && s.bytes > 0) {
            *figures.entry(format!("{name}.section.{}", key(&section.name))).or_default() +=
                section.bytes;
        }
        for (owner, share) in &self.shares {
            let parts = [
                ("code", share.code_bytes),
                ("constants", share.constants_bytes),
                ("zeros", share.zeros_bytes),
            ];
            for (part, bytes) in parts.into_iter().filter(|(_, bytes)| *bytes > 0) {
                figures.insert(format!("{name}.crate.{}.{part}", key(owner)), bytes);
            }
        }
        figures
    }

    /// What is budgeted of it.
    pub(crate) fn values(&self, name: &str) -> Vec<(String, u64)> {
        if self.is_firmware {
            let flash = self.bytes_in(&[Place::Code, Place::Constants, Place::Variables]);
            vec![(format!("{name}.flash"), flash), (format!("{name}.ram"), self.static_bytes())]
        } else {
            vec![(format!("{name}.file"), self.file_bytes)]
        }
    }
}

fn place<'a>(section: &impl ObjectSection<'a>) -> Place {
    let SectionFlags::Elf { sh_flags } = section.flags() else { return Place::Unloaded };
    let has = |flag: u32| sh_flags & u64::from(flag) != 0;
    let zeros =
        matches!(section.kind(), SectionKind::UninitializedData | SectionKind::UninitializedTls);
    if !has(elf::SHF_ALLOC) {
        Place::Unloaded
    } else if zeros {
        Place::Zeros
    } else if has(elf::SHF_EXECINSTR) {
        Place::Code
    } else if has(elf::SHF_WRITE) {
        Place::Variables
    } else {
        Place::Constants
    }
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.is_firmware {
            writeln!(f, "  the file has {} bytes", self.file_bytes)?;
        }
        writeln!(f, "  {:<20} {:>9}", "section", "bytes")?;
        for section in self.sections.iter().filter(|s| s.bytes > 0) {
            let note = match section.place {
                Place::Zeros => "  zeros, in memory only",
                Place::Unloaded => "  not loaded",
                _ => "",
            };
            writeln!(f, "  {:<20} {:>9}{note}", section.name, section.bytes)?;
        }
        writeln!(f, "  {:<20} {:>9} {:>9} {:>9}", "crate", "code", "constants", "zeros")?;
        let mut shares: Vec<_> = self.shares.iter().collect();
        shares.sort_by_key(|(_, s)| {
            std::cmp::Reverse((s.code_bytes + s.constants_bytes, s.zeros_bytes))
        });
        for (name, share) in shares {
            let Share { code_bytes, constants_bytes, zeros_bytes } = share;
            writeln!(f, "  {name:<20} {code_bytes:>9} {constants_bytes:>9} {zeros_bytes:>9}")?;
        }
        writeln!(f, "  {:<40} {:>9}", "variable that starts as zero", "bytes")?;
        for (name, bytes) in self.statics.iter().filter(|(_, bytes)| *bytes >= LISTED_BYTES) {
            writeln!(f, "  {name:<40} {bytes:>9}")?;
        }
        Ok(())
    }
}
