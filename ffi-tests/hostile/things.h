/* What calls are made with: handles, ids, leases, picks and flows of earlier calls, and structs whose
 * struct_size is any. */
#ifndef HOSTILE_THINGS_H
#define HOSTILE_THINGS_H

#include "texts.h"

static vsched_config *configs[3];
static vsched_director *directors[2];
static vsched_worker *workers[4];
static vsched_service_id services[8];
static vsched_server_id servers[8];
static vsched_pick picks[4];
static vsched_lease leases[8];
static vsched_flow flows[4];
static vsched_service_state states[2];
static vsched_server_state server_states[2];

/* One of them; more often than not one that is there. */
#define SOME(things) ((things)[below(COUNT(things))])

static inline size_t any_of(void *const *handles, size_t count) {
    size_t at = below(count);
    return handles[at] == NULL && byte() < 240 ? (at + 1) % count : at;
}

static inline vsched_config *a_config(void) {
    return configs[any_of((void *const *)configs, COUNT(configs))];
}
static inline vsched_director *a_director(void) {
    return directors[any_of((void *const *)directors, COUNT(directors))];
}
static inline vsched_worker *a_worker(void) {
    return workers[any_of((void *const *)workers, COUNT(workers))];
}

/* Inputs by pointer: a copy that ends where it ends; NULL at times. */
static inline const vsched_flow *a_flow(void) {
    if (byte() >= 250) return NULL;
    vsched_flow *flow = (vsched_flow *)lend_copy(&SOME(flows), sizeof *flow);
    forge(flow, sizeof *flow);
    return flow;
}

static inline vsched_pick *a_pick(void) {
    if (byte() >= 250) return NULL;
    vsched_pick *pick = (vsched_pick *)lend_copy(&SOME(picks), sizeof *pick);
    forge(pick, sizeof *pick);
    return pick;
}

static inline vsched_service_id a_service(void) {
    vsched_service_id id = SOME(services);
    forge(&id, sizeof id);
    return id;
}

static inline vsched_server_id a_server(void) {
    vsched_server_id id = SOME(servers);
    forge(&id, sizeof id);
    return id;
}

/* Servers tried so far. */
struct tried {
    const vsched_server_id *ids;
    size_t count;
};

static inline struct tried some_tried(void) {
    static const size_t mistakes[] = {1, SIZE_MAX, SIZE_MAX / 8, SIZE_MAX / 8 + 1};
    uint8_t kind = byte();
    struct tried tried = {NULL, 0};
    if (kind >= 244) {
        tried.count = mistakes[kind % 4];
        tried.ids = tried.count == 1 ? NULL : (const vsched_server_id *)lend(8);
        return tried;
    }
    tried.count = kind % 5u;
    vsched_server_id *ids = (vsched_server_id *)lend(tried.count * sizeof *ids);
    for (size_t at = 0; at < tried.count; at++) ids[at] = a_server();
    tried.ids = ids;
    return tried;
}

/* A struct that begins with its size: as many bytes as it says, the first of `full`. */
static inline void *sized(const void *full, size_t size) {
    if (byte() >= 250) return NULL;
    const size_t sizes[] = {0, 3, 4, byte(), size - 1, size + 1, size + 8, 4096, 4097, SIZE_MAX};
    uint8_t kind = byte();
    size_t says = kind < COUNT(sizes) ? sizes[kind] : kind < 64 ? kind * 2u : size;
    /* Whole fields: a length of which a part is there is any length, and the text is not so long. */
    if (says > 8 && says < size) says -= says % 8;
    /* A size that cannot be is refused before the struct is looked at. */
    size_t has = says < 4 ? 4 : says > 4096 ? 4 : says;
    uint8_t *memory = (uint8_t *)lend(has);
    memset(memory, 0, has);
    memcpy(memory, full, has < size ? has : size);
    if (has > size && byte() >= 192) memory[size + below(has - size)] = byte();
    uint32_t struct_size = (uint32_t)says;
    memcpy(memory, &struct_size, sizeof struct_size);
    return memory;
}

