/* A TCP director in user space, embedding vsched: accepts connections on the virtual services of a
 * rules file (ipvsadm's commands), picks a real server for each, and copies bytes both ways.
 *
 *   cc -std=c99 -O2 -pthread director.c -o director $(pkg-config --cflags --libs vsched)
 *
 * The main thread has the rules, the signals and the listeners ("doors"), and passes connections to the
 * other threads, which relay. SIGHUP reads the rules again, SIGUSR2 does so whatever they remove,
 * SIGUSR1 prints the table. SIGINT and SIGTERM stop, after a grace time or at the second signal. */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <vsched.h>

enum { EVENTS = 256, QUEUE = 1024, HELD = 16384, TURN = 16, TRIES = 8, LONGEST_TEXT = 1 << 22,
       MOST = 1024 /* threads; services */, STREAM = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC };
enum { SWEEP = 100, TELL = 1000, CONNECTING = 2000, IDLE = 900000, IDLE_CLOSING = 120000 }; /* ms */

/* One end of a session. Held bytes came from it; until they are passed on, nothing more is read. */
struct side {
    struct session *session;
    int fd; /* -1: closed. */
    bool finished; /* FIN came from it, and was passed on. */
    size_t head, tail; /* Held bytes: from head to tail. */
    char held[HELD];
};

struct session {
    struct session *next;
    vsched_service_state service;
    vsched_flow flow;
    vsched_pick pick;
    vsched_lease lease;
    vsched_server_id tried[TRIES];
    unsigned tries;
    bool connected;
    int64_t deadline;
    struct side client, server;
};

struct thread {
    pthread_t id;
    vsched_worker *worker;
    int epoll;
    struct session *sessions;
    int64_t now, next_sweep, tell_from;
};

static vsched_config *config;
static vsched_director *director;
static struct thread threads[MOST];
static long thread_count;
static bool stopped;
static struct pollfd doors[MOST];
static vsched_service_state served[MOST]; /* By door. */
static size_t door_count;
static struct { unsigned long accepted, ended, opened, closed, failed, unanswered; } counts;
#define COUNT(what) __atomic_fetch_add(&counts.what, 1, __ATOMIC_RELAXED)
#define LOAD(variable) __atomic_load_n(&(variable), __ATOMIC_RELAXED)

static int64_t now_ms(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* Events come once, when something changes (EPOLLET), and again after EPOLL_CTL_MOD. */
static bool watch(struct thread *thread, struct side *side, int how) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = side};
    return epoll_ctl(thread->epoll, how, side->fd, &event) == 0;
}

/* Closes the connection to a server. `error`: why it failed, logged once per second; or 0. */
static void close_server(struct thread *thread, struct session *session, int error) {
    char name[VSCHED_KEY_SIZE];
    if (vsched_worker_close(thread->worker, &session->lease) == VSCHED_OK)
        COUNT(closed);
    if (session->server.fd >= 0)
        close(session->server.fd); /* Also removes it from the epoll set. */
    session->server.fd = -1;
    if (error == 0)
        return;
    COUNT(failed);
    if (thread->now >= thread->tell_from &&
        vsched_pick_text(&session->pick, name, sizeof name, NULL) == VSCHED_OK) {
        warnx("service %s: server %s: %s", session->service.key, name, strerror(error));
        thread->tell_from = thread->now + TELL;
    }
}

/* Events of this round may still name the session: sweep() frees it. */
static void end(struct thread *thread, struct session *session) {
    close_server(thread, session, 0);
    close(session->client.fd);
    session->client.fd = -1;
    COUNT(ended);
}

