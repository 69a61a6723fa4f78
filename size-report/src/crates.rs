//! Which crate a piece of a binary comes from.

/// The crate that a mangled name, of a function or of its section, begins with. A function of
/// one crate that was made for a type of another counts for the one that wrote it.
pub(crate) fn of_symbol(name: &str) -> Option<String> {
    let path = demangled(name)?.to_string();
    let end = path.find("::")?;
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    // The v0 mangling shows a crate as `name[hash]`.
    let head = path[..end].split('[').find(|part| part.ends_with(word))?;
    let start = head.rfind(|c| !word(c)).map_or(0, |at| at + 1);
    Some(head[start..].to_string())
}

/// The path of a function or a variable, without the hashes of crates.
pub(crate) fn path_of_symbol(name: &str) -> Option<String> {
    Some(format!("{:#}", demangled(name)?))
}

fn demangled(name: &str) -> Option<rustc_demangle::Demangle<'_>> {
    let start = name.find("_R").or_else(|| name.find("_ZN"))?;
    rustc_demangle::try_demangle(&name[start..]).ok()
}

/// The crate, or the library, that a section of an object file comes from.
pub(crate) fn of_section(section: &str, object: &str) -> String {
    if let Some(name) = of_symbol(section) {
        return name;
    }
    let file = object.rsplit('/').next().unwrap_or(object);
    if file.contains(".rcgu.o") && !file.contains(".rlib(") {
        // What link-time optimisation left without a crate's name: `main` and what it inlined,
        // string literals, tables of constants.
        return "(unnamed)".to_string();
    }
    // Rust's standard library carries the C library's objects inside the crate `libc`.
    let archive = file.split(['.', '(', '-']).next().unwrap_or(file);
    match archive {
        "libc" | "liblibc" => "(musl)".to_string(),
        "libunwind" => "libunwind".to_string(),
        _ if file.contains(".rlib(") => archive.trim_start_matches("lib").to_string(),
        _ => "(start files)".to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_of_both_manglings() {
        let cases = [
            ("_RNvNtCs25DVsepc9QM_3std7process5abort", Some("std")),
            (".text.unlikely._RNvNtCs25DVsepc9QM_3std7process5abort", Some("std")),
            (".text._RNvCs9Bb28kz3ii7_5midge4main", Some("midge")),
            (
                "_RINvNtCs2fG3oVPERzH_4core3ptr9drop_glueNtNtNtCs25DVsepc9QM_3std2io5error5ErrorEBH_",
                Some("core"),
            ),
            ("_ZN4core3ptr13drop_in_place17h0123456789abcdefE", Some("core")),
            (
                "_ZN75_$LT$core..num..nonzero..NonZero$LT$u64$GT$$u20$as$u20$core..fmt..Debug$GT$3fmt17h0123456789abcdefE",
                Some("core"),
            ),
            (".text._ZN9libunwind3fooE", Some("libunwind")),
            (".text.memcpy", None),
            (".rodata..Lanon.466f9f6a5749d321f8492e1491f5915e.191", None),
        ];
        for (name, owner) in cases {
            assert_eq!(of_symbol(name).as_deref(), owner, "{name}");
        }
    }

    #[test]
    fn paths_of_variables() {
        let name = ".bss._RNvNtCsdpmFal1ZTxz_11midge_agent5agent4NODE";
        assert_eq!(path_of_symbol(name).as_deref(), Some("midge_agent::agent::NODE"));
        assert_eq!(path_of_symbol("COMMON"), None);
    }

    #[test]
    fn sections_without_a_rust_name_go_to_their_object() {
        let cases = [
            (".text.free", "/usr/lib/x86_64-linux-musl/libc.a(free.lo)", "(musl)"),
            (".text.free", "/lib/liblibc-0123.rlib(free.lo)", "(musl)"),
            (".text", "/usr/lib/x86_64-linux-musl/Scrt1.o", "(start files)"),
            (".rodata..Lanon.46.1", "/deps/midge-73.midge.c5-cgu.0.rcgu.o", "(unnamed)"),
            (
                ".text.memcpy",
                "/deps/libcompiler_builtins-f9.rlib(compiler_builtins-f9.c.rcgu.o)",
                "compiler_builtins",
            ),
        ];
        for (section, object, owner) in cases {
            assert_eq!(of_section(section, object), owner, "{section} {object}");
        }
    }
}
