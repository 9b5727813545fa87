/* Calls on configs. */
#ifndef HOSTILE_CONFIGS_H
#define HOSTILE_CONFIGS_H

#include "things.h"

static void keep_config(vsched_config *config) {
    size_t at = below(COUNT(configs));
    vsched_config_free(configs[at]);
    configs[at] = config;
}

static void config_new(void) {
    vsched_config **to = (vsched_config **)room(sizeof *to);
    if (gave(vsched_config_new(to), to, sizeof *to)) keep_config(*to);
}

static void config_clone(void) {
    vsched_config **to = (vsched_config **)room(sizeof *to);
    if (gave(vsched_config_clone(a_config(), to), to, sizeof *to)) keep_config(*to);
}

static void config_free(void) {
    size_t at = below(COUNT(configs) + 1);
    vsched_config_free(at < COUNT(configs) ? configs[at] : NULL);
    if (at < COUNT(configs)) configs[at] = NULL;
}

static void config_read_rules(void) {
    vsched_text text = SOME_TEXT(RULES);
    known(vsched_config_read_rules(a_config(), text.data, text.length));
}

static void config_execute(void) {
    vsched_text text = SOME_TEXT(COMMANDS);
    known(vsched_config_execute(a_config(), text.data, text.length));
}

static void config_read_json(void) {
    vsched_text text = SOME_TEXT(JSON);
    known(vsched_config_read_json(a_config(), text.data, text.length));
}

static void config_write_rules(void) {
    struct out out = some_out();
    text_given(vsched_config_write_rules(a_config(), below(3), out.buffer, out.capacity, out.length),
               out);
}

static void config_write_json(void) {
    struct out out = some_out();
    text_given(vsched_config_write_json(a_config(), out.buffer, out.capacity, out.length), out);
}

static void config_memory(void) {
    uint64_t *to = (uint64_t *)room(sizeof *to);
    gave(vsched_config_memory(a_config(), to), to, sizeof *to);
}

static void config_validate(void) { known(vsched_config_validate(a_config())); }

static void config_set_settings(void) {
    known(vsched_config_set_settings(a_config(), a_settings_struct()));
}

static void config_settings(void) {
    known(vsched_config_settings(a_config(), a_settings_struct()));
}

static void config_error(void) {
    struct out out = some_out();
    text_given(vsched_config_error(a_config(), out.buffer, out.capacity, out.length), out);
}

static void config_add_service(void) {
    known(vsched_config_add_service(a_config(), a_service_struct()));
}

static void config_edit_service(void) {
    known(vsched_config_edit_service(a_config(), a_service_struct()));
}

static void config_delete_service(void) {
    vsched_text key = a_key();
    known(vsched_config_delete_service(a_config(), key.data, key.length));
}

static void config_clear(void) { known(vsched_config_clear(a_config())); }

static void config_add_server(void) {
    vsched_text key = a_key();
    known(vsched_config_add_server(a_config(), key.data, key.length, a_server_struct()));
}

static void config_edit_server(void) {
    vsched_text key = a_key();
    known(vsched_config_edit_server(a_config(), key.data, key.length, a_server_struct()));
}

static void config_delete_server(void) {
    vsched_text key = a_key(), address = an_address();
    known(vsched_config_delete_server(a_config(), key.data, key.length, address.data,
                                      address.length));
}

static void config_requirements(void) {
    vsched_text host = SOME_TEXT(HOSTS);
    struct out out = some_out();
    text_given(vsched_config_requirements(a_config(), host.data, host.length, out.buffer,
                                          out.capacity, out.length),
               out);
}

/* It opens files of the system: seldom. */
static void config_check_local(void) {
    vsched_text host = SOME_TEXT(HOSTS);
    struct out out = some_out();
    if (byte() < 248) return;
    text_given(vsched_config_check_local(a_config(), host.data, host.length, out.buffer, out.capacity,
                                         out.length),
               out);
}

static void config_services(void) {
    struct array array = some_array(sizeof(vsched_service_state));
    vsched_status status =
        vsched_config_services(a_config(), (vsched_service_state *)array.elements,
                               array.element_size, array.capacity, array.count);
    if (array_given(status, array, sizeof(vsched_service_state)) > 0) {
        memcpy(&states[0], array.elements, sizeof states[0]);
    }
}

static void config_servers(void) {
    vsched_text key = a_key();
    struct array array = some_array(sizeof(vsched_server_state));
    vsched_status status = vsched_config_servers(a_config(), key.data, key.length,
                                                 (vsched_server_state *)array.elements,
                                                 array.element_size, array.capacity, array.count);
    array_given(status, array, sizeof(vsched_server_state));
}

#endif
