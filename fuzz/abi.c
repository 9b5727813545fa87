/* Target `abi`, for Rust to call. */
#include <hostile/hostile.h>

void abi_hostile_calls(const uint8_t *bytes, size_t length);

void abi_hostile_calls(const uint8_t *bytes, size_t length) { hostile_calls(bytes, length); }
