/* The data plane of the C director: threads that relay connections.
 *
 * Each has a vsched_worker, an epoll set, and a listener for each service (SO_REUSEPORT). dial(),
 * fail_over(), advance() and end() are all there is of vsched in a proxy. */
#define _GNU_SOURCE
#include "relay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { STREAM = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, HELD = 16384, TURN = 16, TRIES = 8,
       ACCEPTS = 1024, /* milliseconds: */ SWEEP = 100, REST = 100, TELL = 1000,
       CONNECTING = 2000, IDLE = 900000, IDLE_CLOSING = 120000 };

/* What epoll hands back: the first member of whatever is watched. */
struct watched { enum { ORDERS, GATE, CLIENT, SERVER } kind; int fd; uint32_t events; };

/* A thread's listener for a service. */
struct door { int fd; vsched_service_id service; char key[KEY]; struct sockaddr_storage address; };

/* One end of a session, and the bytes that came from there and the other end has not taken yet.
 * While there are some no more are read, so TCP slows down who sends them. */
struct side {
    struct watched watched;
    struct session *session;
    bool finished, told; /* FIN came from it; FIN was sent to it. */
    size_t start, end;
    char held[HELD];
};

struct session {
    struct session *next, *previous; /* In its thread's ring; next: in the list of the dead. */
    char key[KEY];
    vsched_service_id service;
    vsched_flow flow;
    vsched_pick pick;
    vsched_lease lease;
    vsched_server_id tried[TRIES];
    unsigned tries;
    bool connected, closing;
    int64_t deadline;
    struct side client, server;
};

struct thread {
    pthread_t id;
    vsched_worker *worker;
    int epoll, ended, tell;      /* tell: where the main thread writes orders. */
    struct watched orders, gate; /* gate: an epoll set of its doors, not watched at rest. */
    struct session ring, *dead;
    size_t sessions, most;
    int64_t now, next_sweep, rest_until, tell_from;
    bool stopping;
    int64_t stop_at; /* Shared with the main thread. */
};

static struct relay_counts counts;
#define COUNT(what) __atomic_fetch_add(&counts.what, 1, __ATOMIC_RELAXED)
#define NOW(what) __atomic_load_n(&counts.what, __ATOMIC_RELAXED)

