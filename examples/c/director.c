/* A TCP director in user space, embedding vsched: accepts connections on the virtual services of a
 * rules file (ipvsadm's commands), picks a real server for each, and copies bytes both ways.
 *
 *   cc -std=c99 -O2 -pthread -Iinclude examples/c/director.c -o director \
 *      -Ltarget/capi/lib -Wl,-rpath,target/capi/lib -lvsched
 *
 * The main thread has the rules, the signals and the listeners ("doors"), and deals connections out
 * to the others, which relay. SIGHUP reads the rules again, SIGUSR1 prints the table, SIGINT and
 * SIGTERM stop: connections may finish in the grace time, a second signal cuts them short. */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>
#include <vsched.h>

enum { STREAM = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, MOST_THREADS = 64, MOST_SERVICES = 1024,
       EVENTS = 256, QUEUE = 1024, HELD = 16384, TURN = 16, TRIES = 8,
       LONGEST = 1 << 22 /* bytes of a text */ };
enum { SWEEP = 100, TELL = 1000, CONNECTING = 2000, IDLE = 900000, IDLE_CLOSING = 120000 }; /* ms */
#define NOTE(...) fprintf(stderr, __VA_ARGS__)

/* A service that is listened for. */
struct door {
    struct door *next;
    vsched_service_state service;
    struct sockaddr_storage address;
    size_t length;
    int fd;
};

/* One end of a session, and the bytes that came from there and the other end has not taken yet.
 * While there are some no more are read, so TCP slows down who sends them. */
struct side {
    struct session *session;
    int fd; /* -1: closed. */
    bool finished, told; /* FIN came from it; FIN was sent to it. */
    size_t start, end;
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

static vsched_director *director;
static struct thread threads[MOST_THREADS];
static long thread_count;
static struct door *doors;
static int door_epoll;
static int64_t stop_at = INT64_MAX;
static struct { unsigned long opened, closed, failed, unanswered, cut; } counts;
#define COUNT(what) __atomic_fetch_add(&counts.what, 1, __ATOMIC_RELAXED)
#define LOAD(variable) __atomic_load_n(&(variable), __ATOMIC_RELAXED)

static void must(bool good, const char *what) {
    if (!good) {
        NOTE("director: %s: %s\n", what, strerror(errno));
        exit(1);
    }
}

static int64_t now_ms(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* An event comes once, when something changes (EPOLLET): who handles it does all that can be done.
 * EPOLL_CTL_MOD makes it come again. */
static bool watch(struct thread *thread, struct side *side, int how) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = side};
    return epoll_ctl(thread->epoll, how, side->fd, &event) == 0;
}

static void close_server(struct thread *thread, struct session *session) {
    if (vsched_worker_close(thread->worker, &session->lease) == VSCHED_OK)
        COUNT(closed);
    if (session->server.fd >= 0)
        close(session->server.fd); /* That takes it out of the epoll set, too. */
    session->server.fd = -1;
}

/* Events of this round may still name the session: sweep() will free it. */
static void end(struct thread *thread, struct session *session) {
    close_server(thread, session);
    close(session->client.fd);
    session->client.fd = -1;
}

