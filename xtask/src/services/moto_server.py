"""moto's server, for the tests of S3 policies. It decides on requests as AWS does in what moto 5.2.5 leaves out:

- a request that is not signed is forbidden, instead of an internal error;
- signatures hold whether the client has encoded its query or not;
- conditions on `s3:prefix` are checked;
- a copy needs permission to read its source;
- without permission to list an absent object, its absence is not shown: reading it is forbidden.
"""

from fnmatch import fnmatchcase
from urllib.parse import parse_qsl, quote, unquote, urlencode

from moto.iam import access_control, policy_conditions
from moto.iam.access_control import IAMPolicy, PermissionResult, S3IAMRequest
from moto.s3.exceptions import S3AccessDeniedError
from moto.s3.models import s3_backends
from moto.server import main

OBJECTS = "arn:aws:s3:::"


class Request(S3IAMRequest):
    def __init__(self, path, headers, **rest):
        if "Authorization" not in headers:
            raise S3AccessDeniedError()
        path, _, query = path.partition("?")
        query = parse_qsl(query, keep_blank_values=True)
        self._prefix = dict(query).get("prefix")
        super().__init__(path=f"{path}?{urlencode(query, quote_via=quote, safe='')}", headers=headers, **rest)

    def check_action_permitted(self, resource):
        self._require(self._action, resource, self._prefix)
        if self._action == "s3:GetObject":
            self._require_read(resource)
        if "X-Amz-Copy-Source" in self._headers:
            self._require_read(OBJECTS + unquote(self._headers["X-Amz-Copy-Source"]).lstrip("/"))

    def _require_read(self, resource):
        self._require("s3:GetObject", resource)
        bucket, _, key = resource.removeprefix(OBJECTS).partition("/")
        found = s3_backends[self.account_id]["aws"].buckets.get(bucket)
        if found and key not in found.keys:
            self._require("s3:ListBucket", OBJECTS + bucket, key)

    def _require(self, action, resource, prefix=None):
        policies = map(IAMPolicy, self._access_key.collect_policies())
        results = [policy.is_action_permitted(action, resource, None, {"s3:prefix": prefix}) for policy in policies]
        if PermissionResult.PERMITTED not in results or PermissionResult.DENIED in results:
            self._raise_access_denied()


def string_like(patterns, value):
    patterns = [patterns] if isinstance(patterns, str) else patterns
    return value is not None and any(fnmatchcase(value, pattern) for pattern in patterns)


access_control.S3IAMRequest = Request
policy_conditions.CONDITION_OPERATIONS["StringLike"] = string_like
main()
