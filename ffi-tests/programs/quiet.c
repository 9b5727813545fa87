/* Uses every kind of function between marker system calls, for strace: quiet.sh looks at what lies
 * between them. `quiet nothing` does not use the library. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <sys/syscall.h>
#include <unistd.h>

#include "../check.h"

/* The library registers nothing to run at the exit of a thread or of the process. */
static unsigned registered;

#ifdef __cplusplus
extern "C" {
#endif
int __cxa_thread_atexit_impl(void (*run)(void *), void *object, void *handle);
int __cxa_thread_atexit_impl(void (*run)(void *), void *object, void *handle) {
    (void)run, (void)object, (void)handle;
    registered++;
    return 0;
}
#ifdef __cplusplus
}
#endif

/* Calls that nobody makes: getpriority of a process group of this number. */
static void marker(int number) {
    (void)syscall(SYS_getpriority, 1, 9000 + number);
}

static vsched_director *director;
static vsched_worker *worker;

static void control(void) {
    char chars[4096];
    vsched_config *config = config_of(RULES("wrr") "-A -u [2001:db8::1]:53 -s lblc -p 60\n");
    OK(vsched_config_validate(config));
    OK(vsched_config_write_json(config, chars, sizeof chars, NULL));
    OK(vsched_config_read_json(config, chars, strlen(chars)));
    IS(vsched_config_read_rules(config, "-Q", 2), VSCHED_E_PARSE);
    OK(vsched_config_error(config, chars, sizeof chars, NULL));
    OK(vsched_director_new(config, &director));
    vsched_worker_free(worker_of(director));
    worker = worker_of(director);
    for (unsigned turn = 0; turn < 20; turn++) {
        apply(director, turn & 1 ? RULES("wrr") : RULES("mh"));
        OK(vsched_director_tick(director, turn * 1000));
    }
    IS(vsched_director_execute(director, "-Q", 2, NULL), VSCHED_E_PARSE);
    IS(vsched_director_apply(director, NULL, NULL), VSCHED_E_NULL);
    for (uint32_t view = 0; view < 6; view++) {
        OK(vsched_director_list(director, view, 0, NULL, 0, chars, sizeof chars, NULL));
    }
    size_t removed;
    OK(vsched_director_removed_servers(director, &removed));
    vsched_config_free(config);
}

static void hot(void) {
    for (unsigned client = 0; client < 1000; client++) {
        vsched_flow flow = flow_of(client);
        vsched_service_id service;
        vsched_pick pick;
        vsched_lease lease;
        OK(vsched_worker_service_for(worker, &flow, &service));
        OK(vsched_worker_pick_server(worker, service, &flow, &pick));
        OK(vsched_worker_open_pick(worker, &pick, VSCHED_ACTIVE, &lease));
        OK(vsched_worker_update(worker, &lease, VSCHED_INACTIVE));
        OK(vsched_worker_close(worker, &lease));
        OK(vsched_worker_pick_server_excluding(worker, service, &flow, &pick.server, 1, &pick));
        OK(vsched_worker_open(worker, pick.server, VSCHED_ACTIVE, &lease));
        OK(vsched_worker_close(worker, &lease));
        OK(vsched_worker_connect(worker, service, &flow, NULL, 0, &pick, &lease));
        OK(vsched_worker_close(worker, &lease));
    }
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "nothing") == 0) return 0;
    marker(1);
    control();
    marker(2);
    hot();
    marker(3);
    vsched_worker_free(worker);
    vsched_director_free(director);
    marker(4);
    CHECK(registered == 0);
    return DONE();
}
