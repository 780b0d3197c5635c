//! Rows in which packets leave, or answers come back, another way than usual.

use std::time::Duration;

use super::families::v6;
use super::modules::{COMPARING, served_by};
use super::plans::{KIB, at, from_ports, keepalive, row, short, uploads_of};
use crate::mirror::Tunnel;
use crate::scenario::demand::Demand;
use crate::scenario::module::Swap;
use crate::scenario::{Action, Frames, Mapping, Scenario, Tcpcopy, WayBack};
use crate::traffic::UsersPlan;
use crate::world::plan::PORT;

pub(super) fn ways() -> Vec<Scenario> {
    let uploads = || UsersPlan { first_user: 2000, ..uploads_of(64 * KIB, 5, 20) };
    let mixed = || vec![keepalive(50, 500, 3), UsersPlan { first_user: 1000, ..short(200, 3) }, uploads()];
    let framed = |name, about, frames| Scenario {
        users: mixed(),
        tcpcopies: vec![Tcpcopy { frames: Some(frames), ..Tcpcopy::default() }],
        demands: &[Demand::Framed],
        ..row(name, about, None, 1.0, UsersPlan::default())
    };
    // The answers to their copies go to the port that -x names without an address.
    let from_the_online_port =
        UsersPlan { sources: from_ports(20, PORT, 1), first_user: 3000, ..keepalive(20, 100, 3) };
    let seen = |name, about, way_back, options| Scenario {
        users: mixed(),
        way_back,
        tcpcopies: vec![Tcpcopy { options, ..Tcpcopy::default() }],
        demands: &[Demand::SeenHere],
        ..row(name, about, None, 1.0, UsersPlan::default())
    };
    let framed_v6 = framed("frames-ipv6", "frames over IPv6, the next hop is asked", Frames::Resolved);
    let from_assistant = seen(
        "seen-on-assistant",
        "a recording, replayed on the assistant, which sees the answers itself",
        WayBack::OnAssistant,
        &["-c", "10.30.0.x"],
    );
    let with_module = Scenario {
        demands: &[Demand::SeenHere, Demand::AllServed, Demand::Compared(95), Demand::SameOutcomes],
        ..seen(
            "seen-here-module",
            "a module reads the payload of answers that tcpcopy sees itself",
            WayBack::OnOnline,
            &["-c", "10.40.0.x"],
        )
    };
    let swap = Swap { mapping: 0, module: COMPARING, migrate: false, refusal: None };
    let late_module = Scenario {
        users: vec![short(200, 4)],
        events: vec![at(0.5, Action::Swap(swap))],
        // What the online server answers is captured from a moment later on, as well.
        demands: &[Demand::SeenHere, Demand::Compared(75), Demand::SameOutcomes],
        ..seen(
            "seen-here-late-module",
            "the same for a module that is loaded while headers only are captured",
            WayBack::OnOnline,
            &["-c", "10.40.0.x"],
        )
    };
    // The mirror's way takes no longer packets, and a mirror cuts none.
    let mirrored = |name, about, tunnel| Scenario {
        users: vec![keepalive(50, 500, 3), UsersPlan { first_user: 1000, ..short(200, 3) }],
        mirror: Some(tunnel),
        ..seen(name, about, WayBack::OnAssistant, &["-c", "10.30.0.x"])
    };
    vec![
        mirrored(
            "mirror-vxlan",
            "a mirror sends the users' packets to the assistant in VXLAN",
            Tunnel::Vxlan,
        ),
        mirrored("mirror-geneve", "the same in GENEVE", Tunnel::Geneve),
        mirrored("mirror-erspan", "the same in ERSPAN, over GRE", Tunnel::Erspan),
        framed("frames", "frames to addresses that are given, without a route", Frames::Given),
        framed("frames-resolved", "frames to a next hop that is asked", Frames::Resolved),
        Scenario {
            mappings: vec![Mapping::v6(PORT)],
            users: vec![UsersPlan { sources: v6(50), ..keepalive(50, 500, 3) }],
            ..framed_v6
        },
        Scenario {
            users: [mixed(), vec![from_the_online_port]].concat(),
            ..seen(
                "seen-here",
                "the answers come to the online host, and tcpcopy sees them there",
                WayBack::OnOnline,
                &["-c", "10.40.0.x"],
            )
        },
        served_by(COMPARING, with_module),
        late_module,
        Scenario { is_recorded: true, drain: Duration::from_secs(60), ..from_assistant },
    ]
}
