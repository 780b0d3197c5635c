//! Sessions played from their first packet on.

mod after_login;
mod logins;
mod script;
