/*
 * Write a protocol module for tcpcopy in C: a shared library, loaded with `tcpcopy --module ./libmy_mod.so`.
 *
 * This file is all there is to read. Begin with struct tcpcopy_module at its end: a module fills one in and exports the
 * function tcpcopy_module_v1. modules/c-lines/lines_mod.c is a whole module. Build yours with
 *
 *     cc -shared -fPIC -o libmy_mod.so my_mod.c
 *
 * In C++ the same, with -fno-gnu-unique: without it g++ lets the dynamic linker make one of the static variables of
 * inline functions and templates in all versions of a module that are loaded, and the host refuses such a library. An
 * exception must not leave a function that the host calls.
 *
 * Structs that begin with `size` may be larger in later versions of this file: set `size` to sizeof where you make one,
 * and look at it before you read a member that a version other than 1.0 has added.
 */


#ifndef TCPCOPY_MODULE_H
#define TCPCOPY_MODULE_H

#include <stddef.h>
#include <stdint.h>

/**
 * The version of the interface. A host refuses a module with another major number.
 */
#define TCPCOPY_API_MAJOR 1

/**
 * Grows with what is added at the ends of the structs.
 */
#define TCPCOPY_API_MINOR 0

/**
 * Returned by a callback that did what it was asked.
 */
#define TCPCOPY_OK 0

/**
 * Returned by a callback whose session cannot go on; what `give_up` of struct tcpcopy_actions returns.
 */
#define TCPCOPY_GAVE_UP 1

/**
 * Returned by a callback whose user's whole connection cannot be replayed; what `give_up_for_good` of struct
 * tcpcopy_actions returns.
 */
#define TCPCOPY_GAVE_UP_FOR_GOOD 3

/**
 * Returned by `configure` when the configuration is no good; what `refuse` of struct tcpcopy_configuration returns.
 */
#define TCPCOPY_REFUSED 2

/**
 * The side of the user: what the user said to the online server.
 */
#define TCPCOPY_CLIENT 0

/**
 * The side of the target: what the test server answers.
 */
#define TCPCOPY_TARGET 1

/**
 * The side of the online server: what the production server answered the user.
 */
#define TCPCOPY_ONLINE 2

/**
 * The moment that never comes.
 */
#define TCPCOPY_NEVER 18446744073709551615ull

/**
 * As many bytes as will ever come.
 */
#define TCPCOPY_ALL 18446744073709551615ull

/**
 * The depth of a target whose answers are wanted whole.
 */
#define TCPCOPY_EVERYTHING 4294967295

/**
 * A log line that tells of a failure.
 */
#define TCPCOPY_LOG_ERROR 1

/**
 * A log line that warns.
 */
#define TCPCOPY_LOG_WARN 2

/**
 * A log line for every operator.
 */
#define TCPCOPY_LOG_INFO 3

/**
 * A log line for who looks for a fault.
 */
#define TCPCOPY_LOG_DEBUG 4

/**
 * A log line about single packets and calls.
 */
#define TCPCOPY_LOG_TRACE 5

/**
 * Bytes that belong to somebody else, valid during the call. `data` may be NULL when `length` is 0.
 */
struct tcpcopy_bytes {
    /**
     * The first byte.
     */
    const uint8_t *data;
    /**
     * How many there are.
     */
    size_t length;
};

/**
 * An address and port.
 */
struct tcpcopy_address {
    /**
     * The address in network order. An IPv4 address takes the first four bytes.
     */
    uint8_t ip[16];
    /**
     * The port, as a number of this machine.
     */
    uint16_t port;
    /**
     * 1: IPv6; 0: IPv4.
     */
    uint8_t is_ipv6;
};

/**
 * What is known of a session when it begins.
 */
struct tcpcopy_session {
    /**
     * sizeof(struct tcpcopy_session) where the host was built.
     */
    size_t size;
    /**
     * A number of this session, unique while tcpcopy runs; the one that logs and `tcpcopy ctl sessions` show.
     */
    uint64_t id;
    /**
     * The user, as captured.
     */
    struct tcpcopy_address client;
    /**
     * The online server the user speaks to.
     */
    struct tcpcopy_address online;
    /**
     * Where the copy comes from, as the target sees it.
     */
    struct tcpcopy_address source;
    /**
     * The target.
     */
    struct tcpcopy_address target;
    /**
     * 1: the beginning of the user's connection was not captured. The first bytes are the first that were, at a place
     * where the user seems to have begun to speak.
     */
    uint8_t joined;
    /**
     * 1: the connection to the target exists already (in `resume` only). Otherwise it is about to be opened.
     */
    uint8_t connected;
};

/**
 * What the operator wrote for a module: the contents of a file, or text on the command line. UTF-8.
 */
