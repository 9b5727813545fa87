/* What an apply may take away: the policy, its errors, and what is told of what has gone. */
#include "../check.h"

#define OTHER "-A -u 10.1.0.3:53\n-a -u 10.1.0.3:53 -r 10.9.0.4 -m\n"

/* A policy as a newer library has it. */
typedef struct {
    vsched_apply_policy today;
    unsigned char tomorrow[8];
} vsched_apply_policy_2;

static vsched_apply_policy policy_of(uint32_t may_close_services, uint32_t most_deleted) {
    vsched_apply_policy policy;
    policy.struct_size = sizeof policy;
    policy.may_close_services = may_close_services;
    policy.most_deleted = most_deleted;
    return policy;
}

static vsched_status reload(const vsched_director *director, const char *rules,
                            const vsched_apply_policy *policy, vsched_applied *applied) {
    vsched_config *config = config_of(rules);
    vsched_status status = vsched_director_apply_with(director, config, policy, applied);
    vsched_config_free(config);
    return status;
}

static void runs(const vsched_director *director, const char *expected) {
    vsched_config *running;
    OK(vsched_director_config(director, &running));
    char *rules = rules_of(running);
    TEXT_IS(rules, expected);
    free(rules);
    vsched_config_free(running);
}

static void refusals(void) {
    char why[512];
    vsched_director *director = director_of(RULES("rr") OTHER);
    vsched_applied applied;
    POISONED(applied);
    applied.struct_size = sizeof applied;
    vsched_config *running;
    OK(vsched_director_config(director, &running));
    char *before = rules_of(running);
    vsched_config_free(running);
    const vsched_apply_policy zeros = policy_of(0, 0), none = policy_of(1, VSCHED_DELETE_NONE),
                              most = policy_of(0, 75), all = policy_of(0, 100);

    /* Without a policy, and with zeros, it is the default one. */
    IS(reload(director, "", NULL, &applied), VSCHED_E_GUARDRAILS);
    IS(reload(director, "", &zeros, &applied), VSCHED_E_GUARDRAILS);
    TEXT_IS(director_error(director, why, sizeof why),
            "4 of 4 servers (100 %) would be removed, at most 50 % may be; most_deleted 100 would "
            "allow it: service tcp 10.1.0.1:80 as a whole: 10.9.0.1:80, 10.9.0.2:80, 10.9.0.3:80; "
            "service udp 10.1.0.3:53 as a whole: 10.9.0.4:53");
    IS(reload(director, OTHER, NULL, &applied), VSCHED_E_GUARDRAILS);
    IS(reload(director, RULES("rr"), &none, &applied), VSCHED_E_GUARDRAILS);
    HAS(director_error(director, why, sizeof why), "at most 0 % may be");
    IS(reload(director, RULES("rr") "-A -u 10.1.0.3:53\n", NULL, &applied), VSCHED_E_GUARDRAILS);
    TEXT_IS(director_error(director, why, sizeof why),
            "service udp 10.1.0.3:53: has eligible servers and would have none; "
            "may_close_services would allow it");
    CHECK(untouched(&applied.added, sizeof applied - sizeof applied.struct_size));
    runs(director, before);

    /* A policy that is none. */
    static const uint32_t wrong[] = {101, 1000, 0x80000000u, VSCHED_DELETE_NONE - 1};
    for (size_t at = 0; at < sizeof wrong / sizeof *wrong; at++) {
        vsched_apply_policy bad = policy_of(0, wrong[at]);
        IS(reload(director, RULES("rr") OTHER, &bad, &applied), VSCHED_E_ARGUMENT);
        HAS(director_error(director, why, sizeof why), "most_deleted");
    }
    vsched_apply_policy_2 newer;
    memset(&newer, 0, sizeof newer);
    newer.today = policy_of(1, 100);
    static const uint32_t sizes[] = {0, 4, 11, 4097, 0xffffffffu};
    for (size_t at = 0; at < sizeof sizes / sizeof *sizes; at++) {
        newer.today.struct_size = sizes[at];
        IS(reload(director, "", &newer.today, &applied), VSCHED_E_STRUCT_SIZE);
    }
    newer.today.struct_size = sizeof newer;
    newer.tomorrow[7] = 1;
    IS(reload(director, "", &newer.today, &applied), VSCHED_E_STRUCT_SIZE);
    CHECK(untouched(&applied.added, sizeof applied - sizeof applied.struct_size));
    runs(director, before);

    /* What a policy allows is done. A removed service counts, and each of its servers. */
    OK(reload(director, RULES("rr"), &most, &applied));
    CHECK(applied.removed == 2 && applied.added == 0);
    OK(reload(director, RULES("rr") OTHER, NULL, &applied));
    CHECK(applied.removed == 0 && applied.added == 2);
    OK(reload(director, OTHER, &most, &applied));
    CHECK(applied.removed == 4);
    newer.tomorrow[7] = 0;
    OK(reload(director, RULES("rr") "-A -u 10.1.0.3:53\n", &newer.today, NULL));
    OK(reload(director, "", &all, &applied));
    CHECK(applied.removed == 5);
    runs(director, "");
    OK(reload(director, RULES("rr"), &zeros, &applied));
    CHECK(applied.added == 4);
    vsched_config *empty = config_of("");
    OK(vsched_director_apply(director, empty, &applied));
    CHECK(applied.removed == 4);
    vsched_config_free(empty);
    free(before);
    vsched_director_free(director);
}

