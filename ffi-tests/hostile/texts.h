/* Texts: as an operator writes them, damaged, raw, NULL, and of lengths that nothing can have. */
#ifndef HOSTILE_TEXTS_H
#define HOSTILE_TEXTS_H

#include "bytes.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const char *const KEYS[] = {
    "tcp 10.1.0.1:80", "udp 10.1.0.2:53",    "sctp 10.1.0.1:80",
    "fwmark 7",        "tcp [2001:db8::1]:80", "fwmark 7 inet6",
    "tcp 10.1.0.1:0",  "tcp 10.1.0.1:21",
};

static const char *const ADDRESSES[] = {
    "10.9.0.1:80", "10.9.0.2:80", "10.9.0.3:0", "[2001:db8::9]:80", "10.9.0.4:65535",
};

/* Memories of addresses that a text gives no size have room for 16384, which takes a checker
 * milliseconds to make and free: one text asks for them, the others are for speed. */
static const char *const RULES[] = {
    "-A -t 10.1.0.1:80 -s rr\n-a -t 10.1.0.1:80 -r 10.9.0.1 -m -w 1\n"
    "-a -t 10.1.0.1:80 -r 10.9.0.2 -m -w 3\n-a -t 10.1.0.1:80 -r 10.9.0.4:65535 -m -w 0\n",
    "-A -t 10.1.0.1:80 -s wlc\n-a -t 10.1.0.1:80 -r 10.9.0.1 -m -x 2\n"
    "-A -u 10.1.0.2:53 -s sh -b sh-port -o\n-a -u 10.1.0.2:53 -r 10.9.0.2 -i\n",
    "-A -t 10.1.0.1:80 -s wrr\n-a -t 10.1.0.1:80 -r 10.9.0.1 -w 2147483647\n"
    "-a -t 10.1.0.1:80 -r 10.9.0.2 -w 7\n-A -f 7 -s sed\n-a -f 7 -r 10.9.0.3:0\n"
    "-A -f 7 -6 -s dh\n-a -f 7 -6 -r [2001:db8::9]:80\n",
    "-A -t 10.1.0.1:0 -s lc -p 10 -M 255.255.0.0\n-a -t 10.1.0.1:0 -r 10.9.0.1:0 -m\n"
    "-A -t 10.1.0.1:21 -s nq -p\n-a -t 10.1.0.1:21 -r 10.9.0.2:21 -m -x 3 -y 1\n",
    "-A -t 10.1.0.1:80 -s rr\n-A -t 10.1.0.1:80 -s rr\n",
    "-A -t 10.1.0.1:80 -s wlc --vsched-ties rotate --vsched-spill-over 140 --vsched-panic-threshold 50\n"
    "-a -t 10.1.0.1:80 -r 10.9.0.1 -m\n-a -t 10.1.0.1:80 -r 10.9.0.2 -m --vsched-priority 1\n",
    "-C\n",
};

static const char *const COMMANDS[] = {
    "-A -t 10.1.0.1:80 -s twos",
    "-E -t 10.1.0.1:80 -s lblc",
    "-E -t 10.1.0.1:80 -s sed -p 5",
    "-D -t 10.1.0.1:80",
    "-a -t 10.1.0.1:80 -r 10.9.0.3:80 -m -w 2 -x 1",
    "-e -t 10.1.0.1:80 -r 10.9.0.1 -m -w 0",
    "-d -t 10.1.0.1:80 -r 10.9.0.1",
    "ipvsadm -A -f 7 -s fo",
    "-a -f 7 -r 10.9.0.2 -i --tun-type gue --tun-port 6080",
    "-E -t 10.1.0.1:80 -s mh -b mh-fallback",
    "-C",
    "--set 0 10 300",
    "-A -t 10.1.0.1:80 -s nonesuch",
    "-E -t 10.1.0.1:80 --vsched-ejection failures=1,base-time=1 --vsched-slow-start duration=1",
    "-e -t 10.1.0.1:80 -r 10.9.0.1 -m --vsched-priority 1",
};

/* Small memories of addresses, which edits keep. */
#define SMALL "\"affinity\":{\"capacity\":16,\"expiration\":9}"
#define SERVERS                                                                                      \
    "\"servers\":[{\"address\":\"10.9.0.1:80\",\"weight\":1,\"thresholds\":{\"upper\":3}},"         \
    "{\"address\":\"10.9.0.2:80\",\"weight\":3},{\"address\":\"10.9.0.4:65535\",\"weight\":0}]"