struct tcpcopy_configuration {
    /**
     * sizeof(struct tcpcopy_configuration) where the host was built.
     */
    size_t size;
    /**
     * For the host.
     */
    void *context;
    /**
     * The text, closed by a NUL; empty when the operator gave none.
     */
    const char *text;
    /**
     * How long the text is, without that NUL.
     */
    size_t text_length;
    /**
     * Where the text came from, closed by a NUL: a path, or the option that held it. The host puts it before the
     * sentence of `refuse`, so a module needs it only to find files beside it.
     */
    const char *origin;
    /**
     * Says why the configuration cannot be used: one sentence for the operator, without a capital and a full stop. What
     * it returns is what `configure` returns then.
     */
    int32_t (*refuse)(const struct tcpcopy_configuration *configuration, const char *sentence);
};

/**
 * What a host gives a module. Valid as long as the process lives, and callable from any thread.
 */
struct tcpcopy_host {
    /**
     * sizeof(struct tcpcopy_host) where the host was built.
     */
    size_t size;
    /**
     * TCPCOPY_API_MAJOR of the host.
     */
    uint16_t api_major;
    /**
     * TCPCOPY_API_MINOR of the host.
     */
    uint16_t api_minor;
    /**
     * The most talkative level the log wants: 0 (nothing) to TCPCOPY_LOG_TRACE.
     */
    uint32_t (*log_level)(void);
    /**
     * Writes a line to the log of tcpcopy. `target` says who speaks, such as the module's name. Both are closed by a NUL.
     */
    void (*log)(uint32_t level, const char *target, const char *text);
};

/**
 * One answer to a request, for the report.
 */
struct tcpcopy_answer {
    /**
     * sizeof(struct tcpcopy_answer) where the module was built.
     */
    size_t size;
    /**
     * The outcome as the protocol numbers it: the HTTP status, the error number, 0 for a plain success. The outcomes of
     * both answers to a request should be equal.
     */
    uint32_t outcome;
    /**
     * 1: that outcome is a failure.
     */
    uint8_t failed;
    /**
     * How much was answered: bytes of a body, rows of a result. The amounts of both answers should be equal.
     */
    uint64_t amount;
    /**
     * A hash of what was answered, where the module makes one; 0: none. Compared when neither is 0.
     */
    uint64_t digest;
    /**
     * From the end of the request to the end of the answer, in microseconds.
     */
    uint64_t latency_us;
};

/**
 * One request and how it was answered: the raw material of the comparison that operators run a replay for.
 */
struct tcpcopy_exchange {
    /**
     * sizeof(struct tcpcopy_exchange) where the module was built.
     */
    size_t size;
    /**
     * What kind of request, closed by a NUL: the row of the report it belongs to, like `GET /users/{id}`. Labels are few
     * (some hundred): what differs from request to request does not belong there.
     */
    const char *label;
    /**
     * The online server's answer; NULL when it was not captured.
     */
    const struct tcpcopy_answer *online;
    /**
     * The target's answer; NULL when it gave none.
     */
    const struct tcpcopy_answer *target;
};

/**
 * What a conversation wants done, in order, and what it may ask. Valid during the call only; each function takes the
 * struct itself first: `actions->forward(actions, 5)`.
 *
 * Client bytes are dealt with, from the first on, by `forward`, `replace` and `discard`; bytes of the other sides by `take`.
 * Each of them but `replace` may name more bytes than there are yet: those that come are then dealt with unseen, which
 * is the cheap way past a long body.
 */
