/* Counts whose leases were lost: set right, or forgotten with the server. */
#include "../check.h"

static vsched_director *director;
static vsched_worker *worker;

/* Opens connections and loses their leases. */
static void lose(vsched_server_id server, int count) {
    while (count-- > 0) {
        vsched_lease lost;
        OK(vsched_worker_open(worker, server, VSCHED_ACTIVE, &lost));
    }
}

static void set(void) {
    vsched_server_id server = server_of(director, KEY, FIRST);
    vsched_lease kept;
    OK(vsched_worker_open(worker, server, VSCHED_ACTIVE, &kept));
    lose(server, 3);
    vsched_counts former;
    POISONED(former);
    IS(vsched_director_set_counts(director, server, VSCHED_MAX_CONNECTIONS, 1, &former),
       VSCHED_FULL);
    UNTOUCHED(former);
    CHECK(counted(director, FIRST) == 4000);
    OK(vsched_director_set_counts(director, server, 1, 2, &former));
    CHECK(former.active == 4 && former.inactive == 0 && former.persistent == 0 &&
          former.overloaded == 0);
    vsched_counts counts = counts_of(director, server);
    CHECK(counts.active == 1 && counts.inactive == 2);
    OK(vsched_director_set_counts(director, server, 1, 0, NULL));
    OK(vsched_worker_close(worker, &kept));
    CHECK(counted(director, FIRST) == 0);
    server.generation++;
    POISONED(former);
    IS(vsched_director_set_counts(director, server, 0, 0, &former), VSCHED_STALE);
    UNTOUCHED(former);
}

static void forget(void) {
    vsched_server_id server = server_of(director, KEY, FIRST);
    vsched_lease kept;
    OK(vsched_worker_open(worker, server, VSCHED_ACTIVE, &kept));
    lose(server, 3);
    execute(director, "-d -t 10.1.0.1:80 -r 10.9.0.1");
    size_t count = 9;
    OK(vsched_director_forget_removed(director, &count));
    CHECK(count == 1);
    OK(vsched_director_forget_removed(director, NULL));
    execute(director, "-a -t 10.1.0.1:80 -r 10.9.0.1 -m -w 1");
    CHECK(counted(director, FIRST) == 0);
    /* The worker lets go of the config that named it. */
    vsched_pick pick = pick_of(worker, service_of(director, KEY), 1);
    (void)pick;
    OK(vsched_director_tick(director, 1));
    IS(vsched_worker_close(worker, &kept), VSCHED_STALE);
    CHECK(counted(director, FIRST) == 0);
    OK(vsched_director_removed_servers(director, &count));
    CHECK(count == 0);
}

int main(void) {
    director = director_of(RULES("rr"));
    worker = worker_of(director);
    set();
    forget();
    vsched_worker_free(worker);
    vsched_director_free(director);
    return DONE();
}
