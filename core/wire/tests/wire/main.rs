//! What holds for the room as a whole, seen from outside: values survive the way through bytes, foreign bytes
//! do no harm, and real captures read as what they are.

mod captures;
mod foreign_bytes;
mod inspection;
mod round_trip;
mod segments;
mod traces;