#define SERVICE(key, settings) "{\"key\":\"" key "\"," settings "," SMALL "," SERVERS "}"

/* What calls begin with. All name the first key. */
static const char *const FIRST_CONFIGS[] = {
    "{\"services\":[" SERVICE("tcp 10.1.0.1:80", "\"scheduler\":\"rr\"") "]}",
    "{\"services\":[" SERVICE("tcp 10.1.0.1:80", "\"scheduler\":\"wlc\",\"persistence\":{\"timeout\":60}")
    "," SERVICE("udp 10.1.0.2:53", "\"scheduler\":\"sh\"") "]}",
    "{\"services\":[" SERVICE("tcp 10.1.0.1:80", "\"scheduler\":\"wrr\",\"sharing\":\"per-worker\"")
    "," SERVICE("fwmark 7", "\"scheduler\":\"lblcr\"") "]}",
    "{\"services\":[" SERVICE("tcp 10.1.0.1:80", "\"scheduler\":\"lblc\"")
    "," SERVICE("fwmark 7", "\"scheduler\":\"sed\",\"sharing\":\"per-worker\"") "]}",
};

static const char *const JSON[] = {
    "{}",
    "{\"services\":[{\"key\":\"tcp 10.1.0.1:80\",\"scheduler\":\"wrr\",\"sharing\":\"per-worker\","
    "\"servers\":[{\"address\":\"10.9.0.1:80\",\"weight\":2},{\"address\":\"10.9.0.2:80\","
    "\"weight\":1,\"thresholds\":{\"upper\":4,\"lower\":1}}]}]}",
    "{\"seed\":7,\"kernel_rules\":\"A\",\"services\":[{\"key\":\"fwmark 7\",\"scheduler\":\"mh\"," SMALL ","
    "\"servers\":[{\"address\":\"10.9.0.3:0\",\"weight\":1}]}]}",
    "{\"services\":[{\"key\":1}]}",
    "[[[[[[[[[[",
};

static const char *const HOSTS[] = {"", "director", "10.9.0.1", "10.9.0.2", "nonesuch"};
static const char *const FLAGS[] = {"", "sh-port,sh-fallback", "mh-port", "1", "sh-port,", "flag-4"};
static const char *const MASKS[] = {"", "255.255.255.0", "64", "255.0.255.0", "129", "0.0.0.0"};
static const char *const SHARING[] = {"", "exact", "per-worker", "chunks-1", "chunks-64", "chunks-65"};
static const char *const TIES[] = {"", "kernel", "rotate", "first"};
static const char *const ENGINES[] = {"", "sip", "none"};

static inline vsched_text raw_text(void) {
    size_t length = (size_t)(byte() >= 192) << 8;
    length += byte();
    size_t left = (size_t)(end_of_bytes - next_byte);
    vsched_text text;
    text.length = length < left ? length : left;
    text.data = (const char *)lend_copy(next_byte, text.length);
    next_byte += text.length;
    return text;
}

static inline vsched_text some_text(const char *const *words, size_t count) {
    uint8_t kind = byte();
    vsched_text text = {NULL, 0};
    if (kind >= 240) {
        /* Nothing there, or a length that is a mistake: not a byte may be read. */
        static const size_t lengths[] = {0, 1, SIZE_MAX, SIZE_MAX / 2 + 1};
        text.data = kind >= 248 ? (const char *)lend(1) : NULL;
        text.length = lengths[kind % 4];
        if (text.data != NULL && text.length == 1) *(char *)lent[lent_count - 1] = (char)byte();
        return text;
    }
    if (kind >= 208) return raw_text();
    const char *word = words[kind % count];
    text.length = strlen(word);
    char *data = (char *)lend_copy(word, text.length);
    if (kind >= 192 && text.length > 0) data[below(text.length)] = (char)byte();
    text.data = data;
    return text;
}

#define SOME_TEXT(words) some_text(words, COUNT(words))

static inline vsched_text a_key(void) { return SOME_TEXT(KEYS); }
static inline vsched_text an_address(void) { return SOME_TEXT(ADDRESSES); }

static inline vsched_text a_scheduler(void) {
    const char *names[] = {NULL, "", "none"};
    names[0] = vsched_scheduler_name((uint32_t)below(20));
    if (names[0] == NULL) names[0] = "nonesuch";
    return SOME_TEXT(names);
}

#endif
