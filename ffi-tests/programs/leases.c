/* Connections: how they count, thresholds, one's own choice, the full server, retries. */
#include "../check.h"

static vsched_director *director;
static vsched_worker *worker;
static vsched_service_id service;

static void protocols(void) {
    static const struct {
        uint8_t number;
        unsigned counted;
    } protocols[] = {{0, 1000}, {6, 1000}, {17, 1}, {132, 1}};
    for (size_t at = 0; at < 4; at++) {
        vsched_flow flow = flow_of(1);
        flow.protocol = protocols[at].number;
        vsched_pick pick;
        vsched_lease lease;
        OK(vsched_worker_connect(worker, service, &flow, NULL, 0, &pick, &lease));
        vsched_counts counts = counts_of(director, pick.server);
        CHECK(counts.active * 1000 + counts.inactive == protocols[at].counted);
        OK(vsched_worker_close(worker, &lease));
    }
}

static void thresholds(void) {
    execute(director, "-e -t 10.1.0.1:80 -r 10.9.0.1 -m -w 1 -x 2 -y 1");
    execute(director, "-e -t 10.1.0.1:80 -r 10.9.0.2 -m -w 0");
    execute(director, "-e -t 10.1.0.1:80 -r 10.9.0.3 -m -w 0");
    vsched_flow flow = flow_of(1);
    vsched_pick pick;
    vsched_lease leases[4];
    OK(vsched_worker_connect(worker, service, &flow, NULL, 0, &pick, &leases[0]));
    OK(vsched_worker_connect(worker, service, &flow, NULL, 0, &pick, &leases[1]));
    CHECK(counts_of(director, pick.server).overloaded == 1);
    POISONED(leases[2]);
    IS(vsched_worker_connect(worker, service, &flow, NULL, 0, &pick, &leases[2]),
       VSCHED_NO_SERVER);
    UNTOUCHED(leases[2]);
    /* By name it takes one more, and so does a quiesced one. */
    OK(vsched_worker_open(worker, pick.server, VSCHED_ACTIVE, &leases[2]));
    OK(vsched_worker_open(worker, server_of(director, KEY, SECOND), VSCHED_INACTIVE, &leases[3]));
    CHECK(counted(director, FIRST) == 3000 && counted(director, SECOND) == 1);
    for (size_t at = 0; at < 4; at++) OK(vsched_worker_close(worker, &leases[at]));
    CHECK(counted(director, FIRST) == 0 && counted(director, SECOND) == 0);
    CHECK(counts_of(director, pick.server).overloaded == 0);
    OK(vsched_worker_connect(worker, service, &flow, NULL, 0, &pick, &leases[0]));
    OK(vsched_worker_close(worker, &leases[0]));
    execute(director, "-e -t 10.1.0.1:80 -r 10.9.0.1 -m -w 1");
}

/* A worker that goes leaves its leases open; the director may go as well. */
static void outliving(void) {
    vsched_server_id server = server_of(director, KEY, FIRST);
    vsched_lease first = lease_of(worker, server), second = lease_of(worker, server);
    vsched_worker *other = worker_of(director);
    vsched_worker_free(worker);
    CHECK(counted(director, FIRST) == 2000);
    OK(vsched_worker_close(other, &first));
    CHECK(counted(director, FIRST) == 1000);
    vsched_director_free(director);
    OK(vsched_worker_update(other, &second, VSCHED_INACTIVE));
    vsched_pick pick = pick_of(other, service, 1);
    vsched_lease third;
    OK(vsched_worker_open_pick(other, &pick, VSCHED_ACTIVE, &third));
    OK(vsched_worker_close(other, &third));
    OK(vsched_worker_close(other, &second));
    IS(vsched_worker_close(other, &second), VSCHED_STALE);
    vsched_worker_free(other);
}

/* 33554431 connections fit and one more does not. Not under tools that make it minutes. */
static void full(void) {
    vsched_server_id server = server_of(director, KEY, THIRD);
    vsched_lease lease, last;
    memset(&last, 0, sizeof last);
    uint32_t opened = 0;
    while (opened < VSCHED_MAX_CONNECTIONS &&
           vsched_worker_open(worker, server, VSCHED_ACTIVE, &last) == VSCHED_OK) {
        opened++;
    }
    CHECK(opened == VSCHED_MAX_CONNECTIONS);
    POISONED(lease);
    IS(vsched_worker_open(worker, server, VSCHED_ACTIVE, &lease), VSCHED_FULL);
    IS(vsched_worker_open(worker, server, VSCHED_INACTIVE, &lease), VSCHED_FULL);
    vsched_pick pick;
    memset(&pick, 0, sizeof pick);
    pick.server = server;
    IS(vsched_worker_open_pick(worker, &pick, VSCHED_ACTIVE, &lease), VSCHED_FULL);
    UNTOUCHED(lease);
    CHECK(counts_of(director, server).active == VSCHED_MAX_CONNECTIONS);
    OK(vsched_worker_close(worker, &last));
    OK(vsched_worker_open(worker, server, VSCHED_INACTIVE, &lease));
    vsched_counts counts = counts_of(director, server);
    CHECK(counts.active == VSCHED_MAX_CONNECTIONS - 1 && counts.inactive == 1);
}

int main(int argc, char **argv) {
    director = director_of(RULES("rr"));
    worker = worker_of(director);
    service = service_of(director, KEY);
    protocols();
    thresholds();
    if (argc > 1 && strcmp(argv[1], "full") == 0) full();
    outliving();
    return DONE();
}
