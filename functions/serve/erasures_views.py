"""Requests to erase people to calls of the domain, and receipts to answers. Free of any framework. Scope: admin."""

from functions.measure.erasing.erasures import Erasure, Erasures
from functions.measure.identities import named
from functions.serve import params
from functions.shared.edge import Answer, Request, as_json

PATH = "/api/v1/erasures"
_NO_STORE = {"Cache-Control": "no-store"}
_KNOWN = ("anonymous_id",)
# So long after asking it is worth to look again: the schedule of the batches works on it.
_LATER_SECONDS = 60


def erase(erasures: Erasures, request: Request) -> Answer:
    """``DELETE /api/v1/users/{user_id}``: refused from now on; what is there is removed by the batches."""
    params.guard(request.params)
    params.only(request.params, _KNOWN)
    devices = list(request.params.get("anonymous_id", []))
    for one in devices:
        named("anonymous_id", f"a:{one}")
    return _told(erasures, erasures.ask(request.path_params.get("user_id", ""), devices))


def erasure(erasures: Erasures, request: Request) -> Answer:
    """``GET /api/v1/erasures/{erasure_id}``: the receipt."""
    params.guard(request.params)
    params.only(request.params, ())
    return _told(erasures, erasures.get(params.path_uuid(request.path_params, "erasure_id")))


def _told(erasures: Erasures, found: Erasure) -> Answer:
    headers = {**_NO_STORE, "Location": f"{PATH}/{found.erasure_id}"}
    if found.state == "done":
        return as_json(200, erasures.receipt(found), headers)
    return as_json(202, erasures.receipt(found), {**headers, "Retry-After": str(_LATER_SECONDS)})
