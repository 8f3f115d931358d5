"""The request that gives permissions on a Kafka (CreateAcls, KIP-140 and KIP-290): aiokafka has none."""

from typing import Any, NamedTuple

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Int8, Int16, Int32, Schema, String

RESOURCES = {"topic": 2, "group": 3, "cluster": 4}
PATTERNS = {"literal": 3, "prefixed": 4}
OPERATIONS = {"All": 2, "Read": 3, "Write": 4, "Create": 5, "Describe": 8, "DescribeConfigs": 10}
_ALLOW = 3
_ANY_HOST = "*"


class Grant(NamedTuple):
    """`principal` may do `operation`, to the resource with this name or with a name that begins so."""

    principal: str
    operation: str
    resource: str
    pattern: str
    name: str


class CreateAclsResponse(Response):  # type: ignore[misc]  # aiokafka has no types
    API_KEY = 30
    API_VERSION = 1
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("results", Array(("error_code", Int16), ("error_message", String("utf-8")))),
    )


class CreateAclsRequestStruct(RequestStruct):  # type: ignore[misc]
    API_KEY = 30
    API_VERSION = 1
    RESPONSE_TYPE = CreateAclsResponse
    SCHEMA = Schema(
        (
            "creations",
            Array(
                ("resource_type", Int8),
                ("resource_name", String("utf-8")),
                ("resource_pattern_type", Int8),
                ("principal", String("utf-8")),
                ("host", String("utf-8")),
                ("operation", Int8),
                ("permission_type", Int8),
            ),
        ),
    )


class CreateAclsRequest(Request[CreateAclsRequestStruct]):  # type: ignore[misc]
    """Giving what was given before changes nothing."""

    API_KEY = 30

    def __init__(self, grants: list[Grant]) -> None:
        self._rows = [
            (
                RESOURCES[grant.resource],
                grant.name,
                PATTERNS[grant.pattern],
                grant.principal,
                _ANY_HOST,
                OPERATIONS[grant.operation],
                _ALLOW,
            )
            for grant in grants
        ]

    def build(self, request_struct_class: type[CreateAclsRequestStruct]) -> Any:
        return request_struct_class(self._rows)
