/* Ids and leases that are stale, empty, closed, of another director, or made up. */
#include "../check.h"

static vsched_director *director, *other;
static vsched_worker *worker, *stranger;

static void nothing_counts(const vsched_director *of) {
    size_t count;
    vsched_server_state servers[3];
    OK(vsched_director_servers(of, service_of(of, KEY), servers, sizeof *servers, 3, &count));
    for (size_t at = 0; at < count; at++) {
        CHECK(servers[at].active == 0 && servers[at].inactive == 0);
    }
}

static void stale_server(vsched_worker *by, const vsched_director *of, vsched_server_id server) {
    vsched_lease lease;
    vsched_counts counts;
    POISONED(lease), POISONED(counts);
    IS(vsched_worker_open(by, server, VSCHED_ACTIVE, &lease), VSCHED_STALE);
    IS(vsched_worker_open(by, server, VSCHED_INACTIVE, &lease), VSCHED_STALE);
    vsched_pick pick;
    memset(&pick, 0, sizeof pick);
    pick.server = server;
    IS(vsched_worker_open_pick(by, &pick, VSCHED_ACTIVE, &lease), VSCHED_STALE);
    IS(vsched_director_counts(of, server, &counts), VSCHED_STALE);
    UNTOUCHED(lease), UNTOUCHED(counts);
    /* Excluding what is not there excludes nobody. */
    vsched_flow flow = flow_of(1);
    IS(vsched_worker_pick_server_excluding(by, service_of(of, KEY), &flow, &server, 1, &pick),
       VSCHED_OK);
}

static void stale_service(vsched_worker *by, const vsched_director *of, vsched_service_id service) {
    vsched_flow flow = flow_of(1);
    vsched_pick pick;
    vsched_lease lease;
    vsched_server_state servers[3];
    size_t count;
    POISONED(pick), POISONED(lease), POISONED(servers), POISONED(count);
    IS(vsched_worker_pick_server(by, service, &flow, &pick), VSCHED_NO_SERVICE);
    IS(vsched_worker_pick_server_excluding(by, service, &flow, NULL, 0, &pick), VSCHED_NO_SERVICE);
    IS(vsched_worker_connect(by, service, &flow, NULL, 0, &pick, &lease), VSCHED_NO_SERVICE);
    IS(vsched_director_pick_server(of, service, &flow, &pick), VSCHED_NO_SERVICE);
    IS(vsched_director_servers(of, service, servers, sizeof *servers, 3, &count),
       VSCHED_NO_SERVICE);
    UNTOUCHED(pick), UNTOUCHED(lease), UNTOUCHED(servers), UNTOUCHED(count);
}

static void stale_lease(vsched_worker *by, vsched_lease lease) {
    vsched_lease before = lease;
    IS(vsched_worker_update(by, &lease, VSCHED_ACTIVE), VSCHED_STALE);
    IS(vsched_worker_update(by, &lease, VSCHED_INACTIVE), VSCHED_STALE);
    IS(vsched_worker_close(by, &lease), VSCHED_STALE);
    CHECK(memcmp(&lease, &before, sizeof lease) == 0);
}

