/*
 * A whole module in C, for a protocol of lines: each line is a request, and answered by a line.
 *
 * The configuration names one request that is not repeated at the target, `shutdown` if it is empty.
 *
 *     cc -shared -fPIC -I core/host/include -o libc_lines_mod.so modules/c-lines/lines_mod.c
 *     tcpcopy --module ./libc_lines_mod.so ...
 */

#include <stdlib.h>
#include <string.h>

#include "tcpcopy_module.h"

/* What `configure` remembers. */
struct lines {
    char *unwanted;
};

/* A conversation remembers nothing but its module: all bytes that are left are given again. */

static int32_t configure(const struct tcpcopy_host *host, const struct tcpcopy_configuration *configuration,
                         void **module)
{
    const char *unwanted = configuration->text_length > 0 ? configuration->text : "shutdown";
    struct lines *lines;

    if (strpbrk(unwanted, " \t\r\n") != NULL) {
        return configuration->refuse(configuration, "the request that is not repeated has to be one word");
    }
    lines = malloc(sizeof *lines);
    if (lines == NULL || (lines->unwanted = strdup(unwanted)) == NULL) {
        free(lines);
        return configuration->refuse(configuration, "there is no memory left");
    }
    host->log(TCPCOPY_LOG_DEBUG, "c-lines", "configured");
    *module = lines;
    return TCPCOPY_OK;
}

static void destroy(void *module)
{
    struct lines *lines = module;

    free(lines->unwanted);
    free(lines);
}

static void *open_conversation(void *module, const struct tcpcopy_session *session)
{
    (void)session;
    return module;
}

/* Answers are wanted, to tell when a turn is complete. */
static int32_t opened(void *conversation, const struct tcpcopy_actions *actions)
{
    (void)conversation;
    actions->want_target(actions, TCPCOPY_EVERYTHING);
    return TCPCOPY_OK;
}

/* The length of the first line with its end, or 0 if it is not complete. */
static size_t first_line(struct tcpcopy_bytes input)
{
    const uint8_t *end = input.length > 0 ? memchr(input.data, '\n', input.length) : NULL;

    return end == NULL ? 0 : (size_t)(end - input.data) + 1;
}

static int32_t client(void *conversation, struct tcpcopy_bytes input, const struct tcpcopy_actions *actions)
{
    const struct lines *lines = conversation;
    size_t unwanted = strlen(lines->unwanted);
    size_t length;

    while ((length = first_line(input)) > 0) {
        if (length == unwanted + 1 && memcmp(input.data, lines->unwanted, unwanted) == 0) {
            actions->discard(actions, length, "not repeated");
        } else {
            actions->open_turn(actions);
            actions->forward(actions, length);
        }
        input.data += length;
        input.length -= length;
    }
    return TCPCOPY_OK; /* a line that is not complete is left, and given again with its rest */
}

static void record(const struct tcpcopy_actions *actions, size_t length)
{
    uint64_t said_at = actions->turn_said_at(actions);
    struct tcpcopy_answer answer = {sizeof answer, 0, 0, 0, 0, 0};
    struct tcpcopy_exchange exchange = {sizeof exchange, "line", NULL, &answer};

    answer.amount = length;
    answer.latency_us = said_at == TCPCOPY_NEVER ? 0 : actions->at(actions) - said_at;
    actions->record(actions, &exchange);
}

static int32_t target(void *conversation, struct tcpcopy_bytes input, const struct tcpcopy_actions *actions)
{
    size_t length;

    (void)conversation;
    while ((length = first_line(input)) > 0) {
        record(actions, length);
        actions->take(actions, length);
        actions->complete_turn(actions);
        input.data += length;
        input.length -= length;
    }
    return TCPCOPY_OK;
}

/* `missing` is left out: tcpcopy guesses turns again when a part of an answer cannot be given. */
static const struct tcpcopy_module lines_module = {
    .size = sizeof lines_module,
    .api_major = TCPCOPY_API_MAJOR,
    .api_minor = TCPCOPY_API_MINOR,
    .name = "c-lines",
    .version = "1.0.0",
    .configure = configure,
    .destroy = destroy,
    .open = open_conversation,
    .opened = opened,
    .client = client,
    .target = target,
};

const struct tcpcopy_module *tcpcopy_module_v1(void)
{
    return &lines_module;
}
