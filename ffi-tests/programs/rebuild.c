/* Random configs, each rebuilt by calls from what was read of it: every setting has its field. */
#include "../check.h"

enum { SERVICES = 8, SERVERS = 8, LINE = 1 << 16 };

static char *json_of(const vsched_config *config) {
    size_t length = 0;
    (void)!vsched_config_write_json(config, NULL, 0, &length);
    char *text = (char *)malloc(length + 1);
    must(vsched_config_write_json(config, text, length + 1, NULL), "json");
    return text;
}

static void add_servers(const vsched_config *from, vsched_config *to,
                        const vsched_service_state *service) {
    vsched_server_state servers[SERVERS];
    size_t count;
    const char *key = service->key;
    /* By its name, if it has one. */
    const char *named = service->name[0] != 0 ? service->name : key;
    must(vsched_config_servers(from, named, strlen(named), servers, sizeof *servers, SERVERS, &count),
         "servers");
    for (size_t at = count; at-- > 0;) {
        vsched_server server;
        memset(&server, 0, sizeof server);
        server.struct_size = sizeof server;
        OK(vsched_server_from_state(&servers[at], sizeof *servers, &server));
        OK(vsched_config_add_server(to, key, strlen(key), &server));
    }
}

static void rebuild(const char *json) {
    vsched_config *from, *to;
    vsched_service_state services[SERVICES];
    vsched_settings settings;
    size_t count;
    must(vsched_config_new(&from), "config");
    must(vsched_config_new(&to), "config");
    must(vsched_config_read_json(from, json, strlen(json)), json);
    memset(&settings, 0, sizeof settings);
    settings.struct_size = sizeof settings;
    OK(vsched_config_settings(from, &settings));
    OK(vsched_config_set_settings(to, &settings));
    must(vsched_config_services(from, services, sizeof *services, SERVICES, &count), "services");
    for (size_t at = 0; at < count; at++) {
        vsched_service service;
        memset(&service, 0, sizeof service);
        service.struct_size = sizeof service;
        OK(vsched_service_from_state(&services[at], sizeof *services, &service));
        OK(vsched_config_add_service(to, &service));
        add_servers(from, to, &services[at]);
    }
    char *before = json_of(from), *after = json_of(to);
    TEXT_IS(after, before);
    free(before);
    free(after);
    vsched_config_free(from);
    vsched_config_free(to);
}

int main(int argc, char **argv) {
    static char line[LINE];
    size_t lines = 0;
    const char *path = argc > 1 ? argv[1] : "ffi-tests/configs.jsonl";
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        perror(path);
        return 1;
    }
    while (fgets(line, sizeof line, file) != NULL) {
        CHECK(strchr(line, '\n') != NULL);
        rebuild(line);
        lines++;
    }
    CHECK(lines == 100);
    fclose(file);
    return DONE();
}
