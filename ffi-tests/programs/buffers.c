/* Texts and arrays that come out: the size first, one too small, exact, larger. */
#include "../check.h"

static vsched_config *config;
static vsched_director *director;
static vsched_pick pick;

typedef vsched_status (*writer)(char *, size_t, size_t *);

static vsched_status save(char *to, size_t size, size_t *length) {
    return vsched_config_write_rules(config, VSCHED_RULES_SAVE, to, size, length);
}
static vsched_status complete(char *to, size_t size, size_t *length) {
    return vsched_config_write_rules(config, VSCHED_RULES_COMPLETE, to, size, length);
}
static vsched_status json(char *to, size_t size, size_t *length) {
    return vsched_config_write_json(config, to, size, length);
}
static vsched_status requirements(char *to, size_t size, size_t *length) {
    return vsched_config_requirements(config, "director", 8, to, size, length);
}
static vsched_status checked(char *to, size_t size, size_t *length) {
    return vsched_config_check_local(config, "director", 8, to, size, length);
}
static vsched_status of_config(char *to, size_t size, size_t *length) {
    return vsched_config_error(config, to, size, length);
}
static vsched_status of_director(char *to, size_t size, size_t *length) {
    return vsched_director_error(director, to, size, length);
}
static vsched_status list(char *to, size_t size, size_t *length) {
    return vsched_director_list(director, VSCHED_LIST_PLAIN, 0, NULL, 0, to, size, length);
}
static vsched_status of_pick(char *to, size_t size, size_t *length) {
    return vsched_pick_text(&pick, to, size, length);
}

static void text_in(writer write) {
    size_t length;
    POISONED(length);
    IS(write(NULL, 0, &length), VSCHED_E_BUFFER);
    CHECK(length > 0 && length < 10000);
    char *buffer = (char *)malloc(length + 9);
    memset(buffer, POISON, length + 9);
    size_t again = 0;
    IS(write(buffer, length, &again), VSCHED_E_BUFFER);
    CHECK(again == length);
    IS(write(buffer, 1, NULL), VSCHED_E_BUFFER);
    IS(write(buffer, 0, NULL), VSCHED_E_BUFFER);
    CHECK(untouched(buffer, length + 9));
    again = 0;
    OK(write(buffer, length + 1, &again));
    CHECK(again == length && strlen(buffer) == length);
    CHECK(untouched(buffer + length + 1, 8));
    memset(buffer, POISON, length + 9);
    OK(write(buffer, length + 9, NULL));
    CHECK(strlen(buffer) == length && untouched(buffer + length + 1, 8));
    free(buffer);
}

int main(void) {
    config = config_of(RULES("rr") "-A -f 7 -s lc\n");
    must(vsched_director_new(config, &director), "director");
    vsched_worker *worker = worker_of(director);
    vsched_service_id service = service_of(director, KEY);
    pick = pick_of(worker, service, 1);

    /* No failure yet: an empty text, which needs one byte. */
    size_t length = 1;
    char one[2];
    POISONED(one);
    IS(vsched_config_error(config, NULL, 0, &length), VSCHED_E_BUFFER);
    CHECK(length == 0);
    OK(vsched_config_error(config, one, 1, NULL));
    CHECK(one[0] == 0 && untouched(one + 1, 1));
    POISONED(one);
    OK(vsched_director_error(director, one, 1, &length));
    CHECK(one[0] == 0 && length == 0 && untouched(one + 1, 1));

    IS(vsched_config_read_rules(config, "-Q", 2), VSCHED_E_PARSE);
    IS(vsched_director_execute(director, "-Q", 2, NULL), VSCHED_E_PARSE);
    text_in(save);
    text_in(complete);
    text_in(json);
    text_in(requirements);
    text_in(checked);
    text_in(of_config);
    text_in(of_director);
    text_in(list);
    text_in(of_pick);

    size_t count;
    vsched_service_state services[3];
    POISONED(services), POISONED(count);
    IS(vsched_director_services(director, NULL, sizeof *services, 0, &count), VSCHED_E_BUFFER);
    CHECK(count == 2);
    IS(vsched_director_services(director, services, sizeof *services, 1, &count), VSCHED_E_BUFFER);
    UNTOUCHED(services);
    count = 0;
    OK(vsched_director_services(director, services, sizeof *services, 2, &count));
    CHECK(count == 2 && untouched(&services[2], sizeof *services));
    OK(vsched_director_services(director, services, sizeof *services, 3, NULL));

    POISONED(services), POISONED(count);
    IS(vsched_config_services(config, NULL, sizeof *services, 0, &count), VSCHED_E_BUFFER);
    CHECK(count == 2);
    IS(vsched_config_services(config, services, sizeof *services, 1, &count), VSCHED_E_BUFFER);
    UNTOUCHED(services);
    OK(vsched_config_services(config, services, sizeof *services, 2, NULL));
    CHECK(untouched(&services[2], sizeof *services));

    vsched_server_state servers[4];
    POISONED(servers), POISONED(count);
    IS(vsched_config_servers(config, KEY, strlen(KEY), servers, sizeof *servers, 2, &count),
       VSCHED_E_BUFFER);
    CHECK(count == 3);
    UNTOUCHED(servers);
    POISONED(count);
    IS(vsched_director_servers(director, service, NULL, sizeof *servers, 0, &count),
       VSCHED_E_BUFFER);
    CHECK(count == 3);
    IS(vsched_director_servers(director, service, servers, sizeof *servers, 2, &count),
       VSCHED_E_BUFFER);
    UNTOUCHED(servers);
    OK(vsched_director_servers(director, service, servers, sizeof *servers, 3, &count));
    CHECK(count == 3 && untouched(&servers[3], sizeof *servers));

    /* An empty array needs no room. */
    vsched_service_id marked = service_of(director, "fwmark 7");
    POISONED(count);
    OK(vsched_director_servers(director, marked, NULL, sizeof *servers, 0, &count));
    CHECK(count == 0);

    unsigned char address[29];
    struct sockaddr *to = (struct sockaddr *)(void *)address;
    POISONED(address), POISONED(length);
    IS(vsched_pick_sockaddr(&pick, to, 0, &length), VSCHED_E_BUFFER);
    CHECK(length == 16);
    length = 0;
    IS(vsched_pick_sockaddr(&pick, to, 15, &length), VSCHED_E_BUFFER);
    CHECK(length == 16);
    UNTOUCHED(address);
    OK(vsched_pick_sockaddr(&pick, to, 16, &length));
    CHECK(length == 16 && untouched(address + 16, 13));
    POISONED(address), POISONED(length);
    IS(vsched_service_sockaddr(&services[0], to, 15, &length), VSCHED_E_BUFFER);
    CHECK(length == 16);
    UNTOUCHED(address);
    OK(vsched_service_sockaddr(&services[0], to, 16, &length));
    CHECK(untouched(address + 16, 13));

    vsched_worker_free(worker);
    vsched_director_free(director);
    vsched_config_free(config);
    return DONE();
}
