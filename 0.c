#include <vsched.h>
int main(void) { return vsched_abi_version() == VSCHED_ABI_VERSION ? 0 : 1; }
