//! What a panic said. A library has panic hooks of its own, and the default one prints to standard error, where nobody
//! looks and lines of the host's own are broken: this one notes the text for the guard instead.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};

thread_local! {
    static NOTE: Cell<Option<String>> = const { Cell::new(None) };
}

/// From here on the panics of this library are noted, and logged at debug.
pub(super) fn install() {
    panic::set_hook(Box::new(|info| {
        let text = info.payload_as_str().unwrap_or("(no text)");
        let place = info
            .location()
            .map_or_else(String::new, |place| format!(" at {}:{}", place.file(), place.line()));
        log::debug!("panicked{place}: {text}");
        NOTE.set(Some(format!("panicked{place}: {text}")));
    }));
}

/// Runs `author`'s code; a panic becomes its text.
pub(super) fn guarded<T>(author: impl FnOnce() -> T) -> Result<T, String> {
    // What the code left half done is never looked at again: the guard drops it.
    panic::catch_unwind(AssertUnwindSafe(author)).map_err(|payload| {
        let text = NOTE.take().unwrap_or_else(|| text(&*payload));
        // Its drop may panic as well.
        std::mem::forget(payload);
        text
    })
}

/// For code that installed a hook of its own.
fn text(payload: &(dyn Any + Send)) -> String {
    let text =
        payload.downcast_ref::<&str>().copied().or(payload.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", text.unwrap_or("(no text)"))
}
