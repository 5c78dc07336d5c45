"""Addresses and prefixes of IPv4 and IPv6 (https://trino.io/docs/435/functions/ipaddress.html).

What is over prefixes Trino has not, and Athena has from Presto
(https://prestodb.io/docs/current/functions/ip.html).
"""

from __future__ import annotations

from local_aws.athena import types as ty
from local_aws.athena.functions.registry import Overload, Table
from local_aws.athena.types import BIGINT, BOOLEAN, IP_ADDRESS, IP_PREFIX, VARCHAR

# contains(network, address); the function of arrays has the name, too.
CONTAINS = Overload((VARCHAR, IP_ADDRESS), BOOLEAN, "py_ip_contains")

FUNCTIONS: Table = {
    "ip_prefix": [
        Overload((IP_ADDRESS, BIGINT), IP_PREFIX, "py_ip_prefix"),
        Overload((VARCHAR, BIGINT), IP_PREFIX, lambda text, n: f"py_ip_prefix(py_ip_parse({text}), {n})"),
    ],
    "ip_subnet_max": [Overload((IP_PREFIX,), IP_ADDRESS, "py_ip_subnet_max")],
    "ip_subnet_min": [Overload((IP_PREFIX,), IP_ADDRESS, "py_ip_subnet_min")],
    "ip_subnet_range": [
        Overload(
            (IP_PREFIX,),
            ty.array(IP_ADDRESS),
            lambda p: f"CASE WHEN {p} IS NOT NULL THEN [py_ip_subnet_min({p}), py_ip_subnet_max({p})] END",
        )
    ],
    "is_subnet_of": [
        Overload((IP_PREFIX, IP_ADDRESS), BOOLEAN, "py_ip_is_subnet_of"),
        Overload((IP_PREFIX, IP_PREFIX), BOOLEAN, "py_ip_is_subnet_of"),
    ],
}
