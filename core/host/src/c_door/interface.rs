//! What a module in C and its host say to each other: the source of `include/tcpcopy_module.h`, which is all that an
//! author in C reads. Written by cbindgen, and held against this file by `tests/header.rs`.
//!
//! The types have the header's names less `tcpcopy_`: [`Module`] is `struct tcpcopy_module`. Within a major version the structs that begin with `size` grow at their end, and the others stay as they are.

use std::ffi::{c_char, c_void};

/// The version of the interface. A host refuses a module with another major number.
pub const TCPCOPY_API_MAJOR: u16 = 1;
/// Grows with what is added at the ends of the structs.
pub const TCPCOPY_API_MINOR: u16 = 0;

/// Returned by a callback that did what it was asked.
pub const TCPCOPY_OK: i32 = 0;
/// Returned by a callback whose session cannot go on; what `give_up` of struct tcpcopy_actions returns.
pub const TCPCOPY_GAVE_UP: i32 = 1;
/// Returned by a callback whose user's whole connection cannot be replayed; what `give_up_for_good` of struct
/// tcpcopy_actions returns.
pub const TCPCOPY_GAVE_UP_FOR_GOOD: i32 = 3;
/// Returned by `configure` when the configuration is no good; what `refuse` of struct tcpcopy_configuration returns.
pub const TCPCOPY_REFUSED: i32 = 2;

/// The side of the user: what the user said to the online server.
pub const TCPCOPY_CLIENT: i32 = 0;
/// The side of the target: what the test server answers.
pub const TCPCOPY_TARGET: i32 = 1;
/// The side of the online server: what the production server answered the user.
pub const TCPCOPY_ONLINE: i32 = 2;

/// The moment that never comes.
pub const TCPCOPY_NEVER: u64 = 0xffff_ffff_ffff_ffff;
/// As many bytes as will ever come.
pub const TCPCOPY_ALL: u64 = 0xffff_ffff_ffff_ffff;
/// The depth of a target whose answers are wanted whole.
pub const TCPCOPY_EVERYTHING: u32 = 0xffff_ffff;

/// A log line that tells of a failure.
pub const TCPCOPY_LOG_ERROR: u32 = 1;
/// A log line that warns.
pub const TCPCOPY_LOG_WARN: u32 = 2;
/// A log line for every operator.
pub const TCPCOPY_LOG_INFO: u32 = 3;
/// A log line for who looks for a fault.
pub const TCPCOPY_LOG_DEBUG: u32 = 4;
/// A log line about single packets and calls.
pub const TCPCOPY_LOG_TRACE: u32 = 5;

/// Bytes that belong to somebody else, valid during the call. `data` may be NULL when `length` is 0.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Bytes {
    /// The first byte.
    pub data: *const u8,
    /// How many there are.
    pub length: usize,
}

/// An address and port.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Address {
    /// The address in network order. An IPv4 address takes the first four bytes.
    pub ip: [u8; 16],
    /// The port, as a number of this machine.
    pub port: u16,
    /// 1: IPv6; 0: IPv4.
    pub is_ipv6: u8,
}

/// What is known of a session when it begins.
#[repr(C)]
#[derive(Debug)]
pub struct Session {
    /// sizeof(struct tcpcopy_session) where the host was built.
    pub size: usize,
    /// A number of this session, unique while tcpcopy runs; the one that logs and `tcpcopy ctl sessions` show.
    pub id: u64,
    /// The user, as captured.
    pub client: Address,
    /// The online server the user speaks to.
    pub online: Address,
    /// Where the copy comes from, as the target sees it.
    pub source: Address,
    /// The target.
    pub target: Address,
    /// 1: the beginning of the user's connection was not captured. The first bytes are the first that were, at a place
    /// where the user seems to have begun to speak.
    pub joined: u8,
    /// 1: the connection to the target exists already (in `resume` only). Otherwise it is about to be opened.
    pub connected: u8,
}

/// What the operator wrote for a module: the contents of a file, or text on the command line. UTF-8.
#[repr(C)]
#[derive(Debug)]
pub struct Configuration {
    /// sizeof(struct tcpcopy_configuration) where the host was built.
    pub size: usize,
    /// For the host.
    pub context: *mut c_void,
    /// The text, closed by a NUL; empty when the operator gave none.
    pub text: *const c_char,
    /// How long the text is, without that NUL.
    pub text_length: usize,
    /// Where the text came from, closed by a NUL: a path, or the option that held it. The host puts it before the
    /// sentence of `refuse`, so a module needs it only to find files beside it.
    pub origin: *const c_char,
    /// Says why the configuration cannot be used: one sentence for the operator, without a capital and a full stop. What
    /// it returns is what `configure` returns then.
    pub refuse: Option<unsafe extern "C" fn(configuration: *const Self, sentence: *const c_char) -> i32>,
}

