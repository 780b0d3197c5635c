//! The functions a module in C calls: what it wants done, and the log.

use std::ffi::{c_char, c_void};
use std::slice;

use tcpcopy_plugin_api::{Actions, Answer, Depth, Exchange, GiveUp, Timestamp};

use super::interface::{
    self, Bytes, TCPCOPY_API_MAJOR, TCPCOPY_API_MINOR, TCPCOPY_GAVE_UP, TCPCOPY_GAVE_UP_FOR_GOOD,
    TCPCOPY_NEVER, TCPCOPY_OK,
};
use super::text;
use crate::host_api;

/// What every module in C gets.
pub(super) static HOST: interface::Host = interface::Host {
    size: size_of::<interface::Host>(),
    api_major: TCPCOPY_API_MAJOR,
    api_minor: TCPCOPY_API_MINOR,
    log_level: Some(log_level),
    log: Some(log),
};

/// The table of actions; [`answer`] gives it a context for each call.
pub(super) const TABLE: interface::Actions = interface::Actions {
    size: size_of::<interface::Actions>(),
    context: std::ptr::null_mut(),
    now: Some(now),
    at: Some(at),
    turn_said_at: Some(turn_said_at),
    forward: Some(forward),
    replace: Some(replace),
    discard: Some(discard),
    insert: Some(insert),
    open_turn: Some(open_turn),
    wait_for_target: Some(wait_for_target),
    complete_turn: Some(complete_turn),
    guess_turns: Some(guess_turns),
    take: Some(take),
    want_target: Some(want_target),
    want_online: Some(want_online),
    set_timer: Some(set_timer),
    begin_prologue: Some(begin_prologue),
    end_prologue: Some(end_prologue),
    record: Some(record),
    give_up: Some(give_up),
    give_up_for_good: Some(give_up_for_good),
    remark: Some(remark),
};

/// What a call writes to: the context of the table.
struct Answering<'a> {
    actions: &'a mut Actions,
    reason: Option<String>,
    /// Something that is not as the header says.
    broken: Option<&'static str>,
}

/// Makes a call with a table that writes to `actions`.
pub(super) fn answer(
    table: &mut interface::Actions,
    actions: &mut Actions,
    call: impl FnOnce(*const interface::Actions) -> i32,
) -> Result<(), GiveUp> {
    let mut answering = Answering { actions, reason: None, broken: None };
    table.context = (&raw mut answering).cast::<c_void>();
    let code = call(&raw const *table);
    table.context = std::ptr::null_mut();
    if let Some(broken) = answering.broken {
        return Err(GiveUp::fault(broken));
    }
    match (code, answering.reason) {
        (TCPCOPY_OK, _) => Ok(()),
        (TCPCOPY_GAVE_UP, Some(reason)) => Err(GiveUp::new(reason)),
        (TCPCOPY_GAVE_UP_FOR_GOOD, Some(reason)) => Err(GiveUp::new(reason).for_good()),
        (TCPCOPY_GAVE_UP | TCPCOPY_GAVE_UP_FOR_GOOD, None) => {
            Err(GiveUp::fault("the module gave up without a reason"))
        }
        (code, _) => Err(GiveUp::fault(format!("the module returned {code}, which means nothing"))),
    }
}

/// # Safety
/// `table` is one that a module got for the present call.
unsafe fn answering<'a>(table: *const interface::Actions) -> &'a mut Answering<'a> {
    // SAFETY: `answer` has set the context, and waits for this call's end.
    unsafe { &mut *(*table).context.cast::<Answering<'a>>() }
}

/// # Safety
/// As [`answering`].
unsafe fn actions<'a>(table: *const interface::Actions) -> &'a mut Actions {
    // SAFETY: the caller's promise.
    unsafe { answering(table) }.actions
}

