"""Damage that is still JSON: values of other types, missing and doubled ones, at any depth."""

import copy

# One of each type, and those that code takes for another: a boolean for a number, a list where a hash is needed.
STRANGERS = (None, True, 0, -1, 10**30, 1.5, "", "x", "text", "message", "tool_use", [], ["x"], [[]], {}, {"type": "text"}, {"x": [{}]})


def reshaped(values, chance):
    """A list of JSON values with one to three of the values in it replaced, dropped, doubled or moved."""
    values = copy.deepcopy(values)
    for _ in range(chance.randint(1, 3)):
        holder, place = chance.choice(list(_places(values)) or [(values, None)])
        if place is None:
            continue
        match chance.randrange(4):
            case 0 | 1:
                holder[place] = copy.deepcopy(chance.choice(STRANGERS))
            case 2:
                del holder[place]
            case 3 if isinstance(holder, list):
                holder.insert(chance.randrange(len(holder) + 1), copy.deepcopy(holder[place]))
            case _:
                other, at = chance.choice(list(_places(values)))
                holder[place] = copy.deepcopy(other[at])
    return values


def _places(value):
    keys = range(len(value)) if isinstance(value, list) else list(value) if isinstance(value, dict) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])
