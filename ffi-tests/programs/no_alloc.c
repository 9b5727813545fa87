/* The hot path neither allocates nor frees: this program's malloc and free, which the library uses
 * as well, count. For every scheduler, with persistence, on a fresh thread, across reloads that
 * another thread made before. */
#include <errno.h>
#include <pthread.h>

#include "../check.h"

#ifdef __cplusplus
extern "C" {
#endif
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *memory);
#ifdef __cplusplus
}
#define NOEXCEPT noexcept
#else
#define NOEXCEPT
#endif

static __thread unsigned long calls;

void *malloc(size_t size) NOEXCEPT {
    calls++;
    return __libc_malloc(size);
}
void *calloc(size_t count, size_t size) NOEXCEPT {
    calls++;
    return __libc_calloc(count, size);
}
void *realloc(void *memory, size_t size) NOEXCEPT {
    calls++;
    return __libc_realloc(memory, size);
}
void free(void *memory) NOEXCEPT {
    calls++;
    __libc_free(memory);
}
void *aligned_alloc(size_t alignment, size_t size) NOEXCEPT {
    calls++;
    return __libc_memalign(alignment, size);
}
int posix_memalign(void **memory, size_t alignment, size_t size) NOEXCEPT {
    calls++;
    *memory = __libc_memalign(alignment, size);
    return *memory == NULL ? ENOMEM : 0;
}

static vsched_director *director;
static vsched_worker *worker;
static unsigned done;

static void hot(unsigned client) {
    vsched_flow flow = flow_of(client);
    vsched_service_id service;
    vsched_pick pick, other;
    vsched_lease lease;
    OK(vsched_worker_service_for(worker, &flow, &service));
    flow.destination[3] = (uint8_t)client;
    if (vsched_worker_pick_server(worker, service, &flow, &pick) == VSCHED_OK) {
        OK(vsched_worker_pick_server_excluding(worker, service, &flow, &pick.server, 1, &other));
        OK(vsched_worker_open_pick(worker, &pick, VSCHED_ACTIVE, &lease));
        OK(vsched_worker_update(worker, &lease, VSCHED_INACTIVE));
        OK(vsched_worker_close(worker, &lease));
        IS(vsched_worker_close(worker, &lease), VSCHED_STALE);
        OK(vsched_worker_open(worker, other.server, VSCHED_INACTIVE, &lease));
        OK(vsched_worker_close_with(worker, &lease, 1 + client % 3, client));
        OK(vsched_worker_report(worker, other.server, 1 + client % 3, client));
        done++;
    }
    if (vsched_worker_connect(worker, service, &flow, NULL, 0, &pick, &lease) == VSCHED_OK) {
        OK(vsched_worker_close(worker, &lease));
        unsigned char address[28];
        struct sockaddr *to = (struct sockaddr *)(void *)address;
        size_t length;
        OK(vsched_pick_sockaddr(&pick, to, sizeof address, &length));
        OK(vsched_flow_from_sockaddr(6, to, length, to, length, &flow));
    }
    service.generation++;
    IS(vsched_worker_pick_server(worker, service, &flow, &pick), VSCHED_NO_SERVICE);
}

static void *on_a_fresh_thread(void *counted) {
    unsigned long before = calls;
    for (unsigned client = 0; client < 2000; client++) hot(client);
    *(unsigned long *)counted = calls - before;
    return NULL;
}

static unsigned long counted_hot(void) {
    unsigned long counted = 1;
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, on_a_fresh_thread, &counted) == 0);
    pthread_join(thread, NULL);
    return counted;
}

static void *reload(void *rules) {
    apply(director, (const char *)rules);
    return NULL;
}

static void one(const char *scheduler, const char *options) {
    char first[512], second[512];
    const char *format = "-A -t 10.1.0.1:80 -s %s%s\n-a -t 10.1.0.1:80 -r 10.9.0.1 -m -w 3\n"
                         "-a -t 10.1.0.1:80 -r 10.9.0.2 -m -w 2\n%s"
                         "-a -t 10.1.0.1:80 -r 10.9.0.4 -m -w 0\n";
    snprintf(first, sizeof first, format, scheduler, options, "");
    snprintf(second, sizeof second, format, scheduler, options,
             "-a -t 10.1.0.1:80 -r 10.9.0.3 -m -w 7\n");
    director = director_of(first);
    worker = worker_of(director);
    for (unsigned turn = 0; turn < 3; turn++) {
        done = 0;
        unsigned long counted = counted_hot();
        if (counted != 0) {
            fprintf(stderr, "%s%s, turn %u: %lu calls\n", scheduler, options, turn, counted);
            failures++;
        }
        CHECK(done > 0);
        pthread_t thread;
        void *rules = turn & 1 ? first : second;
        CHECK(pthread_create(&thread, NULL, reload, rules) == 0);
        pthread_join(thread, NULL);
    }
    vsched_worker_free(worker);
    vsched_director_free(director);
}

int main(void) {
    uint32_t index;
    for (index = 0; vsched_scheduler_name(index) != NULL; index++) {
        one(vsched_scheduler_name(index), "");
        one(vsched_scheduler_name(index), " -p 60");
    }
    CHECK(index >= 14);

    /* It would be seen: reloads allocate and free in the library, not in this program. */
    director = director_of(RULES("rr"));
    vsched_config *config = config_of(RULES("wrr"));
    unsigned long before = calls;
    OK(vsched_director_apply(director, config, NULL));
    CHECK(calls > before);
    before = calls;
    vsched_config_free(config);
    CHECK(calls > before);
    vsched_director_free(director);
    return DONE();
}