static inline vsched_service *a_service_struct(void) {
    vsched_service service;
    memset(&service, 0, sizeof service);
    service.one_packet = byte() >= 224;
    service.key = a_key();
    service.scheduler = a_scheduler();
    service.flags = SOME_TEXT(FLAGS);
    if (byte() >= 128) service.persistence_timeout = number();
    /* Large tables take milliseconds to deal. */
    service.mh_table_index = byte() < 250 ? 0 : 8 + byte() % 3u * 5;
    service.persistence_netmask = SOME_TEXT(MASKS);
    service.persistence_engine = SOME_TEXT(ENGINES);
    static const uint32_t capacities[] = {1, 2, 16, 100, 16777217, 4294967295};
    service.affinity_capacity = byte() >= 250 ? 0 : capacities[below(COUNT(capacities))];
    service.affinity_expiration = number();
    service.sharing = SOME_TEXT(SHARING);
    if (byte() >= 192) service.ties = SOME_TEXT(TIES);
    if (byte() >= 224) service.spill_over = 100 + byte();
    if (byte() >= 224) service.panic_threshold = byte();
    if (byte() >= 224) service.slow_start = number();
    if (byte() >= 240) service.slow_start_aggression = number(), service.slow_start_least = byte();
    if (byte() >= 192) {
        uint32_t *const numbers[] = {
            &service.eject_failures, &service.eject_interval, &service.eject_base_time,
            &service.eject_max_time, &service.eject_max_share, &service.eject_trials,
            &service.eject_factor, &service.eject_least_outcomes, &service.eject_least_servers};
        service.eject = byte() < 240;
        service.eject_outliers = byte() % 4u;
        for (size_t at = 0; at < COUNT(numbers); at++) {
            if (byte() >= 192) *numbers[at] = number();
        }
    }
    return (vsched_service *)sized(&service, sizeof service);
}

static inline vsched_server *a_server_struct(void) {
    vsched_server server;
    memset(&server, 0, sizeof server);
    server.weight = number();
    server.address = an_address();
    server.forwarding = byte() < 192 ? VSCHED_MASQ : byte() % 6u;
    if (byte() >= 128) server.upper_threshold = number();
    if (byte() >= 192) server.lower_threshold = number();
    if (byte() >= 224) {
        server.tunnel = byte() % 4u;
        server.tunnel_checksum = byte() % 4u;
        server.tunnel_port = number();
    }
    if (byte() >= 192) server.priority = byte();
    server.reserved = byte() >= 254;
    return (vsched_server *)sized(&server, sizeof server);
}

static inline vsched_settings *a_settings_struct(void) {
    vsched_settings settings;
    memset(&settings, 0, sizeof settings);
    settings.kernel_rules = byte() % 3u;
    settings.seed = byte();
    settings.expire_quiescent_template = byte() % 2u;
    settings.timeout_tcp = number();
    settings.timeout_tcp_fin = number();
    settings.timeout_udp = number();
    return (vsched_settings *)sized(&settings, sizeof settings);
}

static inline vsched_apply_policy *a_policy(void) {
    vsched_apply_policy policy;
    memset(&policy, 0, sizeof policy);
    policy.may_close_services = byte() % 2u;
    policy.most_deleted = byte() < 224 ? byte() % 102u : number();
    return (vsched_apply_policy *)sized(&policy, sizeof policy);
}

/* Small enough for a checker, and then some: what needs more is refused. */
static inline vsched_limits *some_limits(void) {
    vsched_limits limits;
    memset(&limits, 0, sizeof limits);
    limits.reserved = byte() >= 250;
    limits.memory = byte() < 250 ? 64u << 20 : number() % (1u << 20) + 1;
    return (vsched_limits *)sized(&limits, sizeof limits);
}

/* For what a change did: NULL is allowed. */
static inline vsched_applied *an_applied(void) {
    vsched_applied applied;
    memset(&applied, POISON, sizeof applied);
    return (vsched_applied *)sized(&applied, sizeof applied);
}

/* An array's output: elements of every size. */
struct array {
    void *elements;
    size_t element_size, capacity;
    size_t *count;
};

static inline struct array some_array(size_t size) {
    const size_t sizes[] = {0, 1, size - 1, size + 1, size + 8, 4096, 4097, SIZE_MAX};
    uint8_t kind = byte();
    struct array array;
    array.element_size = kind < COUNT(sizes) ? sizes[kind] : kind < 32 ? kind * 4u : size;
    array.capacity = byte() < 192 ? 8 : byte() % 8u;
    /* An element that cannot be is refused before anything is written. */
    size_t bytes = array.element_size > 4096 ? 1 : array.element_size * array.capacity;
    array.elements = array.capacity == 0 ? NULL : room(bytes);
    array.count = (size_t *)room(sizeof *array.count);
    if (array.elements == NULL) array.capacity = byte() % 8u;
    return array;
}

/* The number of elements to be looked at; 0 if they are too short for what is looked for. */
static inline size_t array_given(vsched_status status, struct array array, size_t size) {
    if (known(status) != VSCHED_OK) {
        size_t bytes = array.element_size > 4096 ? 1 : array.element_size * array.capacity;
        MUST(untouched(array.elements, bytes));
        if (status == VSCHED_E_BUFFER && array.count != NULL) MUST(*array.count > array.capacity);
        return 0;
    }
    if (array.count != NULL) MUST(*array.count <= array.capacity);
    return array.count != NULL && array.element_size >= size ? *array.count : 0;
}

#endif
