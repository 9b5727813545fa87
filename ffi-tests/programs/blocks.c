/* Directors of several processes on one block: they pick as one, and what a process held that ended
 * without leaving is given back. */
#include "../check.h"

#ifdef __unix__
#include <sys/wait.h>
#include <unistd.h>

static char why[512];

static void block_says(const vsched_block *block, const char *part) {
    OK(vsched_block_error(block, why, sizeof why, NULL));
    HAS(why, part);
}

static vsched_block_limits room(void) {
    vsched_block_limits limits;
    memset(&limits, 0, sizeof limits);
    limits.struct_size = sizeof limits;
    limits.servers = 100;
    limits.services = 4;
    limits.owners = 4;
    return limits;
}

static vsched_director *director_in(const vsched_block *block, const char *rules) {
    vsched_config *config = config_of(rules);
    vsched_director *director;
    must(vsched_director_new_in_block(config, block, &director), "director in a block");
    vsched_config_free(config);
    return director;
}

/* Opens so many connections in a process of its own, which ends without leaving. */
static pid_t child_opens(const vsched_block *block, int count) {
    pid_t child = fork();
    if (child != 0) return child;
    vsched_director *director = director_in(block, RULES("rr"));
    vsched_worker *worker = worker_of(director);
    vsched_service_id service = service_of(director, KEY);
    vsched_flow flow = flow_of(1);
    for (int at = 0; at < count; at++) {
        vsched_pick pick;
        vsched_lease lease;
        must(vsched_worker_connect(worker, service, &flow, NULL, 0, &pick, &lease), "connect");
    }
    /* Another program in its place: nothing here is left in order, and a checker of leaks has no say. */
    if (!failures) execlp("true", "true", (char *)NULL);
    _exit(1);
}

static void processes_pick_as_one(void) {
    vsched_block *block;
    OK(vsched_block_new(&block));
    vsched_block_limits limits = room();
    OK(vsched_block_anonymous(block, &limits));
    IS(vsched_block_anonymous(block, &limits), VSCHED_E_REFUSED);
    block_says(block, "has a block already");
    vsched_director *director = director_in(block, RULES("rr"));
    vsched_worker *worker = worker_of(director);
    vsched_service_id service = service_of(director, KEY);
    vsched_pick first = pick_of(worker, service, 1);
    /* Four turns of three servers: the next one is that after the next. */
    pid_t child = child_opens(block, 4);
    int status;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    unsigned open = counted(director, FIRST) + counted(director, SECOND) + counted(director, THIRD);
    CHECK(open == 4000);
    vsched_pick sixth = pick_of(worker, service, 1), seventh = pick_of(worker, service, 1);
    CHECK(!same(first.server, sixth.server) && same(first.server, seventh.server));
    uint32_t left = 9;
#ifdef __linux__
    OK(vsched_block_reclaim_dead(block, &left));
#else
    OK(vsched_block_reclaim_process(block, (uint32_t)child, &left));
#endif
    CHECK(left == 0);
    OK(vsched_block_reclaim_process(block, (uint32_t)child, &left));
    CHECK(left == 0);
    open = counted(director, FIRST) + counted(director, SECOND) + counted(director, THIRD);
    CHECK(open == 0);
    /* What a director leaves open is given back when it is freed. */
    vsched_director *other = director_in(block, RULES("rr"));
    vsched_worker *others = worker_of(other);
    vsched_flow flow = flow_of(1);
    vsched_pick pick;
    vsched_lease lease;
    OK(vsched_worker_connect(others, service, &flow, NULL, 0, &pick, &lease));
    CHECK(counts_of(director, pick.server).active == 1);
    IS(vsched_worker_close(worker, &lease), VSCHED_STALE);
    vsched_block_free(block);
    vsched_worker_free(others);
    vsched_director_free(other);
    CHECK(counts_of(director, pick.server).active == 0);
    vsched_worker_free(worker);
    vsched_director_free(director);
}

/* A client that one director knows is sent to the same server by another. */
static void clients_are_known_to_all(void) {
    vsched_block *block;
    OK(vsched_block_new(&block));
    vsched_block_limits limits = room();
    limits.addresses = 65536;
    OK(vsched_block_anonymous(block, &limits));
    vsched_director *directors[2];
    vsched_worker *workers[2];
    for (size_t n = 0; n < 2; n++) {
        directors[n] = director_in(block, RULES("rr -p 60"));
        workers[n] = worker_of(directors[n]);
    }
    vsched_service_id service = service_of(directors[0], KEY);
    for (unsigned client = 0; client < 20; client++) {
        vsched_pick first = pick_of(workers[client % 2], service, client);
        for (size_t n = 0; n < 2; n++) {
            CHECK(same(pick_of(workers[n], service, client).server, first.server));
        }
    }
    for (size_t n = 0; n < 2; n++) {
        vsched_worker_free(workers[n]);
        vsched_director_free(directors[n]);
    }
    vsched_block_free(block);
}

