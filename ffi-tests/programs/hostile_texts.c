/* Whatever goes in, error texts are fit for a terminal and a log: nothing in them that does not show
 * or that moves the cursor, and never much longer than the problem. */
#include "../check.h"

#define LONG_SIZE ((size_t)1 << 20)

/* What an attacker would write, and how it is to be seen. */
typedef struct hostile {
    const char *data;
    size_t length;
    const char *seen;
} hostile;

static char long_text[LONG_SIZE];

static const hostile hostiles[] = {
    {"a\0b", 3, "\\0"},
    {"\x1b[31mred\x07", 9, "\\u{1b}[31mred\\u{7}"},
    {"\xe2\x80\xae" "abc", 6, "\\u{202e}abc"},
    {"a\xe2\x81\xa6" "b", 5, "a\\u{2066}b"},
    {"x\xc2\x9b" "31m", 6, "x\\u{9b}31m"},
    {"a\nerror: b", 10, "a\\nerror: b"},
    {long_text, LONG_SIZE, "...[cut, "},
};

/* A text before and a text behind. */
static char *around(const char *before, const hostile *bad, const char *after, size_t *length) {
    char *whole = (char *)malloc(strlen(before) + bad->length + strlen(after) + 1);
    size_t at = strlen(before);
    memcpy(whole, before, at);
    memcpy(whole + at, bad->data, bad->length);
    at += bad->length;
    memcpy(whole + at, after, strlen(after) + 1);
    *length = at + strlen(after);
    return whole;
}

/* The same as a string of JSON. */
static char *json_around(const char *before, const hostile *bad, const char *after,
                         size_t *length) {
    char *quoted = (char *)malloc(6 * bad->length + 1);
    size_t to = 0;
    for (size_t at = 0; at < bad->length; at++) {
        const unsigned char c = (unsigned char)bad->data[at];
        if (c < 0x20) {
            to += (size_t)sprintf(quoted + to, "\\u%04x", c);
        } else {
            quoted[to++] = (char)c;
        }
    }
    hostile as_json;
    as_json.data = quoted;
    as_json.length = to;
    as_json.seen = bad->seen;
    char *whole = around(before, &as_json, after, length);
    free(quoted);
    return whole;
}

static void said(const char *why, const char *what, const char *seen) {
    if (strlen(why) == 0 || strlen(why) > 1500) {
        failed();
        fprintf(stderr, "%s: %u bytes\n", what, (unsigned)strlen(why));
    }
    for (const char *c = why; *c != 0; c++) {
        if ((unsigned char)*c < 0x20 || (unsigned char)*c > 0x7e) {
            failed();
            fprintf(stderr, "%s: byte %02x in \"%s\"\n", what, (unsigned char)*c, why);
            return;
        }
    }
    has(why, seen, __FILE__, __LINE__, what);
}

static char why[65536];

