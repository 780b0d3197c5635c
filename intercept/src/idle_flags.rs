//! Options of the C intercept that nothing depends on here. Its command lines work, and the log says what became of
//! each.

use clap::Args;

/// They are accepted, and that is all.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "For command lines of the C intercept: accepted, without effect")]
pub(crate) struct IdleFlags {
    /// Size of the table of early responses: it grows as needed
    #[arg(short = 's', long, value_name = "NUMBER")]
    hash_size: Option<String>,

    /// Length of the kernel's queue: there is none, see -B
    #[arg(short = 'q', long, value_name = "NUMBER")]
    queue_length: Option<String>,

    /// Addresses whose responses the target does not drop: none are dropped here
    #[arg(short = 'x', long, value_name = "ADDRESS,...")]
    passed: Option<String>,

    /// Keep the tcpcopy that is connected: --single does anyway
    #[arg(short = 'c', long)]
    protect: bool,

    /// Take responses from a netfilter queue: they are captured
    #[arg(long)]
    traditional: bool,

    /// The same
    #[arg(long)]
    nfqueue: bool,

    /// Capture by pcap: it does anyway
    #[arg(long)]
    pcap_capture: bool,

    /// Have room for millions of connections: it has anyway
    #[arg(long)]
    million: bool,

    /// Wait by select(2): it waits by epoll(7)
    #[arg(long)]
    select: bool,
}

impl IdleFlags {
    /// One sentence for the log, if any was given.
    pub(crate) fn remark(&self) -> Option<String> {
        let Self {
            hash_size,
            queue_length,
            passed,
            protect,
            traditional,
            nfqueue,
            pcap_capture,
            million,
            select,
        } = self;
        let all = [
            ("-s", hash_size.is_some()),
            ("-q", queue_length.is_some()),
            ("-x", passed.is_some()),
            ("-c", *protect),
            ("--traditional", *traditional),
            ("--nfqueue", *nfqueue),
            ("--pcap-capture", *pcap_capture),
            ("--million", *million),
            ("--select", *select),
        ];
        let given: Vec<&str> = all.into_iter().filter_map(|(name, given)| given.then_some(name)).collect();
        (!given.is_empty())
            .then(|| format!("{} of the C intercept: accepted, without effect here", given.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_is_named_in_one_sentence() {
        assert_eq!(IdleFlags::default().remark(), None);
        let flags = IdleFlags { hash_size: Some("9".to_owned()), million: true, ..IdleFlags::default() };
        assert_eq!(
            flags.remark().unwrap(),
            "-s, --million of the C intercept: accepted, without effect here"
        );
    }
}
