/* NULL for each pointer of each function in turn, all others being good. */
#include "../check.h"

typedef struct row {
    const char *call;
    vsched_status status;
} row;

#define ROW(call) \
    { #call, call }

static void all_null(const row *rows, size_t count) {
    for (size_t at = 0; at < count; at++) {
        if (rows[at].status != VSCHED_E_NULL) {
            failures++;
            fprintf(stderr, "%s answered %u\n", rows[at].call, (unsigned)rows[at].status);
        }
    }
}

#define ALL_NULL(rows) all_null(rows, sizeof rows / sizeof *rows)

#define KEY_N KEY, strlen(KEY)
#define FIRST_N FIRST, strlen(FIRST)

int main(void) {
    vsched_config *config = config_of(RULES("rr"));
    vsched_director *director = director_of(RULES("rr"));
    vsched_worker *worker = worker_of(director);
    vsched_service_id service = service_of(director, KEY), service_out;
    vsched_server_id server = server_of(director, KEY, FIRST), server_out;
    vsched_flow flow = flow_of(1), flow_out;
    vsched_pick pick = pick_of(worker, service, 1), pick_out;
    vsched_lease lease = lease_of(worker, server), lease_out;
    vsched_config *config_out;
    vsched_director *director_out;
    vsched_worker *worker_out;
    vsched_settings settings;
    memset(&settings, 0, sizeof settings);
    settings.struct_size = sizeof settings;
    vsched_limits limits;
    memset(&limits, 0, sizeof limits);
    limits.struct_size = sizeof limits;
    uint64_t memory_out;
    uint32_t number_out;
    vsched_hold hold_out;
    POISONED(memory_out), POISONED(number_out), POISONED(hold_out);
    vsched_service described;
    memset(&described, 0, sizeof described);
    described.struct_size = sizeof described;
    described.key = text("tcp 10.1.0.9:80");
    vsched_server real;
    memset(&real, 0, sizeof real);
    real.struct_size = sizeof real;
    real.address = text("10.9.0.9:80");
    vsched_applied applied;
    memset(&applied, POISON, sizeof applied);
    applied.struct_size = sizeof applied;
    vsched_health health;
    memset(&health, POISON, sizeof health);
    health.struct_size = sizeof health;
    vsched_counts counts_out;
    vsched_server_state server_state_out;
    vsched_service_state named;
    must(vsched_config_services(config, &named, sizeof named, 1, NULL), "services");
    vsched_server_state states[3];
    must(vsched_config_servers(config, KEY, strlen(KEY), states, sizeof *states, 3, NULL), "servers");
    size_t size_out;
    char chars[64];
    unsigned char address[28];
    struct sockaddr *socket_address = (struct sockaddr *)(void *)address;
    char *before = rules_of(config);

    POISONED(config_out), POISONED(director_out), POISONED(worker_out), POISONED(service_out);
    POISONED(server_out), POISONED(flow_out), POISONED(pick_out), POISONED(lease_out);
    POISONED(server_state_out), POISONED(counts_out), POISONED(size_out), POISONED(chars), POISONED(address);

    const row of_config[] = {
        ROW(vsched_config_new(NULL)),
        ROW(vsched_config_clone(NULL, &config_out)),
        ROW(vsched_config_clone(config, NULL)),
        ROW(vsched_config_read_rules(NULL, "", 0)),
        ROW(vsched_config_read_rules(config, NULL, 1)),
        ROW(vsched_config_execute(NULL, "", 0)),
        ROW(vsched_config_execute(config, NULL, 1)),
        ROW(vsched_config_read_json(NULL, "{}", 2)),
        ROW(vsched_config_read_json(config, NULL, 1)),
        ROW(vsched_config_write_rules(NULL, VSCHED_RULES_SAVE, chars, sizeof chars, &size_out)),
        ROW(vsched_config_write_rules(config, VSCHED_RULES_SAVE, NULL, 1, &size_out)),
        ROW(vsched_config_write_json(NULL, chars, sizeof chars, &size_out)),
        ROW(vsched_config_write_json(config, NULL, 1, &size_out)),
        ROW(vsched_config_validate(NULL)),
        ROW(vsched_config_memory(NULL, &memory_out)),
        ROW(vsched_config_memory(config, NULL)),
        ROW(vsched_config_set_settings(NULL, &settings)),
        ROW(vsched_config_set_settings(config, NULL)),
        ROW(vsched_config_settings(NULL, &settings)),
        ROW(vsched_config_settings(config, NULL)),
        ROW(vsched_config_error(NULL, chars, sizeof chars, &size_out)),
        ROW(vsched_config_error(config, NULL, 1, &size_out)),
        ROW(vsched_config_add_service(NULL, &described)),
        ROW(vsched_config_add_service(config, NULL)),
        ROW(vsched_config_edit_service(NULL, &described)),
        ROW(vsched_config_edit_service(config, NULL)),
        ROW(vsched_config_delete_service(NULL, KEY_N)),
        ROW(vsched_config_delete_service(config, NULL, 1)),
        ROW(vsched_config_clear(NULL)),
        ROW(vsched_config_add_server(NULL, KEY_N, &real)),
        ROW(vsched_config_add_server(config, NULL, 1, &real)),
        ROW(vsched_config_add_server(config, KEY_N, NULL)),
        ROW(vsched_config_edit_server(NULL, KEY_N, &real)),
        ROW(vsched_config_edit_server(config, NULL, 1, &real)),
        ROW(vsched_config_edit_server(config, KEY_N, NULL)),
        ROW(vsched_config_delete_server(NULL, KEY_N, FIRST_N)),
        ROW(vsched_config_delete_server(config, NULL, 1, FIRST_N)),
        ROW(vsched_config_delete_server(config, KEY_N, NULL, 1)),
        ROW(vsched_config_services(NULL, NULL, sizeof(vsched_service_state), 0, &size_out)),
        ROW(vsched_config_services(config, NULL, sizeof(vsched_service_state), 1, &size_out)),
        ROW(vsched_config_servers(NULL, KEY_N, NULL, sizeof(vsched_server_state), 0, &size_out)),
        ROW(vsched_config_servers(config, NULL, 1, NULL, sizeof(vsched_server_state), 0,
                                  &size_out)),
        ROW(vsched_config_servers(config, KEY_N, NULL, sizeof(vsched_server_state), 1, &size_out)),
        ROW(vsched_service_from_state(NULL, sizeof named, &described)),
        ROW(vsched_service_from_state(&named, sizeof named, NULL)),
        ROW(vsched_server_from_state(NULL, sizeof *states, &real)),
        ROW(vsched_server_from_state(states, sizeof *states, NULL)),
        ROW(vsched_config_requirements(NULL, NULL, 0, chars, sizeof chars, &size_out)),
        ROW(vsched_config_requirements(config, NULL, 1, chars, sizeof chars, &size_out)),
        ROW(vsched_config_requirements(config, NULL, 0, NULL, 1, &size_out)),
        ROW(vsched_config_check_local(NULL, NULL, 0, chars, sizeof chars, &size_out)),
        ROW(vsched_config_check_local(config, NULL, 1, chars, sizeof chars, &size_out)),
        ROW(vsched_config_check_local(config, NULL, 0, NULL, 1, &size_out)),
    };
    ALL_NULL(of_config);
    char *after = rules_of(config);
    TEXT_IS(after, before);

    const row of_director[] = {
        ROW(vsched_director_new(NULL, &director_out)),
        ROW(vsched_director_new(config, NULL)),
        ROW(vsched_director_new_with_limits(NULL, &limits, &director_out)),
        ROW(vsched_director_new_with_limits(config, NULL, &director_out)),
        ROW(vsched_director_new_with_limits(config, &limits, NULL)),
        ROW(vsched_director_apply(NULL, config, &applied)),
        ROW(vsched_director_apply(director, NULL, &applied)),
        ROW(vsched_director_apply_with(NULL, config, NULL, &applied)),
        ROW(vsched_director_apply_with(director, NULL, NULL, &applied)),
        ROW(vsched_director_tick(NULL, 1)),
        ROW(vsched_director_service(NULL, KEY_N, &service_out)),
        ROW(vsched_director_service(director, NULL, 1, &service_out)),
        ROW(vsched_director_service(director, KEY_N, NULL)),
        ROW(vsched_director_service_for(NULL, &flow, &service_out)),
        ROW(vsched_director_service_for(director, NULL, &service_out)),
        ROW(vsched_director_service_for(director, &flow, NULL)),
        ROW(vsched_director_server(NULL, KEY_N, FIRST_N, &server_out)),
        ROW(vsched_director_server(director, NULL, 1, FIRST_N, &server_out)),
        ROW(vsched_director_server(director, KEY_N, NULL, 1, &server_out)),
        ROW(vsched_director_server(director, KEY_N, FIRST_N, NULL)),
        ROW(vsched_director_pick_server(NULL, service, &flow, &pick_out)),
        ROW(vsched_director_pick_server(director, service, NULL, &pick_out)),
        ROW(vsched_director_pick_server(director, service, &flow, NULL)),
        ROW(vsched_director_config(NULL, &config_out)),
        ROW(vsched_director_config(director, NULL)),
        ROW(vsched_director_error(NULL, chars, sizeof chars, &size_out)),
        ROW(vsched_director_error(director, NULL, 1, &size_out)),
        ROW(vsched_director_execute(NULL, "-C", 2, &applied)),
        ROW(vsched_director_execute(director, NULL, 1, &applied)),
        ROW(vsched_director_replay(NULL, "-C", 2, &size_out)),
        ROW(vsched_director_add_service(NULL, &described, &applied)),
        ROW(vsched_director_add_service(director, NULL, &applied)),
        ROW(vsched_director_edit_service(NULL, &described, &applied)),
        ROW(vsched_director_edit_service(director, NULL, &applied)),
        ROW(vsched_director_delete_service(NULL, KEY_N, &applied)),
        ROW(vsched_director_delete_service(director, NULL, 1, &applied)),
        ROW(vsched_director_add_server(NULL, KEY_N, &real, &applied)),
        ROW(vsched_director_add_server(director, NULL, 1, &real, &applied)),
        ROW(vsched_director_add_server(director, KEY_N, NULL, &applied)),
        ROW(vsched_director_edit_server(NULL, KEY_N, &real, &applied)),
        ROW(vsched_director_edit_server(director, NULL, 1, &real, &applied)),
        ROW(vsched_director_edit_server(director, KEY_N, NULL, &applied)),
        ROW(vsched_director_delete_server(NULL, KEY_N, FIRST_N, &applied)),
        ROW(vsched_director_delete_server(director, NULL, 1, FIRST_N, &applied)),
        ROW(vsched_director_delete_server(director, KEY_N, NULL, 1, &applied)),
        ROW(vsched_director_services(NULL, NULL, sizeof(vsched_service_state), 0, &size_out)),
        ROW(vsched_director_services(director, NULL, sizeof(vsched_service_state), 1, &size_out)),
        ROW(vsched_director_servers(NULL, service, NULL, sizeof(vsched_server_state), 0,
                                    &size_out)),
        ROW(vsched_director_servers(director, service, NULL, sizeof(vsched_server_state), 1,
                                    &size_out)),
        ROW(vsched_director_server_state(NULL, server, &server_state_out,
                                         sizeof server_state_out)),
        ROW(vsched_director_server_state(director, server, NULL, sizeof server_state_out)),
        ROW(vsched_director_counts(NULL, server, &counts_out)),
        ROW(vsched_director_counts(director, server, NULL)),
        ROW(vsched_director_removed_with_connections(NULL, NULL, sizeof(vsched_removed_server), 0,
                                                     &size_out)),
        ROW(vsched_director_removed_with_connections(director, NULL,
                                                     sizeof(vsched_removed_server), 1, &size_out)),
        ROW(vsched_director_removed_servers(NULL, &size_out)),
        ROW(vsched_director_removed_servers(director, NULL)),
        ROW(vsched_director_set_counts(NULL, server, 0, 0, &counts_out)),
        ROW(vsched_director_set_state(NULL, server, 0, 0, NULL, 0, &number_out)),
        ROW(vsched_director_set_state(director, server, 0, 0, NULL, 1, &number_out)),
        ROW(vsched_director_state(NULL, server, &number_out)),
        ROW(vsched_director_state(director, server, NULL)),
        ROW(vsched_director_holds(NULL, server, &hold_out, sizeof hold_out, 1, &size_out)),
        ROW(vsched_director_holds(director, server, NULL, sizeof hold_out, 1, &size_out)),
        ROW(vsched_director_set_weight(NULL, server, 1, &applied)),
        ROW(vsched_director_explain(NULL, service, &flow, chars, sizeof chars, &size_out)),
        ROW(vsched_director_explain(director, service, NULL, chars, sizeof chars, &size_out)),
        ROW(vsched_director_explain(director, service, &flow, NULL, 1, NULL)),
        ROW(vsched_director_metrics(NULL, 0, chars, sizeof chars, &size_out)),
        ROW(vsched_director_metrics(director, 0, NULL, 1, &size_out)),
        ROW(vsched_director_set_phase(NULL, 1)),
        ROW(vsched_director_forget_removed(NULL, &size_out)),
        ROW(vsched_director_list(NULL, VSCHED_LIST_PLAIN, 0, NULL, 0, chars, sizeof chars,
                                 &size_out)),
        ROW(vsched_director_list(director, VSCHED_LIST_PLAIN, 0, NULL, 1, chars, sizeof chars,
                                 &size_out)),
        ROW(vsched_director_list(director, VSCHED_LIST_PLAIN, 0, NULL, 0, NULL, 1, &size_out)),
    };
    ALL_NULL(of_director);

    const row of_worker[] = {
        ROW(vsched_worker_new(NULL, &worker_out)),
        ROW(vsched_worker_new(director, NULL)),
        ROW(vsched_worker_new_with_phase(NULL, 1, &worker_out)),
        ROW(vsched_worker_new_with_phase(director, 1, NULL)),
        ROW(vsched_worker_service_for(NULL, &flow, &service_out)),
        ROW(vsched_worker_service_for(worker, NULL, &service_out)),
        ROW(vsched_worker_service_for(worker, &flow, NULL)),
        ROW(vsched_worker_pick_server(NULL, service, &flow, &pick_out)),
        ROW(vsched_worker_pick_server(worker, service, NULL, &pick_out)),
        ROW(vsched_worker_pick_server(worker, service, &flow, NULL)),
        ROW(vsched_worker_pick_server_excluding(NULL, service, &flow, &server, 1, &pick_out)),
        ROW(vsched_worker_pick_server_excluding(worker, service, NULL, &server, 1, &pick_out)),
        ROW(vsched_worker_pick_server_excluding(worker, service, &flow, NULL, 1, &pick_out)),
        ROW(vsched_worker_pick_server_excluding(worker, service, &flow, &server, 1, NULL)),
        ROW(vsched_worker_connect(NULL, service, &flow, NULL, 0, &pick_out, &lease_out)),
        ROW(vsched_worker_connect(worker, service, NULL, NULL, 0, &pick_out, &lease_out)),
        ROW(vsched_worker_connect(worker, service, &flow, NULL, 1, &pick_out, &lease_out)),
        ROW(vsched_worker_connect(worker, service, &flow, NULL, 0, NULL, &lease_out)),
        ROW(vsched_worker_connect(worker, service, &flow, NULL, 0, &pick_out, NULL)),
        ROW(vsched_worker_open(NULL, server, VSCHED_ACTIVE, &lease_out)),
        ROW(vsched_worker_open(worker, server, VSCHED_ACTIVE, NULL)),
        ROW(vsched_worker_open_pick(NULL, &pick, VSCHED_ACTIVE, &lease_out)),
        ROW(vsched_worker_open_pick(worker, NULL, VSCHED_ACTIVE, &lease_out)),
        ROW(vsched_worker_open_pick(worker, &pick, VSCHED_ACTIVE, NULL)),
        ROW(vsched_worker_update(NULL, &lease, VSCHED_INACTIVE)),
        ROW(vsched_worker_update(worker, NULL, VSCHED_INACTIVE)),
        ROW(vsched_worker_close(NULL, &lease)),
        ROW(vsched_worker_close(worker, NULL)),
        ROW(vsched_worker_close_with(NULL, &lease, VSCHED_OUTCOME_DONE, 1)),
        ROW(vsched_worker_close_with(worker, NULL, VSCHED_OUTCOME_DONE, 1)),
        ROW(vsched_worker_report(NULL, server, VSCHED_OUTCOME_DONE, 1)),
        ROW(vsched_director_health(NULL, server, &health)),
        ROW(vsched_director_health(director, server, NULL)),
        ROW(vsched_flow_from_sockaddr(6, NULL, 16, socket_address, 16, &flow_out)),
        ROW(vsched_pick_sockaddr(NULL, socket_address, sizeof address, &size_out)),
        ROW(vsched_pick_sockaddr(&pick, NULL, sizeof address, &size_out)),
        ROW(vsched_pick_sockaddr(&pick, socket_address, sizeof address, NULL)),
        ROW(vsched_service_sockaddr(NULL, socket_address, sizeof address, &size_out)),
        ROW(vsched_service_sockaddr(&named, NULL, sizeof address, &size_out)),
        ROW(vsched_service_sockaddr(&named, socket_address, sizeof address, NULL)),
        ROW(vsched_pick_text(NULL, chars, sizeof chars, &size_out)),
        ROW(vsched_pick_text(&pick, NULL, 1, &size_out)),
    };
    ALL_NULL(of_worker);

    vsched_block *block, *block_out;
    OK(vsched_block_new(&block));
    vsched_block_limits room;
    memset(&room, 0, sizeof room);
    room.struct_size = sizeof room;
    room.servers = room.services = 1;
    POISONED(block_out);
    row of_block[] = {
        ROW(vsched_block_new(NULL)),
        ROW(vsched_block_size(NULL, &room, &size_out)),
        ROW(vsched_block_size(block, NULL, &size_out)),
        ROW(vsched_block_size(block, &room, NULL)),
        ROW(vsched_block_anonymous(NULL, &room)),
        ROW(vsched_block_anonymous(block, NULL)),
        ROW(vsched_block_named(NULL, "x", 1, &room)),
        ROW(vsched_block_named(block, NULL, 1, &room)),
        ROW(vsched_block_named(block, "x", 1, NULL)),
        ROW(vsched_block_format(NULL, chars, sizeof chars, &room)),
        ROW(vsched_block_format(block, NULL, sizeof chars, &room)),
        ROW(vsched_block_format(block, chars, sizeof chars, NULL)),
        ROW(vsched_block_attach(NULL, chars, sizeof chars)),
        ROW(vsched_block_attach(block, NULL, sizeof chars)),
        ROW(vsched_block_format_or_attach(NULL, chars, sizeof chars, &room)),
        ROW(vsched_block_format_or_attach(block, NULL, sizeof chars, &room)),
        ROW(vsched_block_format_or_attach(block, chars, sizeof chars, NULL)),
        ROW(vsched_block_reclaim_process(NULL, 1, &number_out)),
        ROW(vsched_block_reclaim_process(block, 1, NULL)),
        ROW(vsched_block_reclaim_dead(NULL, &number_out)),
        ROW(vsched_block_reclaim_dead(block, NULL)),
        ROW(vsched_director_new_in_block(NULL, block, &director_out)),
        ROW(vsched_director_new_in_block(config, NULL, &director_out)),
        ROW(vsched_director_new_in_block(config, block, NULL)),
        ROW(vsched_block_error(NULL, chars, sizeof chars, &size_out)),
        ROW(vsched_block_error(block, NULL, 1, &size_out)),
    };
    ALL_NULL(of_block);
    UNTOUCHED(block_out);
    vsched_block_free(block);

    UNTOUCHED(config_out), UNTOUCHED(director_out), UNTOUCHED(worker_out), UNTOUCHED(service_out);
    UNTOUCHED(server_out), UNTOUCHED(flow_out), UNTOUCHED(pick_out), UNTOUCHED(lease_out);
    UNTOUCHED(counts_out), UNTOUCHED(chars), UNTOUCHED(address), UNTOUCHED(size_out);
    CHECK(vsched_worker_refusal(NULL) == 0);
    UNTOUCHED(memory_out), UNTOUCHED(number_out), UNTOUCHED(hold_out);
    CHECK(applied.struct_size == sizeof applied);
    CHECK(untouched(&applied.added, sizeof applied - sizeof applied.struct_size));
    CHECK(untouched(&health.state, sizeof health - sizeof health.struct_size));

    /* A good client address, so that the destination is looked at. */
    size_t length;
    OK(vsched_pick_sockaddr(&pick, socket_address, sizeof address, &length));
    IS(vsched_flow_from_sockaddr(6, socket_address, length, NULL, 16, &flow_out), VSCHED_E_NULL);
    IS(vsched_flow_from_sockaddr(6, socket_address, length, socket_address, length, NULL),
       VSCHED_E_NULL);
    UNTOUCHED(flow_out);

    /* Nothing above has counted anything. */
    CHECK(counted(director, FIRST) == 1000);
    OK(vsched_worker_close(worker, &lease));

    /* Where the header allows NULL. */
    OK(vsched_config_read_rules(config, NULL, 0));
    OK(vsched_config_execute(config, NULL, 0));
    IS(vsched_config_read_json(config, NULL, 0), VSCHED_E_PARSE);
    IS(vsched_config_write_rules(config, VSCHED_RULES_SAVE, NULL, 0, NULL), VSCHED_E_BUFFER);
    OK(vsched_config_write_rules(config, VSCHED_RULES_SAVE, chars, sizeof chars, NULL));
    OK(vsched_config_error(config, chars, sizeof chars, NULL));
    OK(vsched_director_error(director, chars, sizeof chars, NULL));
    IS(vsched_director_services(director, NULL, sizeof(vsched_service_state), 0, NULL),
       VSCHED_E_BUFFER);
    OK(vsched_director_apply(director, config, NULL));
    vsched_config_free(NULL);
    vsched_director_free(NULL);
    vsched_worker_free(NULL);

    free(before);
    free(after);
    vsched_worker_free(worker);
    vsched_director_free(director);
    vsched_config_free(config);
    return DONE();
}
