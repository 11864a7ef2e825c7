"""Reads the schema files and refuses what the dialect does not have."""

import dataclasses
import json
import re

import yaml

FILES = ["types", "objects", "agent", "keeper", "api"]
ORDER = ["types", "agent", "keeper", "objects", "api"]  # a file may refer to those before it

COMMON = {"type", "description", "example", "readOnly"}
ALLOWED = {
    "string": COMMON | {"enum", "x-aliases", "minLength", "maxLength", "pattern", "x-pattern-hint", "default"},
    "integer": COMMON | {"minimum", "maximum", "default"},
    "number": COMMON | {"default"},
    "boolean": COMMON | {"default"},
    "array": COMMON | {"items", "minItems", "maxItems"},
    "object": COMMON | {"properties", "required", "additionalProperties", "maxProperties", "x-raw",
                       "x-tell-absent"},
}
INT_MIN, INT_MAX = -(2**63), 2**63 - 1


class SchemaError(Exception):
    """Says where in the schema something is that the dialect does not have."""


@dataclasses.dataclass
class Field:
    name: str
    kind: str
    required: bool
    low: int = INT_MIN
    high: int = INT_MAX
    item_low: int = INT_MIN
    item_high: int = INT_MAX
    pattern: str | None = None
    hint: str | None = None
    default: object = None
    target: str | None = None  # of enum, object and objects: the component's name
    tell_absent: bool = False  # of a map: absent and empty differ

    @property
    def member(self):
        return self.name.replace("-", "_")

    @property
    def has_flag(self):
        scalar = self.kind in ("INTEGER", "NUMBER", "BOOLEAN")
        return (scalar and not self.required and self.default is None) or self.tell_absent


@dataclasses.dataclass
class Component:
    name: str
    file: str
    schema: dict
    kind: str  # object, enum, alias
    fields: list = dataclasses.field(default_factory=list)
    values: list = dataclasses.field(default_factory=list)
    aliases: dict = dataclasses.field(default_factory=dict)  # of an enum: what else is read as which value


@dataclasses.dataclass
class Schemas:
    documents: dict
    components: dict  # name → Component, in order of the files


def snake(name):
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().replace("-", "_")


def _fail(where, message):
    raise SchemaError(f"{where}: {message}")


def _reference(schema, where, schemas):
    if set(schema) - {"$ref", "description"}:
        _fail(where, "nothing but a description may stand beside $ref")
    name = schema["$ref"].rsplit("/", 1)[-1]
    if name not in schemas.components:
        _fail(where, f"$ref to {name}, which no earlier file and no earlier line defines")
    return schemas.components[name]


def check(schema, where):
    kind = schema.get("type")
    if kind not in ALLOWED:
        _fail(where, f"type {kind!r} is not in the dialect")
    for keyword in schema:
        if keyword not in ALLOWED[kind]:
            _fail(where, f"keyword '{keyword}' is not in the dialect for type {kind}")


def _scalar(field, schema, where):
    field.kind = schema["type"].upper()
    if field.kind == "INTEGER":
        field.low, field.high = schema.get("minimum", INT_MIN), schema.get("maximum", INT_MAX)
    if field.kind == "STRING":
        field.low, field.high = schema.get("minLength", 0), schema.get("maxLength", INT_MAX)
        field.pattern, field.hint = schema.get("pattern"), schema.get("x-pattern-hint")
        if field.pattern and not field.hint:
            _fail(where, "a pattern needs x-pattern-hint, which tells a person what is right")
        if "enum" in schema:
            _fail(where, "an enum must be a component with a name")
    field.default = schema.get("default")


