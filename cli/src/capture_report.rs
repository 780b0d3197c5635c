//! What was captured, in the reports of both programs.

use serde::Serialize;
use tcpcopy_core::runtime::CaptureTotals;
use tcpcopy_core::wire::DropReason;

use crate::{Named, Table, count};

/// The field `capture` of a report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CaptureReport {
    frames: u64,
    kernel_received: u64,
    kernel_dropped: u64,
    interface_dropped: u64,
    unusable: Named<u64>,
}

impl From<&CaptureTotals> for CaptureReport {
    fn from(totals: &CaptureTotals) -> Self {
        let CaptureTotals {
            frames,
            kernel_received,
            kernel_dropped,
            interface_dropped,
            unusable,
            devices: _,
        } = *totals;
        let names = DropReason::ALL.iter().map(|reason| reason.name());
        Self {
            frames,
            kernel_received,
            kernel_dropped,
            interface_dropped,
            unusable: names.zip(unusable).collect(),
        }
    }
}

/// Adds the section about capturing to a report for people.
pub fn add_capture(table: &mut Table, totals: &CaptureTotals) {
    table.section("Captured");
    table.line("frames", count(totals.frames), "");
    table.line_if_any(
        "lost in the ring",
        totals.kernel_dropped,
        "the kernel found the capture ring full; see -B",
    );
    table.line_if_any(
        "lost by the device",
        totals.interface_dropped,
        "the network device had no room for them",
    );
    for (reason, number) in DropReason::ALL.iter().zip(totals.unusable) {
        table.line_if_any(reason.name(), number, explanation(*reason));
    }
}

const fn explanation(reason: DropReason) -> &'static str {
    match reason {
        DropReason::TruncatedHeader => "ends inside its headers; see -S",
        DropReason::NotIp => "neither IPv4 nor IPv6",
        DropReason::NotTcp => "no TCP; see -F",
        DropReason::NotUdp => "no UDP; see -F",
        DropReason::Fragment => "a fragment of an IP packet: what is in it is not whole",
        DropReason::Malformed => "lengths in its headers contradict each other",
        DropReason::NestedTooDeep => "wrapped into more than two tunnels",
        DropReason::UnsupportedLink => "of a link type that is not read",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_in_the_report_and_only_real_ones_are_in_the_table() {
        let mut totals =
            CaptureTotals { frames: 5, kernel_received: 7, kernel_dropped: 2, ..CaptureTotals::default() };
        totals.unusable[DropReason::Fragment as usize] = 1;
        assert_eq!(
            serde_json::to_string(&CaptureReport::from(&totals)).unwrap(),
            r#"{"frames":5,"kernel_received":7,"kernel_dropped":2,"interface_dropped":0,"unusable":{"truncated_header":0,"not_ip":0,"not_tcp":0,"not_udp":0,"fragment":1,"malformed":0,"nested_too_deep":0,"unsupported_link_type":0}}"#
        );
        let mut table = Table::new();
        add_capture(&mut table, &totals);
        let expected = "\
Captured
  frames            5
  lost in the ring  2  the kernel found the capture ring full; see -B
  fragment          1  a fragment of an IP packet: what is in it is not whole
";
        assert_eq!(table.to_string(), expected);
    }
}
