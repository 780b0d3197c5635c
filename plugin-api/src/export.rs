//! [`export_module!`](crate::export_module), what it says of a module, and the table a host gets of it.

use abi_stable::prefix_type::PrefixTypeTrait;
use abi_stable::std_types::{RResult, RStr};

use crate::Module;
use crate::abi::{self, ApiVersion, HostApiRef, ModuleObject, Refusal, Root, RootRef};

/// Makes the library that this crate is built as (`crate-type = ["cdylib"]`) a module: once per library, with its name
/// and version and the type that implements [`Module`].
///
/// ```
/// # use tcpcopy_plugin_api::{Configuration, ConfigurationError, Conversation, Module, SessionInfo};
/// # struct Lines;
/// # impl Module for Lines {
/// #     fn configure(_: &Configuration<'_>) -> Result<Self, ConfigurationError> { Ok(Self) }
/// #     fn open(&self, _: &SessionInfo) -> Box<dyn Conversation> { unimplemented!() }
/// # }
/// tcpcopy_plugin_api::export_module! {
///     name: "lines",
///     version: env!("CARGO_PKG_VERSION"),
///     module: Lines,
/// }
/// ```
///
/// The name is a literal of ASCII letters, digits, `-`, `_` and `.`: what operators call the module, in reports and in
/// the log. The library exports a symbol with the name in it, so two modules may be linked into one program.
#[macro_export]
macro_rules! export_module {
    (name: $name:literal, version: $version:expr, module: $module:ty $(,)?) => {
        const _: () = {
            struct Exported;

            impl $crate::abi::Export for Exported {
                type Module = $module;
                const NAME: &'static str = $name;
                const VERSION: &'static str = $version;
                const UNWINDS: bool = cfg!(panic = "unwind");
            }

            const _: () = assert!(
                $crate::abi::is_name($name),
                "the name of a module has ASCII letters, digits, -, _ and . only"
            );

            $crate::__export_header!($name, Exported);
        };
    };
}

/// A module that a library exports.
pub trait Export: 'static {
    /// Its type.
    type Module: Module;
    /// Its name.
    const NAME: &'static str;
    /// Its version.
    const VERSION: &'static str;
    /// Whether its panics unwind: a choice of the crate that exports it, which this crate need not share.
    const UNWINDS: bool;
}

/// Whether a module may be called so: linkers are particular about symbols.
#[must_use]
pub const fn is_name(name: &str) -> bool {
    let mut rest = name.as_bytes();
    while let [first, others @ ..] = rest {
        if !(first.is_ascii_alphanumeric() || matches!(*first, b'-' | b'_' | b'.')) {
            return false;
        }
        rest = others;
    }
    !name.is_empty()
}

/// The table of the library that exports `E`.
pub(crate) fn root<E: Export>() -> RootRef {
    Root {
        name: RStr::from_str(E::NAME),
        version: RStr::from_str(E::VERSION),
        api: ApiVersion::CURRENT,
        compiler: RStr::from_str(env!("TCPCOPY_COMPILER")),
        unwinds: E::UNWINDS && cfg!(panic = "unwind"),
        configure: configure::<E>,
    }
    .leak_into_prefix()
}

extern "C" fn configure<E: Export>(
    host: HostApiRef,
    text: RStr<'_>,
    origin: RStr<'_>,
) -> RResult<ModuleObject, Refusal> {
    abi::serve(host);
    abi::guard::configure::<E::Module>(text.as_str(), origin.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_a_symbol_can_end_in() {
        assert!(["http", "my-sql_5.7"].into_iter().all(is_name));
        assert!(!["", "my sql", "gr\u{fc}n", "a\"b"].into_iter().any(is_name));
    }

    #[test]
    fn the_version_of_the_api_is_that_of_the_package() {
        // abi_stable compares the package's, hosts the API's: one is of no use without the other.
        let (major, minor) = crate::API_VERSION;
        assert!(env!("CARGO_PKG_VERSION").starts_with(&format!("{major}.{minor}.")));
    }
}
