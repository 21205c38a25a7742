"""The AsyncAPI document (AsyncAPI 3.0.0): the channels of events, as the configuration makes them.

Owns: one channel for each event interface and subscription, over HTTP or AMQP, with the CloudEvents attributes as headers and the
contract's schema as payload. The application described is the bus: it receives on interfaces and sends on subscriptions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Final, Literal

from bus.api.documents import Json, cloud_event, embedded
from bus.api.sign_in import Who
from bus.event_envelope import MEDIA_TYPE
from bus.site import Endpoint, Interface, LoadedSite, Subscription
from contracts.registry import Registry
from contracts.translation import Translation

_TEXT: Final = {"type": "string"}
_ATTRIBUTES: Final = ("specversion", "id", "source", "type")
_GIVEN: Final = ("renkeimessage", "renkeidelivery", "renkeinumber", "renkeiexpires", "inreplyto")
_MEANT: Final = {"http": "ce-", "amqp": "cloudEvents_"}
"""The prefix of CloudEvents headers in each protocol's binding."""
Protocol = Literal["http", "amqp"]


@dataclass(slots=True)
class _Document:
    """What is put together."""

    registry: Registry
    translations: Mapping[str, Translation]
    channels: Json = field(default_factory=dict)
    operations: Json = field(default_factory=dict)
    messages: Json = field(default_factory=dict)
    schemas: Json = field(default_factory=dict)

    def message(self, contract: str, protocol: Protocol, direction: str) -> str:
        """The name of the message of a contract."""
        name = f"{contract.replace('@', '-')}.{protocol}.{direction}"
        if name not in self.messages:
            schema = contract.replace("@", "-")
            self.schemas.setdefault(schema, embedded(self.registry, contract))
            self.schemas.setdefault(f"{schema}.event", cloud_event({"$ref": f"#/components/schemas/{schema}"}))
            self.messages[name] = {
                "name": contract,
                "title": self.schemas[schema].get("title", contract),
                "contentType": "application/json",
                "headers": _headers(protocol, _GIVEN if direction == "out" else ("inreplyto", "expirytime")),
                "payload": {"$ref": f"#/components/schemas/{schema}"},
                "x-structured": {
                    "contentType": MEDIA_TYPE,
                    "payload": {"$ref": f"#/components/schemas/{schema}.event"},
                },
            }
        return name

    def channel(self, name: str, address: str, action: str, message: str, more: Json) -> None:
        """A channel with its one message and one operation."""
        self.channels[name] = {"address": address, "messages": {"event": {"$ref": f"#/components/messages/{message}"}}, **more}
        self.operations[name] = {
            "action": action,
            "channel": {"$ref": f"#/channels/{name}"},
            "messages": [{"$ref": f"#/channels/{name}/messages/event"}],
        }


def asyncapi_document(site: LoadedSite, registry: Registry, translations: Mapping[str, Translation], callers: Iterable[Who]) -> Json:
    """The document of what these callers may use.

    Raises:
        RenkeiError: an AMQP endpoint's settings, which `renkei check` would have found.
    """
    made = _Document(registry, translations)
    for who in callers:
        tenant = site.tenants[who.tenant].tenant
        endpoints = {endpoint.id: endpoint for endpoint in tenant.endpoints}
        events = {interface.id: interface for interface in tenant.interfaces if interface.kind == "event"}
        for interface in events.values():
            endpoint = endpoints[interface.endpoint]
            if who.is_one_of(endpoint.system):
                _interface(made, who.tenant, interface, endpoint)
        for subscription in tenant.subscriptions:
            endpoint = endpoints[subscription.endpoint]
            if subscription.interface in events and who.is_one_of(subscription.system):
                _subscription(made, who.tenant, events[subscription.interface], subscription, endpoint)
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Renkei", "version": version("renkei-bus")},
        "defaultContentType": "application/json",
        "servers": _servers(site),
        "channels": made.channels,
        "operations": made.operations,
        "components": {"messages": made.messages, "schemas": made.schemas},
    }


def everybody(site: LoadedSite) -> list[Who]:
    """Every tenant, with all its systems."""
    return [Who(code, None) for code in site.tenants]


