/* Calls on directors. */
#ifndef HOSTILE_DIRECTORS_H
#define HOSTILE_DIRECTORS_H

#include "things.h"

/* With limits of its own it may take more than a checker has: for small configs, and not kept. */
static void director_new(void) {
    vsched_director **to = (vsched_director **)room(sizeof *to);
    vsched_config *config = a_config();
    uint64_t bytes;
    if (vsched_config_memory(config, &bytes) == VSCHED_OK && bytes > 64u << 20) return;
    if (gave(vsched_director_new(config, to), to, sizeof *to)) vsched_director_free(*to);
}

static void director_new_with_limits(void) {
    vsched_director **to = (vsched_director **)room(sizeof *to);
    vsched_limits *limits = some_limits();
    vsched_status status = vsched_director_new_with_limits(a_config(), limits, to);
    if (!gave(status, to, sizeof *to)) return;
    size_t at = below(COUNT(directors));
    vsched_director_free(directors[at]);
    directors[at] = *to;
    /* A form of the struct without the field, or 0 in it: the default, which is too much here. */
    if (limits->struct_size >= sizeof *limits && limits->memory != 0) return;
    vsched_director_free(directors[at]);
    directors[at] = NULL;
}

static void director_free(void) {
    size_t at = below(COUNT(directors) + 6);
    vsched_director_free(at < COUNT(directors) ? directors[at] : NULL);
    if (at < COUNT(directors)) directors[at] = NULL;
}

static void director_apply(void) { known(vsched_director_apply(a_director(), a_config(), an_applied())); }

static void director_apply_with(void) {
    known(vsched_director_apply_with(a_director(), a_config(), a_policy(), an_applied()));
}

static void director_tick(void) {
    static uint64_t now;
    const uint64_t steps[] = {1000, 0, 1, 400000, UINT64_MAX / 2, UINT64_MAX - now};
    uint8_t kind = byte();
    now = kind < COUNT(steps) ? now + steps[kind] : kind;
    known(vsched_director_tick(a_director(), now));
}

static void director_service(void) {
    vsched_text key = a_key();
    vsched_service_id *to = (vsched_service_id *)room(sizeof *to);
    vsched_status status = vsched_director_service(a_director(), key.data, key.length, to);
    if (gave(status, to, sizeof *to)) SOME(services) = *to;
}

static void director_service_for(void) {
    vsched_service_id *to = (vsched_service_id *)room(sizeof *to);
    vsched_status status = vsched_director_service_for(a_director(), a_flow(), to);
    if (gave(status, to, sizeof *to)) SOME(services) = *to;
}

static void director_server(void) {
    vsched_text key = a_key(), address = an_address();
    vsched_server_id *to = (vsched_server_id *)room(sizeof *to);
    vsched_status status = vsched_director_server(a_director(), key.data, key.length, address.data,
                                                  address.length, to);
    if (gave(status, to, sizeof *to)) SOME(servers) = *to;
}

static void director_pick_server(void) {
    vsched_pick *to = (vsched_pick *)room(sizeof *to);
    vsched_status status = vsched_director_pick_server(a_director(), a_service(), a_flow(), to);
    if (gave(status, to, sizeof *to)) SOME(picks) = *to;
}

static void director_config(void) {
    vsched_config **to = (vsched_config **)room(sizeof *to);
    if (!gave(vsched_director_config(a_director(), to), to, sizeof *to)) return;
    size_t at = below(COUNT(configs));
    vsched_config_free(configs[at]);
    configs[at] = *to;
}

static void director_error(void) {
    struct out out = some_out();
    text_given(vsched_director_error(a_director(), out.buffer, out.capacity, out.length), out);
}

static void director_execute(void) {
    vsched_text text = SOME_TEXT(COMMANDS);
    known(vsched_director_execute(a_director(), text.data, text.length, an_applied()));
}

static void director_replay(void) {
    vsched_text text = SOME_TEXT(RULES);
    size_t *done = (size_t *)room(sizeof *done);
    known(vsched_director_replay(a_director(), text.data, text.length, done));
}

