//! How what targets answer is captured, by intercept and by a tcpcopy that sees it itself.

use tcpcopy_net::{CaptureDirection, CaptureOptions, DEFAULT_SNAPLEN};

/// Enough of a frame for the longest headers: tags, IPv6 extensions, 60 bytes of TCP. Kept while nobody wants payload.
const HEADERS_SNAPLEN: u32 = 256;

/// Responses of a target may leave it or arrive here, for this host or for others: both directions, promiscuous.
/// On loopback each packet is seen once.
pub(crate) fn headers_only(devices: &[String], filter: &str, buffer_bytes: usize) -> Vec<CaptureOptions> {
    let open = |device: &String| CaptureOptions {
        device: device.clone(),
        filter: filter.to_owned(),
        match_vlan_tagged: true,
        snaplen: HEADERS_SNAPLEN,
        buffer_bytes,
        direction: if device == "lo" { CaptureDirection::Inbound } else { CaptureDirection::Both },
        promiscuous: true,
    };
    devices.iter().map(open).collect()
}

/// The same capture with all payload.
pub(crate) fn with_payload(options: &CaptureOptions) -> CaptureOptions {
    CaptureOptions { snaplen: DEFAULT_SNAPLEN, ..options.clone() }
}