/// # Safety
/// `bytes` are null, or as many as they say.
pub(super) unsafe fn plain<'a>(bytes: Bytes) -> &'a [u8] {
    if bytes.data.is_null() {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { slice::from_raw_parts(bytes.data, bytes.length) }
}

unsafe extern "C" fn now(table: *const interface::Actions) -> u64 {
    // SAFETY: the module hands back what it got for this call.
    unsafe { actions(table) }.now().0
}

unsafe extern "C" fn at(table: *const interface::Actions) -> u64 {
    // SAFETY: the module hands back what it got for this call.
    unsafe { actions(table) }.at().0
}

unsafe extern "C" fn turn_said_at(table: *const interface::Actions) -> u64 {
    // SAFETY: the module hands back what it got for this call.
    unsafe { actions(table) }.turn_said_at().map_or(TCPCOPY_NEVER, |said| said.0)
}

unsafe extern "C" fn forward(table: *const interface::Actions, count: u64) {
    // SAFETY: the module hands back what it got for this call.
    unsafe { actions(table) }.forward(count);
}

unsafe extern "C" fn replace(table: *const interface::Actions, count: u64, by: Bytes) {
    // SAFETY: the module hands back what it got for this call, and the bytes are as many as it says.
    unsafe { actions(table).replace(count, plain(by)) };
}

unsafe extern "C" fn discard(table: *const interface::Actions, count: u64, reason: *const c_char) {
    // SAFETY: the module hands back what it got for this call, and a string.
    unsafe { actions(table).discard(count, &text(reason).unwrap_or_default()) };
}

unsafe extern "C" fn insert(table: *const interface::Actions, bytes: Bytes) {
    // SAFETY: the module hands back what it got for this call, and the bytes are as many as it says.
    unsafe { actions(table).insert(plain(bytes)) };
}

unsafe extern "C" fn open_turn(table: *const interface::Actions) {
    // SAFETY: the module hands back what it got for this call.
    unsafe { actions(table) }.open_turn();
}

unsafe extern "C" fn wait_for_target(table: *const interface::Actions) {
    // SAFETY: the module hands back what it got for this call.
    unsafe { actions(table) }.wait_for_target();
}

unsafe extern "C" fn complete_turn(table: *const interface::Actions) {
    // SAFETY: the module hands back what it got for this call.
    unsafe { actions(table) }.complete_turn();
}

unsafe extern "C" fn guess_turns(table: *const interface::Actions) {
    // SAFETY: the module hands back what it got for this call.
    unsafe { actions(table) }.guess_turns();
}

unsafe extern "C" fn take(table: *const interface::Actions, count: u64) {
    // SAFETY: the module hands back what it got for this call.
    unsafe { actions(table) }.take(count);
}

unsafe extern "C" fn want_target(table: *const interface::Actions, depth: u32) {
    // SAFETY: the module hands back what it got for this call.
    unsafe { actions(table) }.want_target(Depth(depth));
}

unsafe extern "C" fn want_online(table: *const interface::Actions, wanted: u8) {
    // SAFETY: the module hands back what it got for this call.
    unsafe { actions(table) }.want_online(wanted != 0);
}

unsafe extern "C" fn set_timer(table: *const interface::Actions, at: u64) {
    // SAFETY: the module hands back what it got for this call.
    unsafe { actions(table) }.set_timer((at != TCPCOPY_NEVER).then_some(Timestamp(at)));
}

unsafe extern "C" fn begin_prologue(table: *const interface::Actions) {
    // SAFETY: the module hands back what it got for this call.
    unsafe { actions(table) }.begin_prologue();
}

unsafe extern "C" fn end_prologue(table: *const interface::Actions) {
    // SAFETY: the module hands back what it got for this call.
    unsafe { actions(table) }.end_prologue();
}

unsafe extern "C" fn record(table: *const interface::Actions, exchange: *const interface::Exchange) {
    // SAFETY: the module hands back what it got for this call, and an exchange whose pointers are null or good.
    unsafe {
        let answering = answering(table);
        match plain_exchange(exchange) {
            Ok(exchange) => answering.actions.record(exchange),
            Err(broken) => answering.broken = Some(broken),
        }
    }
}

/// What a module points to, if it says that it is as large as it has to be.
///
/// # Safety
/// `pointer` is null, or points to a struct that begins with its size.
unsafe fn whole<'a, T>(pointer: *const T) -> Result<Option<&'a T>, &'static str> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's promise.
    unsafe {
        if pointer.cast::<usize>().read() < size_of::<T>() {
            return Err("the size of an exchange or of an answer is not set");
        }
        Ok(Some(&*pointer))
    }
}

/// # Safety
/// As for [`whole`], also of what it points to.
unsafe fn plain_exchange(exchange: *const interface::Exchange) -> Result<Exchange, &'static str> {
    // SAFETY: the caller's promise.
    unsafe {
        let exchange = whole(exchange)?.ok_or("an exchange is NULL")?;
        Ok(Exchange {
            label: text(exchange.label).unwrap_or_default(),
            online: whole(exchange.online)?.map(plain_answer),
            target: whole(exchange.target)?.map(plain_answer),
        })
    }
}

fn plain_answer(answer: &interface::Answer) -> Answer {
    Answer {
        outcome: answer.outcome,
        failed: answer.failed != 0,
        size: answer.amount,
        digest: answer.digest,
        latency_us: answer.latency_us,
    }
}

unsafe extern "C" fn give_up(table: *const interface::Actions, reason: *const c_char) -> i32 {
    // SAFETY: the module hands back what it got for this call, and a string.
    unsafe { answering(table).reason = Some(text(reason).unwrap_or_default()) };
    TCPCOPY_GAVE_UP
}

unsafe extern "C" fn give_up_for_good(table: *const interface::Actions, reason: *const c_char) -> i32 {
    // SAFETY: the module hands back what it got for this call, and a string.
    unsafe { give_up(table, reason) };
    TCPCOPY_GAVE_UP_FOR_GOOD
}

unsafe extern "C" fn remark(table: *const interface::Actions, phrase: *const c_char) {
    // SAFETY: the module hands back what it got for this call, and a string.
    unsafe { actions(table).remark(&text(phrase).unwrap_or_default()) };
}

unsafe extern "C" fn log_level() -> u32 {
    host_api::level()
}

unsafe extern "C" fn log(level: u32, target: *const c_char, line: *const c_char) {
    // SAFETY: the module gives strings.
    let (target, line) = unsafe { (text(target), text(line)) };
    host_api::say(level, &target.unwrap_or_default(), &line.unwrap_or_default());
}
