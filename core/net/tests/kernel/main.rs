//! Capture and transmit against the real kernel, each test in a network namespace of its own: as root or, through a
//! user namespace, as anybody. Needs `ip` and `tc` (iproute2), `sysctl` (procps), `unshare` and `setpriv` (util-linux).

#![expect(clippy::disallowed_methods, reason = "real packets take real time")]
#![expect(clippy::unwrap_used, reason = "everything here is test code, functions without #[test] too")]

mod capture;
mod devices;
mod ethernet;
mod namespace;
mod packet;
mod routes;
mod stop;
mod transmit;
mod veth;
mod widening;