/* Begins to connect to a server that was not tried yet. `error`: why the last one failed, or 0. */
static void dial(struct thread *thread, struct session *session, int error) {
    struct sockaddr_storage storage;
    struct sockaddr *address = (struct sockaddr *)&storage;
    int *fd = &session->server.fd, on = 1;
    char name[VSCHED_NAME_SIZE];
    size_t length;
    for (;; error = errno) {
        if (error != 0) {
            COUNT(failed);
            close_server(thread, session);
            if (thread->now >= thread->tell_from &&
                vsched_pick_text(&session->pick, name, sizeof name, NULL) == VSCHED_OK) {
                NOTE("service %s: server %s: %s\n", session->service.key, name, strerror(error));
                thread->tell_from = thread->now + TELL;
            }
        }
        /* Where descriptors are short no other server would do better. */
        if (error == EMFILE || error == ENFILE || session->tries == TRIES ||
            vsched_worker_connect(thread->worker, session->service.id, &session->flow,
                                  session->tried, session->tries, &session->pick,
                                  &session->lease) != VSCHED_OK) {
            COUNT(unanswered);
            end(thread, session);
            return;
        }
        COUNT(opened);
        session->tried[session->tries++] = session->pick.server;
        session->deadline = thread->now + CONNECTING;
        errno = EAFNOSUPPORT;
        if (vsched_pick_sockaddr(&session->pick, address, sizeof storage, &length) == VSCHED_OK &&
            (*fd = socket(address->sa_family, STREAM, 0)) >= 0 &&
            setsockopt(*fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0 &&
            (connect(*fd, address, (socklen_t)length) == 0 || errno == EINPROGRESS) &&
            watch(thread, &session->server, EPOLL_CTL_ADD))
            return;
    }
}

/* Moves bytes until one of the two would block, or others are to have their turn. False if one of
 * them is broken. */
static bool move(struct thread *thread, struct side *from, struct side *to) {
    for (int turn = 0; turn < TURN; turn++) {
        ssize_t moved;
        if (from->start == from->end && !from->finished) {
            if ((moved = recv(from->fd, from->held, HELD, 0)) < 0)
                return errno == EAGAIN;
            from->start = 0;
            from->end = (size_t)moved;
            from->finished = moved == 0;
        }
        if (from->start < from->end) {
            moved = send(to->fd, from->held + from->start, from->end - from->start, MSG_NOSIGNAL);
            if (moved < 0)
                return errno == EAGAIN;
            from->start += (size_t)moved;
        } else if (!to->told) {
            to->told = true;
            return shutdown(to->fd, SHUT_WR) == 0;
        } else
            return true;
    }
    return watch(thread, from, EPOLL_CTL_MOD);
}

/* Something has happened at a side. */
static void advance(struct thread *thread, struct side *side, uint32_t events) {
    struct session *session = side->session;
    struct side *client = &session->client, *server = &session->server;
    int error = 0;
    socklen_t length = sizeof error;
    if (side->fd < 0)
        return; /* It was closed earlier in this round. */
    if (session->tries == 0) { /* Just dealt out. */
        session->next = thread->sessions;
        thread->sessions = session;
        dial(thread, session, 0);
    } else if (!session->connected && side == client) {
        if ((events & (EPOLLERR | EPOLLHUP)) != 0)
            end(thread, session); /* The client has gone. Whatever it sends has to wait. */
    } else if (!session->connected &&
               (getsockopt(server->fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0 || error != 0))
        dial(thread, session, error != 0 ? error : errno);
    else {
        session->connected = true;
        bool good = move(thread, client, server) && move(thread, server, client);
        session->deadline = thread->now + IDLE;
        if (client->finished || server->finished) {
            session->deadline = thread->now + IDLE_CLOSING;
            vsched_worker_update(thread->worker, &session->lease, VSCHED_INACTIVE);
        }
        if (!good || (client->told && server->told))
            end(thread, session);
    }
}

/* Ends what is overdue, or everything if `all`. Frees what has ended. */
static void sweep(struct thread *thread, bool all) {
    struct session *session;
    for (struct session **link = &thread->sessions; (session = *link) != NULL;) {
        bool open = session->client.fd >= 0, overdue = thread->now >= session->deadline;
        if (open && overdue && !all && !session->connected)
            dial(thread, session, ETIMEDOUT);
        else if (open && (overdue || all)) {
            end(thread, session);
            __atomic_fetch_add(&counts.cut, all, __ATOMIC_RELAXED);
        }
        if (session->client.fd < 0) {
            *link = session->next;
            free(session);
        } else
            link = &session->next;
    }
    thread->next_sweep = thread->now + SWEEP;
}

/* What a thread does. It wakes ten times a second at least, and so sees that it is time to stop. */
static void *run(void *argument) {
    struct thread *thread = argument;
    struct epoll_event events[EVENTS];
    for (bool stops = false; !stops;) {
        int64_t at = LOAD(stop_at);
        int count = epoll_wait(thread->epoll, events, EVENTS, SWEEP);
        thread->now = now_ms();
        for (int n = 0; n < count; n++)
            advance(thread, events[n].data.ptr, events[n].events);
        /* With fewer events than there is room for, every connection dealt out has been seen. */
        stops = at != INT64_MAX && count < EVENTS &&
                (thread->sessions == NULL || thread->now >= at);
        if (stops || thread->now >= thread->next_sweep)
            sweep(thread, stops);
    }
    vsched_worker_free(thread->worker);
    close(thread->epoll);
    return NULL;
}

/* The main thread accepts a connection and deals it out. False if there is none, or no room (see
 * errno). */
static bool accept_one(const struct door *door) {
    static long next;
    struct sockaddr_storage storage;
    struct sockaddr *peer = (struct sockaddr *)&storage;
    socklen_t length = sizeof storage;
    int fd = accept4(door->fd, peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct session *session = fd < 0 ? NULL : calloc(1, sizeof *session);
    if (session == NULL)
        return fd >= 0 && close(fd) == 0;
    session->service = door->service;
    session->client.session = session->server.session = session;
    session->client.fd = fd;
    session->server.fd = -1;
    if (vsched_flow_from_sockaddr(IPPROTO_TCP, peer, length, (const void *)&door->address,
                                  door->length, &session->flow) != VSCHED_OK ||
        !watch(&threads[next++ % thread_count], &session->client, EPOLL_CTL_ADD)) {
        close(fd);
        free(session);
    }
    return true;
}

/* Listens for a service, unless that is done already. Answers why not, or NULL. */
static const char *open_door(const vsched_service_state *service) {
    vsched_service_id id;
    int on = 1;
    if (service->protocol != IPPROTO_TCP || service->port == 0)
        return "this director relays TCP, and listens on one port";
    if (vsched_director_service(director, service->key, strlen(service->key), &id) == VSCHED_OK)
        return NULL;
    struct door *door = malloc(sizeof *door);
    must(door != NULL, "memory");
    struct sockaddr *address = (struct sockaddr *)&door->address;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = door};
    *door = (struct door){.next = doors, .service = *service, .fd = -1};
    doors = door; /* If it does not open tend_doors() takes it away. */
    if (vsched_service_sockaddr(service, address, sizeof door->address, &door->length) != 0 ||
        (door->fd = socket(address->sa_family, STREAM, 0)) < 0 ||
        setsockopt(door->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        setsockopt(door->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 || /* Inherited. */
        bind(door->fd, address, (socklen_t)door->length) != 0 || listen(door->fd, QUEUE) != 0 ||
        epoll_ctl(door_epoll, EPOLL_CTL_ADD, door->fd, &event) != 0)
        return strerror(errno);
    printf("serving %s\n", service->key);
    return NULL;
}

/* Closes the doors of services that do not run; or all, but who waits there already is let in. */
static void tend_doors(bool all) {
    for (struct door *door, **link = &doors; (door = *link) != NULL;) {
        vsched_service_state *service = &door->service;
        if (vsched_director_service(director, service->key, strlen(service->key), &service->id) ==
                VSCHED_OK && !all)
            link = &door->next;
        else {
            while (all && accept_one(door))
                continue;
            *link = door->next;
            close(door->fd);
            free(door);
        }
    }
}

/* Listens for the services of the config, and takes out of it what a proxy cannot serve. */
static void select_services(vsched_config *config) {
    static vsched_service_state services[MOST_SERVICES];
    char name[VSCHED_NAME_SIZE];
    size_t count;
    must(vsched_config_services(config, services, sizeof *services, MOST_SERVICES, &count) ==
         VSCHED_OK, "too many services");
    for (size_t n = 0; n < count; n++) {
        const char *key = services[n].key, *why = open_door(&services[n]);
        if (why != NULL) {
            NOTE("service %s: left out: %s\n", key, why);
            must(vsched_config_delete_service(config, key, strlen(key)) == VSCHED_OK, "services");
            continue;
        }
        /* To a server that is the service itself connections would come back for ever. One without
         * a port of its own is reached on the service's. */
        vsched_pick itself = {.family = services[n].family, .port = services[n].port};
        memcpy(itself.address, services[n].address, sizeof itself.address);
        for (int turn = 0; turn < 2; turn++, itself.port = 0)
            if (vsched_pick_text(&itself, name, sizeof name, NULL) == VSCHED_OK &&
                vsched_config_delete_server(config, key, strlen(key), name, strlen(name)) ==
                    VSCHED_OK)
                NOTE("service %s: server %s: left out: it is the service itself\n", key, name);
    }
}

/* Makes the file what is served. Connections, their counts and rotations live on. False, and
 * nothing has changed, if the file cannot be read or is wrong. */
static bool serve(const char *path) {
    static char rules[LONGEST], error[8192];
    bool first = director == NULL, good = false;
    vsched_config *config;
    vsched_applied applied = {.struct_size = sizeof applied};
    FILE *file = fopen(path, "r");
    size_t length = file != NULL ? fread(rules, 1, LONGEST, file) : 0;
    must(vsched_config_new(&config) == VSCHED_OK &&
         (!first || vsched_director_new(config, &director) == VSCHED_OK), "director");
    if (file == NULL || !feof(file))
        snprintf(error, sizeof error, "%s", strerror(length == LONGEST ? EFBIG : errno));
    else if (vsched_config_read_rules(config, rules, length) != VSCHED_OK ||
             vsched_config_validate(config) != VSCHED_OK)
        vsched_config_error(config, error, sizeof error, NULL);
    else {
        select_services(config);
        /* Where servers came one by one, as in a kernel, rotations stand elsewhere. Should a
         * command fail: what follows makes up for it. */
        if (first)
            (void)!vsched_director_replay(director, rules, length, NULL);
        good = vsched_director_apply(director, config, &applied) == VSCHED_OK;
        vsched_director_error(director, error, sizeof error, NULL);
        tend_doors(false);
    }
    if (!good)
        NOTE("%s%s: %s\n", first ? "" : "not reloaded: ", path, error);
    else if (!first)
        NOTE("reloaded: %u added, %u changed, %u drained, %u removed\n", applied.added,
             applied.changed, applied.drained, applied.removed);
    if (file != NULL)
        fclose(file);
    vsched_config_free(config);
    return good;
}

static void report(void) {
    static char text[LONGEST];
    size_t removed = 0;
    for (uint32_t view = VSCHED_LIST_PLAIN; view <= VSCHED_LIST_STATISTICS; view++)
        if (vsched_director_list(director, view, 0, NULL, 0, text, LONGEST, NULL) == VSCHED_OK)
            fputs(text, stdout);
    if (vsched_director_removed_servers(director, &removed) == VSCHED_OK && removed > 0)
        printf("Removed servers with open connections: %zu\n", removed);
    printf("Connections: %lu opened, %lu closed, %lu tries failed, %lu unanswered\n",
           LOAD(counts.opened), LOAD(counts.closed), LOAD(counts.failed), LOAD(counts.unanswered));
    fflush(stdout);
}

int main(int argc, char **argv) {
    const char *path = NULL;
    double grace = 5;
    struct epoll_event events[EVENTS];
    sigset_t signals;
    thread_count = sysconf(_SC_NPROCESSORS_ONLN);
    for (int option; (option = getopt(argc, argv, "r:t:g:")) != -1;) {
        path = option == 'r' ? optarg : path;
        thread_count = option == 't' ? atol(optarg) : option == '?' ? 0 : thread_count;
        grace = option == 'g' ? atof(optarg) : grace;
    }
    if (path == NULL || optind != argc || thread_count < 1 || thread_count > MOST_THREADS)
        return NOTE("Usage: director -r RULES [-t THREADS] [-g GRACE_SECONDS]\n"), 2;
    sigemptyset(&signals);
    for (int n = 0; n < 4; n++)
        sigaddset(&signals, (const int[]){SIGHUP, SIGUSR1, SIGINT, SIGTERM}[n]);
    pthread_sigmask(SIG_BLOCK, &signals, NULL); /* Threads inherit it. */
    door_epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!serve(path))
        return 2;
    if (doors == NULL)
        return NOTE("director: there is no service to serve\n"), 1;
    for (struct thread *thread = threads; thread < threads + thread_count; thread++) {
        thread->epoll = epoll_create1(EPOLL_CLOEXEC);
        must(vsched_worker_new(director, &thread->worker) == VSCHED_OK &&
             pthread_create(&thread->id, NULL, run, thread) == 0, "thread");
    }
    fflush(stdout);

    long running = thread_count;
    for (bool short_of_room = false; running > 0;) {
        struct timespec rest = {0, short_of_room ? SWEEP * 1000000 : 0};
        int number = sigtimedwait(&signals, NULL, &rest);
        if (number == SIGINT || number == SIGTERM) {
            int64_t at = doors == NULL ? 0 : now_ms() + (int64_t)(grace * 1000);
            tend_doors(true);
            __atomic_store_n(&stop_at, at, __ATOMIC_RELEASE);
        } else if (number > 0) {
            if (number == SIGHUP && stop_at == INT64_MAX)
                serve(path);
            report();
        }
        vsched_director_tick(director, (uint64_t)now_ms());
        int count = short_of_room ? 0 : epoll_wait(door_epoll, events, EVENTS, SWEEP);
        short_of_room = false;
        for (int n = 0; n < count; n++)
            for (int turn = 0; turn < TURN; turn++)
                if (!accept_one(events[n].data.ptr)) {
                    short_of_room |= errno == EMFILE || errno == ENFILE;
                    break;
                }
        while (running > 0 && pthread_tryjoin_np(threads[running - 1].id, NULL) == 0)
            running--;
    }
    if (counts.cut > 0)
        NOTE("%lu connections were still open and have been cut\n", counts.cut);
    report();
    vsched_director_free(director);
    close(door_epoll);
    return 0;
}
