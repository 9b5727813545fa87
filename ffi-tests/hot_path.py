#!/usr/bin/env python3
"""The hot path's object code allocates nothing, locks nothing, calls no system and cannot panic.

usage: hot_path.py PROGRAM ENTRY... [NAME:COUNT...] [-- PROGRAM ENTRY... [NAME:COUNT...]]...

Walks the instructions of each entry (a function's name, or the end of one; `module::*` for every
function of a module) and of everything that they reach by calls, jumps and jump tables, as objdump shows them. What only an unwinder reaches, such
as the panic guard of a C function, is not walked: where nothing panics, nothing unwinds. At least so
many functions of a name must be reached, so that tables of functions are seen to be read.
"""

import re
import struct
import subprocess
import sys

# Outside the crate's own code, and what makes them harmless.
HARMLESS = {
    r"(memcpy|memmove|memset|memcmp|bcmp)(@.*)?": "plain copies and comparisons of the C library",
    r"<?(core|ahash|hashbrown)::(?!panicking|.*(unwrap|expect)_failed|.*_fail\b).*": "generic code",
}
OWN = r"<?&?(mut )?vsched(::|_)|^calls::hot::"
# Not walked: own functions that do nothing until a host asks for what they do.
WAITED_FOR = {r"::Arena>?::room_made$": "wakes tasks that wait for room (Handle::room)"}
# What a name says of the one who is found; anything else that is not OWN or HARMLESS is refused, too.
REFUSED = [
    (r"__rust_|__rdl_|malloc|calloc|realloc|\bfree\b|alloc::alloc|posix_memalign", "allocator"),
    (r"parking_lot|pthread_|[Mm]utex|[Ff]utex|RwLock|Condvar|Once", "lock"),
    (r"panic|unwrap_failed|expect_failed|slice_(start|end)_index|abort|_Unwind", "panic"),
    (r"syscall|clock_gettime|\bread\b|\bwrite\b", "system call"),
]
# Instructions between the load from a jump table and the jump.
FARTHEST_LOAD = 8
# Registers that instructions change without naming them.
IMPLIED = [
    (r"(mul|div|idiv)[bwlq]? |imul[bwlq]? [^,(]*(\([^)]*\))?$|xgetbv", ("rax", "rdx")),
    (r"(cltd|cqto|cwtd)", ("rdx",)),
    (r"(cltq|cwtl|cbtw|cmpxchg)", ("rax",)),
    (r"cpuid|rdtscp", ("rax", "rbx", "rcx", "rdx")),
    (r"(movs|stos|lods|cmps|scas)[bwlq]? ", ("rax", "rcx", "rsi", "rdi")),
]
RETURNS = ("ret", "ud2", "hlt", "int3")


