"""Reads metrics from standard input with prometheus_client and prints them as JSON.

A text in one of the two formats: `read.py prometheus` or `read.py openmetrics`.
"""

import json
import sys

from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics

PARSERS = {
    "prometheus": parser.text_string_to_metric_families,
    "openmetrics": openmetrics.text_string_to_metric_families,
}

families = []
for family in PARSERS[sys.argv[1]](sys.stdin.buffer.read().decode()):
    samples = [
        {"name": sample.name, "labels": sample.labels, "value": sample.value}
        for sample in family.samples
    ]
    families.append(
        {
            "name": family.name,
            "type": family.type,
            "help": family.documentation,
            "samples": samples,
        }
    )
json.dump(families, sys.stdout)
