//! The door of modules in Rust: finds the mirror in a library and checks that it fits ours.

use std::sync::Arc;

use abi_stable::StableAbi;
use abi_stable::abi_stability::abi_checking::{AbiInstabilityErrors, check_layout_compatibility};
use abi_stable::library::{AbiHeaderRef, LibHeader, LibraryError};
use abi_stable::sabi_types::VersionNumber;
use abi_stable::std_types::RResult;
use abi_stable::type_layout::TLFieldOrFunction;
use libloading::os::unix::Library as Mapping;
use tcpcopy_plugin_api::abi::{ApiVersion, Refusal, RootRef};
use tcpcopy_plugin_api::{Configuration, Module};

use crate::Problem;
use crate::host_api::HOST_API;
use crate::tally::Tally;

mod proxy;

/// The table of the module in `mapping`, if it fits.
pub(crate) fn open(mapping: &Mapping, symbol: &str) -> Result<RootRef, Problem> {
    // SAFETY: a symbol's value is its address, and an `AbiHeaderRef` is the address of an `AbiHeader`. That the symbol is
    // an object and large enough was seen before; the mapping is never undone.
    let header = unsafe { mapping.get::<AbiHeaderRef>(symbol.as_bytes()) };
    let header = *header.map_err(|_| Problem::NoModule)?;
    let header = header.upgrade().map_err(|_| Problem::ForeignAbi)?;
    let root = check(header)?;
    if root.unwinds() { Ok(root) } else { Err(Problem::Aborts) }
}

/// A module of that table.
pub(crate) fn make(
    root: RootRef,
    configuration: &Configuration<'_>,
    tally: Arc<Tally>,
) -> Result<Box<dyn Module>, Problem> {
    match root.configure()(HOST_API, configuration.text().into(), configuration.origin().into()) {
        RResult::ROk(object) => Ok(Box::new(proxy::RemoteModule::new(object, tally))),
        RResult::RErr(Refusal { is_panic: true, text }) => {
            Err(Problem::Panicked { doing: "configured", text: text.into() })
        }
        RResult::RErr(Refusal { is_panic: false, text }) => {
            Err(Problem::Configuration { origin: configuration.origin().to_owned(), sentence: text.into() })
        }
    }
}

fn check(header: &'static LibHeader) -> Result<RootRef, Problem> {
    let ours = ApiVersion::CURRENT;
    let theirs = VersionNumber::new(header.version_strings()).map_err(|_| Problem::ForeignAbi)?;
    if theirs.major != u32::from(ours.major) {
        return Err(Problem::OtherApi {
            theirs: (theirs.major, theirs.minor),
            ours: (ours.major.into(), ours.minor.into()),
        });
    }
    // A table of a newer version begins like one of an older version, whichever side has the newer one; abi_stable by
    // itself would refuse an older module.
    let (mine, other) = (<RootRef as StableAbi>::LAYOUT, header.layout().ok_or(Problem::ForeignAbi)?);
    let (older, newer) = if theirs.minor < u32::from(ours.minor) { (other, mine) } else { (mine, other) };
    check_layout_compatibility(older, newer).map_err(|found| Problem::OtherLayout(first_finding(&found)))?;
    // SAFETY: the layouts were compared just now; what the older table lacks, the accessors know.
    unsafe { header.init_root_module_with_unchecked_layout::<RootRef>() }.map_err(|error| match error {
        LibraryError::RootModule { .. } => {
            Problem::Panicked { doing: "loaded", text: String::from("panicked") }
        }
        _ => Problem::ForeignAbi,
    })
}

/// The first finding of abi_stable's report, which may have hundreds of lines: the field, and what is wrong with it.
fn first_finding(report: &AbiInstabilityErrors) -> String {
    let Some(found) = report.errors.iter().find(|found| !found.errs.is_empty()) else {
        return String::from("its layout is another");
    };
    let text = found.to_string();
    let mut lines = text.lines().map(str::trim).skip_while(|line| !line.starts_with("Error:"));
    let what = lines.next().and_then(|line| line.strip_prefix("Error:")).unwrap_or("it differs");
    let field = found.stack_trace.iter().rev().find_map(|place| match &place.found {
        TLFieldOrFunction::Field(field) => Some(field.name()),
        TLFieldOrFunction::Function(_) => None,
    });
    field.map_or_else(|| what.to_owned(), |field| format!("{what} of the field {field}"))
}
