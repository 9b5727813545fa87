"""Makes JSON lines of record.sh's straces: one object a command, datagrams in hexadecimal."""

import json
import re
import sys

NLCTRL = 0x10
ERROR = 2
CALL = re.compile(r"(sendmsg|sendto|recvmsg|recvfrom)\(")
DUMP = re.compile(r" \| [0-9a-f]{5,}  ((?:[0-9a-f]{2} {1,2}){1,16})")

case = kind = data = None
looked_up = 0


def keep():
    """Keeps a datagram; of the look-ups of the family, all alike, the first only."""
    global kind, data, looked_up
    if kind is not None and data:
        octets = bytes.fromhex(data)
        about = octets[4:6] if octets[4] != ERROR else octets[24:26]
        if int.from_bytes(about, "little") != NLCTRL or looked_up < 3:
            case["messages"].append(kind + " " + data)
            looked_up += int.from_bytes(about, "little") == NLCTRL
    kind, data = None, ""


for line in sys.stdin:
    line = line.rstrip("\r\n")
    tag, _, rest = line.partition(" ")
    if tag == "@kernel":
        kernel = rest
    elif tag == "@ipvsadm":
        print(json.dumps({"kernel": kernel, "ipvsadm": rest}))
    elif tag == "@command":
        case = {"command": rest, "messages": [], "stdout": [], "stderr": ""}
    elif tag == "@stdout":
        case["stdout"].append(rest)
    elif tag == "@stderr":
        case["stderr"] += rest
    elif tag == "@exit":
        keep()
        print(json.dumps({
            "command": case["command"], "exit": int(rest), "stderr": case["stderr"],
            "stdout": case["stdout"], "messages": case["messages"],
        }))
        case = None
    elif case is not None and CALL.match(line):
        keep()
        # A peek is followed by the reading of the same datagram.
        kind = None if "MSG_PEEK" in line else "sent" if line.startswith("send") else "received"
    elif kind is not None and (found := DUMP.match(line)):
        data += found.group(1).replace(" ", "")
