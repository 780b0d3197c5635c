//! What the manual page of intercept says beside its options.

/// Titles and texts.
pub(crate) const SECTIONS: &[(&str, &str)] = &[
    (
        "EXAMPLES",
        "The target answers its copied users from port 8080, and its routes send those answers to this host, which captures them \
on eth0 and must not forward them:

    sysctl -w net.ipv4.ip_forward=0
    intercept -i eth0 -F 'tcp and src port 8080'",
    ),
    (
        "FILES",
        "/etc/tcpcopy/intercept-NAME.toml: the options of the service intercept@NAME, as --config reads them.

/var/log/intercept.log: the log of a daemon (-d) without -l.",
    ),
    ("SEE ALSO", "tcpcopy(1), pcap-filter(7)"),
];
