/* Four workers pick, connect, update and hand leases to each other, while a fifth thread reloads,
 * drains, removes and adds again: in the end every lease is closed, every count 0, opens equal
 * closes. storm ROUNDS: connections a worker. */
#include <pthread.h>
#include <sched.h>

#include "../check.h"

#define WORKERS 4
#define HELD 64

typedef struct box {
    pthread_mutex_t lock;
    vsched_lease leases[HELD];
    size_t count;
} box;

typedef struct thread {
    pthread_t thread;
    unsigned number;
    unsigned long rounds, opened, closed, refused, stale;
    vsched_worker *worker;
} thread;

static vsched_director *director;
static box boxes[WORKERS];
static pthread_mutex_t end_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned running = WORKERS;

static unsigned still_running(unsigned ended) {
    pthread_mutex_lock(&end_lock);
    running -= ended;
    unsigned now = running;
    pthread_mutex_unlock(&end_lock);
    return now;
}

/* Puts a lease into the box of another worker, and takes one from there to close if it is full. */
static void hand_over(thread *self, vsched_lease lease) {
    box *to = &boxes[(self->number + 1) % WORKERS];
    vsched_lease old;
    int full;
    pthread_mutex_lock(&to->lock);
    full = to->count == HELD;
    if (full) old = to->leases[--to->count];
    to->leases[to->count++] = lease;
    pthread_mutex_unlock(&to->lock);
    if (full) {
        OK(vsched_worker_close(self->worker, &old));
        self->closed++;
    }
}

static void close_own(thread *self) {
    box *own = &boxes[self->number];
    vsched_lease lease;
    size_t count;
    do {
        pthread_mutex_lock(&own->lock);
        count = own->count;
        if (count > 0) lease = own->leases[--own->count];
        pthread_mutex_unlock(&own->lock);
        if (count > 0) {
            (void)vsched_worker_update(self->worker, &lease, VSCHED_INACTIVE);
            OK(vsched_worker_close(self->worker, &lease));
            IS(vsched_worker_close(self->worker, &lease), VSCHED_STALE);
            self->closed++;
        }
    } while (count > 1);
}

static void *work(void *argument) {
    thread *self = (thread *)argument;
    /* All rounds may pass between two reloads, while no server takes any. */
    for (unsigned long round = 0; round < self->rounds || self->opened == 0;) {
        vsched_flow flow = flow_of((unsigned)(round * 7 + self->number));
        vsched_service_id service;
        if (vsched_worker_service_for(self->worker, &flow, &service) != VSCHED_OK) {
            self->refused++;
            sched_yield(); /* until the next reload; or it might wait while all rounds pass */
            continue;
        }
        round++;
        vsched_pick pick;
        vsched_lease lease;
        vsched_status status;
        switch (round % 3) {
        case 0:
            status = vsched_worker_connect(self->worker, service, &flow, NULL, 0, &pick, &lease);
            break;
        case 1:
            status = vsched_worker_pick_server(self->worker, service, &flow, &pick);
            if (status == VSCHED_OK) {
                status = vsched_worker_open_pick(self->worker, &pick, VSCHED_ACTIVE, &lease);
            }
            break;
        default:
            status = vsched_worker_pick_server(self->worker, service, &flow, &pick);
            if (status == VSCHED_OK) {
                vsched_server_id tried = pick.server;
                status = vsched_worker_connect(self->worker, service, &flow, &tried, 1, &pick,
                                               &lease);
                if (status == VSCHED_OK) CHECK(!same(tried, pick.server));
            }
            break;
        }
        if (status == VSCHED_OK) {
            self->opened++;
            OK(vsched_worker_update(self->worker, &lease, VSCHED_INACTIVE));
            hand_over(self, lease);
        } else {
            int stale = status == VSCHED_NO_SERVICE || status == VSCHED_STALE;
            CHECK(stale || status == VSCHED_NO_SERVER);
            self->refused += status == VSCHED_NO_SERVER;
            self->stale += stale;
        }
        if (round % 16 == 0) close_own(self);
    }
    close_own(self);
    still_running(1);
    return NULL;
}

