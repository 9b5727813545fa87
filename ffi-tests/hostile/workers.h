/* Calls on workers, and on plain values. */
#ifndef HOSTILE_WORKERS_H
#define HOSTILE_WORKERS_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "things.h"

static void worker_new(void) {
    vsched_worker **to = (vsched_worker **)room(sizeof *to);
    if (!gave(vsched_worker_new(a_director(), to), to, sizeof *to)) return;
    size_t at = below(COUNT(workers));
    vsched_worker_free(workers[at]);
    workers[at] = *to;
}

static void worker_new_with_phase(void) {
    vsched_worker **to = (vsched_worker **)room(sizeof *to);
    if (!gave(vsched_worker_new_with_phase(a_director(), below(9), to), to, sizeof *to)) return;
    size_t at = below(COUNT(workers));
    vsched_worker_free(workers[at]);
    workers[at] = *to;
}

static void worker_free(void) {
    size_t at = below(COUNT(workers) + 4);
    vsched_worker_free(at < COUNT(workers) ? workers[at] : NULL);
    if (at < COUNT(workers)) workers[at] = NULL;
}

static void worker_service_for(void) {
    vsched_service_id *to = (vsched_service_id *)room(sizeof *to);
    vsched_status status = vsched_worker_service_for(a_worker(), a_flow(), to);
    if (gave(status, to, sizeof *to)) SOME(services) = *to;
}

static void worker_pick_server(void) {
    vsched_pick *to = (vsched_pick *)room(sizeof *to);
    vsched_status status = vsched_worker_pick_server(a_worker(), a_service(), a_flow(), to);
    if (gave(status, to, sizeof *to)) SOME(picks) = *to;
}

static void worker_pick_server_excluding(void) {
    struct tried tried = some_tried();
    vsched_pick *to = (vsched_pick *)room(sizeof *to);
    vsched_status status = vsched_worker_pick_server_excluding(a_worker(), a_service(), a_flow(),
                                                               tried.ids, tried.count, to);
    if (gave(status, to, sizeof *to)) SOME(picks) = *to;
}

static int is_empty(const vsched_lease *lease) {
    vsched_lease empty;
    memset(&empty, 0, sizeof empty);
    return memcmp(lease, &empty, sizeof empty) == 0;
}

/* An honest host overwrites no lease that is open. */
static vsched_lease *free_lease(void) {
    vsched_lease *lease = &SOME(leases);
    return honest && !is_empty(lease) ? NULL : lease;
}

static void worker_connect(void) {
    struct tried tried = some_tried();
    vsched_pick *pick = (vsched_pick *)room(sizeof *pick);
    vsched_lease *keep = free_lease(), *to = (vsched_lease *)room(sizeof *to);
    if (keep == NULL) return;
    vsched_status status = vsched_worker_connect(a_worker(), a_service(), a_flow(), tried.ids,
                                                 tried.count, pick, to);
    if (gave(status, pick, sizeof *pick)) SOME(picks) = *pick;
    if (gave(status, to, sizeof *to)) *keep = *to;
}

static void worker_open(void) {
    vsched_lease *keep = free_lease(), *to = (vsched_lease *)room(sizeof *to);
    if (keep == NULL) return;
    vsched_status status = vsched_worker_open(a_worker(), a_server(), below(4), to);
    if (gave(status, to, sizeof *to)) *keep = *to;
}

static void worker_open_pick(void) {
    vsched_lease *keep = free_lease(), *to = (vsched_lease *)room(sizeof *to);
    if (keep == NULL) return;
    vsched_status status = vsched_worker_open_pick(a_worker(), a_pick(), below(4), to);
    if (gave(status, to, sizeof *to)) *keep = *to;
}

/* More often than not one that is open. */
static vsched_lease *a_lease(void) {
    size_t at = below(COUNT(leases));
    if (byte() < 240) {
        for (size_t n = 0; n < COUNT(leases) && is_empty(&leases[at]); n++) at = (at + 1) % COUNT(leases);
    }
    return &leases[at];
}

/* A lease is used where it lies. It stays as it is if the call fails. */
static void worker_update(void) {
    vsched_lease *lease = a_lease(), before = *lease;
    forge(lease, sizeof *lease);
    if (honest) {
        if (known(vsched_worker_update(a_worker(), lease, below(4))) != VSCHED_OK) {
            MUST(memcmp(lease, &before, sizeof before) == 0);
        }
        return;
    }
    known(vsched_worker_update(a_worker(), byte() < 250 ? lease : NULL, below(4)));
}

static void worker_close(void) {
    vsched_lease *lease = a_lease(), before;
    forge(lease, sizeof *lease);
    before = *lease;
    if (known(vsched_worker_close(a_worker(), byte() < 250 ? lease : NULL)) == VSCHED_OK) {
        MUST(is_empty(lease));
        /* A copy of a closed lease. */
        if (!honest && byte() >= 240) *lease = before;
    } else {
        MUST(memcmp(lease, &before, sizeof before) == 0);
    }
}

