//! The entries of the doctor's fault matrix.

use super::{Case, Fault, Listener, Says};
use crate::world::host::HostName::{Assistant, Client, Online, Target};

const TARGET: &str = "10.10.3.2:8080";
const USUAL: &[&str] = &["-x", "8080-10.10.3.2:8080", "-c", "10.30.0.x"];
const FILTER: &str = "tcp and src port 8080";

/// A world without fault.
const HEALTHY: Case = Case {
    name: "healthy",
    about: "nothing is wrong",
    options: USUAL,
    listens: &[TARGET],
    listener: Listener::Intercept(&["-i", "response", "-F", FILTER]),
    faults: &[],
    is_powerless: false,
    is_interrupted: false,
    has_user: false,
    is_planned: false,
    says: &[
        ok("rights", "CAP_NET_RAW"),
        ok("devices", "users are captured on"),
        ok("route", "10.10.3.2 is reached over copy, by 10.10.2.2"),
        ok("feed", "intercept 10.10.3.3:36524 is reachable and speaks feed version 2"),
        ok("clock", "the clocks of this host and of 10.10.3.3 are"),
        ok("intercept", "captures answers of all targets on response"),
        ok("forwarding", "10.10.3.3 forwards no IPv4 packets"),
        ok("probe", "was answered by 10.10.3.2:8080, and the answer came back over intercept"),
    ],
};

const fn ok(subject: &'static str, words: &'static str) -> Says {
    Says { state: "ok", subject, words }
}

const fn note(subject: &'static str, words: &'static str) -> Says {
    Says { state: "note", subject, words }
}

const fn problem(subject: &'static str, words: &'static str) -> Says {
    Says { state: "problem", subject, words }
}

const ARRIVED: Says = ok("probe", "the answer came back over intercept");
const NOT_AT_ASSISTANT: Says = problem("probe", "no answer to 10.30.0.1 arrives at the assistant 10.10.3.3");
const SILENT: Says =
    problem("probe", "there is no answer from 10.10.3.2:8080 at all, not even to a connection");

