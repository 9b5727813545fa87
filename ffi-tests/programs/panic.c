/* A bug in the library, made up by a library that was built for this (vsched_force_panic): every
 * function that can fail answers VSCHED_E_PANIC, writes nothing, and works afterwards. */
#include "../check.h"

#ifdef __cplusplus
extern "C"
#endif
void vsched_force_panic(uint32_t calls);

static unsigned functions;

#define PANICS(call)                     \
    do {                                 \
        vsched_force_panic(1);           \
        IS(call, VSCHED_E_PANIC);        \
        functions++;                     \
    } while (0)

/* Void functions return. */
#define RETURNS(call)          \
    do {                       \
        vsched_force_panic(1); \
        call;                  \
        functions++;           \
    } while (0)

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
    vsched_lease lease = lease_of(worker, server), lease_out, before = lease;
    vsched_config *config_out;
    vsched_director *director_out;
    vsched_worker *worker_out;
    vsched_settings settings;
    memset(&settings, 0, sizeof settings);
    settings.struct_size = sizeof settings;
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
    vsched_removed_server removed;
    vsched_service_state services[2], named;
    must(vsched_config_services(config, &named, sizeof named, 1, NULL), "services");
    vsched_server_state servers[4], known;
    memset(&known, 0, sizeof known);
    vsched_limits limits;
    memset(&limits, 0, sizeof limits);
    limits.struct_size = sizeof limits;
    uint64_t memory_out;
    uint32_t number_out;
    vsched_hold hold;
    POISONED(memory_out), POISONED(number_out), POISONED(hold);
    size_t size_out;
    char chars[512];
    unsigned char address[28];
    struct sockaddr *to = (struct sockaddr *)(void *)address;
    size_t length;
    OK(vsched_pick_sockaddr(&pick, to, sizeof address, &length));
    unsigned char address_out[28];
    POISONED(config_out), POISONED(director_out), POISONED(worker_out), POISONED(service_out);
    POISONED(server_out), POISONED(flow_out), POISONED(pick_out), POISONED(lease_out);
    POISONED(counts_out), POISONED(removed), POISONED(services), POISONED(servers);
    POISONED(size_out);
    POISONED(chars), POISONED(address_out);

    PANICS(vsched_service_from_state(&named, sizeof named, &described));
    PANICS(vsched_server_from_state(&known, sizeof known, &real));
    PANICS(vsched_config_new(&config_out));
    PANICS(vsched_config_clone(config, &config_out));
    PANICS(vsched_config_read_rules(config, "", 0));
    PANICS(vsched_config_execute(config, "-C", 2));
    PANICS(vsched_config_read_json(config, "{}", 2));
    PANICS(vsched_config_write_rules(config, VSCHED_RULES_SAVE, chars, sizeof chars, &size_out));
    PANICS(vsched_config_write_json(config, chars, sizeof chars, &size_out));
    PANICS(vsched_config_validate(config));
    PANICS(vsched_config_memory(config, &memory_out));
    PANICS(vsched_config_set_settings(config, &settings));
    PANICS(vsched_config_settings(config, &settings));
    PANICS(vsched_config_error(config, chars, sizeof chars, &size_out));
    PANICS(vsched_config_add_service(config, &described));
    PANICS(vsched_config_edit_service(config, &described));
    PANICS(vsched_config_delete_service(config, KEY_N));
    PANICS(vsched_config_clear(config));
    PANICS(vsched_config_add_server(config, KEY_N, &real));
    PANICS(vsched_config_edit_server(config, KEY_N, &real));
    PANICS(vsched_config_delete_server(config, KEY_N, FIRST_N));
    PANICS(vsched_config_services(config, services, sizeof *services, 2, &size_out));
    PANICS(vsched_config_servers(config, KEY_N, servers, sizeof *servers, 4, &size_out));
    PANICS(vsched_config_requirements(config, NULL, 0, chars, sizeof chars, &size_out));
    PANICS(vsched_config_check_local(config, NULL, 0, chars, sizeof chars, &size_out));
    PANICS(vsched_director_new(config, &director_out));
    PANICS(vsched_director_new_with_limits(config, &limits, &director_out));
    PANICS(vsched_director_apply(director, config, &applied));
    PANICS(vsched_director_apply_with(director, config, NULL, &applied));
    PANICS(vsched_director_tick(director, 1));
    PANICS(vsched_director_service(director, KEY_N, &service_out));
    PANICS(vsched_director_service_for(director, &flow, &service_out));
    PANICS(vsched_director_server(director, KEY_N, FIRST_N, &server_out));
    PANICS(vsched_director_pick_server(director, service, &flow, &pick_out));
    PANICS(vsched_director_config(director, &config_out));
    PANICS(vsched_director_error(director, chars, sizeof chars, &size_out));
    PANICS(vsched_director_execute(director, "-C", 2, &applied));
    PANICS(vsched_director_replay(director, "-C", 2, &size_out));
    PANICS(vsched_director_add_service(director, &described, &applied));
    PANICS(vsched_director_edit_service(director, &described, &applied));
    PANICS(vsched_director_delete_service(director, KEY_N, &applied));
    PANICS(vsched_director_add_server(director, KEY_N, &real, &applied));
    PANICS(vsched_director_edit_server(director, KEY_N, &real, &applied));
    PANICS(vsched_director_delete_server(director, KEY_N, FIRST_N, &applied));
    PANICS(vsched_director_services(director, services, sizeof *services, 2, &size_out));
    PANICS(vsched_director_servers(director, service, servers, sizeof *servers, 4, &size_out));
    PANICS(vsched_director_server_state(director, server, servers, sizeof *servers));
    PANICS(vsched_director_counts(director, server, &counts_out));
    PANICS(vsched_director_removed_with_connections(director, &removed, sizeof removed, 1,
                                                    &size_out));
    PANICS(vsched_director_removed_servers(director, &size_out));
    PANICS(vsched_director_set_counts(director, server, 0, 0, &counts_out));
    PANICS(vsched_director_set_state(director, server, 0, 0, NULL, 0, &number_out));
    PANICS(vsched_director_state(director, server, &number_out));
    PANICS(vsched_director_holds(director, server, &hold, sizeof hold, 1, &size_out));
    PANICS(vsched_director_set_weight(director, server, 1, NULL));
    PANICS(vsched_director_explain(director, service, &flow, chars, sizeof chars, &size_out));
    PANICS(vsched_director_metrics(director, 0, chars, sizeof chars, &size_out));
    PANICS(vsched_director_set_phase(director, 1));
    PANICS(vsched_director_forget_removed(director, &size_out));
    PANICS(vsched_director_list(director, 0, 0, NULL, 0, chars, sizeof chars, &size_out));
    PANICS(vsched_worker_new(director, &worker_out));
    PANICS(vsched_worker_new_with_phase(director, 1, &worker_out));
    PANICS(vsched_worker_service_for(worker, &flow, &service_out));
    PANICS(vsched_worker_pick_server(worker, service, &flow, &pick_out));
    PANICS(vsched_worker_pick_server_excluding(worker, service, &flow, NULL, 0, &pick_out));
    PANICS(vsched_worker_connect(worker, service, &flow, NULL, 0, &pick_out, &lease_out));
    PANICS(vsched_worker_open(worker, server, VSCHED_ACTIVE, &lease_out));
    PANICS(vsched_worker_open_pick(worker, &pick, VSCHED_ACTIVE, &lease_out));
    PANICS(vsched_worker_update(worker, &lease, VSCHED_INACTIVE));
    PANICS(vsched_worker_close(worker, &lease));
    PANICS(vsched_worker_close_with(worker, &lease, VSCHED_OUTCOME_DONE, 1));
    PANICS(vsched_worker_report(worker, server, VSCHED_OUTCOME_DONE, 1));
    PANICS(vsched_director_health(director, server, &health));
    PANICS(vsched_flow_from_sockaddr(6, to, length, to, length, &flow_out));
    PANICS(vsched_pick_sockaddr(&pick, (struct sockaddr *)(void *)address_out, sizeof address_out,
                                &size_out));
    PANICS(vsched_service_sockaddr(&named, (struct sockaddr *)(void *)address_out,
                                   sizeof address_out, &size_out));
    PANICS(vsched_pick_text(&pick, chars, sizeof chars, &size_out));

    UNTOUCHED(config_out), UNTOUCHED(director_out), UNTOUCHED(worker_out), UNTOUCHED(service_out);
    UNTOUCHED(server_out), UNTOUCHED(flow_out), UNTOUCHED(pick_out), UNTOUCHED(lease_out);
    UNTOUCHED(counts_out), UNTOUCHED(removed), UNTOUCHED(services), UNTOUCHED(servers);
    UNTOUCHED(size_out), UNTOUCHED(memory_out), UNTOUCHED(number_out), UNTOUCHED(hold);
    UNTOUCHED(chars), UNTOUCHED(address_out);
    CHECK(untouched(&applied.added, sizeof applied - sizeof applied.struct_size));
    CHECK(untouched(&health.state, sizeof health - sizeof health.struct_size));
    CHECK(memcmp(&lease, &before, sizeof lease) == 0);

    /* These guard nothing: nothing in them can panic. The forced one waits for the next. */
    vsched_force_panic(1);
    CHECK(vsched_abi_version() == VSCHED_ABI_VERSION && vsched_version() != NULL);
    TEXT_IS(vsched_status_text(VSCHED_E_PANIC), vsched_status_text(VSCHED_E_PANIC));
    CHECK(vsched_scheduler_name(0) != NULL && vsched_scheduler_summary(0) != NULL);
    CHECK(vsched_worker_refusal(worker) == 0 && vsched_refusal_text(0) != NULL);
    IS(vsched_config_clear(config), VSCHED_E_PANIC);

    /* Nothing has changed, and the handles work. */
    char *rules = rules_of(config);
    TEXT_IS(rules, "-A -t 10.1.0.1:80 -s rr\n-a -t 10.1.0.1:80 -r 10.9.0.1:80 -m -w 1\n"
                   "-a -t 10.1.0.1:80 -r 10.9.0.2:80 -m -w 1\n"
                   "-a -t 10.1.0.1:80 -r 10.9.0.3:80 -m -w 1\n");
    free(rules);
    CHECK(counted(director, FIRST) == 1000);
    OK(vsched_worker_close(worker, &lease));
    OK(vsched_director_apply(director, config, NULL));
    OK(vsched_worker_connect(worker, service, &flow, NULL, 0, &pick, &lease));
    OK(vsched_worker_close(worker, &lease));
    vsched_block *block, *block_out;
    POISONED(block_out);
    must(vsched_block_new(&block), "block");
    vsched_block_limits some;
    memset(&some, 0, sizeof some);
    some.struct_size = sizeof some;
    some.servers = some.services = 1;
    PANICS(vsched_block_new(&block_out));
    PANICS(vsched_block_size(block, &some, &size_out));
    PANICS(vsched_block_anonymous(block, &some));
    PANICS(vsched_block_named(block, "x", 1, &some));
    PANICS(vsched_block_format(block, chars, sizeof chars, &some));
    PANICS(vsched_block_attach(block, chars, sizeof chars));
    PANICS(vsched_block_format_or_attach(block, chars, sizeof chars, &some));
    PANICS(vsched_block_reclaim_process(block, 1, &number_out));
    PANICS(vsched_block_reclaim_dead(block, &number_out));
    PANICS(vsched_director_new_in_block(config, block, &director_out));
    PANICS(vsched_block_error(block, chars, sizeof chars, &size_out));
    UNTOUCHED(block_out);
    RETURNS(vsched_block_free(block));
    RETURNS(vsched_worker_free(worker));
    RETURNS(vsched_director_free(director));
    RETURNS(vsched_config_free(config));
    vsched_force_panic(0);
    /* All of the header but the seven that guard nothing. */
    printf("functions %u\n", functions);
    return DONE();
}