static void worker_close_with(void) {
    vsched_lease *lease = a_lease(), before;
    forge(lease, sizeof *lease);
    before = *lease;
    uint32_t outcome = below(5);
    uint64_t latency_us = byte() < 192 ? number() : UINT64_MAX - number();
    lease = byte() < 250 ? lease : NULL;
    vsched_lease *kept = lease == NULL ? &before : lease;
    if (known(vsched_worker_close_with(a_worker(), lease, outcome, latency_us)) == VSCHED_OK) {
        MUST(is_empty(kept));
    } else {
        MUST(memcmp(kept, &before, sizeof before) == 0);
    }
}

static void worker_report(void) {
    uint32_t outcome = below(5);
    uint64_t latency_us = byte() < 192 ? number() : UINT64_MAX - number();
    known(vsched_worker_report(a_worker(), a_server(), outcome, latency_us));
}

/* A socket address of some length: whole, cut, of an unknown family. */
struct address {
    struct sockaddr *data;
    size_t length;
};

static struct address a_sockaddr(void) {
    struct sockaddr_storage whole;
    memset(&whole, 0, sizeof whole);
    uint8_t kind = byte();
    struct address address = {NULL, kind % 32u};
    if (kind >= 250) return address;
    address.length = kind < 32 ? kind : kind < 128 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    uint8_t *bytes = (uint8_t *)&whole;
    for (size_t at = 0; at < 28; at++) bytes[at] = byte();
    if (kind < 240) whole.ss_family = kind < 128 ? AF_INET : AF_INET6;
    address.data = (struct sockaddr *)lend_copy(&whole, address.length);
    return address;
}

static void flow_from_sockaddr(void) {
    uint32_t protocol = number();
    struct address client = a_sockaddr(), destination = a_sockaddr();
    vsched_flow *to = (vsched_flow *)room(sizeof *to);
    vsched_status status = vsched_flow_from_sockaddr(protocol, client.data, client.length,
                                                     destination.data, destination.length, to);
    if (gave(status, to, sizeof *to)) SOME(flows) = *to;
}

/* A flow to one of the services that texts name. */
static void flow_to_service(void) {
    vsched_flow *flow = &SOME(flows);
    uint8_t kind = byte();
    memset(flow, 0, sizeof *flow);
    flow->family = kind % 8 == 7 ? 6 : 4;
    flow->protocol = kind % 4 == 3 ? 17 : 6;
    flow->client[0] = 172;
    flow->client[15 * (flow->family == 6)] = byte();
    flow->client_port = 40000;
    flow->destination[0] = 10;
    flow->destination[1] = 1;
    flow->destination[3] = kind % 4 == 3 ? 2 : 1;
    flow->destination_port = kind % 4 == 3 ? 53 : 80;
    flow->fwmark = kind >= 192 ? 7 : 0;
    flow->has_key = kind >= 240;
    flow->key = byte();
}

static void sockaddr_given(vsched_status status, const void *address, size_t capacity,
                           const size_t *length) {
    if (known(status) == VSCHED_OK) {
        MUST(*length <= capacity);
        return;
    }
    MUST(untouched(address, capacity));
    if (status == VSCHED_E_BUFFER) MUST(*length > capacity);
}

static void pick_sockaddr(void) {
    size_t capacity = byte() < 128 ? 28 : byte() % 32u, *length = (size_t *)room(sizeof *length);
    struct sockaddr *to = (struct sockaddr *)room(capacity);
    sockaddr_given(vsched_pick_sockaddr(a_pick(), to, capacity, length), to, capacity, length);
}

static void service_sockaddr(void) {
    size_t capacity = byte() < 128 ? 28 : byte() % 32u, *length = (size_t *)room(sizeof *length);
    struct sockaddr *to = (struct sockaddr *)room(capacity);
    vsched_service_state *state =
        (vsched_service_state *)lend_copy(&SOME(states), sizeof *states);
    forge(&state->address, sizeof *state - offsetof(vsched_service_state, address));
    if (byte() >= 250) state = NULL;
    sockaddr_given(vsched_service_sockaddr(state, to, capacity, length), to, capacity, length);
}

static void pick_text(void) {
    struct out out = some_out();
    text_given(vsched_pick_text(a_pick(), out.buffer, out.capacity, out.length), out);
}

static void constants(void) {
    MUST(vsched_abi_version() == VSCHED_ABI_VERSION && strlen(vsched_version()) > 0);
    uint32_t index = number();
    const char *name = vsched_scheduler_name(index), *summary = vsched_scheduler_summary(index);
    MUST((name == NULL) == (summary == NULL) && strlen(vsched_status_text(index)) > 0);
    MUST(strlen(vsched_refusal_text(index)) > 0);
}

static void worker_refusal(void) {
    MUST(vsched_worker_refusal(a_worker()) <= VSCHED_REFUSED_NOT_THIS_FLOW);
}

#endif
