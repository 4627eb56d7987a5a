"""Description of ``POST /v1/score`` for OpenAPI: FastAPI cannot tell it from raw bodies."""

from buckler.serving.formats import VERDICT_FORMATS, Json, Record
from buckler.serving.http.bodies import ARROW, JSON, NDJSON

# Parameters of an operating point (`buckler.operating_point`).
POINT = {
    "fpr": "Decide at the threshold for this false-positive rate.",
    "recall": "Decide at the threshold that detects this share of positive events.",
    "precision": "Decide at the threshold for this precision; needs base_rate.",
    "base_rate": "Share of positive events among all.",
    "alerts_per_day": "Decide at the threshold for so many alerts; needs events_per_day.",
    "events_per_day": "Number of events a day.",
    "threshold": "Decide at this score.",
}


def describe_score() -> Record:
    """Return the parameters, bodies and answers of ``POST /v1/score``."""
    formats: list[Json] = ["verdict", *VERDICT_FORMATS.names()]
    parameters: list[tuple[str, Record, str]] = [
        ("model", _type("string"), "Name of a bundle; needed where several are served."),
        *((name, _type("number"), description) for name, description in POINT.items()),
        ("probabilities", _type("boolean"), "Add the probability of each class."),
        ("explain", _type("integer"), "Name so many pieces that count most."),
        ("as", {"enum": formats}, "Verdict format."),
        ("text", _type("boolean"), "Put the event into the formatted verdict."),
        ("keep", _type("string"), "Repeat these fields of the event, with commas between."),
    ]
    return {
        "parameters": [
            {"name": name, "in": "query", "schema": schema, "description": description}
            for name, schema, description in parameters
        ],
        "requestBody": {"required": True, "content": _CONTENT},
        "responses": {
            "200": {"description": "A verdict, or an error, for each event, in their order."},
            "400": {"description": "The request makes no sense."},
            "401": {"description": "No API key, or an unknown one."},
            "413": {"description": "Too many bytes or events."},
            "429": {"description": "Too much at once; Retry-After says when to come again."},
        },
    }


def _type(name: str) -> Record:
    return {"type": name}


_EVENT: Record = {
    "oneOf": [
        {"type": "string"},
        {"type": "object", "description": "The fields that files of this task have."},
    ]
}
_CONTENT: Record = {
    JSON: {
        "schema": {
            "oneOf": [
                {"type": "array", "items": _EVENT},
                {
                    "type": "object",
                    "properties": {
                        "text": {"type": "string"},
                        "event": _EVENT,
                        "texts": {"type": "array", "items": {"type": "string"}},
                        "events": {"type": "array", "items": _EVENT},
                    },
                },
            ]
        }
    },
    NDJSON: {"schema": {"type": "string", "description": "One event a line."}},
    ARROW: {"schema": {"type": "string", "format": "binary"}},
}