def lines(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


class Program:
    """Functions as objdump shows them."""

    def __init__(self, path):
        self.path = path
        self.functions = {}  # address -> (name, [instruction's address])
        self.code = {}  # address -> (mnemonic, operands, next address)
        self.home = {}  # instruction's address -> function's address
        self.pointers = {}  # address of a pointer -> what it points to
        self.leading = {}  # function's address -> {instruction's address: [those before it]}
        self.read_code()
        self.read_pointers()
        self.read_data()

    def read_code(self):
        function = last = None
        for line in lines("objdump", "-dCw", "--no-show-raw-insn", self.path):
            if head := re.match(r"([0-9a-f]+) <(.*)>:$", line):
                function, last = int(head[1], 16), None
                self.functions[function] = (head[2], [])
            elif found := re.match(r" *([0-9a-f]+):\t(\S+)(?: +(.*))?$", line):
                at, mnemonic, operands = int(found[1], 16), found[2], found[3] or ""
                if mnemonic in ("notrack", "bnd", "lock", "rep", "repz", "data16"):
                    prefixed = operands.split(None, 1) + [""]
                    if mnemonic in ("notrack", "bnd", "repz"):
                        mnemonic, operands = prefixed[0], prefixed[1]
                if last is not None:
                    self.code[last] = (*self.code[last][:2], at)
                self.code[at] = (mnemonic, operands, None)
                self.functions[function][1].append(at)
                self.home[at] = function
                last = at

    def read_pointers(self):
        for line in lines("readelf", "-rW", self.path):
            part = line.split()
            if len(part) >= 4 and part[2] == "R_X86_64_RELATIVE":
                self.pointers[int(part[0], 16)] = int(part[3], 16)
            elif len(part) >= 5 and part[2].startswith("R_X86_64_"):
                self.pointers[int(part[0], 16)] = part[4]

    def read_data(self):
        self.sections = []
        for line in lines("readelf", "-SW", self.path):
            if found := re.match(r" *\[ *\d+\] (\.rodata\S*) +PROGBITS +(\w+) (\w+) (\w+)", line):
                self.sections.append(tuple(int(found[n], 16) for n in (2, 3, 4)))
        with open(self.path, "rb") as file:
            self.bytes = file.read()

    def number(self, address):
        """The signed 32 bits there; None outside constant data."""
        for start, offset, size in self.sections:
            if start <= address < start + size - 3:
                return struct.unpack_from("<i", self.bytes, offset + address - start)[0]
        return None

    def name(self, address):
        return self.functions[address][0] if address in self.functions else hex(address)

    def source(self, address):
        """Functions and lines at an instruction, the innermost first."""
        found = lines("addr2line", "-Cfie", self.path, hex(address))
        return list(zip(found[::2], found[1::2]))

    def named(self, entry):
        """Its address, or those of a module's functions without what is nested in them."""
        every = entry.endswith("::*")
        wanted = re.compile(r"(.*::)?" + (re.escape(entry[:-1]) + r"\w+" if every else re.escape(entry)))
        found = [at for at, (name, _) in self.functions.items()
                 if wanted.fullmatch(re.sub(r"::h[0-9a-f]{16}$", "", name))]
        if len(found) != 1 and not (every and found):
            sys.exit(f"{self.path}: {len(found)} functions are called {entry}")
        return found

    def table(self, at):
        """Where a jump by a table at this instruction may go; none if there is no table."""
        body = self.functions[self.home[at]][1]
        before = body[max(0, body.index(at) - FARTHEST_LOAD):body.index(at)]
        loads = [re.match(r"(?:0x0)?\((%\w+),%\w+,4\)", self.code[place][1]) for place in before
                 if self.code[place][0] == "movslq"]
        if not loads or not loads[-1]:
            return []
        # The base may be loaded far above, outside a loop, with several tables in turn, and come by
        # way of other registers and the stack.
        code = [self.code[place] for place in body]
        moves = [re.match(r"([^,]*(?:\([^)]*\))?),(.+)$", operands) for mnemonic, operands, _ in code
                 if mnemonic == "mov"]
        holders, known = {loads[-1][1]}, 0
        while known < len(holders):
            known = len(holders)
            holders |= {move[1] for move in moves if move and move[2] in holders}
        leas = [re.match(r".*\(%rip\),(%\w+) +# ([0-9a-f]+)", operands)
                for mnemonic, operands, _ in code if mnemonic == "lea"]
        bases = {int(lea[2], 16) for lea in leas if lea and lea[1] in holders}
        return sorted({target for base in bases for target in self.entries(at, base)})

    def called(self, at, register):
        """What a register may hold that is called or jumped to: functions whose addresses were put
        there, by way of other registers as well, on whatever way the instruction is reached; none if one
        of them cannot be told."""
        found, seen = set(), set()
        todo = [(place, register) for place in self.before(at)]
        while todo:
            place, register = todo.pop()
            if (place, register) in seen:
                continue
            seen.add((place, register))
            mnemonic, operands, _ = self.code[place]
            before = self.before(place)
            if not before:
                return []
            if not self.writes(mnemonic, operands, register):
                todo.extend((earlier, register) for earlier in before)
            elif mnemonic == "mov" and (copied := re.match(r"%(r\w+),%(r\w+)$", operands)):
                todo.extend((earlier, copied[1]) for earlier in before)
            elif functions := self.addresses(place, mnemonic, operands):
                found.update(functions)
            else:
                return []
        return sorted(found, key=str)

    @staticmethod
    def writes(mnemonic, operands, register):
        """Whether the instruction may change the register, or one that has its name as its low part."""
        if mnemonic in ("lock", "rep"):
            mnemonic, operands = (operands.split(None, 1) + [""])[:2]
        if mnemonic == "call":
            return register not in ("rbx", "rbp", "r12", "r13", "r14", "r15")
        operands = operands.split("#")[0].strip()
        for pattern, registers in IMPLIED:
            if re.match(pattern, f"{mnemonic} {operands}") and register in registers:
                return True
        if re.match(r"(cmp(?!xchg)|test|j|push|bt[bwlq]?$)", mnemonic):
            return False
        names = {register, "e" + register[1:], register[1:], register[1:-1] + "l", register + "d"}
        if mnemonic.startswith(("xchg", "xadd")):
            return any(name in names for name in re.findall(r"%(\w+)", operands))
        target = re.search(r"(?:^|,)%(\w+)$", operands)
        return bool(target) and target[1] in names

    def addresses(self, at, mnemonic, operands):
        """The functions whose address this instruction may load."""
        if mnemonic == "mov" and (load := re.match(r".*\(%rip\),.* # ([0-9a-f]+)", operands)):
            place = int(load[1], 16)
            return [self.pointers[place]] if place in self.pointers else []
        if mnemonic == "lea" and (load := re.match(r".*\(%rip\),.* # ([0-9a-f]+)", operands)):
            return [int(load[1], 16)] if int(load[1], 16) in self.functions else []
        if mnemonic == "mov" and (load := re.match(r"(?:0x0)?\((%\w+),%\w+,8\),", operands)):
            return self.function_table(at, load[1])
        return []

    def function_table(self, at, register):
        """The functions of the tables that the register may point to in this function. A table ends
        where something else than a function follows."""
        lea = re.compile(rf".*\(%rip\),{register} +# ([0-9a-f]+)")
        body = self.functions[self.home[at]][1]
        bases = [lea.match(self.code[place][1]) for place in body if self.code[place][0] == "lea"]
        found = []
        for base in {int(base[1], 16) for base in bases if base}:
            while self.pointers.get(base) in self.functions:
                found.append(self.pointers[base])
                base += 8
        return found

    def before(self, at):
        """The instructions of the same function that lead to this one."""
        function = self.home[at]
        if function not in self.leading:
            leading = self.leading[function] = {}
            body = self.functions[function][1]
            for place in body:
                mnemonic, operands, following = self.code[place]
                if mnemonic not in ("jmp", *RETURNS) and self.home.get(following) == function:
                    leading.setdefault(following, []).append(place)
                if mnemonic.startswith("j"):
                    direct = re.match(r"([0-9a-f]+) <", operands)
                    targets = [int(direct[1], 16)] if direct else self.table(place)
                    for target in targets:
                        leading.setdefault(target, []).append(place)
        return self.leading[function].get(at, [])

    def entries(self, at, base):
        targets = []
        while (entry := self.number(base + 4 * len(targets))) is not None:
            if self.home.get(base + entry) != self.home[at]:
                break
            targets.append(base + entry)
        return targets


class Walk:
    """Everything that is reached from some entries."""

    def __init__(self, program):
        self.program = program
        self.why = {}  # function or outside name -> the function that reaches it first
        self.tables = set()
        self.indirect = []  # (instruction, (function, address))
        self.outside = {}  # name -> (function that calls it, address)

    def run(self, entries):
        todo = []
        for entry in entries:
            self.why[entry] = None
            todo.append(entry)
        while todo:
            function = todo.pop()
            for target, at in self.reached(function):
                if self.is_waited_for(target):
                    continue
                if isinstance(target, str) or self.is_outside(target):
                    name = target if isinstance(target, str) else self.program.name(target)
                    self.outside.setdefault(name, (function, at))
                elif target not in self.why:
                    self.why[target] = function
                    todo.append(target)

    def is_waited_for(self, target):
        name = target if isinstance(target, str) else self.program.name(target)
        return any(re.search(pattern, name) for pattern in WAITED_FOR)

    def is_outside(self, address):
        name = self.program.name(address)
        return address not in self.program.functions or not re.search(OWN, name) and refusal(name)

    def reached(self, function):
        """Functions that the instructions of this one lead to, as control flows."""
        seen, todo, found = set(), [function], []
        while todo:
            at = todo.pop()
            while at is not None and at not in seen:
                seen.add(at)
                mnemonic, operands, following = self.program.code[at]
                if mnemonic in ("syscall", "sysenter", "int"):
                    found.append((mnemonic, at))
                if mnemonic.startswith(("j", "call")):
                    for target in self.targets(function, at, mnemonic, operands):
                        if mnemonic != "call" and self.program.home.get(target) == function:
                            todo.append(target)
                        else:
                            found.append((target, at))
                # The last instruction of a function does not lead into the next one.
                ends = mnemonic in ("jmp", *RETURNS) or self.program.home.get(following) != function
                at = None if ends else following
        return found

    def targets(self, function, at, mnemonic, operands):
        if direct := re.match(r"([0-9a-f]+) <(.*?)>$", operands):
            return [direct[2] if "@plt" in direct[2] else int(direct[1], 16)]
        if pointer := re.search(r"\*.*\(%rip\) +# ([0-9a-f]+)", operands):
            return [self.program.pointers.get(int(pointer[1], 16), f"pointer at {pointer[1]}")]
        table = self.program.table(at) if mnemonic == "jmp" else []
        if not table and (register := re.match(r"\*%(\w+)$", operands)):
            if functions := self.program.called(at, register[1]):
                return functions
        if entry := re.match(r"\*(?:0x0)?\((%\w+),%\w+,8\)$", operands):
            if functions := self.program.function_table(at, entry[1]):
                return functions
        if table:
            self.tables.add(at)
        else:
            self.indirect.append((f"{mnemonic} {operands}", (function, at)))
        return table

    def path(self, function):
        """From the entry to it."""
        names = []
        while function is not None:
            names.append(self.program.name(function))
            function = self.why[function]
        return names[::-1]


def refusal(name):
    """Why it may not be reached, or None."""
    kinds = [kind for pattern, kind in REFUSED if re.search(pattern, name)]
    if kinds:
        return kinds[0]
    harmless = any(re.fullmatch(pattern, name) for pattern in HARMLESS)
    return None if harmless else "not this crate's code"


def check(path, words):
    entries = [word for word in words if not re.search(r"[^:]:\d+$", word)]
    program = Program(path)
    walk = Walk(program)
    walk.run([at for entry in entries for at in program.named(entry)])
    own = [at for at in walk.why if re.search(OWN, program.name(at))]
    others = sorted({program.name(at) for at in walk.why if at not in own})
    print(f"{path}: {sum(why is None for why in walk.why.values())} entries reach {len(own)} functions of the crate, "
          f"{len(walk.tables)} jump tables")
    faults = []
    for name, caller in sorted(walk.outside.items()):
        if why := refusal(name):
            faults.append((f"{why}: {name}", caller))
        else:
            others.append(name)
    print("  harmless: " + (", ".join(others) or "nothing else"))
    for name, count in (word.rsplit(":", 1) for word in words if word not in entries):
        found = sum(program.name(at).endswith("::" + name) for at in walk.why)
        if found < int(count):
            sys.exit(f"{path}: {name} stands for {count} functions or more, and {found} are reached")
    faults += [(f"call through a pointer: {code}", caller) for code, caller in walk.indirect]
    for what, (caller, at) in faults:
        print(f"  REACHED {what}")
        print("    " + "\n    -> ".join(walk.path(caller)))
        frames = program.source(at)
        # Of what is inlined there, the crate's own, and what it calls.
        own = [n for n, (function, _) in enumerate(frames) if re.search(OWN, function)]
        for function, place in frames[max(0, min(own, default=0) - 1):]:
            print(f"       in {function}, {place}")
    return not faults


def main():
    groups, group = [], []
    for word in sys.argv[1:] + ["--"]:
        if word == "--":
            groups, group = groups + [group], []
        else:
            group.append(word)
    if not all([check(path, entries) for path, *entries in groups]):
        sys.exit("the hot path reaches what it may not")


if __name__ == "__main__":
    main()
