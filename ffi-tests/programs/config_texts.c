/* Configs read from and printed as texts. */
#include "../check.h"

int main(void) {
    vsched_config *config, *clone;
    char chars[1024], again[1024], why[512];
    size_t length;
    OK(vsched_config_new(&config));
    TEXT_IS(config_error(config, why, sizeof why), "");
    OK(vsched_config_write_rules(config, VSCHED_RULES_COMPLETE, chars, sizeof chars, &length));
    CHECK(length == 0);
    TEXT_IS(chars, "");

    static const char rules[] =
        "-A -t 10.1.0.1:80 -s wrr\n-a -t 10.1.0.1:80 -r 10.9.0.2 -m -w 2 -x 9 -y 4\n"
        "-a -t 10.1.0.1:80 -r 10.9.0.1 -m -w 1\n";
    OK(vsched_config_read_rules(config, rules, strlen(rules)));
    OK(vsched_config_validate(config));
    OK(vsched_config_write_rules(config, VSCHED_RULES_SAVE, chars, sizeof chars, &length));
    CHECK(length == strlen(chars));
    TEXT_IS(chars,
            "-A -t 10.1.0.1:80 -s wrr\n-a -t 10.1.0.1:80 -r 10.9.0.1:80 -m -w 1\n"
            "-a -t 10.1.0.1:80 -r 10.9.0.2:80 -m -w 2\n");
    OK(vsched_config_write_rules(config, VSCHED_RULES_COMPLETE, chars, sizeof chars, &length));
    HAS(chars, "-r 10.9.0.2:80 -m -w 2 -x 9 -y 4\n");
    CHECK(strstr(chars, "10.9.0.2") < strstr(chars, "10.9.0.1"));
    POISONED(again), POISONED(length);
    IS(vsched_config_write_rules(config, 2, again, sizeof again, &length), VSCHED_E_ARGUMENT);
    IS(vsched_config_write_rules(config, 4294967295u, again, sizeof again, &length),
       VSCHED_E_ARGUMENT);
    config_error(config, why, sizeof why);
    HAS(why, "form 4294967295"), HAS(why, "VSCHED_RULES_COMPLETE");
    UNTOUCHED(again), UNTOUCHED(length);

    /* There and back. */
    OK(vsched_config_clone(config, &clone));
    CHECK(clone != config);
    OK(vsched_config_clear(config));
    OK(vsched_config_write_rules(config, VSCHED_RULES_COMPLETE, again, sizeof again, &length));
    CHECK(length == 0);
    OK(vsched_config_read_rules(config, chars, strlen(chars)));
    OK(vsched_config_write_rules(config, VSCHED_RULES_COMPLETE, again, sizeof again, NULL));
    TEXT_IS(again, chars);
    OK(vsched_config_write_json(clone, chars, sizeof chars, &length));
    CHECK(length == strlen(chars));
    HAS(chars, "10.9.0.2:80");
    OK(vsched_config_clear(config));
    OK(vsched_config_read_json(config, chars, strlen(chars)));
    OK(vsched_config_write_json(config, again, sizeof again, NULL));
    TEXT_IS(again, chars);

    /* Commands on what is there: all or none. */
    static const char change[] = "-d -t 10.1.0.1:80 -r 10.9.0.1\n-a -t 10.1.0.1:80 -r 10.9.0.4 -m";
    OK(vsched_config_execute(config, change, strlen(change)));
    OK(vsched_config_write_rules(config, VSCHED_RULES_COMPLETE, chars, sizeof chars, NULL));
    HAS(chars, "10.9.0.4:80");
    CHECK(strstr(chars, "10.9.0.1:80 ") == NULL);
    static const char half[] = "-D -t 10.1.0.1:80\n-D -t 10.1.0.1:80\n";
    IS(vsched_config_execute(config, half, strlen(half)), VSCHED_E_PARSE);
    HAS(config_error(config, why, sizeof why), "line 2");
    OK(vsched_config_write_rules(config, VSCHED_RULES_COMPLETE, again, sizeof again, NULL));
    TEXT_IS(again, chars);

    /* Errors name line, column and word, and leave the config as it was. */
    static const char typo[] = "-A -t 10.1.0.2:80 -s rr\n-A -t 10.1.0.3:80 -s wtt\n";
    IS(vsched_config_read_rules(config, typo, strlen(typo)), VSCHED_E_PARSE);
    config_error(config, why, sizeof why);
    HAS(why, "line 2"), HAS(why, "column 22"), HAS(why, "wtt");
    static const char field[] = "{\"services\": [], \"nonsense\": 1}";
    IS(vsched_config_read_json(config, field, strlen(field)), VSCHED_E_PARSE);
    HAS(config_error(config, why, sizeof why), "nonsense");
    HAS(why, "line 1");
    OK(vsched_config_write_rules(config, VSCHED_RULES_COMPLETE, again, sizeof again, NULL));
    TEXT_IS(again, chars);

    /* A clone begins without an error, and lives by itself. */
    vsched_config_free(clone);
    OK(vsched_config_clone(config, &clone));
    TEXT_IS(config_error(clone, why, sizeof why), "");
    vsched_config_free(config);
    OK(vsched_config_write_rules(clone, VSCHED_RULES_COMPLETE, again, sizeof again, NULL));
    TEXT_IS(again, chars);
    vsched_config_free(clone);

    return DONE();
}
