"""A tenant's virtual host, made when it is first needed.

Owns: asking RabbitMQ's management API. Nothing else about the broker is changed: users and their rights belong to its operators.
"""

from __future__ import annotations

import ssl
from typing import Final
from urllib.parse import quote

import httpx
from yarl import URL

from bus.errors import Transient
from bus.event_ports import Broker
from bus.rabbitmq import password

ASK_SECONDS: Final = 10.0


async def make_virtual_host(broker: Broker, name: str) -> None:
    """Make it, with all rights in it for the bus's own user; one that is there stays as it is.

    Raises:
        Transient: the site names no management API, or it did not do it.
    """
    if broker.management_url is None:
        raise Transient("RNK5503E", virtual_host=name, reason="site.yaml: broker: management_url")
    url = URL(broker.url)
    user, host = url.user or "guest", quote(name, safe="")
    trust = ssl.create_default_context(cafile=url.query.get("cafile")) if broker.management_url.startswith("https:") else False
    try:
        sign_in = httpx.BasicAuth(user, password(broker) or url.password or "")
        async with httpx.AsyncClient(
            base_url=broker.management_url, auth=sign_in, timeout=ASK_SECONDS, verify=trust, trust_env=False
        ) as api:
            (await api.put(f"/api/vhosts/{host}", json={})).raise_for_status()
            rights = {"configure": ".*", "write": ".*", "read": ".*"}
            (await api.put(f"/api/permissions/{host}/{quote(user, safe='')}", json=rights)).raise_for_status()
    except httpx.HTTPStatusError as error:
        raise Transient("RNK5503E", virtual_host=name, reason=f"HTTP {error.response.status_code}") from error
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise Transient("RNK5503E", virtual_host=name, reason=type(error).__name__) from error
