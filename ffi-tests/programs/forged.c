/* Random bytes for ids, leases, picks and flows: an answer that the header lists, counts that stay
 * what they were or at least above zero, no crash. */
#include "../check.h"

/* xorshift: the same bytes in every run. */
static uint64_t state = 0x9E3779B97F4A7C15u;

static uint64_t draw(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static void scribble(void *object, size_t size) {
    unsigned char *bytes = (unsigned char *)object;
    for (size_t at = 0; at < size; at++) bytes[at] = (unsigned char)(draw() >> 24);
}

static int sane(const vsched_director *director) {
    size_t count;
    vsched_server_state servers[3];
    if (vsched_director_servers(director, service_of(director, KEY), servers, sizeof *servers, 3,
                                &count) != VSCHED_OK) {
        return 0;
    }
    for (size_t at = 0; at < count; at++) {
        if (servers[at].active > 100000 || servers[at].inactive > 100000 ||
            servers[at].persistent > 100000) {
            return 0;
        }
    }
    return count == 3;
}

int main(void) {
    /* Persistent, so that picks and leases carry a template. */
    vsched_director *director = director_of(
        "-A -t 10.1.0.1:80 -s wlc -p 60\n-a -t 10.1.0.1:80 -r 10.9.0.1 -m\n"
        "-a -t 10.1.0.1:80 -r 10.9.0.2 -m\n-a -t 10.1.0.1:80 -r 10.9.0.3 -m\n");
    vsched_worker *worker = worker_of(director);
    vsched_service_id service = service_of(director, KEY);
    vsched_flow flow = flow_of(1);
    vsched_pick good_pick;
    vsched_lease good_lease;
    OK(vsched_worker_connect(worker, service, &flow, NULL, 0, &good_pick, &good_lease));
    const unsigned rounds = 20000;
    unsigned opened = 0, closed = 0;
    for (unsigned round = 0; round < rounds; round++) {
        vsched_server_id server;
        vsched_service_id made_up;
        vsched_lease lease;
        vsched_pick pick, out;
        vsched_flow any;
        scribble(&server, sizeof server);
        scribble(&made_up, sizeof made_up);
        scribble(&lease, sizeof lease);
        scribble(&pick, sizeof pick);
        scribble(&any, sizeof any);
        switch (round % 4) {
        case 1: /* near misses */
            server.slot %= 8;
            made_up.slot %= 8;
            lease.server.slot %= 8;
            lease.opaque[2] = good_lease.opaque[2];
            pick.server.slot %= 8;
            break;
        case 2: /* a good server with a made-up rest: a template that is none */
            lease.server = good_lease.server;
            pick.server = good_pick.server;
            break;
        case 3: /* one byte off */
            lease = good_lease;
            ((unsigned char *)&lease)[draw() % sizeof lease] ^= (unsigned char)(1 + draw() % 255);
            pick = good_pick;
            ((unsigned char *)&pick)[draw() % sizeof pick] ^= (unsigned char)(1 + draw() % 255);
            break;
        default: break;
        }
        vsched_lease held;
        vsched_status status = vsched_worker_open(worker, server, VSCHED_ACTIVE, &held);
        CHECK(status == VSCHED_STALE);
        status = vsched_worker_open_pick(worker, &pick, VSCHED_INACTIVE, &held);
        CHECK(status == VSCHED_OK || status == VSCHED_STALE);
        if (status == VSCHED_OK) {
            opened++;
            OK(vsched_worker_close(worker, &held));
        }
        vsched_counts counts;
        CHECK(vsched_director_counts(director, server, &counts) == VSCHED_STALE);
        CHECK(vsched_worker_pick_server(worker, made_up, &any, &out) == VSCHED_NO_SERVICE);
        CHECK(vsched_director_pick_server(director, made_up, &any, &out) == VSCHED_NO_SERVICE);
        status = vsched_worker_pick_server_excluding(worker, service, &any, &server, 1, &out);
        CHECK(status == VSCHED_OK);
        status = vsched_worker_service_for(worker, &any, &made_up);
        CHECK(status == VSCHED_NO_SERVICE);
        unsigned char address[28];
        char chars[48];
        size_t length = 0;
        status = vsched_pick_sockaddr(&pick, (struct sockaddr *)(void *)address, sizeof address,
                                      &length);
        const int shown = pick.family == 4 || pick.family == 6;
        CHECK(status == (shown ? VSCHED_OK : VSCHED_E_ARGUMENT));
        CHECK(vsched_pick_text(&pick, chars, sizeof chars, &length) == status);
        uint32_t activity = round & 1 ? VSCHED_ACTIVE : VSCHED_INACTIVE;
        status = vsched_worker_update(worker, &lease, activity);
        CHECK(status == VSCHED_OK || status == VSCHED_STALE);
        status = vsched_worker_close(worker, &lease);
        CHECK(status == VSCHED_OK || status == VSCHED_STALE);
        if (status == VSCHED_OK) {
            /* It was as good as a copy of the good one. */
            closed++;
            CHECK(same(lease.server, good_lease.server) || all_zero(&lease, sizeof lease));
            OK(vsched_worker_open_pick(worker, &good_pick, VSCHED_ACTIVE, &good_lease));
        } else if (same(lease.server, good_lease.server)) {
            (void)vsched_worker_update(worker, &good_lease, VSCHED_INACTIVE);
            (void)vsched_worker_update(worker, &good_lease, VSCHED_ACTIVE);
        }
        if (round % 500 == 0) {
            OK(vsched_director_tick(director, round));
            CHECK(sane(director));
        }
    }
    /* Both ways were walked. */
    CHECK(opened > 0 && opened < rounds && closed > 0 && closed < rounds);
    CHECK(sane(director));
    apply(director, RULES("rr"));
    vsched_worker_free(worker);
    vsched_director_free(director);
    return DONE();
}
