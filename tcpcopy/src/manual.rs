//! What the manual page of tcpcopy says beside its options.

/// Titles and texts.
pub(crate) const SECTIONS: &[(&str, &str)] = &[
    (
        "EXAMPLES",
        "Users come to 10.10.1.2:80 (the online host), the application under test listens on 10.10.3.2:8080 (the target), and \
10.10.3.3 (the assistant) is a third host on the target's segment. The copied users come from 10.20.0.1 to 10.20.0.254. On the \
target, answers to them go to the assistant:

    ip route add 10.20.0.0/24 via 10.10.3.3
    sysctl -w net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0

The assistant passes nothing on, and returns the headers of what it sees:

    sysctl -w net.ipv4.ip_forward=0
    intercept -i eth0 -F 'tcp and src port 8080'

And on the online host:

    tcpcopy -x 80-10.10.3.2:8080 -s 10.10.3.3 -c 10.20.0.x

With plan or doctor in front of the same options, it prints what is to be done on each host, or checks whether it was:

    tcpcopy doctor -x 80-10.10.3.2:8080 -s 10.10.3.3 -c 10.20.0.x

What was recorded on Monday, twice as fast:

    tcpcopy -x 80-10.10.3.2:8080 -s 10.10.3.3 --offline -i 'monday-*.pcap.gz' -a 2

MySQL, with passwords of the target in a file:

    tcpcopy -x 3306-10.10.3.2:3306 -s 10.10.3.3 -c 10.20.0.x --module libmysql_mod.so:mysql.toml",
    ),
    (
        "FILES",
        "/etc/tcpcopy/NAME.toml: the options of the service tcpcopy@NAME, as --config reads them.

/run/tcpcopy/PID.sock, or /run/tcpcopy/NAME/PID.sock of the service: where tcpcopy ctl asks a process that runs; see --admin.

/var/log/tcpcopy.log: the log of a daemon (-d) without -l.",
    ),
    ("SEE ALSO", "intercept(1), pcap-filter(7), tcpcopy-ctl(1), tcpcopy-doctor(1), tcpcopy-plan(1)"),
];