struct tcpcopy_actions {
    /**
     * sizeof(struct tcpcopy_actions) where the host was built.
     */
    size_t size;
    /**
     * For the host.
     */
    void *context;
    /**
     * The present moment, in microseconds since 1970 by the clock of the machine that captures.
     */
    uint64_t (*now)(const struct tcpcopy_actions *actions);
    /**
     * When the last byte of the input was captured (client and online side), or came back from the target. Without
     * input: the present moment.
     */
    uint64_t (*at)(const struct tcpcopy_actions *actions);
    /**
     * When the last byte so far of the oldest turn that is open was first said to the target; TCPCOPY_NEVER when no turn
     * is open or nothing of it has been said. From here to `at` of the answer's end is the target's latency.
     */
    uint64_t (*turn_said_at)(const struct tcpcopy_actions *actions);
    /**
     * The next `count` client bytes are said as they are. TCPCOPY_ALL: everything the user says from here on, unseen.
     */
    void (*forward)(const struct tcpcopy_actions *actions, uint64_t count);
    /**
     * The next `count` client bytes are not said; `by` is said in their place. All of them have to be in the input.
     */
    void (*replace)(const struct tcpcopy_actions *actions, uint64_t count, struct tcpcopy_bytes by);
    /**
     * The next `count` client bytes are not said. They are counted under `reason`, a short phrase closed by a NUL, like
     * `read only`.
     */
    void (*discard)(const struct tcpcopy_actions *actions, uint64_t count, const char *reason);
    /**
     * `bytes` are said here: behind what was dealt with so far, before the client bytes not yet dealt with. In a prologue:
     * at once, before anything else.
     */
    void (*insert)(const struct tcpcopy_actions *actions, struct tcpcopy_bytes bytes);
    /**
     * What is said next opens a turn: a request that gets an answer. If the user had waited for something before
     * saying it, it is said once every turn before it is complete (`complete_turn`) and the user's own round-trip time has
     * passed; if the user had not waited (a pipelined request), it is not held back. The first call makes this
     * conversation the judge of turns; until then, and after `guess_turns`, tcpcopy guesses from acknowledgements and
     * silence.
     */
    void (*open_turn)(const struct tcpcopy_actions *actions);
    /**
     * What is said next is part of the present turn, but waits until the target has said something since the words before
     * it, if the user had waited there as well: the body after `100 Continue`.
     */
    void (*wait_for_target)(const struct tcpcopy_actions *actions);
    /**
     * The target's answer to the oldest turn that is open is complete. Without an open turn it does nothing.
     */
    void (*complete_turn)(const struct tcpcopy_actions *actions);
    /**
     * From here on tcpcopy judges turns by itself, as it does without a module.
     */
    void (*guess_turns)(const struct tcpcopy_actions *actions);
    /**
     * The next `count` bytes of the side this call is about (target or online) are dealt with. In other calls it does
     * nothing.
     */
    void (*take)(const struct tcpcopy_actions *actions, uint64_t count);
    /**
     * From now on the first `depth` bytes of each packet of the target are given; 0: none, which is so at the beginning;
     * TCPCOPY_EVERYTHING: all. What lies beyond the depth, or was on the way before it was asked for, is told as missing.
     */
    void (*want_target)(const struct tcpcopy_actions *actions, uint32_t depth);
    /**
     * Whether the online server's answers are wanted (1) or not (0), which is so at the beginning. While they are, they
     * are captured too, which costs what capturing costs.
     */
    void (*want_online)(const struct tcpcopy_actions *actions, uint8_t wanted);
    /**
     * The callback `timer` is called at this moment (microseconds as `now` gives them; a moment later if need be), instead
     * of at the moment set before. TCPCOPY_NEVER: not at all.
     */
    void (*set_timer)(const struct tcpcopy_actions *actions, uint64_t at);
    /**
     * In `reconnected`, or in `opened` of a session whose connection is yet to be opened: the connection begins with words of
     * the module's own. Until `end_prologue` only what is inserted
     * is said, and client bytes are not given.
     */
    void (*begin_prologue)(const struct tcpcopy_actions *actions);
    /**
     * The prologue is over: the session goes on where it was.
     */
    void (*end_prologue)(const struct tcpcopy_actions *actions);
    /**
     * An exchange for the report, once per request.
     */
    void (*record)(const struct tcpcopy_actions *actions, const struct tcpcopy_exchange *exchange);
    /**
     * The session cannot go on, for this reason: a short phrase for the operator, closed by a NUL. Sessions given up for
     * the same phrase are counted together, so leave out what differs from session to session. What it returns is what
     * the callback returns then; the call's other actions are not carried out.
     */
    int32_t (*give_up)(const struct tcpcopy_actions *actions, const char *reason);
    /**
     * The same, and nothing of this user's connection can be replayed later either: no other session is begun for it.
     */
    int32_t (*give_up_for_good)(const struct tcpcopy_actions *actions, const char *reason);
    /**
     * Something the operator should know of, and that no byte was left out for: a short phrase closed by a NUL. It is
     * counted by its phrase and told once in the log, so leave out what differs from session to session.
     */
    void (*remark)(const struct tcpcopy_actions *actions, const char *phrase);
};

/**
 * A module. The library has one function to give it away, tcpcopy_module_v1. What that returns, and the strings in it, stay valid and unchanged as long as the process lives. A library is never
 * unloaded, and one that replaces it is another library with variables of its own.
 *
 * `configure` makes a module, `open` a conversation: a module's half of one session. The other callbacks down to `close`
 * are about one conversation. A module and its conversations are used by one thread at a time, but another module made by
 * the same library may be used by another thread at the same time. Callbacks marked optional may be NULL. Every
 * callback that returns an int32_t returns TCPCOPY_OK or what `refuse` or `give_up` returned; anything else is a fault,
 * ends the session, and counts towards the module's being rolled back. Nothing can protect the process from a module
 * that crashes. Everything waits while a call runs: it takes microseconds and waits for nothing; one that never returns ends
 * the process.
 *
 * A call that gives bytes gives bytes of that side from the first on that was not dealt with before: what an earlier call
 * left is given again, with what has come since behind it. (Where several segments of the client have waited, a first
 * call may give one of them, for the sake of its time; if it is left, the next call gives all.) So a parser never keeps bytes of its own: it looks whether its message is
 * complete, and if it is not, takes nothing and returns. How the bytes are split into calls means nothing. A conversation
 * that leaves client bytes holds the session back until it deals with them; it is asked again whenever anything else has
 * come. One that leaves more than 64 MiB of the client's side, or a mebibyte of another, loses its session.
 */
