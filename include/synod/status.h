/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_STATUS_H
#define SYNOD_STATUS_H

/*
 * Every outcome a caller can meet, in one list. TIMEOUT is special: the operation may have taken
 * effect, may still do so later, or never. Everything else is definite.
 */
#define SYNOD_STATUS_LIST(X)                                                                       \
    X(OK, "done")                                                                                  \
    X(NOT_FOUND, "no such key")                                                                    \
    X(MISMATCH, "the comparison failed; nothing was changed")                                      \
    X(BUSY, "a queue or the log is full; nothing was done, try again")                             \
    X(TIMEOUT, "no answer in time; the outcome is unknown")                                        \
    X(CLOSED, "the handle or the cluster is closed")                                               \
    X(INVALID, "an argument is out of range")                                                      \
    X(NO_LEADER, "no leader in time; nothing was done")                                            \
    X(WRONG_THREAD, "the handle belongs to another thread")                                        \
    X(NO_SPACE, "not enough space where the logs live")                                            \
    X(IN_USE, "the directory is in use by another cluster")                                        \
    X(CORRUPT, "a log is damaged in the middle; nothing was cut")                                  \
    X(FOREIGN, "a log of another cluster, node, shape or newer version")                           \
    X(NO_MEMORY, "out of memory")                                                                  \
    X(IO_ERROR, "the operating system reported an error")

enum synod_status {
#define SYNOD_STATUS_ENUM(name, text) SYNOD_##name,
    SYNOD_STATUS_LIST(SYNOD_STATUS_ENUM)
#undef SYNOD_STATUS_ENUM
};

#ifdef __cplusplus
extern "C" {
#endif

/* "OK", "NOT_FOUND", ...; "?" for a number that is none. Any thread; static strings. */
const char *synod_status_name(enum synod_status status);
/* A sentence for a person. Any thread; static strings. */
const char *synod_status_text(enum synod_status status);

#define SYNOD_MUST_USE __attribute__((warn_unused_result))

#ifdef __cplusplus
}
#endif

#endif
