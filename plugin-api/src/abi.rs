//! The stable mirror of this API: what crosses the boundary between a module and its host, whatever compilers made the
//! two. Authors never see it; hosts do. The plain traits stay as they are: `guard` serves them behind
//! the mirror on the module's side, a host's proxies on the other.
//!
//! **Append-only.** Within a major version nothing here changes its form. [`Root`] and [`HostApi`] grow by fields at their
//! end, the traits by methods with a default body at theirs; `last_prefix_field` never moves. What is passed by value
//! never grows: a new fact needs a new method. `docs/decisions/0007-module-abi.md` has the reasons, `tests/abi` the proof.

#![allow(non_local_definitions, unused_qualifications, reason = "sabi_trait expands to such code")]
#![allow(missing_docs, reason = "sabi_trait and StableAbi expand to undocumented items")]

use std::mem::offset_of;
use std::slice;

use abi_stable::library::{CheckTypeLayout, LibHeader, RootModule, RootModuleResult};
use abi_stable::sabi_types::VersionStrings;
use abi_stable::std_types::{RBox, RResult, RSlice, RStr, RString};
use abi_stable::{StableAbi, sabi_trait};

use crate::{Step, export};

mod bridge;
pub(crate) mod guard;
mod panic_note;
mod values;

pub use crate::export::{Export, is_name};
pub use values::{Call, Outcome, RawAddress, RawAnswer, RawExchange, RawSession, RawSide, RawStep, Reply};

/// Every library that holds a module exports one symbol that begins like this and ends in the module's name, so that
/// several modules can be linked into one program.
pub const SYMBOL_PREFIX: &str = "tcpcopy_module_rust_";

/// What that symbol is.
pub type Header = LibHeader;

/// The table a library gives its host.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = RootRef)))]
#[sabi(missing_field(option))]
pub struct Root {
    /// The module's name.
    pub name: RStr<'static>,
    /// The module's own version.
    pub version: RStr<'static>,
    /// The version of this API it was made for.
    pub api: ApiVersion,
    /// The compiler that made it.
    pub compiler: RStr<'static>,
    /// Whether a panic unwinds. If not, it ends the process, and no guard can help.
    pub unwinds: bool,
    /// Makes a module of a configuration and of where that came from.
    #[sabi(last_prefix_field)]
    pub configure: extern "C" fn(HostApiRef, RStr<'_>, RStr<'_>) -> RResult<ModuleObject, Refusal>,
}

impl RootModule for RootRef {
    abi_stable::declare_root_module_statics! {RootRef}
    const BASE_NAME: &'static str = "tcpcopy_module";
    const NAME: &'static str = "tcpcopy_module";
    const VERSION_STRINGS: VersionStrings = abi_stable::package_version_strings!();
}

/// What a host gives a module.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = HostApiRef)))]
#[sabi(missing_field(option))]
pub struct HostApi {
    /// The version of this API the host was made for.
    pub api: ApiVersion,
    /// The most talkative level that the host's log wants: 0 none, 1 errors … 5 traces.
    pub log_level: extern "C" fn() -> u32,
    /// One line for the host's log: level, target, text.
    #[sabi(last_prefix_field)]
    pub log: extern "C" fn(u32, RStr<'_>, RStr<'_>),
}

/// A version of the API.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiVersion {
    /// Equal on both sides, or the module is refused.
    pub major: u16,
    /// Grows with every addition.
    pub minor: u16,
}

impl ApiVersion {
    /// That of this crate.
    pub const CURRENT: Self = Self { major: crate::API_VERSION.0, minor: crate::API_VERSION.1 };
}

/// Why there is no module.
#[repr(C)]
#[derive(StableAbi, Debug)]
pub struct Refusal {
    /// It panicked; the text says how. Otherwise the text is the sentence of a `ConfigurationError`.
    pub is_panic: bool,
    /// One sentence.
    pub text: RString,
}

/// A configured module.
pub type ModuleObject = RawModule_TO<'static, RBox<()>>;
/// A conversation.
pub type ConversationObject = RawConversation_TO<'static, RBox<()>>;

/// The mirror of [`Module`](crate::Module).
#[sabi_trait]
pub trait RawModule: Send {
    fn open(&self, session: RawSession) -> ConversationObject;
    #[sabi(last_prefix_field)]
    fn resume(&self, session: RawSession, snapshot: RSlice<'_, u8>) -> ConversationObject;
}

/// The mirror of [`Conversation`](crate::Conversation).
#[sabi_trait]
pub trait RawConversation: Send {
    fn opened(&mut self, call: Call) -> Reply<'_>;
    fn client(&mut self, call: Call, input: RSlice<'_, u8>) -> Reply<'_>;
    fn target(&mut self, call: Call, input: RSlice<'_, u8>) -> Reply<'_>;
    fn online(&mut self, call: Call, input: RSlice<'_, u8>) -> Reply<'_>;
    fn missing(&mut self, call: Call, side: RawSide, count: u64) -> Reply<'_>;
    fn ended(&mut self, call: Call, side: RawSide) -> Reply<'_>;
    fn reconnected(&mut self, call: Call) -> Reply<'_>;
    fn timer(&mut self, call: Call) -> Reply<'_>;
    /// The snapshot is in the reply's `bytes` when its outcome is [`Outcome::DONE`].
    #[sabi(last_prefix_field)]
    fn snapshot(&mut self) -> Reply<'_>;
}

/// The header of the library that exports `E`'s module, for [`export_module!`](crate::export_module).
#[must_use]
pub const fn header<E: Export>() -> Header {
    // SAFETY: `construct` returns what `__call_root_module_loader` makes of a `RootRef`.
    unsafe { LibHeader::from_constructor::<RootRef>(construct::<E>, CheckTypeLayout::Yes) }
}

extern "C" fn construct<E: Export>() -> RootModuleResult {
    abi_stable::library::__call_root_module_loader(export::root::<E>)
}

/// Prepares this library for its first call by `host`.
pub(crate) fn serve(host: HostApiRef) {
    if bridge::install(host) {
        panic_note::install();
    }
}

/// The symbol of [`export_module!`](crate::export_module), which may not hold the word that an author's crate forbids.
#[doc(hidden)]
#[macro_export]
macro_rules! __export_header {
    ($name:literal, $exported:ty) => {
        #[unsafe(export_name = concat!("tcpcopy_module_rust_", $name))]
        pub static HEADER: $crate::abi::Header = $crate::abi::header::<$exported>();
    };
}

const _: () = assert!(
    size_of::<Step>() == size_of::<RawStep>()
        && align_of::<Step>() == align_of::<RawStep>()
        && offset_of!(Step, code) == offset_of!(RawStep, code)
        && offset_of!(Step, reserved) == offset_of!(RawStep, reserved)
        && offset_of!(Step, count) == offset_of!(RawStep, count)
        && offset_of!(Step, bytes) == offset_of!(RawStep, bytes)
);

/// Steps as they cross the boundary, without a copy.
fn raw_steps(steps: &[Step]) -> &[RawStep] {
    // SAFETY: both have the same fields in the same places, as is asserted above.
    unsafe { slice::from_raw_parts(steps.as_ptr().cast(), steps.len()) }
}

/// The other way round.
fn plain_steps(steps: &[RawStep]) -> &[Step] {
    // SAFETY: as in `raw_steps`.
    unsafe { slice::from_raw_parts(steps.as_ptr().cast(), steps.len()) }
}
