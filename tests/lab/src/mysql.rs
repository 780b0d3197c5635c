//! MySQL in the lab: database servers on the online and the target host, real clients, and the account of what both
//! servers executed, taken from their general logs.
//!
//! The two servers know the same users by different passwords, so nothing but a login of the copy's own gets in.

pub mod accounting;
pub mod clients;
pub mod general_log;
pub(crate) mod scenarios;
pub mod servers;

/// The port of both servers.
pub const PORT: u16 = 3306;
/// The password of every user of the online server that has one.
pub const ONLINE_PASSWORD: &str = "online-secret";
/// The same of the target server.
pub const TARGET_PASSWORD: &str = "target-secret";
/// The database that clients work in.
pub const DATABASE: &str = "shop";
