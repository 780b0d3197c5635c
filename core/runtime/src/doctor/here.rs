//! What the doctor finds on this host: rights, devices, offloads, and the way to each target.

use std::env;

use tcpcopy_engine::{Mapping, Mappings};
use tcpcopy_net::{
    Capabilities, Device, Neighbour, capabilities, devices, lets_through, neighbour, offloads, route_to,
};
use tcpcopy_wire::Endpoint;

use super::circuit::Way;
use super::finding::Finding;
use super::probe::{Probe, nobody, packet_of};
use crate::{CaptureChoice, IntakeChoice, TransmitChoice, Transport, mapping_name};

/// Whether this process may capture, and send as somebody else.
pub(super) fn rights() -> Finding {
    match capabilities() {
        Capabilities { net_raw: true, .. } => {
            Finding::ok("rights", "this process may capture, and send as copied users (CAP_NET_RAW)")
        }
        Capabilities { net_raw: false, .. } => {
            let program = env::current_exe().unwrap_or_else(|_| "tcpcopy".into());
            Finding::problem(
                "rights",
                format!(
                    "this process may neither capture nor send: it has no CAP_NET_RAW; run it as root, or: setcap \
                     cap_net_raw+ep {}",
                    program.display()
                ),
            )
        }
    }
}

/// Where users are captured.
pub(super) fn capture(intake: &IntakeChoice, mappings: &Mappings) -> Vec<Finding> {
    match intake {
        IntakeChoice::Devices(choice) => captured_devices(choice, mappings),
        IntakeChoice::Files(_) => {
            vec![Finding::note("devices", "users come from files (--offline), no device is captured on")]
        }
    }
}

fn captured_devices(choice: &CaptureChoice, mappings: &Mappings) -> Vec<Finding> {
    let names: Vec<String> = match choice.options(Transport::Tcp, mappings) {
        Ok(options) => options.into_iter().map(|options| options.device).collect(),
        Err(error) => return vec![Finding::problem("devices", error.to_string())],
    };
    let known = match devices() {
        Ok(known) => known,
        Err(error) => return vec![Finding::problem("devices", error.to_string())],
    };
    let mut findings = Vec::new();
    for name in names.iter().filter(|name| *name != "any") {
        match known.iter().find(|device| device.name == *name) {
            None => findings.push(Finding::problem(
                "devices",
                format!("there is no device {name}; name another one with -i (ip link)"),
            )),
            Some(device) if !device.is_up => findings.push(Finding::problem(
                "devices",
                format!("the device {name} is down; switch it on: ip link set {name} up"),
            )),
            Some(_) => {}
        }
    }
    findings.extend(not_carried(&names, &known, mappings));
    if findings.is_empty() {
        findings.push(Finding::ok("devices", format!("users are captured on {}", names.join(", "))));
    }
    findings.extend(choice.filter.as_deref().and_then(|filter| left_out(filter, &known, mappings)));
    findings.extend(names.iter().filter_map(|name| offloaded(name)));
    findings
}

/// An online server whose users the filter of `-F` leaves out: right only where mirrors wrap what they send.
fn left_out(filter: &str, known: &[Device], mappings: &Mappings) -> Option<Finding> {
    let own = known.iter().flat_map(|device| &device.addresses).find(|addr| !addr.is_loopback());
    let users_of = |mapping: &&Mapping| {
        let addr = mapping.online.addr.or(own.copied())?;
        let server = Endpoint::new(addr, mapping.online.port);
        lets_through(filter, &packet_of(&Probe::from_address(server, nobody(addr.is_ipv4())).syn()))
    };
    let mapping = mappings.as_slice().iter().find(|mapping| users_of(mapping) == Some(false))?;
    Some(Finding::note(
        "devices",
        format!(
            "the filter of -F, \"{filter}\", does not let through what users send to {}, unless it comes wrapped by a mirror; \
             without -F one is made from -x",
            mapping_name(mapping)
        ),
    ))
}

/// Online addresses that none of the devices captured on carries: right for a mirror, and wrong elsewhere.
fn not_carried(names: &[String], known: &[Device], mappings: &Mappings) -> Option<Finding> {
    let chosen =
        || known.iter().filter(|device| names.iter().any(|name| name == "any" || *name == device.name));
    let online = mappings.as_slice().iter().filter_map(|mapping| mapping.online.addr);
    let missing = online.into_iter().find(|addr| !chosen().any(|device| device.addresses.contains(addr)))?;
    let carrier = known.iter().find(|device| device.addresses.contains(&missing));
    Some(match carrier {
        Some(device) => Finding::problem(
            "devices",
            format!(
                "the online address {missing} is carried by {}, but captured is {}; give -i {}",
                device.name,
                names.join(", "),
                device.name
            ),
        ),
        None => Finding::note(
            "devices",
            format!(
                "the online address {missing} is none of this host: {} must be where its users' packets are mirrored to",
                names.join(", ")
            ),
        ),
    })
}

fn offloaded(device: &str) -> Option<Finding> {
    let on: Vec<&str> = offloads(device)
        .ok()?
        .into_iter()
        .filter(|offload| offload.is_on)
        .map(|offload| offload.name)
        .collect();
    (!on.is_empty() && device != "lo").then(|| {
        let text = format!(
            "{device} has {}: captured packets may be larger than the MTU, which is allowed for",
            on.join(", ")
        );
        Finding::note("offloads", text)
    })
}

/// The way to a target, as it is right now.
pub(super) fn way_to(target: Endpoint, transmit: &TransmitChoice) -> Way {
    let by_route = route_way(target);
    let TransmitChoice::Ethernet(options) = transmit else { return by_route };
    let given = options.targets.iter().find(|known| known.addr == target.addr);
    let next_hop = match given.and_then(|given| given.next_hop) {
        Some(mac) => mac.to_string(),
        None if by_route.has_route && by_route.device == options.device => by_route.next_hop,
        None => target.addr.to_string(),
    };
    // Whether there is one is found out when the device is opened.
    Way { has_route: true, is_frame: true, device: options.device.clone(), next_hop, ..Way::default() }
}

fn route_way(target: Endpoint) -> Way {
    let Ok(Some(route)) = route_to(target.addr) else { return Way::default() };
    let next_hop = route.gateway.unwrap_or(target.addr);
    let is_silent = !route.is_local && matches!(neighbour(route.device, next_hop), Ok(Neighbour::Silent));
    let known = devices().unwrap_or_default();
    let name = known.into_iter().find(|device| device.index == route.device).map(|device| device.name);
    Way {
        has_route: true,
        is_local: route.is_local,
        device: name.unwrap_or_default(),
        next_hop: next_hop.to_string(),
        is_next_hop_silent: is_silent,
        is_frame: false,
    }
}

/// What there is to say of the way to a target before anything was sent.
pub(super) fn route(mapping: &Mapping, way: &Way) -> Finding {
    let Endpoint { addr, .. } = mapping.target;
    if !way.has_route {
        return Finding::problem(
            "route",
            format!("this host has no route to the target {addr}; give it one, or correct the target in -x"),
        );
    }
    if way.is_frame {
        return Finding::ok(
            "route",
            format!("packets to the target {addr} leave as frames on {}, for {}", way.device, way.next_hop),
        );
    }
    if way.is_local {
        return Finding::ok("route", format!("the target {addr} is on this host"));
    }
    let over =
        if way.next_hop == addr.to_string() { String::new() } else { format!(", by {}", way.next_hop) };
    Finding::ok("route", format!("the target {addr} is reached over {}{over}", way.device))
}
