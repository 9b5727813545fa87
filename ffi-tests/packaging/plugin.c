/* A plugin, as a proxy loads it. It exports these two functions and nothing else. */
#include "use.h"

int plugin_use(void) { return use_vsched(); }
const char *plugin_version(void) { return vsched_version(); }
