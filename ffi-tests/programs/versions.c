/* Numbers and names that need no handle. */
#include "../check.h"

int main(void) {
    CHECK(vsched_abi_version() == VSCHED_ABI_VERSION);
    CHECK(strspn(vsched_version(), "0123456789.") >= 5);
    static const vsched_status statuses[] = {
        VSCHED_OK,        VSCHED_NO_SERVER, VSCHED_NO_SERVICE, VSCHED_STALE,
        VSCHED_FULL,      VSCHED_E_NULL,    VSCHED_E_LENGTH,   VSCHED_E_UTF8,
        VSCHED_E_STRUCT_SIZE, VSCHED_E_ARGUMENT, VSCHED_E_BUFFER, VSCHED_E_PARSE,
        VSCHED_E_INVALID, VSCHED_E_REFUSED, VSCHED_E_CAPACITY, VSCHED_E_GUARDRAILS,
        VSCHED_E_BLOCK,   VSCHED_E_PANIC};
    const size_t known = sizeof statuses / sizeof *statuses;
    const char *unknown = vsched_status_text(4294967295u);
    CHECK(unknown != NULL && *unknown != 0);
    for (size_t one = 0; one < known; one++) {
        const char *meaning = vsched_status_text(statuses[one]);
        CHECK(meaning != NULL && *meaning != 0 && strcmp(meaning, unknown) != 0);
        for (size_t other = 0; other < one; other++) {
            CHECK(strcmp(meaning, vsched_status_text(statuses[other])) != 0);
        }
    }
    unsigned told = 0;
    for (vsched_status any = 0; any < 300; any++) {
        CHECK(vsched_status_text(any) != NULL);
        told += strcmp(vsched_status_text(any), unknown) != 0;
    }
    CHECK(told == known);

    uint32_t index;
    for (index = 0; vsched_scheduler_name(index) != NULL; index++) {
        const char *name = vsched_scheduler_name(index);
        for (uint32_t other = 0; other < index; other++) {
            CHECK(strcmp(name, vsched_scheduler_name(other)) != 0);
        }
        char rules[64];
        snprintf(rules, sizeof rules, "-A -t 10.1.0.1:80 -s %s\n", name);
        vsched_config *config = config_of(rules);
        char *written = rules_of(config);
        HAS(written, strrchr(rules, ' '));
        free(written);
        vsched_config_free(config);
        CHECK(vsched_scheduler_summary(index) != NULL && *vsched_scheduler_summary(index) != 0);
    }
    CHECK(index >= 14);
    CHECK(vsched_scheduler_summary(index) == NULL);
    CHECK(vsched_scheduler_name(4294967295u) == NULL);
    CHECK(vsched_scheduler_summary(4294967295u) == NULL);
    return DONE();
}