int main(void) {
    director = director_of(RULES("rr"));
    other = director_of(RULES("rr"));
    worker = worker_of(director);
    stranger = worker_of(other);
    vsched_service_id service = service_of(director, KEY);
    vsched_server_id server = server_of(director, KEY, FIRST);

    /* All zeros. */
    vsched_server_id no_server;
    vsched_service_id no_service;
    vsched_lease empty;
    memset(&no_server, 0, sizeof no_server);
    memset(&no_service, 0, sizeof no_service);
    memset(&empty, 0, sizeof empty);
    stale_server(worker, director, no_server);
    stale_service(worker, director, no_service);
    stale_lease(worker, empty);

    /* A second close, through any worker. */
    vsched_lease lease = lease_of(worker, server);
    vsched_lease twin = lease;
    OK(vsched_worker_close(worker, &lease));
    CHECK(all_zero(&lease, sizeof lease));
    stale_lease(worker, lease);
    vsched_worker *second = worker_of(director);
    stale_lease(second, lease);
    /* A copy cannot be told from an open lease, but no count goes below zero. */
    IS(vsched_worker_close(worker, &twin), VSCHED_STALE);
    IS(vsched_worker_update(worker, &twin, VSCHED_INACTIVE), VSCHED_STALE);
    nothing_counts(director);

    /* Another director's. */
    lease = lease_of(worker, server);
    stale_server(stranger, other, server);
    stale_service(stranger, other, service);
    stale_lease(stranger, lease);
    nothing_counts(other);
    CHECK(counted(director, FIRST) == 1000);
    vsched_lease foreign = lease_of(stranger, server_of(other, KEY, FIRST));
    stale_lease(worker, foreign);
    CHECK(counted(director, FIRST) == 1000);
    OK(vsched_worker_close(stranger, &foreign));

    /* A wrong activity touches nothing. */
    static const uint32_t activities[] = {0, 3, 256, 4294967295u};
    vsched_pick pick = pick_of(worker, service, 1);
    vsched_lease none;
    POISONED(none);
    vsched_lease before = lease;
    for (size_t at = 0; at < 4; at++) {
        IS(vsched_worker_open(worker, server, activities[at], &none), VSCHED_E_ARGUMENT);
        IS(vsched_worker_open_pick(worker, &pick, activities[at], &none), VSCHED_E_ARGUMENT);
        IS(vsched_worker_update(worker, &lease, activities[at]), VSCHED_E_ARGUMENT);
    }
    UNTOUCHED(none);
    CHECK(memcmp(&lease, &before, sizeof lease) == 0);
    CHECK(counted(director, FIRST) == 1000);

    /* Updates; closing after a reload and after removal. */
    OK(vsched_worker_update(worker, &lease, VSCHED_ACTIVE));
    CHECK(counted(director, FIRST) == 1000);
    OK(vsched_worker_update(second, &lease, VSCHED_INACTIVE));
    CHECK(counted(director, FIRST) == 1);
    apply(director, RULES("wlc") "-A -f 3\n");
    OK(vsched_worker_update(second, &lease, VSCHED_INACTIVE));
    OK(vsched_worker_update(second, &lease, VSCHED_ACTIVE));
    CHECK(counted(director, FIRST) == 1000);
    OK(vsched_worker_close(worker, &lease));
    nothing_counts(director);

    /* Removed while it counts: it opens and closes by id until its last connection has closed. */
    lease = lease_of(worker, server);
    vsched_lease last = lease_of(worker, server);
    execute(director, "-d -t 10.1.0.1:80 -r 10.9.0.1");
    CHECK(counts_of(director, server).active == 2);
    OK(vsched_worker_close(worker, &lease));
    execute(director, "-a -t 10.1.0.1:80 -r 10.9.0.1 -m -w 1");
    CHECK(same(server_of(director, KEY, FIRST), server));
    CHECK(counted(director, FIRST) == 1000);
    execute(director, "-d -t 10.1.0.1:80 -r 10.9.0.1");
    twin = last;
    OK(vsched_worker_close(second, &last));
    vsched_flow flow = flow_of(1);
    OK(vsched_worker_pick_server(worker, service, &flow, &pick));
    OK(vsched_worker_pick_server(second, service, &flow, &pick));
    OK(vsched_director_tick(director, 1000));
    stale_server(worker, director, server);
    stale_lease(worker, twin);
    execute(director, "-a -t 10.1.0.1:80 -r 10.9.0.1 -m -w 1");
    CHECK(!same(server_of(director, KEY, FIRST), server));
    stale_server(worker, director, server);
    stale_lease(worker, twin);
    nothing_counts(director);

    /* A pick whose server has gone. */
    server = server_of(director, KEY, FIRST);
    do {
        OK(vsched_worker_pick_server(worker, service, &flow, &pick));
    } while (!same(pick.server, server));
    execute(director, "-d -t 10.1.0.1:80 -r 10.9.0.1");
    OK(vsched_director_tick(director, 2000));
    vsched_pick gone;
    (void)!vsched_worker_pick_server(worker, service, &flow, &gone);
    (void)!vsched_worker_pick_server(second, service, &flow, &gone);
    OK(vsched_director_tick(director, 3000));
    POISONED(none);
    IS(vsched_worker_open_pick(worker, &pick, VSCHED_ACTIVE, &none), VSCHED_STALE);
    UNTOUCHED(none);

    /* A service that was deleted, and made again. */
    execute(director, "-D -t 10.1.0.1:80");
    vsched_service_id deleted = service;
    vsched_flow any = flow_of(2);
    vsched_service_id found;
    POISONED(found);
    IS(vsched_worker_service_for(worker, &any, &found), VSCHED_NO_SERVICE);
    IS(vsched_director_service_for(director, &any, &found), VSCHED_NO_SERVICE);
    UNTOUCHED(found);
    stale_service(worker, director, deleted);
    apply(director, RULES("rr"));
    stale_service(worker, director, deleted);
    nothing_counts(director);

    vsched_worker_free(second);
    vsched_worker_free(worker);
    vsched_worker_free(stranger);
    vsched_director_free(director);
    vsched_director_free(other);
    return DONE();
}