/// All entries.
pub const CASES: &[Case] = &[
    HEALTHY,
    Case {
        name: "healthy-ipv6",
        about: "nothing is wrong, over IPv6",
        options: &["-x", "8080-[fd00:10:3::2]:8080", "-c", "fd00:30::/64"],
        listens: &["[fd00:10:3::2]:8080"],
        says: &[ok("forwarding", "forwards no IPv6 packets"), ARRIVED],
        ..HEALTHY
    },
    Case {
        name: "healthy-single",
        about: "nothing is registered at intercept",
        options: &["-x", "8080-10.10.3.2:8080", "-c", "10.30.0.x", "--single"],
        listener: Listener::Intercept(&["-i", "any", "-F", FILTER, "--single"]),
        says: &[ok("intercept", "on any"), ARRIVED],
        ..HEALTHY
    },
    Case {
        name: "not-listening",
        about: "the server under test does not run",
        listens: &[],
        says: &[problem(
            "probe",
            "10.10.3.2:8080 answers with a reset: the host is there, but nobody listens",
        )],
        ..HEALTHY
    },
    Case {
        name: "one-not-listening",
        about: "one of two servers under test does not run",
        options: &["-x", "8080-10.10.3.2:8080,8081-10.10.3.2:8081", "-c", "10.30.0.x"],
        listener: Listener::Intercept(&["-i", "response", "-F", "tcp and (src port 8080 or src port 8081)"]),
        says: &[
            ok("probe", "8080: a SYN from 10.30.0.1"),
            problem("probe", "8081: 10.10.3.2:8081 answers with a reset"),
        ],
        ..HEALTHY
    },
    Case {
        name: "route-missing",
        about: "the target has no route to the assistant",
        faults: &[Fault::Ip(Target, "route del 10.30.0.0/16")],
        says: &[NOT_AT_ASSISTANT],
        ..HEALTHY
    },
    Case {
        name: "route-wrong",
        about: "the target answers copied users by way of the online host",
        faults: &[Fault::Ip(Target, "route replace 10.30.0.0/16 via 10.10.2.1 dev copy")],
        says: &[problem("probe", "its answer to 10.30.0.1 came to this host, on copy")],
        ..HEALTHY
    },
    Case {
        name: "rp-filter-target",
        about: "the target drops what comes over another device than the answer goes",
        faults: &[Fault::Setting(Target, "net/ipv4/conf/copy/rp_filter", "1")],
        says: &[NOT_AT_ASSISTANT, problem("probe", "rp_filter=1")],
        ..HEALTHY
    },
    Case {
        name: "rp-filter-assistant",
        about: "the assistant's rp_filter is of no concern",
        faults: &[Fault::Setting(Assistant, "net/ipv4/conf/response/rp_filter", "1")],
        says: &[ARRIVED],
        ..HEALTHY
    },
    Case {
        name: "forwarded",
        about: "the assistant forwards answers to the real users, who reset the connections",
        faults: &[
            Fault::Setting(Assistant, "net/ipv4/ip_forward", "1"),
            Fault::Ip(Assistant, "route add 10.30.0.0/16 via 10.10.4.1 dev feed"),
            Fault::Setting(Online, "net/ipv4/ip_forward", "1"),
            Fault::Ip(Online, "route add 10.30.0.0/16 via 10.10.1.1 dev users"),
            Fault::Ip(Client, "route add local 10.30.0.0/16 dev lo"),
            Fault::Ip(Client, "route add 10.10.3.2/32 via 10.10.1.2 dev users"),
        ],
        says: &[
            problem("forwarding", "the assistant 10.10.3.3 forwards IPv4 packets"),
            problem(
                "probe",
                "also forwards it to 10.30.0.1, out of its device feed, and somebody with that address has reset the connection",
            ),
        ],
        ..HEALTHY
    },
    Case {
        name: "forwarding-dropped",
        about: "the assistant forwards, but a rule drops what the target answers",
        faults: &[
            Fault::Setting(Assistant, "net/ipv4/ip_forward", "1"),
            Fault::Ip(Assistant, "route add 10.30.0.0/16 via 10.10.4.1 dev feed"),
            Fault::Drops(Assistant, "forward", "ip daddr 10.30.0.0/16"),
        ],
        says: &[note("forwarding", "but not the answer to the probe"), ARRIVED],
        ..HEALTHY
    },
    Case {
        name: "no-intercept",
        about: "intercept does not run",
        listener: Listener::Nobody,
        says: &[
            problem("feed", "no intercept is reachable at 10.10.3.3:36524"),
            problem(
                "probe",
                "the way back could not be tried without an intercept; 10.10.3.2:8080 accepts connections",
            ),
        ],
        ..HEALTHY
    },
    Case {
        name: "other-version",
        about: "intercept is of another release",
        listener: Listener::Hello(3, 0),
        says: &[
            problem("feed", "intercept speaks feed version 3, this tcpcopy version 2"),
            problem("probe", "the way back could not be tried without an intercept"),
        ],
        ..HEALTHY
    },
    Case {
        name: "older-intercept",
        about: "intercept cannot be asked, and returns nothing",
        listener: Listener::Hello(2, 0x7),
        says: &[
            note("feed", "is older than this tcpcopy and cannot be asked"),
            problem("probe", "what intercept sees cannot be asked"),
        ],
        ..HEALTHY
    },
    Case {
        name: "c-intercept",
        about: "what listens says nothing, as a C intercept",
        listener: Listener::Silence,
        says: &[
            note("feed", "says nothing, as a C intercept does"),
            problem("probe", "what intercept sees cannot be asked"),
        ],
        ..HEALTHY
    },
    Case {
        name: "wrong-filter",
        about: "intercept's filter is for another port",
        listener: Listener::Intercept(&["-i", "response", "-F", "tcp and src port 80"]),
        says: &[
            problem(
                "intercept",
                "does not see answers of 10.10.3.2:8080: its filter is \"tcp and src port 80\"",
            ),
            problem(
                "probe",
                "filter \"tcp and src port 80\" does not let it through; start it with -F 'tcp and src port 8080'",
            ),
        ],
        ..HEALTHY
    },
    Case {
        name: "wrong-device",
        about: "intercept captures on another device",
        listener: Listener::Intercept(&["-i", "feed", "-F", FILTER]),
        says: &[problem(
            "probe",
            "on its device response, but intercept captures on feed; start it with -i response",
        )],
        ..HEALTHY
    },
    Case {
        name: "wrong-online-device",
        about: "tcpcopy captures on another device than the users come over",
        options: &["-x", "10.10.1.2:8080-10.10.3.2:8080", "-c", "10.30.0.x", "-i", "feed"],
        says: &[
            problem(
                "devices",
                "the online address 10.10.1.2 is carried by users, but captured is feed; give -i users",
            ),
            ARRIVED,
        ],
        ..HEALTHY
    },
    Case {
        name: "wrong-online-filter",
        about: "tcpcopy's own filter leaves the users out",
        options: &["-x", "10.10.1.2:8080-10.10.3.2:8080", "-c", "10.30.0.x", "-F", "tcp and dst port 80"],
        says: &[note("devices", "does not let through what users send to 10.10.1.2:8080"), ARRIVED],
        ..HEALTHY
    },
    Case {
        name: "dropped-on-arrival",
        about: "the target's packet filter drops all that comes to the server",
        faults: &[Fault::Drops(Target, "input", "tcp dport 8080")],
        says: &[SILENT],
        ..HEALTHY
    },
    Case {
        name: "dropped-on-leaving",
        about: "the target's packet filter drops all that the server answers",
        faults: &[Fault::Drops(Target, "output", "tcp sport 8080")],
        says: &[SILENT],
        ..HEALTHY
    },
    Case {
        name: "users-dropped",
        about: "the target's packet filter drops copied users only",
        faults: &[Fault::Drops(Target, "input", "ip saddr 10.30.0.0/16")],
        says: &[NOT_AT_ASSISTANT, problem("probe", "or a packet filter there or on the way")],
        ..HEALTHY
    },
    Case {
        name: "refused-here",
        about: "the online host's packet filter lets no copied user out",
        faults: &[Fault::Drops(Online, "output", "ip saddr 10.30.0.0/16")],
        says: &[problem("probe", "this host's own packet filter refuses packets from 10.30.0.1")],
        ..HEALTHY
    },
    Case {
        name: "no-route-here",
        about: "the online host has no route to the target",
        faults: &[Fault::Ip(Online, "route del 10.10.3.2/32")],
        says: &[
            problem("route", "this host has no route to the target 10.10.3.2"),
            problem("probe", "this host has no route to 10.10.3.2"),
        ],
        ..HEALTHY
    },
    Case {
        name: "segment-unreachable",
        about: "nobody on the target's segment says who has its address",
        faults: &[Fault::NoArp(Target, "copy"), Fault::Ip(Online, "neigh del 10.10.2.2 dev copy")],
        says: &[problem("probe", "did not reach the target's segment: 10.10.2.2")],
        ..HEALTHY
    },
    Case {
        name: "source-is-assistant",
        about: "copied users speak from the assistant's own address",
        options: &["-x", "8080-10.10.3.2:8080", "-c", "10.10.3.3"],
        says: &[
            problem("intercept", "10.10.3.3 is an address of the assistant 10.10.3.3 itself"),
            problem(
                "probe",
                "also reached a host that has the address 10.10.3.3, which has reset the connection",
            ),
        ],
        ..HEALTHY
    },
    Case {
        name: "powerless",
        about: "the doctor has no rights",
        is_powerless: true,
        says: &[
            problem("rights", "it has no CAP_NET_RAW"),
            problem(
                "probe",
                "no probe was sent, for lack of rights; a plain connection to 10.10.3.2:8080 is accepted",
            ),
        ],
        ..HEALTHY
    },
    Case {
        name: "interrupted",
        about: "the doctor is interrupted while it waits for an answer",
        listener: Listener::Intercept(&["-i", "response", "-F", "tcp and src port 80"]),
        is_interrupted: true,
        says: &[
            problem("intercept", "does not see answers"),
            problem("probe", "the examination was interrupted; the connections of the probes were reset"),
        ],
        ..HEALTHY
    },
    Case {
        name: "user-connected",
        about: "without -c, the probe comes from the address of a user",
        options: &["-x", "8080-10.10.3.2:8080"],
        has_user: true,
        says: &[ok("probe", "8080: a SYN from 10.20.0.1:")],
        ..HEALTHY
    },
    Case {
        name: "nobody-connected",
        about: "without -c and users, the probe comes from an address that the target does not route",
        options: &["-x", "8080-10.10.3.2:8080"],
        says: &[
            problem("probe", "no answer to 192.0.2.1 arrives at the assistant"),
            problem("probe", "--probe-from"),
        ],
        ..HEALTHY
    },
    Case {
        name: "probe-from",
        about: "the probe comes from where it is told to",
        options: &["-x", "8080-10.10.3.2:8080", "--probe-from", "10.20.7.7"],
        says: &[ok("probe", "8080: a SYN from 10.20.7.7:")],
        ..HEALTHY
    },
    Case {
        name: "frames",
        about: "packets leave as frames to an address that is given, without a route",
        options: &["-x", "8080-10.10.3.2:8080@02:00:00:00:02:02", "-c", "10.30.0.x", "-o", "copy"],
        faults: &[Fault::Ip(Online, "route del 10.10.3.2/32")],
        says: &[ok("route", "10.10.3.2 leave as frames on copy, for 02:00:00:00:02:02"), ARRIVED],
        ..HEALTHY
    },
    Case {
        name: "frames-resolved",
        about: "packets leave as frames to a next hop that is asked",
        options: &["-x", "8080-10.10.3.2:8080", "-c", "10.30.0.x", "-o", "copy"],
        faults: &[Fault::Ip(Online, "neigh del 10.10.2.2 dev copy")],
        says: &[ok("route", "10.10.3.2 leave as frames on copy, for 10.10.2.2"), ARRIVED],
        ..HEALTHY
    },
    Case {
        name: "frames-unreachable",
        about: "the next hop of frames does not say who has its address",
        options: &["-x", "8080-10.10.3.2:8080", "-c", "10.30.0.x", "-o", "copy"],
        faults: &[Fault::NoArp(Target, "copy"), Fault::Ip(Online, "neigh del 10.10.2.2 dev copy")],
        says: &[problem("probe", "did not reach the target's segment: 10.10.2.2")],
        ..HEALTHY
    },
    Case {
        name: "frames-nowhere",
        about: "no route to the target leads over the device of the frames",
        options: &["-x", "8080-10.10.3.2:8080", "-c", "10.30.0.x", "-o", "feed"],
        says: &[problem(
            "probe",
            "no probe was sent: cannot send to 10.10.3.2 on feed: there is no route to it over this device",
        )],
        ..HEALTHY
    },
    Case {
        name: "seen-here",
        about: "answers come to this host, where tcpcopy sees them itself",
        options: &["-x", "8080-10.10.3.2:8080", "-c", "10.40.0.x", "--intercept-on", "copy"],
        listener: Listener::Nobody,
        says: &[
            ok("answers", "tcpcopy captures answers of all targets on copy"),
            ok("forwarding", "this host forwards no IPv4 packets"),
            ok("probe", "was answered by 10.10.3.2:8080, and the answer was seen on this host"),
        ],
        ..HEALTHY
    },
    Case {
        name: "seen-here-wrong-device",
        about: "answers come to this host, on another device than is named",
        options: &["-x", "8080-10.10.3.2:8080", "-c", "10.40.0.x", "--intercept-on", "feed"],
        listener: Listener::Nobody,
        says: &[problem(
            "probe",
            "arrives at this host on its device copy, but tcpcopy captures on feed; start it with --intercept-on copy",
        )],
        ..HEALTHY
    },
    Case {
        name: "not-seen-here",
        about: "answers go to the assistant, and this host waits for them",
        options: &["-x", "8080-10.10.3.2:8080", "-c", "10.30.0.x", "--intercept-on", "copy"],
        listener: Listener::Nobody,
        says: &[problem("probe", "no answer to 10.30.0.1 arrives at this host")],
        ..HEALTHY
    },
    Case {
        name: "planned",
        about: "three hosts on which all is wrong, after what tcpcopy plan prints was done",
        faults: ALL_WRONG,
        listener: Listener::Nobody,
        is_planned: true,
        says: &[
            ok("intercept", "captures answers of all targets on any"),
            ok("forwarding", "forwards no IPv4"),
            ARRIVED,
        ],
        ..HEALTHY
    },
    Case {
        name: "planned-ipv6",
        about: "the same over IPv6, with an intercept that is reached so",
        options: &["-x", "8080-[fd00:10:3::2]:8080", "-c", "fd00:30::/64", "-s", "[fd00:10:3::3]"],
        listens: &["[fd00:10:3::2]:8080"],
        faults: ALL_WRONG,
        listener: Listener::Nobody,
        is_planned: true,
        says: &[ok("forwarding", "forwards no IPv6"), ARRIVED],
        ..HEALTHY
    },
    Case {
        name: "planned-users",
        about: "the same with users of their own addresses, for whom the target has a default route",
        options: &["-x", "8080-10.10.3.2:8080"],
        faults: ALL_WRONG,
        listener: Listener::Nobody,
        has_user: true,
        is_planned: true,
        says: &[ok("probe", "8080: a SYN from 10.20.0.1:")],
        ..HEALTHY
    },
    Case {
        name: "planned-seen-here",
        about: "the same where tcpcopy sees the answers itself",
        options: &["-x", "8080-10.10.3.2:8080", "-c", "10.30.0.x", "--intercept-on", "copy"],
        faults: ALL_WRONG_HERE,
        listener: Listener::Nobody,
        is_planned: true,
        says: &[
            ok("forwarding", "this host forwards no IPv4 packets"),
            ok("probe", "was answered by 10.10.3.2:8080, and the answer was seen on this host"),
        ],
        ..HEALTHY
    },
];

/// Nothing of what the lab does for target and assistant.
const ALL_WRONG: &[Fault] = &[
    Fault::Ip(Target, "route del 10.20.0.0/16"),
    Fault::Ip(Target, "route del 10.30.0.0/16"),
    Fault::Ip(Target, "route del fd00:30::/64"),
    Fault::Setting(Target, "net/ipv4/conf/copy/rp_filter", "1"),
    Fault::Setting(Assistant, "net/ipv4/ip_forward", "1"),
    Fault::Setting(Assistant, "net/ipv6/conf/all/forwarding", "1"),
];

/// Nothing of what the lab does for a target whose answers come to the host of tcpcopy.
const ALL_WRONG_HERE: &[Fault] = &[
    Fault::Ip(Target, "route del 10.30.0.0/16"),
    Fault::Setting(Target, "net/ipv4/conf/copy/rp_filter", "1"),
    Fault::Setting(Online, "net/ipv4/ip_forward", "1"),
];