/* Starts to connect to an untried server. `error`: why the last one failed, or 0. */
static void dial(struct thread *thread, struct session *session, int error) {
    struct sockaddr_storage address;
    size_t length;
    vsched_pick *pick = &session->pick;
    int *fd = &session->server.fd, on = 1;
    close_server(thread, session, error);
    while (session->tries < TRIES &&
           vsched_worker_connect(thread->worker, session->service.id, &session->flow,
                                 session->tried, session->tries, pick, &session->lease) == 0) {
        COUNT(opened);
        session->tried[session->tries++] = pick->server;
        session->deadline = thread->now + CONNECTING;
        errno = EDEADLK; /* Connections to the service itself would loop. */
        if ((pick->port != session->service.port ||
             memcmp(pick->address, session->service.address, sizeof pick->address) != 0) &&
            vsched_pick_sockaddr(pick, (void *)&address, sizeof address, &length) == 0 &&
            (*fd = socket(address.ss_family, STREAM, 0)) >= 0 &&
            setsockopt(*fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0 &&
            (connect(*fd, (void *)&address, (socklen_t)length) == 0 || errno == EINPROGRESS) &&
            watch(thread, &session->server, EPOLL_CTL_ADD))
            return;
        close_server(thread, session, errno);
    }
    COUNT(unanswered);
    end(thread, session);
}

/* Moves bytes until one side would block or a limit is reached. False: one side is broken. */
static bool move(struct thread *thread, struct side *from, struct side *to) {
    for (int turn = 0; turn < TURN && !from->finished; turn++) {
        if (from->head == from->tail) {
            ssize_t received = recv(from->fd, from->held, HELD, 0);
            if (received < 0)
                return errno == EAGAIN;
            from->head = 0;
            from->tail = (size_t)received;
            from->finished = received == 0;
            if (from->finished)
                return shutdown(to->fd, SHUT_WR) == 0;
        }
        ssize_t sent = send(to->fd, from->held + from->head, from->tail - from->head, MSG_NOSIGNAL);
        if (sent < 0)
            return errno == EAGAIN;
        from->head += (size_t)sent;
    }
    return from->finished || watch(thread, from, EPOLL_CTL_MOD);
}

/* Handles an event at one side. */
static void advance(struct thread *thread, struct side *side, uint32_t events) {
    struct session *session = side->session;
    struct side *client = &session->client, *server = &session->server;
    int error = 0;
    socklen_t length = sizeof error;
    if (side->fd < 0)
        return; /* Closed earlier in this round. */
    if (session->tries == 0) { /* New in this thread. */
        session->next = thread->sessions;
        thread->sessions = session;
        dial(thread, session, 0);
    } else if (!session->connected && side == client) {
        if ((events & (EPOLLERR | EPOLLHUP)) != 0)
            end(thread, session); /* The client is gone. What it sends has to wait. */
    } else if (!session->connected &&
               (getsockopt(server->fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0 || error != 0))
        dial(thread, session, error != 0 ? error : errno);
    else {
        session->connected = true;
        bool good = move(thread, client, server) && move(thread, server, client);
        bool closing = client->finished || server->finished;
        session->deadline = thread->now + (closing ? IDLE_CLOSING : IDLE);
        if (closing)
            vsched_worker_update(thread->worker, &session->lease, VSCHED_INACTIVE);
        if (!good || (client->finished && server->finished))
            end(thread, session);
    }
}

/* Ends overdue sessions, or all if `all`. Frees those that have ended. */
static void sweep(struct thread *thread, bool all) {
    for (struct session *session, **link = &thread->sessions; (session = *link) != NULL;) {
        bool open = session->client.fd >= 0, overdue = thread->now >= session->deadline;
        if (open && overdue && !all && !session->connected)
            dial(thread, session, ETIMEDOUT);
        else if (open && (overdue || all))
            end(thread, session);
        if (session->client.fd < 0) {
            *link = session->next;
            free(session);
        } else
            link = &session->next;
    }
    thread->next_sweep = thread->now + SWEEP;
}

/* The body of a thread. It wakes at least ten times per second, to see when to stop. */
static void *run(void *argument) {
    struct thread *thread = argument;
    struct epoll_event events[EVENTS];
    for (bool last = false; !last;) {
        last = LOAD(stopped);
        int count = epoll_wait(thread->epoll, events, EVENTS, SWEEP);
        thread->now = now_ms();
        for (int n = 0; n < count; n++)
            advance(thread, events[n].data.ptr, events[n].events);
        last = last && count < EVENTS; /* All connections passed to it were seen. */
        if (last || thread->now >= thread->next_sweep)
            sweep(thread, last);
    }
    vsched_worker_free(thread->worker);
    close(thread->epoll);
    return NULL;
}

/* Accepts a connection and passes it on. False if there is none, or no capacity (see errno). */
static bool accept_one(size_t door) {
    static long next;
    struct sockaddr_storage client, here;
    socklen_t length = sizeof client, here_length = sizeof here;
    int fd = accept4(doors[door].fd, (void *)&client, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return false;
    struct session *session = calloc(1, sizeof *session);
    if (session == NULL)
        return close(fd) == 0;
    session->service = served[door];
    session->client.session = session->server.session = session;
    session->client.fd = fd;
    session->server.fd = -1;
    COUNT(accepted);
    if (getsockname(fd, (void *)&here, &here_length) != 0 ||
        vsched_flow_from_sockaddr(IPPROTO_TCP, (void *)&client, length, (void *)&here, here_length,
                                  &session->flow) != VSCHED_OK ||
        !watch(&threads[next++ % thread_count], &session->client, EPOLL_CTL_ADD)) {
        COUNT(ended);
        close(fd);
        free(session);
    }
    return true;
}

/* Closes the doors of services that do not run, or all; waiting clients are still let in. */
static void close_doors(bool all) {
    vsched_service_id id;
    for (size_t door = door_count; door-- > 0;) {
        const char *key = served[door].key;
        if (!all && vsched_director_service(director, key, strlen(key), &id) == VSCHED_OK)
            continue;
        while (all && accept_one(door))
            continue;
        close(doors[door].fd);
        doors[door] = doors[--door_count];
        served[door] = served[door_count];
    }
}

/* Listens for a service, unless it already does. */
static void open_door(const vsched_service_state *service) {
    struct sockaddr_storage address;
    size_t length;
    int fd = -1, on = 1;
    for (size_t door = 0; door < door_count; door++)
        if (strcmp(served[door].key, service->key) == 0)
            return;
    errno = EPROTONOSUPPORT;
    if (service->protocol != IPPROTO_TCP || service->port == 0 ||
        vsched_service_sockaddr(service, (void *)&address, sizeof address, &length) != VSCHED_OK ||
        (fd = socket(address.ss_family, STREAM, 0)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 || /* Inherited. */
        bind(fd, (void *)&address, (socklen_t)length) != 0 || listen(fd, QUEUE) != 0) {
        warn("service %s: left out", service->key);
        close(fd);
        return;
    }
    doors[door_count] = (struct pollfd){.fd = fd, .events = POLLIN};
    served[door_count++] = *service;
    printf("serving %s\n", service->key);
}

/* Serves the rules of the file; returns whether they are valid. Connections and their counts stay. An
 * emptied or cut-off file would remove most servers: that is refused, unless forced. */
static bool serve(const char *path, bool first, bool force) {
    static vsched_service_state services[MOST];
    static char rules[LONGEST_TEXT], error[8192];
    vsched_status status = VSCHED_E_PARSE;
    const vsched_apply_policy policy = {sizeof policy, force, force ? 100 : 0 /* The default. */};
    vsched_applied applied = {.struct_size = sizeof applied};
    FILE *file = fopen(path, "r");
    size_t count, length = file != NULL ? fread(rules, 1, LONGEST_TEXT, file) : 0;
    if (file == NULL || !feof(file))
        snprintf(error, sizeof error, "%s", strerror(length == LONGEST_TEXT ? EFBIG : errno));
    else if (vsched_config_read_rules(config, rules, length) != VSCHED_OK ||
             vsched_config_validate(config) != VSCHED_OK)
        vsched_config_error(config, error, sizeof error, NULL);
    else {
        if (first) /* Rotations as in a kernel, where servers are added one by one. */
            (void)!vsched_director_replay(director, rules, length, NULL);
        status = vsched_director_apply_with(director, config, &policy, &applied);
        vsched_director_error(director, error, sizeof error, NULL);
    }
    if (file != NULL)
        fclose(file);
    if (status != VSCHED_OK)
        warnx("%s%s: %s%s", first ? "" : "not reloaded: ", path, error,
              status == VSCHED_E_GUARDRAILS ? "\nsignal USR2 applies it all the same" : "");
    else if (!first)
        warnx("reloaded: %u added, %u changed, %u drained, %u removed", applied.added,
              applied.changed, applied.drained, applied.removed);
    close_doors(false);
    if (vsched_director_services(director, services, sizeof *services, MOST, &count) != VSCHED_OK)
        warnx("more than %d services: none of the new ones is listened for", MOST), count = 0;
    for (size_t n = 0; n < count; n++)
        open_door(&services[n]);
    return status == VSCHED_OK;
}

static void report(void) {
    static char text[LONGEST_TEXT];
    size_t removed = 0;
    for (uint32_t view = VSCHED_LIST_PLAIN; view <= VSCHED_LIST_STATISTICS; view++)
        if (vsched_director_list(director, view, 0, NULL, 0, text, LONGEST_TEXT, NULL) == VSCHED_OK)
            fputs(text, stdout);
    if (vsched_director_removed_with_connections(director, NULL, sizeof(vsched_removed_server), 0,
                                                 &removed) == VSCHED_E_BUFFER) /* Some. */
        printf("Removed servers with open connections: %zu\n", removed);
    printf("Connections: %lu opened, %lu closed, %lu tries failed, %lu unanswered\n",
           LOAD(counts.opened), LOAD(counts.closed), LOAD(counts.failed), LOAD(counts.unanswered));
}

int main(int argc, char **argv) {
    const char *path = NULL;
    double grace = 5;
    int64_t stop_at = INT64_MAX;
    sigset_t signals;
    thread_count = sysconf(_SC_NPROCESSORS_ONLN);
    int option;
    while ((option = getopt(argc, argv, "r:t:g:")) != -1 && option != '?')
        switch (option) {
        case 'r': path = optarg; break;
        case 't': thread_count = atol(optarg); break;
        case 'g': grace = atof(optarg);
        }
    if (option != -1 || path == NULL || optind != argc || thread_count < 1 || thread_count > MOST)
        errx(2, "usage: director -r RULES [-t THREADS] [-g GRACE_SECONDS]");
    sigemptyset(&signals);
    for (int n = 0; n < 5; n++)
        sigaddset(&signals, (int[]){SIGHUP, SIGUSR1, SIGUSR2, SIGINT, SIGTERM}[n]);
    pthread_sigmask(SIG_BLOCK, &signals, NULL); /* Threads inherit it. */
    if (vsched_config_new(&config) != VSCHED_OK ||
        vsched_director_new(config, &director) != VSCHED_OK || !serve(path, true, false))
        return 2;
    if (door_count == 0)
        errx(1, "there is no service to serve");
    for (struct thread *thread = threads; thread < threads + thread_count; thread++)
        if ((thread->epoll = epoll_create1(EPOLL_CLOEXEC)) < 0 ||
            vsched_worker_new(director, &thread->worker) != VSCHED_OK ||
            pthread_create(&thread->id, NULL, run, thread) != 0)
            errx(1, "a thread cannot be started");
    while (now_ms() < stop_at && (stop_at == INT64_MAX || LOAD(counts.ended) < counts.accepted)) {
        int number = sigtimedwait(&signals, NULL, &(struct timespec){0, 0});
        if ((number == SIGHUP || number == SIGUSR2) && stop_at == INT64_MAX)
            serve(path, false, number == SIGUSR2);
        if (number == SIGHUP || number == SIGUSR1 || number == SIGUSR2)
            report();
        if (number == SIGINT || number == SIGTERM) {
            stop_at = stop_at == INT64_MAX ? now_ms() + (int64_t)(grace * 1000) : 0;
            close_doors(true);
        }
        vsched_director_tick(director, (uint64_t)now_ms());
        fflush(stdout);
        poll(doors, door_count, SWEEP);
        errno = 0;
        for (size_t door = 0; door < door_count; door++)
            for (int n = 0; n < TURN && doors[door].revents != 0 && accept_one(door); n++)
                continue;
        if (errno == EMFILE || errno == ENFILE)
            usleep(SWEEP * 1000); /* Until some close. The clients wait. */
    }
    unsigned long cut = counts.accepted - LOAD(counts.ended);
    __atomic_store_n(&stopped, true, __ATOMIC_RELEASE);
    for (long n = 0; n < thread_count; n++)
        pthread_join(threads[n].id, NULL);
    if (cut > 0)
        warnx("%lu connections were still open and have been cut", cut);
    report();
    vsched_director_free(director);
    vsched_config_free(config);
    return 0;
}
