//! The door of modules in C: a table of functions, which this host has to trust where it trusts the compiler with modules
//! in Rust.

use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr;
use std::sync::Arc;

use libloading::os::unix::Library as Mapping;
use tcpcopy_plugin_api::{Configuration, Module};

use crate::Problem;
use crate::elf::C_SYMBOL;
use crate::tally::Tally;

pub mod interface;

mod actions;
mod proxy;

use interface::{TCPCOPY_API_MAJOR, TCPCOPY_API_MINOR, TCPCOPY_OK, TCPCOPY_REFUSED};

/// A module's table, as far as both sides know it: what the module does not have is null.
pub(crate) struct Table {
    functions: interface::Module,
    /// What the module calls itself.
    pub(crate) name: String,
    /// The module's version.
    pub(crate) version: String,
}

// SAFETY: the table is never written, its strings live as long as the process, and its functions may be called from any
// thread, as the header says.
unsafe impl Send for Table {}
// SAFETY: as for `Send`.
unsafe impl Sync for Table {}

impl Table {
    /// The version of the interface the module was built for.
    pub(crate) fn api(&self) -> (u16, u16) {
        (self.functions.api_major, self.functions.api_minor)
    }
}

/// The table of the module in `mapping`, if it fits.
pub(crate) fn open(mapping: &Mapping) -> Result<Table, Problem> {
    type Entry = unsafe extern "C" fn() -> *const interface::Module;
    // SAFETY: a library that has a function of this name means the one of the header; the mapping is never undone.
    let given = unsafe { mapping.get::<Entry>(C_SYMBOL.as_bytes()).map(|entry| entry()) };
    let given = given.map_err(|_| Problem::NoModule)?;
    if given.is_null() {
        return Err(Problem::BadTable("tcpcopy_module_v1 returns NULL"));
    }
    // SAFETY: not null, and what the header says of it is all there is to know.
    let functions = unsafe { known_part(given) }?;
    if functions.api_major != TCPCOPY_API_MAJOR {
        return Err(Problem::OtherApi {
            theirs: (functions.api_major.into(), functions.api_minor.into()),
            ours: (TCPCOPY_API_MAJOR.into(), TCPCOPY_API_MINOR.into()),
        });
    }
    if functions.configure.is_none() || functions.open.is_none() || functions.client.is_none() {
        return Err(Problem::BadTable("configure, open and client have to be set"));
    }
    // SAFETY: the header asks for null or strings that stay.
    let (name, version) = unsafe { (text(functions.name), text(functions.version)) };
    match (name, version) {
        (Some(name), Some(version)) => Ok(Table { functions, name, version }),
        _ => Err(Problem::BadTable("name and version have to be set")),
    }
}

/// The part of a module's table that both sides know: a copy with nulls for what a module of an older version lacks.
///
/// # Safety
/// `given` points to a table that is as long as it says.
unsafe fn known_part(given: *const interface::Module) -> Result<interface::Module, Problem> {
    // SAFETY: every version of the table begins with its size.
    let size = unsafe { given.cast::<usize>().read() };
    if size < std::mem::offset_of!(interface::Module, name) {
        return Err(Problem::BadTable("its size is not set"));
    }
    let mut known = std::mem::MaybeUninit::<interface::Module>::zeroed();
    // SAFETY: as many bytes as both have. All zeros, or whatever a module wrote, is a value of each of its fields.
    unsafe {
        ptr::copy_nonoverlapping(
            given.cast::<u8>(),
            known.as_mut_ptr().cast(),
            size.min(size_of::<interface::Module>()),
        );
        Ok(known.assume_init())
    }
}

/// A module of that table.
pub(crate) fn make(
    table: &Arc<Table>,
    configuration: &Configuration<'_>,
    tally: Arc<Tally>,
) -> Result<Box<dyn Module>, Problem> {
    let wrong = |sentence| Problem::Configuration { origin: configuration.origin().to_owned(), sentence };
    let Some(configure) = table.functions.configure else {
        return Err(Problem::BadTable("configure, open and client have to be set"));
    };
    let text = CString::new(configuration.text())
        .map_err(|_| wrong(String::from("there is a NUL character in it; write plain text")))?;
    let origin = CString::new(configuration.origin().replace('\0', "")).unwrap_or_default();
    let mut sentence = None::<String>;
    let asked = interface::Configuration {
        size: size_of::<interface::Configuration>(),
        context: (&raw mut sentence).cast(),
        text: text.as_ptr(),
        text_length: text.as_bytes().len(),
        origin: origin.as_ptr(),
        refuse: Some(refuse),
    };
    let mut module: *mut c_void = ptr::null_mut();
    // SAFETY: everything pointed to outlives the call.
    let code = unsafe { configure(&raw const actions::HOST, &raw const asked, &raw mut module) };
    match (code, sentence) {
        (TCPCOPY_OK, _) => Ok(Box::new(proxy::CModule::new(Arc::clone(table), module, tally))),
        (TCPCOPY_REFUSED, Some(sentence)) => Err(wrong(sentence)),
        (code, _) => Err(Problem::BadTable(if code == TCPCOPY_REFUSED {
            "configure gave no reason"
        } else {
            "configure returned a code that is none"
        })),
    }
}

unsafe extern "C" fn refuse(configuration: *const interface::Configuration, sentence: *const c_char) -> i32 {
    // SAFETY: a module gives back the pointer it got, whose context is the sentence in `make`.
    unsafe {
        let kept = (*configuration).context.cast::<Option<String>>();
        *kept = Some(text(sentence).unwrap_or_default());
    }
    TCPCOPY_REFUSED
}

/// A string of a module; `None` for null.
///
/// # Safety
/// `pointer` is null, or points to a string that is closed by a NUL.
unsafe fn text(pointer: *const c_char) -> Option<String> {
    // SAFETY: not null, so a string.
    (!pointer.is_null()).then(|| unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned())
}
