/* A TCP director in user space, embedding vsched: accepts connections on the virtual services of a
 * rules file (ipvsadm's commands), picks a real server for each, and copies bytes both ways.
 *
 *   cc -std=c99 -O2 -pthread -Iinclude examples/c/director.c examples/c/relay.c -o director \
 *      -Ltarget/capi/lib -Wl,-rpath,target/capi/lib -lvsched
 *
 * This file is the control plane: options, signals, the clock, and what a reload takes, in serve().
 * The threads that relay connections are in relay.c. */
#define _GNU_SOURCE
#include "relay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { MOST_THREADS = 64, QUEUE = 1024, RESERVED = 64 };
#define NOTE(...) fprintf(stderr, __VA_ARGS__)

/* A service that is listened for. */
struct service {
    struct service *next;
    char key[KEY];
    struct sockaddr_storage address;
    int sockets[MOST_THREADS]; /* One a thread. */
    struct door *doors[MOST_THREADS];
};

static vsched_director *director;
static struct thread *threads[MOST_THREADS];
static long thread_count;
static struct service *services;

static void must(bool good, const char *what)
{
    if (!good) {
        NOTE("director: %s: %s\n", what, strerror(errno));
        exit(1);
    }
}

/* For what fails by a bug or for want of memory only. */
static void ok(vsched_status status)
{
    if (status != VSCHED_OK) {
        NOTE("director: %s\n", vsched_status_text(status));
        exit(1);
    }
}

/* ---- What a TCP proxy can serve of rules written for a kernel ---- */
/* The address in a key such as "tcp 192.168.4.5:80" or "tcp [2001:db8::1]:80"; false if a proxy
 * cannot listen there. */
static bool listening_address(const char *key, struct sockaddr_storage *address)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;
    char ip[KEY];
    unsigned port;
    memset(address, 0, sizeof *address);
    if (sscanf(key, "tcp [%63[^]]]:%u", ip, &port) == 2 && port != 0) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)port);
        return inet_pton(AF_INET6, ip, &v6->sin6_addr) == 1;
    }
    v4->sin_family = AF_INET;
    if (sscanf(key, "tcp %63[^:]:%u", ip, &port) != 2 || port == 0)
        return false;
    v4->sin_port = htons((uint16_t)port);
    return inet_pton(AF_INET, ip, &v4->sin_addr) == 1;
}

/* Deletes servers that cannot be served. */
static void select_servers(vsched_director *wanted, const vsched_service_state *service)
{
    const char *key = service->key, *port = strrchr(key, ':') + 1;
    vsched_server_state *servers = calloc(service->servers + 1, sizeof *servers);
    must(servers != NULL, "memory");
    ok(vsched_director_servers(wanted, service->id, servers, sizeof *servers, service->servers,
                               NULL));
    for (uint32_t n = 0; n < service->servers; n++) {
        vsched_pick server = {.port = servers[n].port, .family = servers[n].family};
        char name[48], target[48];
        const char *why = NULL;
        memcpy(server.address, servers[n].address, sizeof server.address);
        ok(vsched_pick_text(&server, name, sizeof name, NULL));
        /* A server without a port of its own is reached on the service's. */
        server.port = server.port != 0 ? server.port : (uint16_t)atoi(port);
        ok(vsched_pick_text(&server, target, sizeof target, NULL));
        if (strcmp(target, key + strlen("tcp ")) == 0)
            why = "it is the service itself, and connections would come back for ever";
        else if (servers[n].forwarding == VSCHED_BYPASS)
            why = "a proxy cannot let connections pass by";
        if (why != NULL) {
            NOTE("service %s: server %s: left out: %s\n", key, name, why);
            ok(vsched_director_delete_server(wanted, key, strlen(key), name, strlen(name), NULL));
        } else if (servers[n].forwarding == VSCHED_ROUTE || servers[n].forwarding == VSCHED_TUNNEL)
            NOTE("service %s: server %s: relayed to as if it were Masq\n", key, name);
    }
    free(servers);
}

static struct service *find(struct service *list, const char *key)
{
    while (list != NULL && strcmp(list->key, key) != 0)
        list = list->next;
    return list;
}

/* Listeners for a new service, one a thread; NULL: see errno. */
static struct service *listen_for(const char *key, const struct sockaddr_storage *address)
{
    struct service *service = calloc(1, sizeof *service);
    int on = 1, error = 0;
    must(service != NULL, "memory");
    snprintf(service->key, KEY, "%s", key);
    service->address = *address;
    for (long n = 0; n < thread_count; n++) {
        int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
            setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0 ||
            bind(fd, (const struct sockaddr *)address, sizeof *address) != 0 ||
            listen(fd, QUEUE) != 0)
            error = error ? error : errno;
        service->sockets[n] = fd;
    }
    if (error == 0)
        return service;
    for (long n = 0; n < thread_count; n++)
        if (service->sockets[n] >= 0)
            close(service->sockets[n]);
    free(service);
    errno = error;
    return NULL;
}

