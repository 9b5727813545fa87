/* Checks and helpers of the test programs: C99, C11 and C++17. */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vsched.h>

static unsigned failures;

#define CHECK(condition) check(!!(condition), __FILE__, __LINE__, #condition)
#define IS(call, status) is((call), (status), __FILE__, __LINE__, #call)
#define OK(call) IS(call, VSCHED_OK)
#define TEXT_IS(text, expected) text_is((text), (expected), __FILE__, __LINE__, #text)
#define HAS(text, part) has((text), (part), __FILE__, __LINE__, #text)
#define DONE() (failures ? 1 : 0)

/* A broken loop need not fill the log. */
static inline void failed(void) {
    if (++failures > 20) exit(1);
}

static inline void check(int holds, const char *file, int line, const char *what) {
    if (!holds) {
        failed();
        fprintf(stderr, "%s:%d: failed: %s\n", file, line, what);
    }
}

static inline void is(vsched_status got, vsched_status expected, const char *file, int line,
                      const char *what) {
    if (got != expected) {
        failed();
        fprintf(stderr, "%s:%d: %s: answered %u (%s), expected %u (%s)\n", file, line, what,
                (unsigned)got, vsched_status_text(got), (unsigned)expected,
                vsched_status_text(expected));
    }
}

static inline void text_is(const char *got, const char *expected, const char *file, int line,
                           const char *what) {
    if (got == NULL || strcmp(got, expected) != 0) {
        failed();
        fprintf(stderr, "%s:%d: %s: is \"%s\", expected \"%s\"\n", file, line, what,
                got ? got : "NULL", expected);
    }
}

static inline void has(const char *got, const char *part, const char *file, int line,
                       const char *what) {
    if (strstr(got, part) == NULL) {
        failed();
        fprintf(stderr, "%s:%d: %s: \"%s\" does not say \"%s\"\n", file, line, what, got, part);
    }
}

/* What an output holds before a call that must not touch it. */
#define POISON 0xA5

#define POISONED(object) memset(&(object), POISON, sizeof(object))
#define UNTOUCHED(object) CHECK(untouched(&(object), sizeof(object)))

static inline int untouched(const void *object, size_t size) {
    const unsigned char *bytes = (const unsigned char *)object;
    for (size_t at = 0; at < size; at++) {
        if (bytes[at] != POISON) return 0;
    }
    return 1;
}

static inline int all_zero(const void *object, size_t size) {
    const unsigned char *bytes = (const unsigned char *)object;
    for (size_t at = 0; at < size; at++) {
        if (bytes[at] != 0) return 0;
    }
    return 1;
}

/* A failure here makes the rest of a program meaningless. */
static inline void must(vsched_status status, const char *what) {
    if (status != VSCHED_OK) {
        fprintf(stderr, "%s: %s\n", what, vsched_status_text(status));
        exit(1);
    }
}

static inline vsched_text text(const char *chars) {
    vsched_text text;
    text.data = chars;
    text.length = strlen(chars);
    return text;
}

#define KEY "tcp 10.1.0.1:80"
#define FIRST "10.9.0.1:80"
#define SECOND "10.9.0.2:80"
#define THIRD "10.9.0.3:80"
/* One service, three servers of equal weight. */
#define RULES(scheduler)                         \
    "-A -t 10.1.0.1:80 -s " scheduler            \
    "\n"                                         \
    "-a -t 10.1.0.1:80 -r 10.9.0.1 -m -w 1\n"    \
    "-a -t 10.1.0.1:80 -r 10.9.0.2 -m -w 1\n"    \
    "-a -t 10.1.0.1:80 -r 10.9.0.3 -m -w 1\n"

static inline vsched_config *config_of(const char *rules) {
    vsched_config *config;
    must(vsched_config_new(&config), "config");
    vsched_status status = vsched_config_read_rules(config, rules, strlen(rules));
    if (status != VSCHED_OK) {
        char why[512];
        (void)vsched_config_error(config, why, sizeof why, NULL);
        fprintf(stderr, "%s\n", why);
    }
    must(status, rules);
    return config;
}