static void memory_of_the_caller(void) {
    vsched_block *one, *two;
    OK(vsched_block_new(&one));
    OK(vsched_block_new(&two));
    vsched_block_limits limits = room();
    size_t size = 0;
    OK(vsched_block_size(one, &limits, &size));
    CHECK(size > 192 * 100 && size < 192 * 400 + 64 * 1024);
    char *memory = (char *)calloc(1, size + 8);
    CHECK(memory != NULL);
    IS(vsched_block_attach(one, memory, size), VSCHED_E_BLOCK);
    block_says(one, "not formatted");
    IS(vsched_block_format(one, memory, size - 1, &limits), VSCHED_E_LENGTH);
    block_says(one, "are needed");
    IS(vsched_block_format(one, memory + 1, size, &limits), VSCHED_E_BLOCK);
    block_says(one, "multiple of");
    OK(vsched_block_format_or_attach(one, memory, size, &limits));
    OK(vsched_block_attach(two, memory, size));
    vsched_director *director = director_in(one, RULES("lc")), *other = director_in(two, RULES("lc"));
    CHECK(same(server_of(director, KEY, FIRST), server_of(other, KEY, FIRST)));
    vsched_director_free(director);
    vsched_director_free(other);
    vsched_block_free(two);
    limits.owners = 5;
    OK(vsched_block_new(&two));
    IS(vsched_block_format_or_attach(two, memory, size + 8, &limits), VSCHED_E_LENGTH);
    limits.owners = 3;
    IS(vsched_block_format_or_attach(two, memory, size, &limits), VSCHED_E_BLOCK);
    block_says(two, "other limits");
    memset(memory, 0xff, 128);
    IS(vsched_block_attach(two, memory, size), VSCHED_E_BLOCK);
    vsched_block_free(one);
    vsched_block_free(two);
    free(memory);
}

static void what_cannot_be(void) {
    vsched_block *block;
    OK(vsched_block_new(&block));
    vsched_config *config = config_of(RULES("rr"));
    vsched_director *director;
    POISONED(director);
    IS(vsched_director_new_in_block(config, block, &director), VSCHED_E_ARGUMENT);
    OK(vsched_config_error(config, why, sizeof why, NULL));
    HAS(why, "no block yet");
    uint32_t left;
    IS(vsched_block_reclaim_process(block, 1, &left), VSCHED_E_ARGUMENT);
    IS(vsched_block_reclaim_dead(block, &left), VSCHED_E_ARGUMENT);
    vsched_block_limits limits = room();
    size_t size;
    limits.owners = 65;
    IS(vsched_block_size(block, &limits, &size), VSCHED_E_ARGUMENT);
    block_says(block, "owners");
    limits = room();
    limits.addresses = (1u << 24) + 1;
    IS(vsched_block_anonymous(block, &limits), VSCHED_E_ARGUMENT);
    block_says(block, "addresses");
    limits = room();
    limits.struct_size = 3;
    IS(vsched_block_anonymous(block, &limits), VSCHED_E_STRUCT_SIZE);
    const char *path = "/nonexistent/block";
    limits = room();
    IS(vsched_block_named(block, path, strlen(path), &limits), VSCHED_E_BLOCK);
    block_says(block, "open");
    OK(vsched_block_anonymous(block, &limits));
    vsched_config *persistent = config_of("-A -t 10.1.0.1:80 -s rr -p 60");
    IS(vsched_director_new_in_block(persistent, block, &director), VSCHED_E_CAPACITY);
    OK(vsched_config_error(persistent, why, sizeof why, NULL));
    HAS(why, "there is room for 0"), HAS(why, KEY);
    UNTOUCHED(director);
    vsched_config_free(persistent);
    vsched_config *chunks = config_of("-A -t 10.1.0.1:80 -s wrr --vsched-sharing chunks-16");
    IS(vsched_director_new_in_block(chunks, block, &director), VSCHED_E_BLOCK);
    OK(vsched_config_error(chunks, why, sizeof why, NULL));
    HAS(why, "`sharing`"), HAS(why, KEY);
    UNTOUCHED(director);
    vsched_config_free(chunks);
    vsched_config_free(config);
    vsched_block_free(block);
    vsched_block_free(NULL);
}

int main(void) {
    processes_pick_as_one();
    clients_are_known_to_all();
    memory_of_the_caller();
    what_cannot_be();
    return DONE();
}
#else
int main(void) { return 0; }
#endif
