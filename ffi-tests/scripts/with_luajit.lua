-- with_luajit.lua ROOT LIB: LuaJIT parses include/vsched-ffi.h as it stands and uses the library.
local ffi = require("ffi")
local root, place = ...

local file = assert(io.open(root .. "/include/vsched-ffi.h"))
ffi.cdef(file:read("*a"))
file:close()
local lib = ffi.load(place .. "/libvsched.so")

local function ok(status)
    if status ~= lib.VSCHED_OK then
        error("status " .. status .. ": " .. ffi.string(lib.vsched_status_text(status)), 2)
    end
end

assert(lib.vsched_abi_version() == lib.VSCHED_ABI_VERSION)
assert(lib.VSCHED_NO_SERVER == 1 and lib.VSCHED_E_PANIC == 199)
assert(lib.VSCHED_DELETE_NONE == 2 ^ 32 - 1)
assert(lib.VSCHED_MAX_CONNECTIONS == 33554431)

local rules = "-A -t 192.0.2.1:80 -s rr\n-a -t 192.0.2.1:80 -r 10.0.0.1:8080 -m -w 1\n"
local key = "tcp 192.0.2.1:80"
local config_out = ffi.new("vsched_config *[1]")
ok(lib.vsched_config_new(config_out))
local config = ffi.gc(config_out[0], lib.vsched_config_free)
assert(lib.vsched_config_read_rules(config, "-Z", 2) == lib.VSCHED_E_PARSE)
ok(lib.vsched_config_read_rules(config, rules, #rules))

-- struct_size: a struct that says its size is read, one that does not is refused.
local address = "10.0.0.2:8080"
local server = ffi.new("vsched_server")
server.weight = 1
server.address.data, server.address.length = address, #address
server.forwarding = lib.VSCHED_MASQ
local add = lib.vsched_config_add_server
assert(add(config, key, #key, server) == lib.VSCHED_E_STRUCT_SIZE)
server.struct_size = ffi.sizeof("vsched_server")
ok(add(config, key, #key, server))
assert(add(config, key, #key, server) == lib.VSCHED_E_REFUSED)

-- A sentinel in a struct that says its size.
local director_out = ffi.new("vsched_director *[1]")
ok(lib.vsched_director_new(config, director_out))
local director = ffi.gc(director_out[0], lib.vsched_director_free)
local policy = ffi.new("vsched_apply_policy")
policy.struct_size = ffi.sizeof("vsched_apply_policy")
policy.most_deleted = lib.VSCHED_DELETE_NONE
local applied = ffi.new("vsched_applied")
applied.struct_size = ffi.sizeof("vsched_applied")
local none_out = ffi.new("vsched_config *[1]")
ok(lib.vsched_config_new(none_out))
local none = ffi.gc(none_out[0], lib.vsched_config_free)
local apply = lib.vsched_director_apply_with
assert(apply(director, none, policy, applied) == lib.VSCHED_E_GUARDRAILS)
ok(apply(director, config, policy, applied))
assert(applied.removed == 0 and applied.added == 0)

local worker_out = ffi.new("vsched_worker *[1]")
ok(lib.vsched_worker_new(director, worker_out))
local worker = ffi.gc(worker_out[0], lib.vsched_worker_free)
local service = ffi.new("vsched_service_id")
ok(lib.vsched_director_service(director, key, #key, service))

local flow, pick = ffi.new("vsched_flow"), ffi.new("vsched_pick")
local picked, text = {}, ffi.new("char[?]", lib.VSCHED_KEY_SIZE)
for _ = 1, 4 do
    ok(lib.vsched_worker_pick_server(worker, service, flow, pick))
    ok(lib.vsched_pick_text(pick, text, lib.VSCHED_KEY_SIZE, nil))
    picked[ffi.string(text)] = true
end
assert(picked["10.0.0.1:8080"] and picked["10.0.0.2:8080"])

local lease, counts = ffi.new("vsched_lease"), ffi.new("vsched_counts")
ok(lib.vsched_worker_connect(worker, service, flow, nil, 0, pick, lease))
ok(lib.vsched_director_counts(director, pick.server, counts))
assert(counts.active == 1 and counts.inactive == 0)
ok(lib.vsched_worker_update(worker, lease, lib.VSCHED_INACTIVE))
ok(lib.vsched_director_counts(director, pick.server, counts))
assert(counts.active == 0 and counts.inactive == 1)

local states, count = ffi.new("vsched_server_state[2]"), ffi.new("size_t[1]")
ok(lib.vsched_director_servers(director, service, states, ffi.sizeof("vsched_server_state"), 2, count))
assert(tonumber(count[0]) == 2)
assert(ffi.string(states[0].address_text) == "10.0.0.2:8080" and ffi.string(states[1].address_text) == "10.0.0.1:8080")

ok(lib.vsched_worker_close(worker, lease))
assert(lib.vsched_worker_close(worker, lease) == lib.VSCHED_STALE)

lib.vsched_worker_free(ffi.gc(worker, nil))
lib.vsched_director_free(ffi.gc(director, nil))
lib.vsched_config_free(ffi.gc(none, nil))
lib.vsched_config_free(ffi.gc(config, nil))
print("luajit: used")