/// What a host gives a module. Valid as long as the process lives, and callable from any thread.
#[repr(C)]
#[derive(Debug)]
pub struct Host {
    /// sizeof(struct tcpcopy_host) where the host was built.
    pub size: usize,
    /// TCPCOPY_API_MAJOR of the host.
    pub api_major: u16,
    /// TCPCOPY_API_MINOR of the host.
    pub api_minor: u16,
    /// The most talkative level the log wants: 0 (nothing) to TCPCOPY_LOG_TRACE.
    pub log_level: Option<unsafe extern "C" fn() -> u32>,
    /// Writes a line to the log of tcpcopy. `target` says who speaks, such as the module's name. Both are closed by a NUL.
    pub log: Option<unsafe extern "C" fn(level: u32, target: *const c_char, text: *const c_char)>,
}

/// One answer to a request, for the report.
#[repr(C)]
#[derive(Debug)]
pub struct Answer {
    /// sizeof(struct tcpcopy_answer) where the module was built.
    pub size: usize,
    /// The outcome as the protocol numbers it: the HTTP status, the error number, 0 for a plain success. The outcomes of
    /// both answers to a request should be equal.
    pub outcome: u32,
    /// 1: that outcome is a failure.
    pub failed: u8,
    /// How much was answered: bytes of a body, rows of a result. The amounts of both answers should be equal.
    pub amount: u64,
    /// A hash of what was answered, where the module makes one; 0: none. Compared when neither is 0.
    pub digest: u64,
    /// From the end of the request to the end of the answer, in microseconds.
    pub latency_us: u64,
}

/// One request and how it was answered: the raw material of the comparison that operators run a replay for.
#[repr(C)]
#[derive(Debug)]
pub struct Exchange {
    /// sizeof(struct tcpcopy_exchange) where the module was built.
    pub size: usize,
    /// What kind of request, closed by a NUL: the row of the report it belongs to, like `GET /users/{id}`. Labels are few
    /// (some hundred): what differs from request to request does not belong there.
    pub label: *const c_char,
    /// The online server's answer; NULL when it was not captured.
    pub online: *const Answer,
    /// The target's answer; NULL when it gave none.
    pub target: *const Answer,
}

