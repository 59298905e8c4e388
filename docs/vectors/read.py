"""Reads lossmark's vectors without lossmark, and says which elements of a result do not conform."""

from math import isfinite, isnan


def numbers(texts):
    """Numbers as a file writes them: hex floats, nan, inf and -inf, or plain integers."""
    return [float.fromhex(text) if isinstance(text, str) else text for text in texts]


def near(x, exact, rest, bound):
    """Whether x is within the bound of exact + rest, or the same infinity, or NaN like it."""
    both = isfinite(x) and isfinite(exact)
    return abs((x - exact) - rest) <= bound if both else x == exact or (isnan(x) and isnan(exact))


def wrong(got, expected, allowed, room=0.0):
    """The places of a flat list that do not conform; for a gradient ``room`` is that of the dtype."""
    also = ((name, place) for name, places in allowed.get("also", {}).items() for place in places)
    fine = {*allowed.get("any", ()), *(place for name, place in also if str(got[place]) == name)}
    own = {**expected, "bound": allowed["bound"], "at": range(len(got))}
    for part, more in [(own, room), *((other, 0.0) for other in allowed.get("alternatives", ()))]:
        columns = (numbers(part[key]) for key in ("exact", "rest", "bound"))
        fine |= {at for at, e, r, b in zip(part["at"], *columns, strict=True) if near(got[at], e, r, b + more)}
    return set(range(len(got))) - fine


def wrong_gradients(got, expected, allowed, room):
    """What is wrong with the gradients of one reduction: (input, place), or ("kink", number of the example)."""
    found = {(name, at) for name in got for at in wrong(got[name], expected[name], allowed["gradient"][name], room)}
    kinks = allowed.get("kinks", {"rows": ()})
    for k, row in enumerate(kinks["rows"]):
        elements = []  # those that a place moves: x - lower, upper - lower of each place, bound, room
        for name, part in kinks["gradient"].items():
            width, bounds = len(part["lower"]) // len(kinks["rows"]), allowed["gradient"][name]["bound"]
            for here, at in zip(range(k * width, (k + 1) * width), range(row * width, (row + 1) * width), strict=True):
                lower, *upper = numbers([end[here] for end in (part["lower"], *part["upper"])])
                if any(end != lower for end in upper):
                    found.discard((name, at))
                    away, spans = got[name][at] - lower, [end - lower for end in upper]
                    elements.append((away, spans, *numbers([bounds[at], part["room"][here]])))
        found |= {("kink", row)} if elements and not (fits(elements, 2) or fits(elements, 3, between=True)) else set()
    return found


def fits(elements, error, between=False):
    """Whether slopes in [0, 1], one for each place, bring all elements of a row within their error."""
    slopes = [[0.0, 1.0] for _ in elements[0][1]]
    for element in sorted(elements, key=lambda element: sum(map(bool, element[1]))):
        away, spans, e = *element[:2], element[error]
        first, *more = (place for place, span in enumerate(spans) if span)
        if not more:
            ends = sorted(((away - e) / spans[first], (away + e) / spans[first]))
            slopes[first] = [max(slopes[first][0], ends[0]), min(slopes[first][1], ends[1])]
        least, most = (sum(end(s * a, s * b) for s, (a, b) in zip(spans, slopes, strict=True)) for end in (min, max))
        if not isfinite(away) or (more and not least - e <= away <= most + e):
            return False
    places = zip(slopes, *(element[1] for element in elements), strict=True)
    inside = any((a > 0 and b < 1) or (a, b) == (0, 1) for (a, b), *spans in places if any(spans))
    return (inside or not between) and all(a <= b for a, b in slopes)
