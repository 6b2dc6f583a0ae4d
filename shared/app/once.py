"""What is made once in a process, also where several threads ask for it first at the same time.

The host runs the functions of an instance side by side: after a start, the first batches of several partitions and the
first requests come together. `cached_property` and `cache` would make several clients and stores then, and use one.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock
from typing import Any, Generic, Self, TypeVar, overload

__all__ = ["Once", "made_once"]

T = TypeVar("T")


class made_once(Generic[T]):  # noqa: N801 - a decorator of methods, as `cached_property` is
    """A property that is made when it is first asked for, and kept with its object; after a failure it is made anew.

    Each property waits for itself alone: what takes long to open does not hold up the others.
    """

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make = make
        self.__doc__ = make.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        """Take the name of the property."""
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...

    @overload
    def __get__(self, instance: object, owner: type) -> T: ...

    def __get__(self, instance: object | None, owner: type) -> Self | T:
        """Give what is kept with an object; of the class, the property itself."""
        if instance is None:
            return self
        # What is kept here has the name of the property, so Python finds it without asking again.
        kept = vars(instance)
        with kept.setdefault(f"making {self._name}", RLock()):
            if self._name not in kept:
                kept[self._name] = self._make(instance)
        found: T = kept[self._name]
        return found


class Once(Generic[T]):
    """A function without arguments that is called once and whose result is kept; after a failure it is called again."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._making = RLock()
        self._made: list[T] = []
        self.__doc__ = make.__doc__

    def __call__(self) -> T:
        """Give the result."""
        with self._making:
            if not self._made:
                self._made.append(self._make())
            return self._made[0]

    def cache_clear(self) -> None:
        """Forget the result, as in a new process."""
        with self._making:
            self._made.clear()
