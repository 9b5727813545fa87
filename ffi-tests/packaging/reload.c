/* Loads, uses and closes a plugin again and again: reload PLUGIN.so WHOSE_MAPPINGS ROUNDS.
 *
 * Prints half-way and at the end: mappings of WHOSE_MAPPINGS, bytes of the heap. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int mappings(const char *name) {
    char line[1024];
    int found = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps && fgets(line, sizeof line, maps)) found += strstr(line, name) != NULL;
    fclose(maps);
    return found;
}

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    setvbuf(stdout, NULL, _IONBF, 0);
    for (int round = 1, rounds = atoi(argv[3]); round <= rounds; round++) {
        void *plugin = dlopen(argv[1], RTLD_NOW);
        if (!plugin) return fprintf(stderr, "%s\n", dlerror()), 2;
        int (*use)(void) = (int (*)(void))dlsym(plugin, "plugin_use");
        if (!use || use() != 0 || mappings(argv[2]) == 0) return 2;
        if (dlclose(plugin) != 0) return 2;
        if (round == rounds / 2 || round == rounds) {
            size_t heap = mallinfo2().uordblks;
            printf("%d %zu\n", mappings(argv[2]), heap);
        }
    }
    return 0;
}