int64_t now_ms(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* Asks epoll for these events. Where there is nothing to wait for the socket is taken out: else the
 * hang-up of a side that has finished would be reported for ever. */
static bool watch(struct thread *thread, struct watched *watched, uint32_t events)
{
    int how = watched->events == 0 ? EPOLL_CTL_ADD : events == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
    struct epoll_event event = {.events = events, .data.ptr = watched};
    if (watched->events == events)
        return true;
    watched->events = events;
    return epoll_ctl(thread->epoll, how, watched->fd, &event) == 0;
}

static void close_side(struct side *side)
{
    if (side->watched.fd >= 0)
        close(side->watched.fd); /* That takes it out of the epoll set, too. */
    side->watched.fd = -1;
    side->watched.events = 0;
}

/* No descriptor or no memory is left: no other server would do better, and no other client. */
static bool is_shortage(struct thread *thread, int error)
{
    bool shortage = error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS;
    if (shortage)
        thread->rest_until = thread->now + REST;
    return shortage;
}

/* Ends a session. Its memory stays until all events of this round have been handled. If the client
 * has sent what nobody has read, the kernel closes it by a reset. */
static void end(struct thread *thread, struct session *session)
{
    close_side(&session->client);
    close_side(&session->server);
    if (vsched_worker_close(thread->worker, &session->lease) == VSCHED_OK)
        COUNT(closed);
    session->next->previous = session->previous;
    session->previous->next = session->next;
    session->next = thread->dead;
    thread->dead = session;
    thread->sessions--;
}

static void fail_over(struct thread *thread, struct session *session, int error);

/* Begins to connect to a server that was not tried yet. */
static void dial(struct thread *thread, struct session *session)
{
    struct sockaddr_storage storage;
    struct sockaddr *address = (struct sockaddr *)&storage;
    struct watched *server = &session->server.watched;
    size_t length;
    if (vsched_worker_connect(thread->worker, session->service, &session->flow, session->tried,
                              session->tries, &session->pick, &session->lease) != VSCHED_OK) {
        COUNT(unanswered);
        end(thread, session);
        return;
    }
    COUNT(opened);
    session->deadline = thread->now + CONNECTING;
    errno = EAFNOSUPPORT;
    if (vsched_pick_sockaddr(&session->pick, address, sizeof storage, &length) != VSCHED_OK ||
        (server->fd = socket(address->sa_family, STREAM, 0)) < 0 ||
        (connect(server->fd, address, (socklen_t)length) != 0 && errno != EINPROGRESS) ||
        !watch(thread, server, EPOLLOUT))
        fail_over(thread, session, errno);
}

/* The server did not take the connection: turns to the next one. */
static void fail_over(struct thread *thread, struct session *session, int error)
{
    char server[48];
    COUNT(failed);
    if (thread->now >= thread->tell_from &&
        vsched_pick_text(&session->pick, server, sizeof server, NULL) == VSCHED_OK) {
        fprintf(stderr, "service %s: server %s: %s\n", session->key, server, strerror(error));
        thread->tell_from = thread->now + TELL;
    }
    if (vsched_worker_close(thread->worker, &session->lease) == VSCHED_OK)
        COUNT(closed);
    close_side(&session->server);
    if (!is_shortage(thread, error) && session->tries < TRIES) {
        session->tried[session->tries++] = session->pick.server;
        dial(thread, session);
    } else {
        COUNT(unanswered);
        end(thread, session);
    }
}

/* Moves bytes until one of the two would block, or others are to have their turn. False if one of
 * them is broken. */
static bool move(struct side *from, struct side *to)
{
    for (int reads = 0;;) {
        ssize_t moved;
        if (from->start < from->end) {
            moved = send(to->watched.fd, from->held + from->start, from->end - from->start,
                         MSG_NOSIGNAL);
            from->start += moved > 0 ? (size_t)moved : 0;
        } else if (from->finished) {
            if (to->told)
                return true;
            to->told = true;
            moved = shutdown(to->watched.fd, SHUT_WR);
        } else {
            if (reads++ == TURN)
                return true;
            moved = recv(from->watched.fd, from->held, HELD, 0);
            from->start = 0;
            from->end = moved > 0 ? (size_t)moved : 0;
            from->finished = moved == 0;
        }
        if (moved < 0 && errno != EINTR)
            return errno == EAGAIN;
    }
}

static bool watch_side(struct thread *thread, struct side *side, const struct side *other)
{
    bool reads = side->start == side->end && !side->finished, writes = other->start < other->end;
    return watch(thread, &side->watched, (reads ? EPOLLIN : 0) | (writes ? EPOLLOUT : 0));
}

/* Does what can be done now. */
static void advance(struct thread *thread, struct session *session)
{
    struct side *client = &session->client, *server = &session->server;
    if (!session->connected) {
        int error = 0, on = 1;
        socklen_t length = sizeof error;
        if (getsockopt(server->watched.fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0)
            error = errno;
        if (error != 0) {
            fail_over(thread, session, error);
            return;
        }
        session->connected = true;
        setsockopt(server->watched.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        setsockopt(client->watched.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    bool good = move(client, server) && move(server, client);
    if (!session->closing && (client->finished || server->finished)) {
        session->closing = true;
        vsched_worker_update(thread->worker, &session->lease, VSCHED_INACTIVE);
    }
    session->deadline = thread->now + (session->closing ? IDLE_CLOSING : IDLE);
    if (!good || (client->told && server->told) || !watch_side(thread, client, server) ||
        !watch_side(thread, server, client))
        end(thread, session);
}

/* Accepts what waits at a door, as far as there is room. */
static void accept_from(struct thread *thread, const struct door *door)
{
    for (int n = 0; n < ACCEPTS && thread->sessions < thread->most; n++) {
        struct sockaddr_storage peer;
        socklen_t length = sizeof peer;
        int fd = accept4(door->fd, (struct sockaddr *)&peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
            continue;
        struct session *session = fd < 0 ? NULL : calloc(1, sizeof *session);
        if (session == NULL) {
            is_shortage(thread, errno);
            if (fd >= 0)
                close(fd);
            return;
        }
        session->client.watched = (struct watched){.kind = CLIENT, .fd = fd};
        session->server.watched = (struct watched){.kind = SERVER, .fd = -1};
        session->client.session = session->server.session = session;
        session->service = door->service;
        memcpy(session->key, door->key, KEY);
        session->previous = &thread->ring;
        session->next = thread->ring.next;
        session->previous->next = session->next->previous = session;
        thread->sessions++;
        /* Until a server has taken the connection only a reset of the client is of interest. */
        if (vsched_flow_from_sockaddr(IPPROTO_TCP, (struct sockaddr *)&peer, length,
                                      (const struct sockaddr *)&door->address, sizeof door->address,
                                      &session->flow) == VSCHED_OK &&
            watch(thread, &session->client.watched, EPOLLERR))
            dial(thread, session);
        else
            end(thread, session);
    }
}

static void handle(struct thread *thread, struct watched *watched)
{
    struct epoll_event waiting[16];
    struct door *door;
    struct side *side = (struct side *)watched;
    switch (watched->kind) {
    case ORDERS: /* A door to close, once nobody waits there; or NULL: there is a time to stop. */
        while (read(watched->fd, &door, sizeof door) == sizeof door) {
            thread->stopping |= door == NULL;
            if (door == NULL)
                continue;
            accept_from(thread, door);
            close(door->fd);
            free(door);
        }
        break;
    case GATE:
        for (int n = epoll_wait(watched->fd, waiting, 16, 0); n > 0; n--)
            accept_from(thread, waiting[n - 1].data.ptr);
        break;
    default:
        if (side->watched.fd >= 0 && watched->kind == CLIENT && !side->session->connected)
            end(thread, side->session); /* The client has gone. */
        else if (side->watched.fd >= 0)
            advance(thread, side->session);
    }
}

/* Frees the sessions that have ended. */
static void bury(struct thread *thread)
{
    for (struct session *session; (session = thread->dead) != NULL; free(session))
        thread->dead = session->next;
}

/* Ends what is overdue; everything, if `all`. */
static void sweep(struct thread *thread, bool all)
{
    for (struct session *session = thread->ring.next, *next; session != &thread->ring;
         session = next) {
        next = session->next;
        if (all)
            COUNT(cut);
        if (all || (session->connected && thread->now >= session->deadline))
            end(thread, session);
        else if (thread->now >= session->deadline)
            fail_over(thread, session, ETIMEDOUT);
    }
    thread->next_sweep = thread->now + SWEEP;
}

static void *run(void *argument)
{
    struct thread *thread = argument;
    struct epoll_event events[256];
    for (;;) {
        thread->now = now_ms();
        if (thread->stopping && (thread->sessions == 0 ||
             thread->now >= __atomic_load_n(&thread->stop_at, __ATOMIC_RELAXED)))
            break;
        bool rest = thread->sessions >= thread->most || thread->now < thread->rest_until;
        watch(thread, &thread->gate, rest ? 0 : EPOLLIN);
        int count = epoll_wait(thread->epoll, events, 256, thread->sessions || rest ? SWEEP : -1);
        thread->now = now_ms();
        for (int n = 0; n < count; n++)
            handle(thread, events[n].data.ptr);
        if (thread->now >= thread->next_sweep)
            sweep(thread, false);
        bury(thread);
    }
    sweep(thread, true);
    bury(thread);
    uint64_t one = 1;
    (void)!write(thread->ended, &one, sizeof one);
    return NULL;
}

/* ---- What the main thread calls. ---- */

struct thread *relay_start(const vsched_director *director, size_t most, int ended)
{
    struct thread *thread = calloc(1, sizeof *thread);
    int orders[2];
    if (thread == NULL || vsched_worker_new(director, &thread->worker) != VSCHED_OK ||
        pipe2(orders, O_CLOEXEC) != 0 || fcntl(orders[0], F_SETFL, O_NONBLOCK) != 0)
        return NULL;
    thread->orders = (struct watched){.kind = ORDERS, .fd = orders[0]};
    thread->gate = (struct watched){.kind = GATE, .fd = epoll_create1(EPOLL_CLOEXEC)};
    thread->epoll = epoll_create1(EPOLL_CLOEXEC);
    thread->tell = orders[1];
    thread->ended = ended;
    thread->most = most;
    thread->ring.next = thread->ring.previous = &thread->ring;
    bool good = thread->gate.fd >= 0 && thread->epoll >= 0 &&
                watch(thread, &thread->orders, EPOLLIN) &&
                pthread_create(&thread->id, NULL, run, thread) == 0;
    return good ? thread : NULL;
}

struct door *relay_open(struct thread *thread, const char *key, vsched_service_id service, int fd,
                        const struct sockaddr_storage *address)
{
    struct door *door = calloc(1, sizeof *door);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = door};
    if (door == NULL)
        return NULL;
    door->fd = fd;
    door->service = service;
    door->address = *address;
    snprintf(door->key, KEY, "%s", key);
    if (epoll_ctl(thread->gate.fd, EPOLL_CTL_ADD, fd, &event) == 0)
        return door;
    free(door);
    return NULL;
}

void relay_close(struct thread *thread, struct door *door)
{
    (void)!write(thread->tell, &door, sizeof door);
}

void relay_stop(struct thread *thread, int64_t stop_at)
{
    __atomic_store_n(&thread->stop_at, stop_at, __ATOMIC_RELAXED);
    relay_close(thread, NULL);
}

void relay_free(struct thread *thread)
{
    pthread_join(thread->id, NULL);
    vsched_worker_free(thread->worker);
    close(thread->gate.fd);
    close(thread->orders.fd);
    close(thread->tell);
    close(thread->epoll);
    free(thread);
}

struct relay_counts relay_counts(void)
{
    return (struct relay_counts){NOW(opened), NOW(closed), NOW(failed), NOW(unanswered), NOW(cut)};
}