/* Deletes the services that cannot be served, and listens for those that are new. */
static struct service *select_services(vsched_director *wanted)
{
    struct service *opened = NULL, *service;
    struct sockaddr_storage address;
    size_t count = 0;
    (void)!vsched_director_services(wanted, NULL, sizeof(vsched_service_state), 0, &count);
    vsched_service_state *states = calloc(count + 1, sizeof *states);
    must(states != NULL, "memory");
    ok(vsched_director_services(wanted, states, sizeof *states, count, NULL));
    for (size_t n = 0; n < count; n++) {
        const char *key = states[n].key, *why = NULL;
        if (!listening_address(key, &address))
            why = "this director relays TCP, and listens on one port";
        else if (find(services, key) == NULL) {
            if ((service = listen_for(key, &address)) != NULL) {
                service->next = opened;
                opened = service;
            } else
                why = strerror(errno);
        }
        if (why != NULL) {
            NOTE("service %s: left out: %s\n", key, why);
            ok(vsched_director_delete_service(wanted, key, strlen(key), NULL));
        } else
            select_servers(wanted, &states[n]);
    }
    free(states);
    return opened;
}

/* Prints an error text, which may have a line for each problem, and answers false. */
static bool complain(const char *path, const vsched_config *config)
{
    char text[8192], *rest;
    if ((config != NULL ? vsched_config_error(config, text, sizeof text, NULL)
                        : vsched_director_error(director, text, sizeof text, NULL)) != VSCHED_OK)
        strcpy(text, "too many errors to print");
    for (char *line, *from = text; (line = strtok_r(from, "\n", &rest)) != NULL; from = NULL)
        NOTE("%s%s: %s\n", services != NULL ? "not reloaded: " : "", path, line);
    return false;
}

/* Carries out the commands one by one, as a kernel would. Applied at once the same rules run as
 * well; but a rotation that has seen its servers come begins elsewhere than one created whole. */
static void execute(char *rules)
{
    char *rest;
    for (char *line; (line = strtok_r(rules, "\n", &rest)) != NULL; rules = NULL)
        /* Comments are no command. Whatever else has failed will fail again where all is applied. */
        (void)!vsched_director_execute(director, line, strlen(line), NULL);
}

static void close_doors(struct service *service)
{
    for (long n = 0; n < thread_count; n++)
        relay_close(threads[n], service->doors[n]);
    free(service);
}

/* Closes the doors of services that run no more, and opens those of new ones; if the new config is
 * `good`, else none. */
static void attend_doors(struct service *opened, bool good)
{
    vsched_service_id id;
    for (struct service *service, **link = &services; good && (service = *link) != NULL;)
        if (vsched_director_service(director, service->key, strlen(service->key), &id) == VSCHED_OK)
            link = &service->next;
        else {
            *link = service->next;
            close_doors(service);
        }
    for (struct service *service; (service = opened) != NULL;) {
        opened = service->next;
        if (good)
            ok(vsched_director_service(director, service->key, strlen(service->key), &id));
        for (long n = 0; n < thread_count; n++)
            if (good)
                must((service->doors[n] = relay_open(threads[n], service->key, id,
                                                     service->sockets[n], &service->address)) !=
                         NULL, "listener");
            else
                close(service->sockets[n]);
        if (good) {
            printf("serving %s\n", service->key);
            service->next = services;
            services = service;
        } else
            free(service);
    }
}

/* Makes the file what is served. Connections, their counts and rotations live on. False, and
 * nothing has changed, if the file cannot be read or is wrong. */
static bool serve(const char *path, bool first)
{
    char *rules = NULL;
    size_t capacity = 0;
    FILE *file = fopen(path, "r");
    ssize_t length = file != NULL ? getdelim(&rules, &capacity, '\0', file) : -1;
    bool good = length >= 0 || (file != NULL && feof(file));
    if (!good)
        NOTE("%s%s: %s\n", first ? "" : "not reloaded: ", path, strerror(errno));
    if (file != NULL)
        fclose(file);
    vsched_config *config, *servable;
    vsched_director *wanted; /* Runs nothing; a director can tell its services, and delete some. */
    vsched_applied applied = {.struct_size = sizeof applied};
    ok(vsched_config_new(&config));
    good = good && ((vsched_config_read_rules(config, rules, length > 0 ? (size_t)length : 0) ==
                         VSCHED_OK && vsched_director_new(config, &wanted) == VSCHED_OK) ||
                    complain(path, config));
    if (good) {
        struct service *opened = select_services(wanted);
        ok(vsched_director_config(wanted, &servable));
        if (first)
            execute(rules);
        good = vsched_director_apply(director, servable, &applied) == VSCHED_OK ||
               complain(path, NULL);
        attend_doors(opened, good);
        if (good && !first)
            NOTE("reloaded: %u added, %u changed, %u drained, %u removed\n", applied.added,
                 applied.changed, applied.drained, applied.removed);
        vsched_config_free(servable);
        vsched_director_free(wanted);
    }
    vsched_config_free(config);
    free(rules);
    return good;
}

static void print_listing(uint32_t view)
{
    char *text = NULL;
    size_t length = 0, capacity = 0;
    while (vsched_director_list(director, view, 0, NULL, 0, text, capacity, &length) ==
           VSCHED_E_BUFFER) {
        capacity = length + 1;
        must((text = realloc(text, capacity)) != NULL, "memory");
    }
    fputs(text, stdout);
    free(text);
}

