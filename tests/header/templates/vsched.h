/**
 * @file
 * @brief vsched: an embeddable scheduling and configuration core for virtual servers (LVS/IPVS).
 *
 * This header is the manual; docs/embedding.md shows a complete program. vsched-ffi.h has the same
 * declarations without macros, for cffi and LuaJIT. `make header` generates both from src/ffi.
 *
 * Conventions of all functions:
 *
 * - Status: a function returns a vsched_status. After any status but VSCHED_OK nothing has changed
 *   and no output was written, unless its manual says so. The manual lists the statuses of each
 *   function, except two that go without saying: VSCHED_E_NULL, and VSCHED_E_PANIC for a bug in the
 *   library.
 * - NULL: the introduction of each group says which pointers may be NULL. For other pointers, NULL
 *   returns VSCHED_E_NULL.
 * - Memory: the library uses a pointer during the call only. A pointer that is not NULL points to
 *   as many bytes as its type or its length says, aligned as C requires. Free a handle with the
 *   function that its manual names. Nothing else has to be freed.
 * - Process: no function prints, starts a thread, installs a signal handler, or changes any state
 *   of the process, with one exception: before VSCHED_E_PANIC, Rust's runtime writes a line to
 *   stderr.
 *
 * Classes of threads, which the manual of each function names after "Threads:":
 *
 * | Class     | The function may be called                                                      |
 * | --------- | ------------------------------------------------------------------------------- |
 * | any       | from any thread at any time                                                     |
 * | shared    | by several threads at once on one handle, but not during an exclusive call      |
 * | exclusive | while no other thread uses the handle                                           |
 * | control   | from any thread at any time; takes the director's lock if it changes anything   |
 * | worker    | by the thread that owns the worker; takes no lock                               |
 */

#ifndef VSCHED_H
#define VSCHED_H

#include <stddef.h>
#include <stdint.h>

struct sockaddr;

/** Makes compilers warn where a program drops a status. Define it as empty to turn this off. */
#ifndef VSCHED_MUST_USE
#if defined(__GNUC__) || defined(__clang__)
#define VSCHED_MUST_USE __attribute__((warn_unused_result))
#else
#define VSCHED_MUST_USE
#endif
#endif

/** Initializes a vsched_text with a string literal: .scheduler = VSCHED_TEXT("wrr"). */
#define VSCHED_TEXT(literal) {(literal), sizeof(literal) - 1}

#ifdef __cplusplus
extern "C" {
#endif

@GROUPS@

#ifdef __cplusplus
}
#endif

#endif /* VSCHED_H */
