/* Loads two plugins with RTLD_GLOBAL and says whose vsched each calls: mixed A.so B.so.
 *
 * The text that vsched_version returns lies in the object that it comes from. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
    void *plugins[2];
    if (argc != 3) return 2;
    for (int n = 0; n < 2; n++) {
        plugins[n] = dlopen(argv[n + 1], RTLD_NOW | RTLD_GLOBAL);
        if (!plugins[n]) return fprintf(stderr, "%s\n", dlerror()), 2;
    }
    for (int n = 0; n < 2; n++) {
        const char *(*version)(void) = (const char *(*)(void))dlsym(plugins[n], "plugin_version");
        int (*use)(void) = (int (*)(void))dlsym(plugins[n], "plugin_use");
        Dl_info owner;
        if (!version || !use || use() != 0 || !dladdr(version(), &owner)) return 2;
        puts(strcmp(owner.dli_fname, argv[n + 1]) == 0 ? "own" : "other");
    }
    return 0;
}