/// What a conversation wants done, in order, and what it may ask. Valid during the call only; each function takes the
/// struct itself first: `actions->forward(actions, 5)`.
///
/// Client bytes are dealt with, from the first on, by `forward`, `replace` and `discard`; bytes of the other sides by `take`.
/// Each of them but `replace` may name more bytes than there are yet: those that come are then dealt with unseen, which
/// is the cheap way past a long body.
#[repr(C)]
#[derive(Debug)]
pub struct Actions {
    /// sizeof(struct tcpcopy_actions) where the host was built.
    pub size: usize,
    /// For the host.
    pub context: *mut c_void,
    /// The present moment, in microseconds since 1970 by the clock of the machine that captures.
    pub now: Option<unsafe extern "C" fn(actions: *const Self) -> u64>,
    /// When the last byte of the input was captured (client and online side), or came back from the target. Without
    /// input: the present moment.
    pub at: Option<unsafe extern "C" fn(actions: *const Self) -> u64>,
    /// When the last byte so far of the oldest turn that is open was first said to the target; TCPCOPY_NEVER when no turn
    /// is open or nothing of it has been said. From here to `at` of the answer's end is the target's latency.
    pub turn_said_at: Option<unsafe extern "C" fn(actions: *const Self) -> u64>,
    /// The next `count` client bytes are said as they are. TCPCOPY_ALL: everything the user says from here on, unseen.
    pub forward: Option<unsafe extern "C" fn(actions: *const Self, count: u64)>,
    /// The next `count` client bytes are not said; `by` is said in their place. All of them have to be in the input.
    pub replace: Option<unsafe extern "C" fn(actions: *const Self, count: u64, by: Bytes)>,
    /// The next `count` client bytes are not said. They are counted under `reason`, a short phrase closed by a NUL, like
    /// `read only`.
    pub discard: Option<unsafe extern "C" fn(actions: *const Self, count: u64, reason: *const c_char)>,
    /// `bytes` are said here: behind what was dealt with so far, before the client bytes not yet dealt with. In a prologue:
    /// at once, before anything else.
    pub insert: Option<unsafe extern "C" fn(actions: *const Self, bytes: Bytes)>,
    /// What is said next opens a turn: a request that gets an answer. If the user had waited for something before
    /// saying it, it is said once every turn before it is complete (`complete_turn`) and the user's own round-trip time has
    /// passed; if the user had not waited (a pipelined request), it is not held back. The first call makes this
    /// conversation the judge of turns; until then, and after `guess_turns`, tcpcopy guesses from acknowledgements and
    /// silence.
    pub open_turn: Option<unsafe extern "C" fn(actions: *const Self)>,
    /// What is said next is part of the present turn, but waits until the target has said something since the words before
    /// it, if the user had waited there as well: the body after `100 Continue`.
    pub wait_for_target: Option<unsafe extern "C" fn(actions: *const Self)>,
    /// The target's answer to the oldest turn that is open is complete. Without an open turn it does nothing.
    pub complete_turn: Option<unsafe extern "C" fn(actions: *const Self)>,
    /// From here on tcpcopy judges turns by itself, as it does without a module.
    pub guess_turns: Option<unsafe extern "C" fn(actions: *const Self)>,
    /// The next `count` bytes of the side this call is about (target or online) are dealt with. In other calls it does
    /// nothing.
    pub take: Option<unsafe extern "C" fn(actions: *const Self, count: u64)>,
    /// From now on the first `depth` bytes of each packet of the target are given; 0: none, which is so at the beginning;
    /// TCPCOPY_EVERYTHING: all. What lies beyond the depth, or was on the way before it was asked for, is told as missing.
    pub want_target: Option<unsafe extern "C" fn(actions: *const Self, depth: u32)>,
    /// Whether the online server's answers are wanted (1) or not (0), which is so at the beginning. While they are, they
    /// are captured too, which costs what capturing costs.
    pub want_online: Option<unsafe extern "C" fn(actions: *const Self, wanted: u8)>,
    /// The callback `timer` is called at this moment (microseconds as `now` gives them; a moment later if need be), instead
    /// of at the moment set before. TCPCOPY_NEVER: not at all.
    pub set_timer: Option<unsafe extern "C" fn(actions: *const Self, at: u64)>,
    /// In `reconnected`, or in `opened` of a session whose connection is yet to be opened: the connection begins with words of
    /// the module's own. Until `end_prologue` only what is inserted
    /// is said, and client bytes are not given.
    pub begin_prologue: Option<unsafe extern "C" fn(actions: *const Self)>,
    /// The prologue is over: the session goes on where it was.
    pub end_prologue: Option<unsafe extern "C" fn(actions: *const Self)>,
    /// An exchange for the report, once per request.
    pub record: Option<unsafe extern "C" fn(actions: *const Self, exchange: *const Exchange)>,
    /// The session cannot go on, for this reason: a short phrase for the operator, closed by a NUL. Sessions given up for
    /// the same phrase are counted together, so leave out what differs from session to session. What it returns is what
    /// the callback returns then; the call's other actions are not carried out.
    pub give_up: Option<unsafe extern "C" fn(actions: *const Self, reason: *const c_char) -> i32>,
    /// The same, and nothing of this user's connection can be replayed later either: no other session is begun for it.
    pub give_up_for_good: Option<unsafe extern "C" fn(actions: *const Self, reason: *const c_char) -> i32>,
    /// Something the operator should know of, and that no byte was left out for: a short phrase closed by a NUL. It is
    /// counted by its phrase and told once in the log, so leave out what differs from session to session.
    pub remark: Option<unsafe extern "C" fn(actions: *const Self, phrase: *const c_char)>,
}

