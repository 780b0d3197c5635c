//! A look at a library before the dynamic linker touches it, which trusts every byte: a truncated file kills the process.

use abi_stable::library::AbiHeader;
use object::elf::{self as format, FileHeader32, FileHeader64};
use object::endian::NativeEndian;
use object::read::elf::{Dyn as _, FileHeader, ProgramHeader as _, SectionHeader as _, Sym as _};
use tcpcopy_plugin_api::abi::SYMBOL_PREFIX;

use crate::Problem;

/// The function that a module in C exports.
pub(crate) const C_SYMBOL: &str = "tcpcopy_module_v1";

/// How to get into a library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// The symbol of a module in Rust.
    Rust(String),
    /// [`C_SYMBOL`].
    C,
}

/// The entry of the library that consists of these bytes.
pub(crate) fn entry(bytes: &[u8]) -> Result<Entry, Problem> {
    recognize(bytes)?;
    if cfg!(target_pointer_width = "64") {
        examine::<FileHeader64<NativeEndian>>(bytes)
    } else {
        examine::<FileHeader32<NativeEndian>>(bytes)
    }
}

/// Whether this is a file for the linker at all, and for this machine's word size and byte order.
fn recognize(bytes: &[u8]) -> Result<(), Problem> {
    let class = if cfg!(target_pointer_width = "64") { format::ELFCLASS64 } else { format::ELFCLASS32 };
    let order = if cfg!(target_endian = "little") { format::ELFDATA2LSB } else { format::ELFDATA2MSB };
    match bytes {
        [] => Err(Problem::NotALibrary("an empty file")),
        [0x7f, b'E', b'L', b'F', found_class, found_order, ..] => {
            if (*found_class, *found_order) == (class, order) { Ok(()) } else { Err(Problem::OtherMachine) }
        }
        [0x7f, b'E', b'L', b'F', ..] => Err(Problem::Truncated("it has no header")),
        _ if bytes.iter().take(512).all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace()) => {
            Err(Problem::NotALibrary("a text file"))
        }
        _ => Err(Problem::NotALibrary("a file of another kind")),
    }
}

fn examine<Elf: FileHeader<Endian = NativeEndian>>(bytes: &[u8]) -> Result<Entry, Problem> {
    let header = Elf::parse(bytes).map_err(|_| Problem::Truncated("it has no header"))?;
    match header.e_type(NativeEndian) {
        format::ET_DYN => {}
        format::ET_EXEC => return Err(Problem::NotALibrary("a program")),
        _ => return Err(Problem::NotALibrary("an object file or a core dump")),
    }
    if machine().is_some_and(|machine| machine != header.e_machine(NativeEndian)) {
        return Err(Problem::OtherMachine);
    }
    check_segments(header, bytes)?;
    find_entry(header, bytes)
}

/// The number of this machine's processor, where it is known.
const fn machine() -> Option<u16> {
    if cfg!(target_arch = "x86_64") {
        Some(format::EM_X86_64)
    } else if cfg!(target_arch = "aarch64") {
        Some(format::EM_AARCH64)
    } else if cfg!(target_arch = "riscv64") {
        Some(format::EM_RISCV)
    } else {
        None
    }
}

/// Whether all that will be mapped is inside the file, and whether it is a library.
fn check_segments<Elf: FileHeader<Endian = NativeEndian>>(header: &Elf, bytes: &[u8]) -> Result<(), Problem> {
    let segments = header
        .program_headers(NativeEndian, bytes)
        .map_err(|_| Problem::Truncated("its segment table is not inside the file"))?;
    for segment in segments {
        if segment.data(NativeEndian, bytes).is_err() {
            return Err(Problem::Truncated("a segment is not inside the file"));
        }
        let dynamic = segment
            .dynamic(NativeEndian, bytes)
            .map_err(|_| Problem::Truncated("its dynamic section cannot be read"))?;
        let is_program = |entry: &Elf::Dyn| {
            entry.tag(NativeEndian) == format::DT_FLAGS_1
                && entry.d_val(NativeEndian).into() & u64::from(format::DF_1_PIE) != 0
        };
        if dynamic.is_some_and(|entries| entries.iter().any(is_program)) {
            return Err(Problem::NotALibrary("a program"));
        }
    }
    Ok(())
}

fn find_entry<Elf: FileHeader<Endian = NativeEndian>>(header: &Elf, bytes: &[u8]) -> Result<Entry, Problem> {
    let damaged = |_| Problem::Truncated("its section table is not inside the file");
    let sections = header.sections(NativeEndian, bytes).map_err(damaged)?;
    for section in sections.iter() {
        section
            .data(NativeEndian, bytes)
            .map_err(|_| Problem::Truncated("a section is not inside the file"))?;
    }
    let symbols = sections.symbols(NativeEndian, bytes, format::SHT_DYNSYM).map_err(damaged)?;
    let (mut rust, mut has_c, mut shared) = (Vec::new(), false, None);
    for symbol in symbols.iter().filter(|symbol| !symbol.is_undefined(NativeEndian)) {
        let Ok(name) = symbol.name(NativeEndian, symbols.strings()).map(String::from_utf8_lossy) else {
            return Err(Problem::Truncated("a symbol has no name"));
        };
        if symbol.st_bind() == format::STB_GNU_UNIQUE && shared.is_none() {
            shared = Some(name.clone().into_owned());
        }
        if name.starts_with(SYMBOL_PREFIX) {
            if symbol.st_type() != format::STT_OBJECT
                || symbol.st_size(NativeEndian).into() < size_of::<AbiHeader>() as u64
            {
                return Err(Problem::ForeignAbi);
            }
            rust.push(name.into_owned());
        } else if name == C_SYMBOL {
            has_c = symbol.st_type() == format::STT_FUNC;
        }
    }
    match (rust.as_slice(), has_c) {
        ([], false) => Err(Problem::NoModule),
        ([], true) | ([_], false) if let Some(name) = shared => Err(Problem::SharesVariables(name)),
        ([], true) => Ok(Entry::C),
        ([symbol], false) => Ok(Entry::Rust(symbol.clone())),
        (several, has_c) => {
            let mut names: Vec<_> =
                several.iter().map(|symbol| symbol.replacen(SYMBOL_PREFIX, "", 1)).collect();
            names.extend(has_c.then(|| String::from("one in C")));
            Err(Problem::SeveralModules(names.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A library that every test program here has loaded.
    fn some_library() -> Vec<u8> {
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let line = maps.lines().find(|line| line.contains("libc.so.6")).unwrap();
        fs::read(&line[line.find('/').unwrap()..]).unwrap()
    }

    #[test]
    fn a_library_without_an_entry_is_no_module() {
        assert!(matches!(entry(&some_library()), Err(Problem::NoModule)));
    }

    #[test]
    fn damage_never_harms_who_looks() {
        let mut library = some_library();
        let mut random = fastrand::Rng::with_seed(7);
        let tables = [0..64, 64..1_000, 1_000..40_000, library.len() - 4_500..library.len()];
        for round in 0..400 {
            let place = random.usize(tables[round % tables.len()].clone());
            let whole = std::mem::replace(&mut library[place], random.u8(..));
            let _ = entry(&library);
            library[place] = whole;
        }
        for _ in 0..100 {
            assert!(entry(&library[..random.usize(..library.len())]).is_err());
        }
    }
}
