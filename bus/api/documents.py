"""The OpenAPI document: what the routes say of themselves, the schemas they name, and what one tenant's systems may use.

Owns: putting it together. The document for everybody shows no tenant; that of a tenant has a path for each interface and subscription
that the caller may use, with the schemas of their contracts.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel

from bus.api.documented import answers, publishes, reference
from bus.api.problems import PROBLEM_SCHEMA
from bus.api.pull_routes import Acknowledged, HandedBackAsked, PullAsked, RenewAsked
from bus.api.sign_in import Who
from bus.event import Way
from bus.events.receivers import way_of
from bus.site import Interface, LoadedSite, Subscription
from contracts.json_schema import json_schema
from contracts.registry import Registry

Json = dict[str, Any]
_ASKED: Final[tuple[type[BaseModel], ...]] = (PullAsked, Acknowledged, HandedBackAsked, RenewAsked)
_TEXT: Final = {"type": "string"}
_NUMBER: Final = {"type": "integer", "minimum": 0}


def _object(required: Mapping[str, Any], **optional: Any) -> Json:
    return {"type": "object", "required": list(required), "properties": {**required, **optional}}


def _list(name: str, item: Mapping[str, Any]) -> Json:
    return _object({name: {"type": "array", "items": dict(item)}})


def _outcomes(*known: str) -> Json:
    return _list("results", _object({"delivery": _TEXT, "outcome": {"enum": list(known)}}))


def cloud_event(data: Mapping[str, Any]) -> Json:
    """The schema of a structured CloudEvent (JSON Event Format 1.0.2) with such data."""
    needed = {
        "specversion": {"const": "1.0"},
        "id": {**_TEXT, "minLength": 1, "maxLength": 256},
        "source": {**_TEXT, "minLength": 1, "maxLength": 1024, "format": "uri-reference"},
        "type": {**_TEXT, "minLength": 1, "maxLength": 256},
        "data": dict(data),
    }
    known = dict.fromkeys(("subject", "dataschema", "datacontenttype", "inreplyto"), _TEXT)
    return _object(needed, time={**_TEXT, "format": "date-time"}, expirytime={**_TEXT, "format": "date-time"}, **known)


_LENT: Final = _object(
    {
        "delivery": _TEXT,
        "fence": _NUMBER,
        "number": _NUMBER,
        "attempt": _NUMBER,
        "lease_until": {"type": "string", "format": "date-time"},
        "event": reference("CloudEvent"),
    }
)
SCHEMAS: Final[Json] = {
    "Problem": PROBLEM_SCHEMA,
    "Data": {"type": "object", "additionalProperties": {"type": ["string", "null"]}},
    "CloudEvent": cloud_event(reference("Data")),
    "Taken": _object({"message": _TEXT, "outcome": {"enum": ["accepted", "duplicate"]}}),
    "TakenBatch": _list("results", _object({"status": _NUMBER}, id=_TEXT, message=_TEXT, outcome=_TEXT, message_id=_TEXT, detail=_TEXT)),
    "Pulled": _list("events", _LENT),
    "Acknowledgements": _outcomes("delivered", "stale"),
    "Returns": _outcomes("due", "quarantined", "stale"),
    "Renewals": _outcomes("renewed", "stale"),
    "Stream": {"type": "string", "description": "server-sent events; the data of each is a CloudEvent in JSON"},
    "Message": _object(
        {"message": _TEXT, "state": _TEXT, "deliveries": {"type": "array", "items": _object({"subscription": _TEXT, "state": _TEXT})}}
    ),
    "UploadState": _object({"state": _TEXT, "receipt": {"type": ["string", "null"]}, "message": {"type": ["string", "null"]}}),
}
_PUBLISH: Final = "/v1/{tenant}/interfaces/{interface}/events"
_REQUEST: Final = "/v1/{tenant}/interfaces/{interface}/requests"
_UPLOAD: Final = "/v1/{tenant}/interfaces/{interface}/uploads"
_SUBSCRIPTION: Final = "/v1/{tenant}/subscriptions/{subscription}/"


def publish_operation(event: str = "CloudEvent", data: str = "Data") -> Json:
    """The publish route, which FastAPI does not know."""
    told = answers(202, 207, 400, 408, 409, 413, 415, 429)
    either = {"anyOf": [reference("Taken"), reference("TakenBatch")]}
    told[202]["description"] = "taken, and on disk"
    told[202]["content"] = {"application/json": {"schema": either}}
    told[207]["content"] = {"application/json": {"schema": reference("TakenBatch")}}
    return {
        "tags": ["publish"],
        "summary": "Publish",
        "description": "Publish one event or a batch (CloudEvents HTTP protocol binding 1.0.2). Answered when it is on disk.",
        "operationId": "publish",
        "responses": {str(status): answer for status, answer in told.items()},
        **copy.deepcopy(publishes(event, data, batch=True)),
    }


def _place(*names: str) -> list[Json]:
    return [{"name": name, "in": "path", "required": True, "schema": _TEXT} for name in names]


def whole_document(base: Mapping[str, Any], *, signs_in: bool) -> Json:
    """The document for everybody, from what FastAPI knows of its routes."""
    document = copy.deepcopy(dict(base))
    operation = publish_operation()
    operation["parameters"] = [*_place("tenant", "interface"), *operation["parameters"]]
    document["paths"][_PUBLISH] = {"post": operation}
    document["components"] = {"schemas": {**copy.deepcopy(SCHEMAS), **_asked_schemas()}}
    if signs_in:
        document["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer", "description": "a system's API key"}}
        document["security"] = [{"key": []}]
    return document


def _asked_schemas() -> Json:
    schemas: Json = {}
    for form in _ASKED:
        schema = form.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= schema.pop("$defs", {})
        schemas[form.__name__] = schema
    return schemas


def tenant_document(whole: Mapping[str, Any], site: LoadedSite, registry: Registry, who: Who) -> Json:
    """The document of one tenant, for one caller."""
    document = copy.deepcopy(dict(whole))
    general = document["paths"]
    document["paths"] = {path: item for path, item in general.items() if "{interface}" not in path and "{subscription}" not in path}
    schemas = document["components"]["schemas"]
    for interface in own_interfaces(site, who):
        if interface.kind != "event":
            _name(document, general, _UPLOAD, "interface", interface.id)
            continue
        data, event = f"Data.{interface.contract}".replace("@", "-"), f"CloudEvent.{interface.id}"
        schemas[data] = embedded(registry, interface.contract)
        schemas[event] = cloud_event(reference(data))
        if interface.event.types:
            schemas[event]["properties"]["type"] = {"enum": list(interface.event.types)}
        paths = [_PUBLISH, *([_REQUEST] if interface.event.replies else [])]
        for path in paths:
            named = _name(document, general, path, "interface", interface.id)
            named["post"]["requestBody"] = publishes(event, data, batch=path == _PUBLISH)["requestBody"]
    for subscription in own_subscriptions(site, who):
        for path in [path for path in general if path.startswith(_SUBSCRIPTION)]:
            _name(document, general, path, "subscription", subscription.id)
    for item in document["paths"].values():
        for operation in item.values():
            _fix(operation, "tenant", who.tenant)
    return document


def embedded(registry: Registry, contract: str) -> Json:
    """A contract's JSON schema as a part of another document."""
    return {name: said for name, said in json_schema(registry.contract(contract)).items() if name != "$schema"}


