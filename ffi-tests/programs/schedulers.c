/* Every scheduler picks, passes over quiesced servers, and retries elsewhere. */
#include "../check.h"

static void one(const char *name) {
    char rules[256];
    snprintf(rules, sizeof rules,
             "-A -t 10.1.0.1:80 -s %s\n-a -t 10.1.0.1:80 -r 10.9.0.1 -m -w 3\n"
             "-a -t 10.1.0.1:80 -r 10.9.0.2 -m -w 2\n-a -t 10.1.0.1:80 -r 10.9.0.3 -m -w 1\n",
             name);
    vsched_director *director = director_of(rules);
    vsched_worker *worker = worker_of(director);
    vsched_service_id service = service_of(director, KEY);
    vsched_service_state state;
    OK(vsched_director_services(director, &state, sizeof state, 1, NULL));
    TEXT_IS(state.scheduler, name);

    unsigned seen[4] = {0, 0, 0, 0};
    for (unsigned client = 0; client < 64; client++) {
        vsched_flow flow = flow_of(client * 37);
        vsched_service_id found;
        OK(vsched_worker_service_for(worker, &flow, &found));
        CHECK(found.slot == service.slot && found.generation == service.generation);
        vsched_pick pick;
        OK(vsched_worker_pick_server(worker, service, &flow, &pick));
        CHECK(pick.address[0] == 10 && pick.address[1] == 9 && pick.address[2] == 0);
        CHECK(pick.address[3] >= 1 && pick.address[3] <= 3 && pick.port == 80);
        CHECK(pick.family == 4 && pick.forwarding == VSCHED_MASQ && pick.tunnel == 0);
        seen[pick.address[3] & 3]++;

        /* Three tries reach three servers; a fourth finds none. */
        vsched_server_id tried[3];
        for (size_t count = 0; count < 3; count++) {
            OK(vsched_worker_pick_server_excluding(worker, service, &flow, tried, count, &pick));
            for (size_t at = 0; at < count; at++) CHECK(!same(tried[at], pick.server));
            tried[count] = pick.server;
        }
        vsched_lease lease;
        POISONED(pick), POISONED(lease);
        IS(vsched_worker_pick_server_excluding(worker, service, &flow, tried, 3, &pick),
           VSCHED_NO_SERVER);
        IS(vsched_worker_connect(worker, service, &flow, tried, 3, &pick, &lease),
           VSCHED_NO_SERVER);
        UNTOUCHED(pick), UNTOUCHED(lease);

        OK(vsched_worker_connect(worker, service, &flow, tried, 2, &pick, &lease));
        CHECK(same(pick.server, tried[2]) && same(lease.server, tried[2]));
        CHECK(counts_of(director, pick.server).active == 1);
        OK(vsched_worker_close(worker, &lease));
        CHECK(counts_of(director, pick.server).active == 0);
    }
    CHECK(seen[1] + seen[2] + seen[3] == 64);

    /* Schedulers that hash refuse the clients of quiesced servers unless told to fall back. */
    execute(director, "-e -t 10.1.0.1:80 -r 10.9.0.1 -m -w 0");
    execute(director, "-e -t 10.1.0.1:80 -r 10.9.0.3 -m -w 0");
    unsigned found = 0;
    for (unsigned client = 0; client < 64; client++) {
        vsched_flow flow = flow_of(client * 37);
        flow.destination[3] = (uint8_t)client;
        vsched_pick pick;
        vsched_status status = vsched_worker_pick_server(worker, service, &flow, &pick);
        if (status == VSCHED_OK) CHECK(pick.address[3] == 2), found++;
        else IS(status, VSCHED_NO_SERVER);
    }
    CHECK(found > 0);

    /* Nobody left: an answer, and nothing written. */
    execute(director, "-e -t 10.1.0.1:80 -r 10.9.0.2 -m -w 0");
    vsched_flow flow = flow_of(1);
    vsched_pick pick;
    vsched_lease lease;
    POISONED(pick), POISONED(lease);
    IS(vsched_worker_pick_server(worker, service, &flow, &pick), VSCHED_NO_SERVER);
    IS(vsched_director_pick_server(director, service, &flow, &pick), VSCHED_NO_SERVER);
    IS(vsched_worker_connect(worker, service, &flow, NULL, 0, &pick, &lease), VSCHED_NO_SERVER);
    UNTOUCHED(pick), UNTOUCHED(lease);
    vsched_worker_free(worker);
    vsched_director_free(director);
}

/* A rotation is exact, and the host's key takes the client's place in a hash. */
static void decisions(void) {
    vsched_director *director = director_of(RULES("rr"));
    vsched_worker *worker = worker_of(director);
    vsched_service_id service = service_of(director, KEY);
    vsched_flow nothing;
    memset(&nothing, 0, sizeof nothing);
    vsched_pick pick;
    unsigned last = 0;
    for (unsigned turn = 0; turn < 9; turn++) {
        OK(vsched_worker_pick_server(worker, service, &nothing, &pick));
        CHECK(turn == 0 || pick.address[3] == (last + 1) % 3 + 1);
        last = pick.address[3];
    }
    execute(director, "-E -t 10.1.0.1:80 -s sh");
    unsigned seen = 0;
    for (unsigned key = 0; key < 32; key++) {
        vsched_flow flow = flow_of(5);
        flow.has_key = 1;
        flow.key = key * 1000003u;
        vsched_pick again;
        OK(vsched_worker_pick_server(worker, service, &flow, &pick));
        flow.client[3] = 99;
        OK(vsched_worker_pick_server(worker, service, &flow, &again));
        CHECK(same(pick.server, again.server));
        seen |= 1u << pick.address[3];
    }
    CHECK(seen == 0xE);
    vsched_worker_free(worker);
    vsched_director_free(director);
}

int main(void) {
    uint32_t index;
    for (index = 0; vsched_scheduler_name(index) != NULL; index++) one(vsched_scheduler_name(index));
    CHECK(index >= 14);
    decisions();
    return DONE();
}