static void director_add_service(void) {
    known(vsched_director_add_service(a_director(), a_service_struct(), an_applied()));
}

static void director_edit_service(void) {
    known(vsched_director_edit_service(a_director(), a_service_struct(), an_applied()));
}

static void director_delete_service(void) {
    vsched_text key = a_key();
    known(vsched_director_delete_service(a_director(), key.data, key.length, an_applied()));
}

static void director_add_server(void) {
    vsched_text key = a_key();
    known(vsched_director_add_server(a_director(), key.data, key.length, a_server_struct(),
                                     an_applied()));
}

static void director_edit_server(void) {
    vsched_text key = a_key();
    known(vsched_director_edit_server(a_director(), key.data, key.length, a_server_struct(),
                                      an_applied()));
}

static void director_delete_server(void) {
    vsched_text key = a_key(), address = an_address();
    known(vsched_director_delete_server(a_director(), key.data, key.length, address.data,
                                        address.length, an_applied()));
}

static void director_services(void) {
    struct array array = some_array(sizeof(vsched_service_state));
    vsched_status status =
        vsched_director_services(a_director(), (vsched_service_state *)array.elements,
                                 array.element_size, array.capacity, array.count);
    size_t count = array_given(status, array, sizeof(vsched_service_state));
    if (count == 0) return;
    memcpy(&states[1], array.elements, sizeof states[1]);
    SOME(services) = states[1].id;
}

static void director_servers(void) {
    struct array array = some_array(sizeof(vsched_server_state));
    vsched_status status =
        vsched_director_servers(a_director(), a_service(), (vsched_server_state *)array.elements,
                                array.element_size, array.capacity, array.count);
    size_t count = array_given(status, array, sizeof(vsched_server_id));
    if (count == 0) return;
    const uint8_t *elements = (const uint8_t *)array.elements;
    memcpy(&SOME(servers), elements + below(count) * array.element_size, sizeof *servers);
    size_t whole = array.element_size >= sizeof *server_states ? sizeof *server_states : 0;
    memcpy(&SOME(server_states), elements, whole);
}

/* What was read, forged at times, as a description; and what that does. */
static void service_from_state(void) {
    vsched_service service;
    memset(&service, 0, sizeof service);
    vsched_service *to = (vsched_service *)sized(&service, sizeof service);
    vsched_service_state *state = (vsched_service_state *)lend_copy(&SOME(states), sizeof *state);
    forge(state, sizeof *state);
    size_t size = byte() < 224 ? sizeof *state : byte();
    if (byte() >= 250) state = NULL;
    if (known(vsched_service_from_state(state, size, to)) != VSCHED_OK) return;
    if (byte() < 128) {
        known(vsched_director_edit_service(a_director(), to, an_applied()));
    } else {
        known(vsched_config_edit_service(a_config(), to));
    }
}

static void server_from_state(void) {
    vsched_server server;
    memset(&server, 0, sizeof server);
    vsched_server *to = (vsched_server *)sized(&server, sizeof server);
    vsched_server_state *state =
        (vsched_server_state *)lend_copy(&SOME(server_states), sizeof *state);
    forge(state, sizeof *state);
    size_t size = byte() < 224 ? sizeof *state : byte();
    if (byte() >= 250) state = NULL;
    if (known(vsched_server_from_state(state, size, to)) != VSCHED_OK) return;
    vsched_text key = a_key();
    known(vsched_director_edit_server(a_director(), key.data, key.length, to, an_applied()));
}

static void director_server_state(void) {
    struct array array = some_array(sizeof(vsched_server_state));
    array.capacity = array.elements == NULL ? 0 : 1;
    vsched_server_state *to = array.capacity == 0 ? NULL : (vsched_server_state *)array.elements;
    if (known(vsched_director_server_state(a_director(), a_server(), to, array.element_size)) == VSCHED_OK &&
        array.element_size >= sizeof *to) {
        MUST(to->state <= VSCHED_DOWN && to->address_text[0] != 0);
    }
}

