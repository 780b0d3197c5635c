//! `ctl modules` for people.

use tcpcopy_core::runtime::GenerationTotals;

use crate::report::modules;

/// Every module that was loaded.
pub(super) fn text(generations: &[GenerationTotals]) -> String {
    if generations.is_empty() {
        return "no module was loaded; tcpcopy ctl swap loads one\n".to_owned();
    }
    modules::text(generations)
}
