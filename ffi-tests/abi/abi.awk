# Reads include/vsched.h: with -v want=list the ABI as lines (constants, types, functions; without
# sizes), with -v want=program a C program that prints sizes and offsets as this compiler sees them.
function words(text) { gsub(/[ \t]+/, " ", text); gsub(/^ | $/, "", text); return text }
function emit(line) { if (want == "list") print line }
function struct_line(name, grows) {
    printf "    printf(\"struct %s size %%zu align %%zu%s\\n\", sizeof(%s), alignof_of(%s));\n", name, grows, name, name
}
BEGIN {
    if (want == "program") {
        print "#include <stdio.h>\n#include <vsched.h>"
        print "#define alignof_of(type) offsetof(struct { char first; type then; }, then)"
        print "int main(void) {"
    }
}
# Comments have lines of their own.
/^ *\/\*/ { comment = 1 }
comment { if (/\*\//) comment = 0; next }
/^#define VSCHED_[A-Z_0-9]+ [0-9]+$/ { emit("constant " $2 " " $3); next }
/^#/ || /^extern "C"/ || /^}$/ { next }
/^typedef struct [a-z_]+ {/ { name = $3; inside = 1; fields = 0; first = ""; next }
inside && /^}/ {
    inside = 0
    # Elements of arrays carry their size beside them.
    grows = (first == "struct_size" || name ~ /_state$/) ? " grows" : ""
    if (want == "program") {
        struct_line(name, grows)
        for (at = 1; at <= fields; at++)
            printf "    printf(\"field %s.%s at %%zu size %%zu: %s\\n\", offsetof(%s, %s), sizeof(((%s *)0)->%s));\n", name, field[at], type[at], name, field[at], name, field[at]
    }
    next
}
inside && /;/ {
    line = words($0); sub(/;$/, "", line)
    array = ""
    if (match(line, /\[[A-Z_0-9]+\]$/)) { array = substr(line, RSTART); line = substr(line, 1, RSTART - 1) }
    match(line, /[a-z_0-9]+$/)
    field[++fields] = substr(line, RSTART)
    type[fields] = words(substr(line, 1, RSTART - 1)) array
    if (fields == 1) first = field[1]
    next
}
inside { next }
{ sub(/VSCHED_MUST_USE/, "") }
/^typedef/ { line = words($0); sub(/;$/, "", line); emit(line); next }
/^struct / { next }
{
    pending = words(pending " " $0)
    if (pending ~ /;$/) {
        sub(/;$/, "", pending)
        open = index(pending, "(")
        head = substr(pending, 1, open - 1)
        count = split(substr(pending, open + 1, length(pending) - open - 1), arguments, ",")
        all = ""
        for (at = 1; at <= count; at++) {
            argument = words(arguments[at])
            # Names of parameters are free to change.
            if (argument != "void") { match(argument, /[a-z_0-9]+$/); argument = words(substr(argument, 1, RSTART - 1)) }
            all = all (at > 1 ? ", " : "") argument
        }
        emit("function " head "(" all ")")
        pending = ""
    }
}
END { if (want == "program") print "    return 0;\n}" }
