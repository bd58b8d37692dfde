"""How the patches of this package take the place of what moto does."""

import functools

_PATCHES = []


def patch(owner, name):
    """Replace the method `owner.name` by the decorated function, which gets the original as its first argument."""

    def put(function):
        def apply():
            setattr(owner, name, functools.partialmethod(_with_original, function, getattr(owner, name)))

        _PATCHES.append(apply)
        return function

    return put


def add(owner, name, value):
    """Give `owner` an attribute that moto does not have, or one in place of moto's."""
    _PATCHES.append(lambda: setattr(owner, name, value))


def install():
    """Apply every patch that was declared. Calling it twice is harmless."""
    while _PATCHES:
        _PATCHES.pop(0)()


def _with_original(self, function, original, *args, **kwargs):
    return function(original, self, *args, **kwargs)