static void director_counts(void) {
    vsched_counts *to = (vsched_counts *)room(sizeof *to);
    if (!gave(vsched_director_counts(a_director(), a_server(), to), to, sizeof *to)) return;
    MUST((uint64_t)to->active + to->inactive <= VSCHED_MAX_CONNECTIONS && to->overloaded < 2);
}

static void director_removed_servers(void) {
    size_t *to = (size_t *)room(sizeof *to);
    gave(vsched_director_removed_servers(a_director(), to), to, sizeof *to);
}

static void director_removed_with_connections(void) {
    struct array array = some_array(sizeof(vsched_removed_server));
    vsched_status status = vsched_director_removed_with_connections(
        a_director(), (vsched_removed_server *)array.elements, array.element_size, array.capacity,
        array.count);
    size_t count = array_given(status, array, sizeof(vsched_server_id));
    if (count == 0) return;
    const uint8_t *elements = (const uint8_t *)array.elements;
    memcpy(&SOME(servers), elements + below(count) * array.element_size, sizeof *servers);
}

/* After these, leases and counts need not agree. */
static void director_set_counts(void) {
    vsched_counts *former = (vsched_counts *)room(sizeof *former);
    uint32_t active = number(), inactive = number();
    if (honest) return;
    vsched_status status = vsched_director_set_counts(a_director(), a_server(), active, inactive, former);
    if (known(status) != VSCHED_OK) MUST(untouched(former, sizeof *former));
}

static void director_set_state(void) {
    static const char *const reasons[] = {"", "no answer", "planned"};
    vsched_text reason = SOME_TEXT(reasons);
    uint32_t holder = byte() % 4, state = byte() % 4;
    uint32_t *result = (uint32_t *)room(sizeof *result);
    vsched_status status = vsched_director_set_state(a_director(), a_server(), holder, state,
                                                     reason.data, reason.length, result);
    if (known(status) != VSCHED_OK) MUST(untouched(result, sizeof *result));
}

static void director_state(void) {
    uint32_t *state = (uint32_t *)room(sizeof *state);
    gave(vsched_director_state(a_director(), a_server(), state), state, sizeof *state);
}

static void director_holds(void) {
    struct array array = some_array(sizeof(vsched_hold));
    vsched_status status = vsched_director_holds(a_director(), a_server(),
                                                 (vsched_hold *)array.elements, array.element_size,
                                                 array.capacity, array.count);
    array_given(status, array, sizeof(uint32_t));
}

static void director_health(void) {
    vsched_health health;
    memset(&health, POISON, sizeof health);
    vsched_health *to = (vsched_health *)sized(&health, sizeof health);
    known(vsched_director_health(a_director(), a_server(), to));
}

static void director_set_weight(void) {
    vsched_applied *applied = an_applied();
    known(vsched_director_set_weight(a_director(), a_server(), number(), applied));
}

static void director_forget_removed(void) {
    size_t *count = (size_t *)room(sizeof *count);
    if (!honest) known(vsched_director_forget_removed(a_director(), count));
}

static void director_explain(void) {
    struct out out = some_out();
    text_given(vsched_director_explain(a_director(), a_service(), a_flow(), out.buffer,
                                       out.capacity, out.length),
               out);
}

static void director_metrics(void) {
    struct out out = some_out();
    text_given(vsched_director_metrics(a_director(), below(5), out.buffer, out.capacity, out.length),
               out);
}

static void director_set_phase(void) {
    known(vsched_director_set_phase(a_director(), below(9)));
}

static void director_list(void) {
    vsched_text key = byte() < 128 ? SOME_TEXT(HOSTS) : a_key();
    struct out out = some_out();
    text_given(vsched_director_list(a_director(), below(7), below(5), key.data, key.length,
                                    out.buffer, out.capacity, out.length),
               out);
}

#endif