/// A module. The library has one function to give it away, tcpcopy_module_v1. What that returns, and the strings in it, stay valid and unchanged as long as the process lives. A library is never
/// unloaded, and one that replaces it is another library with variables of its own.
///
/// `configure` makes a module, `open` a conversation: a module's half of one session. The other callbacks down to `close`
/// are about one conversation. A module and its conversations are used by one thread at a time, but another module made by
/// the same library may be used by another thread at the same time. Callbacks marked optional may be NULL. Every
/// callback that returns an int32_t returns TCPCOPY_OK or what `refuse` or `give_up` returned; anything else is a fault,
/// ends the session, and counts towards the module's being rolled back. Nothing can protect the process from a module
/// that crashes. Everything waits while a call runs: it takes microseconds and waits for nothing; one that never returns ends
/// the process.
///
/// A call that gives bytes gives bytes of that side from the first on that was not dealt with before: what an earlier call
/// left is given again, with what has come since behind it. (Where several segments of the client have waited, a first
/// call may give one of them, for the sake of its time; if it is left, the next call gives all.) So a parser never keeps bytes of its own: it looks whether its message is
/// complete, and if it is not, takes nothing and returns. How the bytes are split into calls means nothing. A conversation
/// that leaves client bytes holds the session back until it deals with them; it is asked again whenever anything else has
/// come. One that leaves more than 64 MiB of the client's side, or a mebibyte of another, loses its session.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Module {
    /// sizeof(struct tcpcopy_module) where the module was built.
    pub size: usize,
    /// TCPCOPY_API_MAJOR.
    pub api_major: u16,
    /// TCPCOPY_API_MINOR.
    pub api_minor: u16,
    /// What operators call the module, in UTF-8, closed by a NUL.
    pub name: *const c_char,
    /// The module's own version, likewise.
    pub version: *const c_char,
    /// Reads the configuration and sets `*module` to a new module, which may be NULL if there is nothing to remember.
    pub configure: Option<
        unsafe extern "C" fn(
            host: *const Host,
            configuration: *const Configuration,
            module: *mut *mut c_void,
        ) -> i32,
    >,
    /// The module is no longer used: its memory can be freed. All its conversations were closed. Optional.
    pub destroy: Option<unsafe extern "C" fn(module: *mut c_void)>,
    /// A session begins: returns its conversation, which may be NULL if there is nothing to remember.
    pub open: Option<unsafe extern "C" fn(module: *mut c_void, session: *const Session) -> *mut c_void>,
    /// A session goes on that another conversation had served until now: one of an older version of this module, or one of
    /// the same connection before a hole in the capture. `snapshot` is what `snapshot` of that one gave: check it.
    /// Optional: by default a new conversation is opened.
    pub resume: Option<
        unsafe extern "C" fn(module: *mut c_void, session: *const Session, snapshot: Bytes) -> *mut c_void,
    >,
    /// The session has ended: the conversation's memory can be freed. Optional.
    pub close: Option<unsafe extern "C" fn(conversation: *mut c_void)>,
    /// The session begins, before any byte: the place to say what is wanted (`want_target`), or that nothing is (`forward`
    /// of TCPCOPY_ALL). Optional.
    pub opened: Option<unsafe extern "C" fn(conversation: *mut c_void, actions: *const Actions) -> i32>,
    /// Bytes the user said.
    pub client:
        Option<unsafe extern "C" fn(conversation: *mut c_void, input: Bytes, actions: *const Actions) -> i32>,
    /// Bytes the target answered, while they are wanted. Optional: by default they are taken unseen.
    pub target:
        Option<unsafe extern "C" fn(conversation: *mut c_void, input: Bytes, actions: *const Actions) -> i32>,
    /// Bytes the online server answered, while they are wanted. They come as captured: an answer may come before the
    /// client bytes it answers. Optional: by default they are taken unseen.
    pub online:
        Option<unsafe extern "C" fn(conversation: *mut c_void, input: Bytes, actions: *const Actions) -> i32>,
    /// The next `count` bytes of `side` (TCPCOPY_TARGET or TCPCOPY_ONLINE) cannot be given. Bytes of that side left before
    /// are gone as well, and are not part of `count`. Optional: by default `guess_turns`, if it was the target's side.
    pub missing: Option<
        unsafe extern "C" fn(
            conversation: *mut c_void,
            side: i32,
            count: u64,
            actions: *const Actions,
        ) -> i32,
    >,
    /// `side` has closed: no more bytes of it will come, and what was left of it will not be given again after this call.
    /// Of the target: on the present connection. Optional.
    pub ended:
        Option<unsafe extern "C" fn(conversation: *mut c_void, side: i32, actions: *const Actions) -> i32>,
    /// The connection to the target is gone while there is still something to say, and a new one is being opened. The
    /// target's stream begins anew with its first byte, and every turn that was opened and not completed is withdrawn: its
    /// client bytes will be given to `client` again, from the place where `open_turn` stood. A protocol that has to log in
    /// first calls `begin_prologue`. Optional.
    pub reconnected: Option<unsafe extern "C" fn(conversation: *mut c_void, actions: *const Actions) -> i32>,
    /// The moment set with `set_timer` has come. Optional.
    pub timer: Option<unsafe extern "C" fn(conversation: *mut c_void, actions: *const Actions) -> i32>,
    /// What another conversation needs to take over; asked when no turn is open and nothing is left of any side. The bytes
    /// belong to the conversation and stay valid until the next call about it. `data` of NULL: this session cannot move.
    /// Optional.
    pub snapshot: Option<unsafe extern "C" fn(conversation: *mut c_void) -> Bytes>,
}
