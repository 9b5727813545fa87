/* Hostile calls whose bytes are drawn: [SEQUENCES [SEED]]. The same sequences in every run. */
#include "../hostile/hostile.h"

static uint64_t state;

static uint64_t draw(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * 0x2545F4914F6CDD1Du;
}

int main(int count, char **arguments) {
    unsigned long sequences = count > 1 ? strtoul(arguments[1], NULL, 10) : 20000;
    uint64_t seed = count > 2 ? strtoull(arguments[2], NULL, 10) : 1;
    static uint8_t bytes[2048];
    for (unsigned long at = 0; at < sequences; at++) {
        state = (seed << 32) + at + 1;
        for (int warm = 0; warm < 8; warm++) draw();
        size_t length = draw() % sizeof bytes;
        for (size_t byte = 0; byte < length; byte++) bytes[byte] = (uint8_t)(draw() >> 56);
        hostile_calls(bytes, length);
    }
    return 0;
}
