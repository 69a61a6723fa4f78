//! Reads the map that GNU ld writes (`-Wl,-Map=FILE`).

/// A piece of an output section.
#[derive(Debug, PartialEq)]
pub(crate) struct Piece<'a> {
    /// The section of the output that it is in.
    pub(crate) output: &'a str,
    /// The section of the input that it was, or `*fill*` for padding.
    pub(crate) input: &'a str,
    /// The object file that it came from; none for padding.
    pub(crate) object: &'a str,
    pub(crate) bytes: u64,
}

/// The pieces of the output that take space. After the heading, a line in the first column
/// begins an output section; one indented by one space is a piece of it, whose address, size and
/// file follow on the next line when its name is long.
pub(crate) fn pieces(map: &str) -> Vec<Piece<'_>> {
    let body = map.split_once("Linker script and memory map").map_or("", |(_, body)| body);
    let mut pieces = Vec::new();
    let mut output = "";
    let mut pending = None;
    for line in body.lines() {
        let mut words = line.split_whitespace();
        let name = if line.starts_with('.') {
            output = words.next().unwrap_or_default();
            pending = None;
            continue;
        } else if line.starts_with(" .")
            || line.starts_with(" *fill*")
            || line.starts_with(" COMMON")
        {
            let name = words.next().unwrap_or_default();
            if line.trim_end().len() == name.len() + 1 {
                pending = Some(name);
                continue;
            }
            pending = None;
            name
        } else if let Some(name) = pending.take() {
            name
        } else {
            continue;
        };
        let _address = words.next();
        let Some(bytes) = words.next().and_then(hexadecimal) else { continue };
        if bytes > 0 {
            let object = words.next().unwrap_or_default();
            pieces.push(Piece { output, input: name, object, bytes });
        }
    }
    pieces
}

fn hexadecimal(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_names_padding_and_what_takes_no_space() {
        let map = "\
Discarded input sections

 .text          0x0000000000000000       0x99 gone.o

Linker script and memory map

LOAD /usr/lib/Scrt1.o

.text           0x0000000000400130     0x23c2
 *(.text.unlikely .text.*_unlikely)
 .text.unlikely._RNvNtCs25DVsepc9QM_3std7process5abort
                0x00000000004002a1        0x6 a.rcgu.o
 *fill*         0x00000000004002ad        0x3 
 .text.exit     0x00000000004002b0       0x1b libc.a(exit.lo)
                0x00000000004002b0                exit
 .text          0x00000000004002cb        0x0 crti.o

.bss            0x0000000000403900      0x648
 COMMON         0x0000000000403900       0x10 libc.a(libc.lo)
";
        let piece = |output, input, object, bytes| Piece { output, input, object, bytes };
        assert_eq!(
            pieces(map),
            [
                piece(
                    ".text",
                    ".text.unlikely._RNvNtCs25DVsepc9QM_3std7process5abort",
                    "a.rcgu.o",
                    6
                ),
                piece(".text", "*fill*", "", 3),
                piece(".text", ".text.exit", "libc.a(exit.lo)", 0x1b),
                piece(".bss", "COMMON", "libc.a(libc.lo)", 0x10),
            ]
        );
    }
}