struct tcpcopy_module {
    /**
     * sizeof(struct tcpcopy_module) where the module was built.
     */
    size_t size;
    /**
     * TCPCOPY_API_MAJOR.
     */
    uint16_t api_major;
    /**
     * TCPCOPY_API_MINOR.
     */
    uint16_t api_minor;
    /**
     * What operators call the module, in UTF-8, closed by a NUL.
     */
    const char *name;
    /**
     * The module's own version, likewise.
     */
    const char *version;
    /**
     * Reads the configuration and sets `*module` to a new module, which may be NULL if there is nothing to remember.
     */
    int32_t (*configure)(const struct tcpcopy_host *host,
                         const struct tcpcopy_configuration *configuration,
                         void **module);
    /**
     * The module is no longer used: its memory can be freed. All its conversations were closed. Optional.
     */
    void (*destroy)(void *module);
    /**
     * A session begins: returns its conversation, which may be NULL if there is nothing to remember.
     */
    void *(*open)(void *module, const struct tcpcopy_session *session);
    /**
     * A session goes on that another conversation had served until now: one of an older version of this module, or one of
     * the same connection before a hole in the capture. `snapshot` is what `snapshot` of that one gave: check it.
     * Optional: by default a new conversation is opened.
     */
    void *(*resume)(void *module, const struct tcpcopy_session *session, struct tcpcopy_bytes snapshot);
    /**
     * The session has ended: the conversation's memory can be freed. Optional.
     */
    void (*close)(void *conversation);
    /**
     * The session begins, before any byte: the place to say what is wanted (`want_target`), or that nothing is (`forward`
     * of TCPCOPY_ALL). Optional.
     */
    int32_t (*opened)(void *conversation, const struct tcpcopy_actions *actions);
    /**
     * Bytes the user said.
     */
    int32_t (*client)(void *conversation, struct tcpcopy_bytes input, const struct tcpcopy_actions *actions);
    /**
     * Bytes the target answered, while they are wanted. Optional: by default they are taken unseen.
     */
    int32_t (*target)(void *conversation, struct tcpcopy_bytes input, const struct tcpcopy_actions *actions);
    /**
     * Bytes the online server answered, while they are wanted. They come as captured: an answer may come before the
     * client bytes it answers. Optional: by default they are taken unseen.
     */
    int32_t (*online)(void *conversation, struct tcpcopy_bytes input, const struct tcpcopy_actions *actions);
    /**
     * The next `count` bytes of `side` (TCPCOPY_TARGET or TCPCOPY_ONLINE) cannot be given. Bytes of that side left before
     * are gone as well, and are not part of `count`. Optional: by default `guess_turns`, if it was the target's side.
     */
    int32_t (*missing)(void *conversation, int32_t side, uint64_t count, const struct tcpcopy_actions *actions);
    /**
     * `side` has closed: no more bytes of it will come, and what was left of it will not be given again after this call.
     * Of the target: on the present connection. Optional.
     */
    int32_t (*ended)(void *conversation, int32_t side, const struct tcpcopy_actions *actions);
    /**
     * The connection to the target is gone while there is still something to say, and a new one is being opened. The
     * target's stream begins anew with its first byte, and every turn that was opened and not completed is withdrawn: its
     * client bytes will be given to `client` again, from the place where `open_turn` stood. A protocol that has to log in
     * first calls `begin_prologue`. Optional.
     */
    int32_t (*reconnected)(void *conversation, const struct tcpcopy_actions *actions);
    /**
     * The moment set with `set_timer` has come. Optional.
     */
    int32_t (*timer)(void *conversation, const struct tcpcopy_actions *actions);
    /**
     * What another conversation needs to take over; asked when no turn is open and nothing is left of any side. The bytes
     * belong to the conversation and stay valid until the next call about it. `data` of NULL: this session cannot move.
     * Optional.
     */
    struct tcpcopy_bytes (*snapshot)(void *conversation);
};

#endif  /* TCPCOPY_MODULE_H */

#ifdef __cplusplus
extern "C" {
#endif

/* The one function that a library with a module exports. */
const struct tcpcopy_module *tcpcopy_module_v1(void);

#ifdef __cplusplus
}
#endif
