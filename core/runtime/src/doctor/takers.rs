//! What the doctor finds where answers are captured: on assistants, as far as their intercepts can be asked, or here.

use std::net::SocketAddr;
use std::time::Duration;

use tcpcopy_feed::{Survey, VERSION};
use tcpcopy_wire::Flow;

use super::circuit::{End, forwarding};
use super::finding::Finding;
use super::line::Line;
use super::place::Place;

/// Clocks that are further apart are worth a word. It costs nothing but comparing logs: times are converted.
const APART: Duration = Duration::from_secs(1);

/// Who is at the other end of the line.
pub(super) fn greeted(line: &Line) -> Vec<Finding> {
    let address = line.address;
    if line.is_c() {
        return vec![Finding::note(
            "feed",
            format!(
                "what listens at {address} says nothing, as a C intercept does: whether it lives, what its host is like and what \
                 it loses cannot be asked"
            ),
        )];
    }
    let mut findings = vec![Finding::ok(
        "feed",
        format!("intercept {address} is reachable and speaks feed version {VERSION}"),
    )];
    if !line.can_say() {
        findings.push(Finding::note(
            "feed",
            format!("intercept {address} is older than this tcpcopy and cannot be asked about its host; install the same release"),
        ));
    }
    findings.extend(line.clock_distance().map(|distance| clock(address, distance)));
    findings
}

fn clock(address: SocketAddr, distance: i64) -> Finding {
    let apart = Duration::from_micros(distance.unsigned_abs());
    let text = format!(
        "the clocks of this host and of {} are {:.1} ms apart",
        address.ip(),
        apart.as_secs_f64() * 1e3
    );
    if apart < APART {
        Finding::ok("clock", text)
    } else {
        Finding::note(
            "clock",
            format!("{text}: allowed for, but their logs do not fit together; set them (NTP)"),
        )
    }
}

/// What a survey shows by itself.
pub(super) fn surveyed(place: Place, survey: &Survey, flows: &[Flow]) -> Vec<Finding> {
    let (subject, taker) = (place.subject(), place.taker());
    let mut findings = Vec::new();
    for device in survey.devices.iter().filter(|device| !device.is_up) {
        findings.push(Finding::problem(
            subject,
            format!(
                "{taker} captures answers on {}, which is down or gone; switch it on, or correct {}",
                device.name,
                place.device_option()
            ),
        ));
    }
    let own = flows.iter().zip(&survey.is_own).find(|(_, is_own)| **is_own);
    if let Some((flow, _)) = own {
        findings.push(Finding::problem(
            subject,
            format!(
                "{} is an address of {place} itself, which would answer the target; choose addresses that no host has with -c",
                flow.client.addr
            ),
        ));
    }
    for (flow, _) in flows.iter().zip(&survey.lets_through).filter(|(_, lets)| !**lets) {
        findings.push(Finding::problem(
            subject,
            format!(
                "{taker} does not see answers of {}: its filter is \"{}\"; start it with -F 'tcp and src port {}'",
                flow.server, survey.filter, flow.server.port
            ),
        ));
    }
    if findings.is_empty() {
        let devices: Vec<&str> = survey.devices.iter().map(|device| device.name.as_str()).collect();
        findings.push(Finding::ok(
            subject,
            format!("{taker} captures answers of all targets on {}", devices.join(", ")),
        ));
    }
    if survey.reverse_path_dropped > 0 {
        let count = survey.reverse_path_dropped;
        findings.push(Finding::note(
            "rp_filter",
            format!(
                "rp_filter of {place} has dropped {count} packets so far, which {taker} sees all the same"
            ),
        ));
    }
    findings
}

/// Whether a host that captures answers keeps them to itself, after the probes showed what it does with them.
pub(super) fn forwards(place: Place, survey: &Survey, flows: &[Flow], ends: &[End]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (v4, forwards) in [true, false].into_iter().zip(survey.forwards) {
        let mine = || flows.iter().zip(ends).filter(|(flow, _)| flow.server.addr.is_ipv4() == v4);
        if mine().next().is_none() {
            continue;
        }
        let family = if v4 { "IPv4" } else { "IPv6" };
        let kept = mine().all(|(_, end)| matches!(end, End::Arrived(_)));
        findings.push(match forwards {
            Some(false) => Finding::ok("forwarding", format!("{place} forwards no {family} packets")),
            Some(true) if kept => Finding::note(
                "forwarding",
                format!(
                    "{place} forwards {family} packets, {} so far, but not the answer to the probe; unless a rule drops all \
                     answers to copied users, switch it off: sysctl -w {}",
                    survey.forwarded,
                    forwarding(v4)
                ),
            ),
            Some(true) => Finding::problem(
                "forwarding",
                format!(
                    "{place} forwards {family} packets, {} so far: what the target answers may reach the users; switch it off \
                     there: sysctl -w {}",
                    survey.forwarded,
                    forwarding(v4)
                ),
            ),
            None => Finding::note(
                "forwarding",
                format!("whether {place} forwards {family} packets cannot be read there"),
            ),
        });
    }
    findings
}
