//! Options of the C tcpcopy that nothing depends on here. Its command lines work, and the log says what became of
//! each.

use clap::Args;

/// They are accepted, and that is all.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "For command lines of the C tcpcopy: accepted, without effect")]
pub(crate) struct IdleFlags {
    /// Memory set aside for each session: it takes what it needs
    #[arg(short = 'U', long, value_name = "KB")]
    session_pool: Option<String>,

    /// Have room for millions of connections: it has anyway
    #[arg(long)]
    million: bool,

    /// Wait by select(2): it waits by epoll(7)
    #[arg(long)]
    select: bool,

    /// Take responses one by one: how a C intercept returns them is found out
    #[arg(long)]
    disable_combined: bool,
}

impl IdleFlags {
    /// One sentence for the log, if any was given.
    pub(crate) fn remark(&self) -> Option<String> {
        let Self { session_pool, million, select, disable_combined } = self;
        let all = [
            ("-U", session_pool.is_some()),
            ("--million", *million),
            ("--select", *select),
            ("--disable-combined", *disable_combined),
        ];
        let given: Vec<&str> = all.into_iter().filter_map(|(name, given)| given.then_some(name)).collect();
        (!given.is_empty())
            .then(|| format!("{} of the C tcpcopy: accepted, without effect here", given.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_is_named_in_one_sentence() {
        assert_eq!(IdleFlags::default().remark(), None);
        let flags = IdleFlags { session_pool: Some("9".to_owned()), select: true, ..IdleFlags::default() };
        assert_eq!(flags.remark().unwrap(), "-U, --select of the C tcpcopy: accepted, without effect here");
    }
}
