//! Groups of the system, from `/etc/group` alone: what the C library would ask beside that is not
//! in a static binary.

use crate::files::{each_line, read_file};
use crate::text::{parse_number, parts};

/// What is read of `/etc/group`, bytes.
const FILE_BYTES: usize = 32 * 1024;

/// The number of a group, by its name or its number; `None` if there is none of this name, as far
/// as `/etc/group` can be read.
pub(crate) fn find_group(group: &str) -> Option<u32> {
    let number = parse_number(group.as_bytes()).or_else(|| look_up(group));
    // The largest stands for no group (chown(2)).
    number.filter(|number| *number < u64::from(u32::MAX)).map(|number| number as u32)
}

/// Not part of its caller: only who gives a name pays for so much stack.
#[inline(never)]
fn look_up(name: &str) -> Option<u64> {
    find(name, read_file("/etc/group", &mut [0; FILE_BYTES]).ok()?)
}

/// Looks for the line `NAME:PASSWORD:NUMBER:MEMBERS` of one name.
fn find(name: &str, file: &[u8]) -> Option<u64> {
    let mut found = None;
    each_line(file, &mut |_, line| {
        let mut fields = parts(line, b':');
        if found.is_none() && fields.next() == Some(name) {
            fields.next();
            found = fields.next().and_then(|number| parse_number(number.as_bytes()));
        }
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &[u8] = b"root:x:0:\nadmins:x:27:a,b,c\n\nadmin::28:\nbad:x:1x:\nshort:x\n\
        admin:x:30:\nlast:!:4294967294:z";

    #[test]
    fn names_are_found() {
        for (name, number) in [
            ("root", Some(0)),
            ("admins", Some(27)),
            ("admin", Some(28)),
            ("last", Some(u64::from(u32::MAX - 1))),
            ("adm", None),
            ("bad", None),
            ("short", None),
            ("x", None),
            ("a,b,c", None),
            ("", None),
        ] {
            assert_eq!(find(name, FILE), number, "{name}");
        }
    }

    #[test]
    fn numbers_stand_for_themselves() {
        assert_eq!(find_group("0"), Some(0));
        assert_eq!(find_group("4294967294"), Some(u32::MAX - 1));
        for none in ["4294967295", "4294967296", "99999999999999999999"] {
            assert_eq!(find_group(none), None);
        }
        assert_eq!(find_group("no-such-group"), None);
    }
}