def _interface(made: _Document, tenant: str, interface: Interface, endpoint: Endpoint) -> None:
    name = f"{tenant}.{interface.id}"
    if endpoint.adapter == "amqp":
        plan = _amqp(tenant, endpoint.settings, "in", interface.id)
        made.channel(name, interface.id, "receive", made.message(interface.contract, "amqp", "in"), _bound("routingKey", plan))
    else:
        address = f"/v1/{tenant}/interfaces/{interface.id}/events"
        made.channel(name, address, "receive", made.message(interface.contract, "http", "in"), {"servers": [{"$ref": "#/servers/http"}]})
        made.operations[name]["bindings"] = {"http": {"method": "POST", "bindingVersion": "0.3.0"}}


def _subscription(made: _Document, tenant: str, interface: Interface, subscription: Subscription, endpoint: Endpoint) -> None:
    translation = subscription.translation
    name, contract = f"{tenant}.{subscription.id}", interface.contract if translation is None else made.translations[translation].to
    if endpoint.adapter == "amqp":
        plan = _amqp(tenant, endpoint.settings, "out", subscription.id)
        made.channel(name, plan["queue"], "send", made.message(contract, "amqp", "out"), _bound("queue", plan))
    elif endpoint.adapter == "http":
        address = f"/v1/{tenant}/subscriptions/{subscription.id}/pull"
        made.channel(name, address, "send", made.message(contract, "http", "out"), {"servers": [{"$ref": "#/servers/http"}]})
        made.operations[name]["bindings"] = {"http": {"method": "POST", "bindingVersion": "0.3.0"}}
    else:  # a webhook: the receiver's own address, which is nobody else's business
        made.channel(name, "", "send", made.message(contract, "http", "out"), {"description": "sent to the subscriber's webhook"})
        made.channels[name]["address"] = None


def _amqp(tenant: str, settings: Mapping[str, object], direction: Literal["in", "out"], name: str) -> Json:
    from adapters.amqp.settings import AmqpSettings  # noqa: PLC0415 - only a site that uses AMQP loads its library
    from adapters.amqp.topology import EXCHANGE, inbound, outbound, virtual_host  # noqa: PLC0415 - as above

    checked = AmqpSettings.model_validate(settings)
    plan = inbound(name, checked) if direction == "in" else outbound(name, checked)
    return {"exchange": EXCHANGE, "queue": plan.name, "vhost": virtual_host(tenant)}


def _bound(kind: Literal["routingKey", "queue"], plan: Mapping[str, str]) -> Json:
    """How an AMQP 0-9-1 channel is bound (AsyncAPI AMQP binding 0.3.0)."""
    host = plan["vhost"]
    if kind == "routingKey":
        bound: Json = {"is": kind, "exchange": {"name": plan["exchange"], "type": "direct", "durable": True, "vhost": host}}
    else:
        bound = {"is": kind, "queue": {"name": plan["queue"], "durable": True, "exclusive": False, "autoDelete": False, "vhost": host}}
    return {"servers": [{"$ref": "#/servers/amqp"}], "bindings": {"amqp": {**bound, "bindingVersion": "0.3.0"}}}


def _headers(protocol: Protocol, extensions: Iterable[str]) -> Json:
    """The attributes in binary mode."""
    prefix = _MEANT[protocol]
    needed = {f"{prefix}{name}": {"const": "1.0"} if name == "specversion" else _TEXT for name in _ATTRIBUTES}
    known = {f"{prefix}{name}": _TEXT for name in ("time", "subject", *extensions)}
    return {"type": "object", "required": list(needed), "properties": {**needed, **known}}


def _servers(site: LoadedSite) -> Json:
    api = site.site.api
    servers: Json = {"http": {"host": f"{api.host}:{api.port}", "protocol": api.scheme}}
    if site.site.broker is not None:
        scheme, _, rest = site.site.broker.url.partition("://")
        servers["amqp"] = {"host": rest.partition("@")[2].partition("/")[0], "protocol": scheme, "protocolVersion": "0.9.1"}
    return servers
