"""Validates documents against a JSON Schema, and the schema itself.

Standard input: {"schema": ..., "documents": [...]}. Standard output: for each document the first
problem, or null.
"""

import json
import sys

from jsonschema import Draft202012Validator

task = json.load(sys.stdin)
Draft202012Validator.check_schema(task["schema"])
validator = Draft202012Validator(task["schema"])


def problem(document):
    error = next(validator.iter_errors(document), None)
    return error and f"{error.json_path}: {error.message}"


json.dump([problem(document) for document in task["documents"]], sys.stdout)
