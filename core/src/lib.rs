//! The rooms of tcpcopy behind one door.

#![forbid(unsafe_code)]

pub use tcpcopy_engine as engine;
pub use tcpcopy_feed as feed;
pub use tcpcopy_host as host;
pub use tcpcopy_net as net;
pub use tcpcopy_plugin_api as plugin_api;
pub use tcpcopy_runtime as runtime;
pub use tcpcopy_wire as wire;