static void gone(void) {
    vsched_director *director = director_of(RULES("rr") OTHER);
    vsched_worker *worker = worker_of(director);
    vsched_removed_server removed[2];
    size_t count;
    vsched_lease lease = lease_of(worker, server_of(director, KEY, SECOND));
    vsched_lease other = lease_of(worker, server_of(director, "udp 10.1.0.3:53", "10.9.0.4:53"));
    OK(vsched_worker_update(worker, &other, VSCHED_INACTIVE));
    OK(vsched_director_removed_with_connections(director, NULL, sizeof *removed, 0, &count));
    CHECK(count == 0);
    (void)pick_of(worker, service_of(director, KEY), 1);
    OK(vsched_director_execute(director, "-C", 2, NULL));
    /* The worker has not let go of the former config: all four hold a slot. Two have connections. */
    OK(vsched_director_removed_servers(director, &count));
    CHECK(count == 4);
    POISONED(removed);
    IS(vsched_director_removed_with_connections(director, removed, sizeof *removed, 1, &count),
       VSCHED_E_BUFFER);
    CHECK(count == 2);
    IS(vsched_director_removed_with_connections(director, removed, sizeof *removed - 1, 2, &count),
       VSCHED_E_STRUCT_SIZE);
    UNTOUCHED(removed);
    OK(vsched_director_removed_with_connections(director, removed, sizeof *removed, 2, &count));
    CHECK(count == 2);
    TEXT_IS(removed[0].service, KEY);
    TEXT_IS(removed[0].address_text, SECOND);
    CHECK(removed[0].active == 1 && removed[0].inactive == 0);
    CHECK(memcmp(&removed[0].id, &lease.server, sizeof lease.server) == 0);
    TEXT_IS(removed[1].service, "udp 10.1.0.3:53");
    TEXT_IS(removed[1].address_text, "10.9.0.4:53");
    CHECK(removed[1].active == 0 && removed[1].inactive == 1);
    OK(vsched_worker_close(worker, &lease));
    OK(vsched_worker_close(worker, &other));
    OK(vsched_director_removed_with_connections(director, removed, sizeof *removed, 2, &count));
    CHECK(count == 0);
    vsched_worker_free(worker);
    vsched_director_free(director);
}

int main(void) {
    refusals();
    gone();
    return DONE();
}