def _array(field, schema, where, schemas):
    items = schema.get("items") or _fail(where, "an array needs items")
    field.low, field.high = schema.get("minItems", 0), schema.get("maxItems", INT_MAX)
    if "$ref" in items:
        component = _reference(items, where, schemas)
        if component.kind != "object":
            _fail(where, "elements are strings or objects")
        field.kind, field.target = "OBJECTS", component.name
        return
    check(items, where + "[]")
    if items["type"] != "string":
        _fail(where, "elements are strings or objects")
    field.kind = "STRINGS"
    field.item_low, field.item_high = items.get("minLength", 0), items.get("maxLength", INT_MAX)


def _map(field, schema, where):
    values = schema["additionalProperties"]
    if "properties" in schema or not isinstance(values, dict):
        _fail(where, "additionalProperties makes a map: a schema, and no properties beside it")
    check(values, where + ".*")
    field.low, field.high = 0, schema.get("maxProperties", INT_MAX)
    field.tell_absent = schema.get("x-tell-absent", False)
    if values["type"] == "string":
        field.kind = "STRING_MAP"
        field.item_low, field.item_high = values.get("minLength", 0), values.get("maxLength", INT_MAX)
    elif values["type"] == "integer":
        field.kind = "INT_MAP"
        field.item_low, field.item_high = values.get("minimum", INT_MIN), values.get("maximum", INT_MAX)
    else:
        _fail(where, "values of a map are strings or integers")


def make_field(name, schema, required, where, schemas):
    field = Field(name, "", required)
    if "$ref" in schema:
        component = _reference(schema, where, schemas)
        if component.kind == "alias":
            schema = component.schema
        else:
            field.kind = component.kind.upper()
            field.target = component.name
            return field
    check(schema, where)
    if schema["type"] == "array":
        _array(field, schema, where, schemas)
    elif schema["type"] == "object":
        if schema.get("x-raw"):
            field.kind = "RAW"
        elif "additionalProperties" in schema:
            _map(field, schema, where)
        else:
            _fail(where, "an object within an object must be a component with a name")
    else:
        _scalar(field, schema, where)
    return field


def _component(name, file, schema, schemas):
    where = f"schema/{file}.yaml: {name}"
    if name in schemas.components:
        _fail(where, f"the name is taken by schema/{schemas.components[name].file}.yaml")
    check(schema, where)
    if "enum" in schema:
        if not all(isinstance(value, str) for value in schema["enum"]):
            _fail(where, "enum values are strings; put on, off, yes and no in quotes")
        aliases = schema.get("x-aliases", {})
        for alias, value in aliases.items():
            if value not in schema["enum"] or alias in schema["enum"]:
                _fail(where, f"x-aliases: '{alias}' is a value itself, or '{value}' is none")
        return Component(name, file, schema, "enum", values=schema["enum"], aliases=aliases)
    if schema["type"] != "object":
        return Component(name, file, schema, "alias")
    component = Component(name, file, schema, "object")
    required = schema.get("required", [])
    properties = schema.get("properties", {})
    for missing in set(required) - set(properties):
        _fail(where, f"required '{missing}' is no property")
    for key, value in properties.items():
        component.fields.append(make_field(key, value, key in required, f"{where}.{key}", schemas))
    return component


def _in_order(components, file):
    """Components, each after those of its own file that it refers to."""
    done, busy, result = set(), set(), []

    def visit(name):
        if name in done or name not in components:
            return
        if name in busy:
            _fail(f"schema/{file}.yaml: {name}", "refers to itself in a circle")
        busy.add(name)
        for other in re.findall(r"#/components/schemas/(\w+)", json.dumps(components[name])):
            visit(other)
        done.add(name)
        result.append(name)

    for name in components:
        visit(name)
    return result


def load(directory):
    schemas = Schemas({}, {})
    for file in ORDER:
        path = directory / f"{file}.yaml"
        if not path.exists():
            continue
        document = yaml.safe_load(path.read_text())
        schemas.documents[file] = document
        components = document.get("components", {}).get("schemas", {})
        for name in _in_order(components, file):
            schemas.components[name] = _component(name, file, components[name], schemas)
    return schemas
