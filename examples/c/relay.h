/* The data plane of the C director, as its main thread sees it. */
#ifndef RELAY_H
#define RELAY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <vsched.h>

enum { KEY = 64 }; /* A service's key is no longer. */

struct thread; /* A thread that relays connections. */
struct door;   /* A thread's listener for a service. */

struct relay_counts {
    uint64_t opened, closed; /* Leases. */
    uint64_t failed;         /* Tries: servers that did not take a connection. */
    uint64_t unanswered;     /* Connections that no server took. */
    uint64_t cut;            /* Sessions that were still open when their thread stopped. */
};

/* Starts a thread that relays up to `most` connections at once, and adds 1 to the eventfd `ended`
 * when it ends. NULL: see errno. */
struct thread *relay_start(const vsched_director *director, size_t most, int ended);

/* The thread accepts connections for this service from now on. NULL: see errno. */
struct door *relay_open(struct thread *thread, const char *key, vsched_service_id service, int fd,
                        const struct sockaddr_storage *address);

/* Serves who waits at the door already, closes its socket and frees it. */
void relay_close(struct thread *thread, struct door *door);

/* Ends the thread once its sessions have, but not later. Close the doors before. */
void relay_stop(struct thread *thread, int64_t stop_at);

/* Waits until the thread has ended. */
void relay_free(struct thread *thread);

struct relay_counts relay_counts(void);

/* Milliseconds of the monotonic clock. */
int64_t now_ms(void);

#endif