def own_interfaces(site: LoadedSite, who: Who) -> Iterator[Interface]:
    """The interfaces of the caller's system."""
    tenant = site.tenants[who.tenant].tenant
    systems = {endpoint.id: endpoint.system for endpoint in tenant.endpoints}
    return (one for one in tenant.interfaces if who.is_one_of(systems[one.endpoint]))


def own_subscriptions(site: LoadedSite, who: Who) -> Iterator[Subscription]:
    """The subscriptions whose events the caller's system fetches."""
    tenant = site.tenants[who.tenant].tenant
    adapters = {endpoint.id: endpoint.adapter for endpoint in tenant.endpoints}
    return (one for one in tenant.subscriptions if who.is_one_of(one.system) and way_of(adapters[one.endpoint]) is Way.PULL)


def _name(document: Json, general: Mapping[str, Any], path: str, kind: str, name: str) -> Json:
    """One path of the general document, for one interface or subscription."""
    item: Json = copy.deepcopy(general[path])
    for operation in item.values():
        operation["operationId"] = f"{operation['operationId']}_{name}"
        operation["parameters"] = [one for one in operation.get("parameters", []) if one["name"] != kind]
    document["paths"][path.replace(f"{{{kind}}}", name)] = item
    return item


def _fix(operation: Json, parameter: str, value: str) -> None:
    """A parameter that has one value only."""
    for one in operation.get("parameters", []):
        if one["name"] == parameter and one["in"] == "path":
            one["schema"] = {"type": "string", "enum": [value]}
