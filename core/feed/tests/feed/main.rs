//! Both ends of the feed against each other, in memory.

mod c_tools;
mod failure;
mod hostile;
mod inquiry;
mod layout;
mod pair;
mod reconnect;
mod routing;
