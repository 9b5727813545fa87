#ifndef OTHER_H
#define OTHER_H

#include <vsched.hpp>

std::size_t servers_of(const vsched::director &director, std::string_view key);
vsched::connection passed_on(vsched::connection connection);

#endif
