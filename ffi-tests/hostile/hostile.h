/* Hostile calls through the C interface: bytes choose every call and every argument, from handles and
 * values of earlier calls, stale ones, NULLs, wrong sizes and damaged texts. What must hold: an answer
 * that the header lists, outputs untouched by a call that fails, no byte outside what the caller gave.
 * `programs/hostile.c` draws the bytes, fuzz/ lets a fuzzer choose them. */
#ifndef HOSTILE_H
#define HOSTILE_H

#include "blocks.h"
#include "configs.h"
#include "directors.h"
#include "workers.h"

static void (*const calls[])(void) = {
    config_new, config_clone, config_free, config_read_rules, config_execute, config_read_json,
    config_write_rules, config_write_json, config_validate, config_set_settings, config_settings,
    config_error, config_add_service, config_edit_service, config_delete_service, config_clear,
    config_add_server, config_edit_server, config_delete_server, config_requirements,
    config_check_local, config_services, config_servers,
    director_new, director_free, director_apply, director_tick, director_service,
    director_service_for, director_server, director_pick_server, director_config, director_error,
    director_execute, director_replay, director_add_service, director_edit_service,
    director_delete_service, director_add_server, director_edit_server, director_delete_server,
    director_services, director_servers, director_server_state, director_counts,
    director_removed_servers, director_list,
    director_apply_with, director_removed_with_connections, director_set_counts,
    director_forget_removed, director_new_with_limits, service_from_state, server_from_state,
    config_memory, director_set_state, director_state, director_holds, director_set_weight,
    director_explain, director_metrics, director_set_phase, worker_new_with_phase,
    worker_new, worker_free, worker_service_for, worker_pick_server, worker_pick_server_excluding,
    worker_connect, worker_open, worker_open_pick, worker_update, worker_close,
    flow_from_sockaddr, pick_sockaddr, service_sockaddr, pick_text, constants, flow_to_service,
    worker_refusal, worker_close_with, worker_report, director_health,
    block_new, block_free, block_size, block_anonymous, block_named, block_format, block_of_memory,
    block_reclaim_process, block_reclaim_dead, block_error, director_new_in_block,
};

/* So that there is something to spoil. */
static void begin(const char *json) {
    MUST(vsched_config_new(&configs[0]) == VSCHED_OK);
    MUST(vsched_config_read_json(configs[0], json, strlen(json)) == VSCHED_OK);
    vsched_limits limits;
    memset(&limits, 0, sizeof limits);
    limits.struct_size = sizeof limits;
    limits.memory = 64u << 20;
    for (size_t at = 0; at < COUNT(directors); at++) {
        MUST(vsched_director_new_with_limits(configs[0], &limits, &directors[at]) == VSCHED_OK);
    }
    MUST(vsched_block_new(&blocks[0]) == VSCHED_OK);
    for (size_t at = 0; at < COUNT(workers) - 1; at++) {
        MUST(vsched_worker_new(directors[at % 2], &workers[at]) == VSCHED_OK);
    }
    for (size_t at = 0; at < COUNT(flows); at++) flow_to_service();
    const char *key = KEYS[0];
    for (size_t at = 0; at < COUNT(services); at++) {
        const vsched_director *of = directors[at % COUNT(directors)];
        const char *address = ADDRESSES[at / 2 % 2];
        MUST(vsched_director_service(of, key, strlen(key), &services[at]) == VSCHED_OK);
        MUST(vsched_director_server(of, key, strlen(key), address, strlen(address), &servers[at]) ==
             VSCHED_OK);
    }
}

/* Every lease of an honest host closes where it was opened, and then nothing counts. */
static void all_closed(const vsched_director *director) {
    vsched_worker *worker;
    MUST(vsched_worker_new(director, &worker) == VSCHED_OK);
    for (size_t at = 0; at < COUNT(leases); at++) {
        vsched_status status = vsched_worker_close(worker, &leases[at]);
        MUST(status == VSCHED_OK || status == VSCHED_STALE);
    }
    vsched_worker_free(worker);
    vsched_service_state *found = (vsched_service_state *)lend(64 * sizeof *found);
    vsched_server_state *of = (vsched_server_state *)lend(64 * sizeof *of);
    size_t count, many;
    if (vsched_director_services(director, found, sizeof *found, 64, &count) != VSCHED_OK) return;
    for (size_t at = 0; at < count; at++) {
        if (vsched_director_servers(director, found[at].id, of, sizeof *of, 64, &many) != VSCHED_OK) {
            continue;
        }
        for (size_t server = 0; server < many; server++) {
            MUST(of[server].active == 0 && of[server].inactive == 0);
        }
    }
}

static void hostile_calls(const uint8_t *bytes, size_t length) {
    next_byte = bytes;
    end_of_bytes = bytes + length;
    asked_for = 0;
    memset(services, 0, sizeof services);
    memset(servers, 0, sizeof servers);
    memset(picks, 0, sizeof picks);
    memset(leases, 0, sizeof leases);
    memset(states, 0, sizeof states);
    memset(server_states, 0, sizeof server_states);
    uint8_t mode = byte();
    honest = mode % 2;
    begin(FIRST_CONFIGS[mode / 2 % COUNT(FIRST_CONFIGS)]);
    while (next_byte < end_of_bytes) {
        calls[below(COUNT(calls))]();
        take_back();
    }
    for (size_t at = 0; at < COUNT(directors); at++) {
        if (honest && directors[at] != NULL) all_closed(directors[at]);
        take_back();
        vsched_director_free(directors[at]);
        directors[at] = NULL;
    }
    for (size_t at = 0; at < COUNT(workers); at++) {
        vsched_worker_free(workers[at]);
        workers[at] = NULL;
    }
    for (size_t at = 0; at < COUNT(blocks); at++) {
        vsched_block_free(blocks[at]);
        blocks[at] = NULL;
    }
    for (size_t at = 0; at < COUNT(configs); at++) {
        vsched_config_free(configs[at]);
        configs[at] = NULL;
    }
}

#endif
