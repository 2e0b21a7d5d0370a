"""The routes of collect, and nothing else. Chalice is a thin shell here."""

from chalice.app import Chalice, Response

from functions.collect.views import collect

app = Chalice(app_name="weir-collect", configure_logs=False)
# All: what the service does not take it refuses as a problem, which Chalice's own refusal is not.
_BODIES = ["*/*"]


def _reply(operation: str) -> Response:
    answer = collect(app.current_request, operation)
    return Response(answer.body, {**answer.headers}, answer.status)


@app.route("/api/v1/events", methods=["POST"], content_types=_BODIES)
def post_event() -> Response:
    return _reply("event")


@app.route("/api/v1/events/batch", methods=["POST"], content_types=_BODIES)
def post_batch() -> Response:
    return _reply("batch")