static inline vsched_director *director_of(const char *rules) {
    vsched_config *config = config_of(rules);
    vsched_director *director;
    must(vsched_director_new(config, &director), "director");
    vsched_config_free(config);
    return director;
}

static inline vsched_worker *worker_of(const vsched_director *director) {
    vsched_worker *worker;
    must(vsched_worker_new(director, &worker), "worker");
    return worker;
}

static inline void execute(const vsched_director *director, const char *command) {
    must(vsched_director_execute(director, command, strlen(command), NULL), command);
}

/* Reloads. */
static inline void apply(const vsched_director *director, const char *rules) {
    vsched_config *config = config_of(rules);
    must(vsched_director_apply(director, config, NULL), "apply");
    vsched_config_free(config);
}

static inline vsched_service_id service_of(const vsched_director *director, const char *key) {
    vsched_service_id service;
    must(vsched_director_service(director, key, strlen(key), &service), key);
    return service;
}

static inline vsched_server_id server_of(const vsched_director *director, const char *key,
                                         const char *address) {
    vsched_server_id server;
    must(vsched_director_server(director, key, strlen(key), address, strlen(address), &server),
         address);
    return server;
}

static inline vsched_counts counts_of(const vsched_director *director, vsched_server_id server) {
    vsched_counts counts;
    must(vsched_director_counts(director, server, &counts), "counts");
    return counts;
}

/* Active and inactive connections of a server of KEY, as active * 1000 + inactive. */
static inline unsigned counted(const vsched_director *director, const char *address) {
    vsched_counts counts = counts_of(director, server_of(director, KEY, address));
    return counts.active * 1000 + counts.inactive;
}

static inline int same(vsched_server_id one, vsched_server_id other) {
    return one.slot == other.slot && one.generation == other.generation;
}

/* TCP from 172.16.x.y:40000 to 10.1.0.1:80. */
static inline vsched_flow flow_of(unsigned client) {
    vsched_flow flow;
    memset(&flow, 0, sizeof flow);
    flow.client[0] = 172;
    flow.client[1] = 16;
    flow.client[2] = (uint8_t)(client >> 8);
    flow.client[3] = (uint8_t)client;
    flow.client_port = 40000;
    flow.destination[0] = 10;
    flow.destination[1] = 1;
    flow.destination[3] = 1;
    flow.destination_port = 80;
    flow.family = 4;
    flow.protocol = 6;
    return flow;
}

static inline vsched_pick pick_of(vsched_worker *worker, vsched_service_id service,
                                  unsigned client) {
    vsched_flow flow = flow_of(client);
    vsched_pick pick;
    must(vsched_worker_pick_server(worker, service, &flow, &pick), "pick");
    return pick;
}

static inline vsched_lease lease_of(vsched_worker *worker, vsched_server_id server) {
    vsched_lease lease;
    must(vsched_worker_open(worker, server, VSCHED_ACTIVE, &lease), "open");
    return lease;
}

static inline const char *config_error(const vsched_config *config, char *buffer, size_t size) {
    must(vsched_config_error(config, buffer, size, NULL), "config's error text");
    return buffer;
}

static inline const char *director_error(const vsched_director *director, char *buffer,
                                         size_t size) {
    must(vsched_director_error(director, buffer, size, NULL), "director's error text");
    return buffer;
}

/* The rules of a config as a text of your own to free. */
static inline char *rules_of(const vsched_config *config) {
    size_t length;
    (void)!vsched_config_write_rules(config, VSCHED_RULES_COMPLETE, NULL, 0, &length);
    char *buffer = (char *)malloc(length + 1);
    must(vsched_config_write_rules(config, VSCHED_RULES_COMPLETE, buffer, length + 1, NULL),
         "rules");
    return buffer;
}

#endif
