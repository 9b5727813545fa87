/* A program that uses the library and prints its version. */
#include "use.h"
#include <stdio.h>

int main(void) {
    int failed = use_vsched();
    if (failed == 0) puts(vsched_version());
    return failed;
}