static void report(void)
{
    struct relay_counts counts = relay_counts();
    size_t removed = 0;
    print_listing(VSCHED_LIST_PLAIN);
    print_listing(VSCHED_LIST_STATISTICS);
    if (vsched_director_removed_servers(director, &removed) == VSCHED_OK && removed > 0)
        printf("Removed servers with open connections: %zu\n", removed);
    printf("Connections: %" PRIu64 " opened, %" PRIu64 " closed, %" PRIu64 " tries failed, %" PRIu64
           " unanswered\n", counts.opened, counts.closed, counts.failed, counts.unanswered);
    fflush(stdout);
}

static void usage(int code)
{
    fprintf(code == 0 ? stdout : stderr,
            "Usage: director -r RULES [-t THREADS] [-g GRACE_SECONDS]\n"
            "Signals: HUP reads RULES again, USR1 prints the table, INT and TERM stop: open\n"
            "connections may finish in the grace time; a second one cuts them short.\n");
    exit(code);
}

/* The first time also closes the doors. */
static void stop(int64_t at)
{
    for (struct service *service; (service = services) != NULL; close_doors(service))
        services = service->next;
    for (long n = 0; n < thread_count; n++)
        relay_stop(threads[n], at);
}

int main(int argc, char **argv)
{
    const char *path = NULL;
    double grace = 5;
    struct rlimit limit;
    sigset_t signals;
    vsched_config *empty;
    thread_count = sysconf(_SC_NPROCESSORS_ONLN);
    for (int option; (option = getopt(argc, argv, "r:t:g:h")) != -1;) {
        if (option == 'r')
            path = optarg;
        else if (option == 't')
            thread_count = atol(optarg);
        else if (option == 'g')
            grace = atof(optarg);
        else
            usage(option == 'h' ? 0 : 2);
    }
    if (path == NULL || optind != argc || thread_count < 1 || thread_count > MOST_THREADS ||
        !(grace >= 0 && grace <= 3600))
        usage(2);
    if (vsched_abi_version() != VSCHED_ABI_VERSION) {
        NOTE("director: libvsched has ABI %u, not %u\n", vsched_abi_version(), VSCHED_ABI_VERSION);
        return 1;
    }
    sigemptyset(&signals);
    for (int n = 0; n < 4; n++)
        sigaddset(&signals, (const int[]){SIGHUP, SIGUSR1, SIGINT, SIGTERM}[n]);
    pthread_sigmask(SIG_BLOCK, &signals, NULL); /* Threads inherit it. */
    struct pollfd polled[] = {{signalfd(-1, &signals, SFD_CLOEXEC), POLLIN, 0},
                              {eventfd(0, EFD_CLOEXEC), POLLIN, 0}};
    must(polled[0].fd >= 0 && polled[1].fd >= 0 && getrlimit(RLIMIT_NOFILE, &limit) == 0, "start");
    ok(vsched_config_new(&empty));
    ok(vsched_director_new(empty, &director));
    vsched_config_free(empty);
    /* Two descriptors a connection; others are for listeners, threads and the file. */
    rlim_t reserved = RESERVED + 8 * (rlim_t)thread_count;
    rlim_t most = limit.rlim_cur > reserved ? (limit.rlim_cur - reserved) / 2 : 0;
    for (long n = 0; n < thread_count; n++)
        must((threads[n] = relay_start(director, most / (rlim_t)thread_count + 1,
                                       polled[1].fd)) != NULL, "thread");
    if (!serve(path, true))
        return 2;
    if (services == NULL) {
        NOTE("director: there is no service to serve\n");
        return 1;
    }
    fflush(stdout);

    bool stopping = false;
    int64_t next_tick = now_ms();
    for (uint64_t running = (uint64_t)thread_count, ended; running > 0;) {
        int64_t now = now_ms();
        if (now >= next_tick) {
            vsched_director_tick(director, (uint64_t)now);
            next_tick = now + 1000;
        }
        struct signalfd_siginfo signal = {0};
        if (poll(polled, 2, (int)(next_tick - now)) < 0)
            continue;
        if (polled[1].revents != 0 && read(polled[1].fd, &ended, sizeof ended) == sizeof ended)
            running -= ended;
        if (polled[0].revents == 0 || read(polled[0].fd, &signal, sizeof signal) <= 0)
            continue;
        if (signal.ssi_signo == SIGINT || signal.ssi_signo == SIGTERM) {
            stop(stopping ? now : now + (int64_t)(grace * 1000));
            stopping = true;
        } else {
            if (signal.ssi_signo == SIGHUP && !stopping)
                serve(path, false);
            report();
        }
    }
    for (long n = 0; n < thread_count; n++)
        relay_free(threads[n]);
    if (relay_counts().cut > 0)
        NOTE("%" PRIu64 " connections were still open and have been cut\n", relay_counts().cut);
    report();
    vsched_director_free(director);
    close(polled[0].fd);
    close(polled[1].fd);
    return 0;
}
