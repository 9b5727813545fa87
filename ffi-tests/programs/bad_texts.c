/* Texts that are too long for any object, or not UTF-8, or empty, where a text goes in. */
#include "../check.h"

#define LONG ((size_t)-1)
#define HALF ((size_t)-1 / 2 + 1)

static const char broken[] = "tcp 10.1.0.1:8\xff";

typedef struct where {
    const char *data;
    size_t length;
    vsched_status status;
} where;

int main(void) {
    vsched_config *config = config_of(RULES("rr"));
    vsched_director *director = director_of(RULES("rr"));
    vsched_service_id service;
    vsched_server_id server;
    vsched_server real;
    vsched_applied applied;
    char chars[8];
    size_t length;
    char why[256];
    POISONED(service), POISONED(server), POISONED(chars), POISONED(length), POISONED(applied);
    applied.struct_size = sizeof applied;
    memset(&real, 0, sizeof real);
    real.struct_size = sizeof real;
    real.address = text("10.9.0.9:80");
    char *before = rules_of(config);

    const where wheres[] = {{broken, LONG, VSCHED_E_LENGTH},
                            {broken, HALF, VSCHED_E_LENGTH},
                            {broken, sizeof broken - 1, VSCHED_E_UTF8},
                            {"tcp \0", 5, VSCHED_E_PARSE},
                            {"not a key", 9, VSCHED_E_PARSE},
                            {"", 0, VSCHED_E_PARSE},
                            {NULL, 0, VSCHED_E_PARSE}};
    for (size_t at = 0; at < sizeof wheres / sizeof *wheres; at++) {
        const char *data = wheres[at].data;
        const size_t size = wheres[at].length;
        const vsched_status status = wheres[at].status;
        vsched_text bad;
        bad.data = data;
        bad.length = size;
        vsched_service described;
        memset(&described, 0, sizeof described);
        described.struct_size = sizeof described;
        described.key = bad;
        vsched_server elsewhere = real;
        elsewhere.address = bad;

        /* An empty rules text is a config without services. */
        if (size > 0) {
            IS(vsched_config_read_rules(config, data, size), status);
            IS(vsched_config_execute(config, data, size), status);
            IS(vsched_director_list(director, VSCHED_LIST_PLAIN, 0, data, size, chars,
                                    sizeof chars, &length), status);
        }
        IS(vsched_config_read_json(config, data, size), status);
        IS(vsched_config_add_service(config, &described), status);
        IS(vsched_config_edit_service(config, &described), status);
        IS(vsched_config_delete_service(config, data, size), status);
        IS(vsched_config_add_server(config, data, size, &real), status);
        IS(vsched_config_edit_server(config, data, size, &real), status);
        IS(vsched_config_delete_server(config, data, size, FIRST, strlen(FIRST)), status);
        IS(vsched_config_add_server(config, KEY, strlen(KEY), &elsewhere), status);
        IS(vsched_config_edit_server(config, KEY, strlen(KEY), &elsewhere), status);
        IS(vsched_config_delete_server(config, KEY, strlen(KEY), data, size), status);
        CHECK(config_error(config, why, sizeof why)[0] != 0);

        IS(vsched_director_service(director, data, size, &service), status);
        IS(vsched_director_server(director, data, size, FIRST, strlen(FIRST), &server), status);
        IS(vsched_director_server(director, KEY, strlen(KEY), data, size, &server), status);
        IS(vsched_director_execute(director, data, size, &applied), status);
        IS(vsched_director_add_service(director, &described, &applied), status);
        IS(vsched_director_edit_service(director, &described, &applied), status);
        IS(vsched_director_delete_service(director, data, size, &applied), status);
        IS(vsched_director_add_server(director, data, size, &real, &applied), status);
        IS(vsched_director_edit_server(director, data, size, &real, &applied), status);
        IS(vsched_director_delete_server(director, data, size, FIRST, strlen(FIRST), &applied),
           status);
        IS(vsched_director_add_server(director, KEY, strlen(KEY), &elsewhere, &applied), status);
        IS(vsched_director_edit_server(director, KEY, strlen(KEY), &elsewhere, &applied), status);
        IS(vsched_director_delete_server(director, KEY, strlen(KEY), data, size, &applied),
           status);
        CHECK(director_error(director, why, sizeof why)[0] != 0);

        /* The other texts of a service; empty ones are the default. */
        vsched_text *others[4] = {&described.scheduler, &described.flags,
                                  &described.persistence_netmask, &described.persistence_engine};
        for (size_t other = 0; other < 4 && status != VSCHED_E_PARSE; other++) {
            memset(&described, 0, sizeof described);
            described.struct_size = sizeof described;
            described.key = text("tcp 10.1.0.9:80");
            described.persistence_timeout = 1;
            *others[other] = bad;
            IS(vsched_config_add_service(config, &described), status);
            IS(vsched_director_add_service(director, &described, &applied), status);
        }
    }
    UNTOUCHED(service), UNTOUCHED(server), UNTOUCHED(chars), UNTOUCHED(length);
    CHECK(untouched(&applied.added, sizeof applied - sizeof applied.struct_size));
    char *after = rules_of(config);
    TEXT_IS(after, before);

    /* Arrays of ids have a length, too. */
    vsched_worker *worker = worker_of(director);
    vsched_service_id running = service_of(director, KEY);
    vsched_server_id tried = server_of(director, KEY, FIRST);
    vsched_flow flow = flow_of(1);
    vsched_pick pick;
    vsched_lease lease;
    POISONED(pick), POISONED(lease);
    static const size_t counts[] = {(size_t)-1, (size_t)-1 / 2, (size_t)-1 / 2 / sizeof tried + 1};
    for (size_t at = 0; at < 3; at++) {
        IS(vsched_worker_pick_server_excluding(worker, running, &flow, &tried, counts[at], &pick),
           VSCHED_E_LENGTH);
        IS(vsched_worker_connect(worker, running, &flow, &tried, counts[at], &pick, &lease),
           VSCHED_E_LENGTH);
    }
    UNTOUCHED(pick), UNTOUCHED(lease);

    free(before);
    free(after);
    vsched_worker_free(worker);
    vsched_director_free(director);
    vsched_config_free(config);
    return DONE();
}