static unsigned long reload(void) {
    uint32_t schedulers = 0;
    while (vsched_scheduler_name(schedulers) != NULL) schedulers++;
    vsched_worker *worker = worker_of(director);
    unsigned long turns = 0;
    for (; turns == 0 || still_running(0) > 0; turns++) {
        char rules[512];
        const char *scheduler = vsched_scheduler_name((uint32_t)(turns % (schedulers + 1)));
        int length = snprintf(rules, sizeof rules, "-A -t 10.1.0.1:80 -s %s\n",
                              scheduler != NULL ? scheduler : "wlc -p 60");
        for (unsigned n = 1; n <= 4; n++) {
            if ((turns + n) % 5 == 0) continue;
            length += snprintf(rules + length, sizeof rules - (size_t)length,
                               "-a -t 10.1.0.1:80 -r 10.9.0.%u -m -w %u -x %u\n", n,
                               (unsigned)(turns + n) % 4, turns % 3 ? 0u : 100u);
        }
        apply(director, rules);
        char command[96];
        snprintf(command, sizeof command, "-e -t 10.1.0.1:80 -r 10.9.0.%u -m -w 0",
                 (unsigned)turns % 4 + 1);
        vsched_status status =
            vsched_director_execute(director, command, strlen(command), NULL);
        CHECK(status == VSCHED_OK || status == VSCHED_E_REFUSED);
        if (turns % 11 == 0) execute(director, "-D -t 10.1.0.1:80");
        OK(vsched_director_tick(director, turns * 100));
        vsched_server_state servers[8];
        vsched_service_id service;
        size_t count = 0;
        if (vsched_director_service(director, KEY, strlen(KEY), &service) == VSCHED_OK) {
            OK(vsched_director_servers(director, service, servers, sizeof *servers, 8, &count));
        }
        /* Below zero would be a number near the top. */
        for (size_t at = 0; at < count; at++) {
            CHECK(servers[at].active < 1000000 && servers[at].inactive < 1000000);
        }
        vsched_pick pick;
        vsched_flow flow = flow_of(3);
        if (count > 0) (void)!vsched_worker_pick_server(worker, service, &flow, &pick);
    }
    vsched_worker_free(worker);
    return turns;
}

static void *reloader(void *turns) {
    *(unsigned long *)turns = reload();
    return NULL;
}

int main(int argc, char **argv) {
    unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 200000;
    director = director_of(RULES("rr"));
    thread threads[WORKERS];
    memset(threads, 0, sizeof threads);
    for (unsigned n = 0; n < WORKERS; n++) {
        pthread_mutex_init(&boxes[n].lock, NULL);
        threads[n].number = n;
        threads[n].rounds = rounds;
        threads[n].worker = worker_of(director);
    }
    unsigned long turns = 0;
    pthread_t reloading;
    CHECK(pthread_create(&reloading, NULL, reloader, &turns) == 0);
    for (unsigned n = 0; n < WORKERS; n++) {
        CHECK(pthread_create(&threads[n].thread, NULL, work, &threads[n]) == 0);
    }
    unsigned long opened = 0, closed = 0, refused = 0, stale = 0;
    for (unsigned n = 0; n < WORKERS; n++) pthread_join(threads[n].thread, NULL);
    pthread_join(reloading, NULL);
    for (unsigned n = 0; n < WORKERS; n++) {
        /* A neighbour may have handed over after this one had cleaned up. */
        close_own(&threads[n]);
        opened += threads[n].opened;
        closed += threads[n].closed;
        refused += threads[n].refused;
        stale += threads[n].stale;
        vsched_worker_free(threads[n].worker);
        pthread_mutex_destroy(&boxes[n].lock);
    }
    printf("%lu opened, %lu closed, %lu refused, %lu stale, %lu reloads\n", opened, closed, refused,
           stale, turns);
    CHECK(opened > 0 && opened == closed && turns > 0);

    /* All are back, nothing counts, nothing lingers. */
    apply(director, RULES("rr") "-a -t 10.1.0.1:80 -r 10.9.0.4 -m\n");
    vsched_server_state servers[4];
    size_t count;
    OK(vsched_director_servers(director, service_of(director, KEY), servers, sizeof *servers, 4,
                               &count));
    CHECK(count == 4);
    for (size_t at = 0; at < count; at++) {
        CHECK(servers[at].active == 0 && servers[at].inactive == 0);
    }
    vsched_director_free(director);
    return DONE();
}