#define CONFIG_SAYS(call, status)                                     \
    do {                                                              \
        IS(call, status);                                             \
        said(config_error(config, why, sizeof why), #call, bad->seen); \
    } while (0)
#define DIRECTOR_SAYS(call, status)                                       \
    do {                                                                  \
        IS(call, status);                                                 \
        said(director_error(director, why, sizeof why), #call, bad->seen); \
    } while (0)

static void texts(vsched_config *config, vsched_director *director, const hostile *bad) {
    static const char *const rules[][2] = {
        {"", ""},
        {"-C ", ""},
        {"-A -t ", ""},
        {"-A -f 7 -s ", ""},
        {"-a -f 7 -r ", ""},
        {"-A -f 7 --vsched-sharing ", ""},
        {"-A -f 7 --vsched-ties ", ""},
        {"-A -f 7 --vsched-ejection ", ""},
        {"--start-daemon ", ""},
        {"-A -f 7 -s rr -b ", ""},
    };
    /* A line end ends the word: the rest is a line of its own. */
    const int one_line = memchr(bad->data, '\n', bad->length) == NULL;
    size_t length;
    for (size_t at = 0; one_line && at < sizeof rules / sizeof *rules; at++) {
        char *text = around(rules[at][0], bad, rules[at][1], &length);
        CONFIG_SAYS(vsched_config_read_rules(config, text, length), VSCHED_E_PARSE);
        CONFIG_SAYS(vsched_config_execute(config, text, length), VSCHED_E_PARSE);
        DIRECTOR_SAYS(vsched_director_execute(director, text, length, NULL), VSCHED_E_PARSE);
        DIRECTOR_SAYS(vsched_director_replay(director, text, length, NULL), VSCHED_E_PARSE);
        free(text);
    }
    static const char *const json[][2] = {
        {"{\"", "\": 1}"},
        {"\"", "\""},
        {"{\"seed\": \"", "\"}"},
        {"{\"services\": \"", "\"}"},
        {"{\"services\": [{\"key\": \"", "\"}]}"},
        {"{\"services\": [{\"key\": \"fwmark 7\", \"", "\": 1}]}"},
        {"{\"services\": [{\"key\": \"fwmark 7\", \"scheduler\": \"", "\"}]}"},
        {"{\"services\": [{\"key\": \"fwmark 7\", \"sharing\": \"", "\"}]}"},
        {"{\"services\": [{\"key\": \"fwmark 7\", \"servers\": [{\"address\": \"", "\"}]}]}"},
        {"{\"services\": [{\"key\": \"fwmark 7\", \"servers\": [{\"", "\": 1}]}]}"},
        {"{\"daemons\": [{\"role\": \"", "\"}]}"},
    };
    for (size_t at = 0; at < sizeof json / sizeof *json; at++) {
        char *text = json_around(json[at][0], bad, json[at][1], &length);
        CONFIG_SAYS(vsched_config_read_json(config, text, length), VSCHED_E_PARSE);
        HAS(why, " at line 1 column ");
        free(text);
    }
    /* What only validation looks at. */
    char *text = json_around("{\"daemons\": [{\"role\": \"master\", \"interface\": \"", bad,
                             " /\"}]}", &length);
    OK(vsched_config_read_json(config, text, length));
    CONFIG_SAYS(vsched_config_validate(config), VSCHED_E_INVALID);
    free(text);
    text = json_around("{\"services\": [{\"key\": \"fwmark 7\", \"persistence_engine\": \"", bad,
                       " and much more\"}]}", &length);
    OK(vsched_config_read_json(config, text, length));
    CONFIG_SAYS(vsched_config_validate(config), VSCHED_E_INVALID);
    DIRECTOR_SAYS(vsched_director_apply(director, config, NULL), VSCHED_E_INVALID);
    free(text);
}

static void arguments(vsched_config *config, vsched_director *director, const hostile *bad) {
    vsched_text words;
    words.data = bad->data;
    words.length = bad->length;
    vsched_service service;
    memset(&service, 0, sizeof service);
    service.struct_size = sizeof service;
    service.key = words;
    CONFIG_SAYS(vsched_config_add_service(config, &service), VSCHED_E_PARSE);
    DIRECTOR_SAYS(vsched_director_add_service(director, &service, NULL), VSCHED_E_PARSE);
    service.key = text("fwmark 9");
    vsched_text *const fields[] = {&service.scheduler, &service.flags, &service.sharing,
                                   &service.ties, &service.persistence_netmask};
    for (size_t timeout = 0; timeout < 2; timeout++) {
        service.persistence_timeout = (uint32_t)timeout;
        for (size_t at = 0; at < 5; at++) {
            *fields[at] = words;
            CONFIG_SAYS(vsched_config_add_service(config, &service), VSCHED_E_ARGUMENT);
            DIRECTOR_SAYS(vsched_director_edit_service(director, &service, NULL),
                          VSCHED_E_ARGUMENT);
            *fields[at] = text("");
        }
    }
    vsched_server server;
    memset(&server, 0, sizeof server);
    server.struct_size = sizeof server;
    server.address = words;
    CONFIG_SAYS(vsched_config_add_server(config, KEY, strlen(KEY), &server), VSCHED_E_PARSE);
    CONFIG_SAYS(vsched_config_delete_server(config, KEY, strlen(KEY), bad->data, bad->length),
                VSCHED_E_PARSE);
    DIRECTOR_SAYS(vsched_director_delete_server(director, KEY, strlen(KEY), bad->data, bad->length,
                                                NULL), VSCHED_E_PARSE);
    CONFIG_SAYS(vsched_config_delete_service(config, bad->data, bad->length), VSCHED_E_PARSE);
    CONFIG_SAYS(vsched_config_requirements(config, bad->data, bad->length, NULL, 0, NULL),
                VSCHED_E_ARGUMENT);
    CONFIG_SAYS(vsched_config_check_local(config, bad->data, bad->length, NULL, 0, NULL),
                VSCHED_E_ARGUMENT);
    vsched_service_id id;
    vsched_server_id server_id;
    DIRECTOR_SAYS(vsched_director_service(director, bad->data, bad->length, &id), VSCHED_E_PARSE);
    DIRECTOR_SAYS(vsched_director_server(director, KEY, strlen(KEY), bad->data, bad->length,
                                         &server_id), VSCHED_E_PARSE);
    DIRECTOR_SAYS(vsched_director_list(director, VSCHED_LIST_PLAIN, 0, bad->data, bad->length, NULL,
                                       0, NULL), VSCHED_E_PARSE);
}

int main(void) {
    memset(long_text, 'a', sizeof long_text);
    vsched_config *config = config_of(RULES("rr"));
    vsched_director *director = director_of(RULES("rr"));
    for (size_t at = 0; at < sizeof hostiles / sizeof *hostiles; at++) {
        texts(config, director, &hostiles[at]);
        arguments(config, director, &hostiles[at]);
    }
    vsched_director_free(director);
    vsched_config_free(config);

    /* Many problems are counted. */
    size_t size = 0;
    char *json = (char *)malloc(64 * 20000 + 200);
    size += (size_t)sprintf(json, "{\"services\": [{\"key\": \"fwmark 7\", \"servers\": [");
    for (unsigned n = 0; n < 20000; n++) {
        size += (size_t)sprintf(json + size, "%s{\"address\": \"10.%u.%u.%u:80\", \"weight\": "
                                             "4294967295}", n == 0 ? "" : ",", 1 + n / 65536,
                                n / 256 % 256, n % 256);
    }
    size += (size_t)sprintf(json + size, "]}]}");
    OK(vsched_config_new(&config));
    OK(vsched_config_read_json(config, json, size));
    IS(vsched_config_validate(config), VSCHED_E_INVALID);
    size_t length;
    OK(vsched_config_error(config, why, sizeof why, &length));
    CHECK(length < 10000);
    HAS(why, "service fwmark 7: server 10.1.0.0:80: weight: "), HAS(why, "\nand 19900 more");
    vsched_config_free(config);
    free(json);
    return DONE();
}
