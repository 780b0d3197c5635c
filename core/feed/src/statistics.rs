//! What intercept reports of itself to every tcpcopy.

use crate::Malformed;
use crate::bytes::{Reader, Writer};

/// What the kernel says of intercept's capture: counts since intercept began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CaptureStatistics {
    /// Packets captured.
    pub captured: u64,
    /// Packets the kernel dropped because intercept did not take them in time.
    pub kernel_dropped: u64,
    /// Packets the interface or its driver dropped.
    pub interface_dropped: u64,
}

/// Where responses may have been lost: counts since intercept began, as sent to one tcpcopy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// What the kernel says.
    pub capture: CaptureStatistics,
    /// Responses of flows that nobody had registered, held for a while.
    pub held: u64,
    /// Those of them discarded unclaimed when their time was up, or because a later SYN of the same flow made
    /// them obsolete.
    pub held_expired: u64,
    /// Those of them discarded earlier because too much was held, and those too large to be held at all.
    pub held_evicted: u64,
    /// Responses to this very connection dropped because it did not take them in time.
    pub overflowed: u64,
    /// Flows of this very connection not registered because it has too many.
    pub flows_refused: u64,
}

impl Statistics {
    pub(crate) fn body(&self) -> Writer {
        let mut body = Writer::new();
        for count in [
            self.capture.captured,
            self.capture.kernel_dropped,
            self.capture.interface_dropped,
            self.held,
            self.held_expired,
            self.held_evicted,
            self.overflowed,
            self.flows_refused,
        ] {
            body.u64(count);
        }
        body
    }

    /// Bytes that follow are counts we do not know.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Malformed> {
        let mut body = Reader::new(body);
        Ok(Self {
            capture: CaptureStatistics {
                captured: body.u64()?,
                kernel_dropped: body.u64()?,
                interface_dropped: body.u64()?,
            },
            held: body.u64()?,
            held_expired: body.u64()?,
            held_evicted: body.u64()?,
            overflowed: body.u64()?,
            flows_refused: body.u64()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_come_back_and_later_counts_are_ignored() {
        let capture = CaptureStatistics { captured: 1, kernel_dropped: 2, interface_dropped: 3 };
        let statistics = Statistics {
            capture,
            held: 4,
            held_expired: 5,
            held_evicted: 6,
            overflowed: 7,
            flows_refused: u64::MAX,
        };
        let mut bytes = statistics.body().as_slice().to_vec();
        assert_eq!(Statistics::parse(&bytes[..bytes.len() - 1]), Err(Malformed::Truncated));
        bytes.push(9);
        assert_eq!(Statistics::parse(&bytes), Ok(statistics));
    }
}
