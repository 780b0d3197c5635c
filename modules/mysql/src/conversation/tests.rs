//! Sessions played from their first packet on.

mod after_login;
mod limits;
mod logins;
mod read_only;
mod script;
