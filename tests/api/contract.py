"""Holds answers against the OpenAPI document that the manager itself serves.

The document uses the subset of JSON Schema that schema/README.md declares; what is not in it is an error here
too, so that this validator never passes over a keyword that it does not know.
"""

import collections
import re

ANNOTATIONS = {"description", "example", "readOnly", "default", "x-pattern-hint", "x-aliases"}


class Broken(AssertionError):
    """The manager and its document differ."""


def _type_fits(kind, value):
    return {"object": lambda: isinstance(value, dict), "array": lambda: isinstance(value, list),
            "string": lambda: isinstance(value, str), "boolean": lambda: isinstance(value, bool),
            "integer": lambda: isinstance(value, int) and not isinstance(value, bool),
            "number": lambda: isinstance(value, (int, float)) and not isinstance(value, bool)}[kind]()


class Document:
    def __init__(self, json):
        self.json = json
        self.operations = {}  # id → (method, path, operation)
        for path, item in json["paths"].items():
            for method, operation in item.items():
                self.operations[operation["operationId"]] = (method.upper(), path, operation)

    def resolve(self, schema):
        while "$ref" in schema:
            place = self.json
            for part in schema["$ref"].removeprefix("#/").split("/"):
                place = place[part]
            schema = place
        return schema

    def validate(self, schema, value, where="body"):
        schema = self.resolve(schema)
        unknown = set(schema) - ANNOTATIONS - CHECKS.keys() - {"type", "x-raw"}
        if unknown:
            raise Broken(f"{where}: the document uses {unknown}, which is not in the dialect")
        if not _type_fits(schema["type"], value):
            raise Broken(f"{where}: {value!r} is no {schema['type']}")
        for keyword, check in CHECKS.items():
            if keyword in schema:
                check(self, schema[keyword], value, where)
        if schema["type"] == "object" and not schema.get("x-raw"):
            self._validate_names(schema, value, where)

    def _validate_names(self, schema, value, where):
        if "additionalProperties" not in schema:
            unknown = value.keys() - schema["properties"].keys()
            if unknown:
                raise Broken(f"{where}: the document does not know {sorted(unknown)}")

    def find(self, method, path):
        """The operation's id, or None; `path` as it was asked for."""
        parts = path.split("?")[0].split("/")
        for name, (its_method, template, _) in self.operations.items():
            pattern = template.split("/")
            if its_method == method and len(pattern) == len(parts) and all(
                    p == q or (p.startswith("{") and q) for p, q in zip(pattern, parts)):
                return name
        return None

    def validate_answer(self, name, answer):
        responses = self.operations[name][2]["responses"]
        if answer.status >= 400:
            check_problem(self, answer)
            return
        if str(answer.status) not in responses:
            raise Broken(f"{name}: {answer.status} is not among {list(responses)}")
        content = self.resolve(responses[str(answer.status)]).get("content", {})
        kind = answer.headers.get("Content-Type", "").split(";")[0]
        if content and kind not in content:
            raise Broken(f"{name}: '{kind}' is not among {list(content)}")
        if content and "schema" in content[kind]:
            self.validate(content[kind]["schema"], answer.json, name)


def _each_property(document, properties, value, where):
    for name, schema in properties.items():
        if name in value:
            document.validate(schema, value[name], f"{where}.{name}")


def _need(holds, text):
    if not holds:
        raise Broken(text)


CHECKS = {
    "required": lambda d, names, v, w: _need(set(names) <= v.keys(), f"{w}: lacks {set(names) - v.keys()}"),
    "properties": _each_property,
    "additionalProperties": lambda d, schema, v, w: [d.validate(schema, v[k], f"{w}.{k}") for k in v],
    "maxProperties": lambda d, most, v, w: _need(len(v) <= most, f"{w}: more than {most} members"),
    "items": lambda d, schema, v, w: [d.validate(schema, x, f"{w}[{i}]") for i, x in enumerate(v)],
    "minItems": lambda d, least, v, w: _need(len(v) >= least, f"{w}: fewer than {least} items"),
    "maxItems": lambda d, most, v, w: _need(len(v) <= most, f"{w}: more than {most} items"),
    "enum": lambda d, values, v, w: _need(v in values, f"{w}: {v!r} is none of {values}"),
    "pattern": lambda d, pattern, v, w: _need(re.search(pattern, v), f"{w}: {v!r} is not like {pattern}"),
    "minLength": lambda d, least, v, w: _need(len(v) >= least, f"{w}: shorter than {least}"),
    "maxLength": lambda d, most, v, w: _need(len(v) <= most, f"{w}: longer than {most}"),
    "minimum": lambda d, least, v, w: _need(v >= least, f"{w}: {v} is below {least}"),
    "maximum": lambda d, most, v, w: _need(v <= most, f"{w}: {v} is above {most}"),
}

STATUS = {"invalid": 400, "unauthenticated": 401, "forbidden": 403, "not-found": 404, "exists": 409, "conflict": 409,
          "precondition": 412, "too-large": 413, "no-capacity": 409, "unavailable": 503, "timeout": 504,
          "internal": 500}


def check_problem(document, answer):
    """The one shape of errors, its code fitting the status, with a remedy where the input is at fault."""
    if answer.json is None:
        raise Broken(f"an error that is no JSON: {answer}")
    document.validate({"$ref": "#/components/schemas/ErrorAnswer"}, answer.json, "error")
    problem = answer.json["error"]
    _need(STATUS.get(problem["code"]) == answer.status or (problem["code"], answer.status) == ("invalid", 405),
          f"code {problem['code']} with status {answer.status}")
    _need(problem["message"].strip(), "an error without a message")
    if problem["code"] in ("invalid", "not-found", "too-large"):
        _need(problem.get("field") and problem.get("remedy"), f"names no field or no remedy: {problem}")


class Recorder:
    """Observes a manager's answers: validates each, and counts what was called, well and badly."""

    def __init__(self, document):
        self.document = document
        self.good, self.bad = collections.Counter(), collections.Counter()

    def __call__(self, method, path, answer):
        name = self.document.find(method, path)
        if name is None:
            check_problem(self.document, answer)
        else:
            self.document.validate_answer(name, answer)
            (self.good if answer.status < 400 else self.bad)[name] += 1
