"""The header `Accept`, read (RFC 9110, 12.5.1)."""


def qualities(accept: str) -> dict[str, float]:
    """The ranges of the header with their `q`, in the order of the header."""
    asked: dict[str, float] = {}
    for item in accept.split(","):
        name, *parameters = (part.strip().lower() for part in item.split(";"))
        asked[name] = max(_q(parameters), asked.get(name, 0.0))
    return asked


def quality_of(media_type: str, asked: dict[str, float]) -> float:
    """By the most specific range that the type is in."""
    ranges = (media_type, f"{media_type.partition('/')[0]}/*", "*/*")
    return next((asked[name] for name in ranges if name in asked), 0.0)


def _q(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return min(1.0, max(0.0, float(value)))
            except ValueError:
                return 0.0
    return 1.0
