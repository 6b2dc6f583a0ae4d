"""Parses ``$filter`` expressions by recursive descent.

The messages are those of Microsoft's OData library, which the service returns unchanged.
"""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from emulator.errors import NAMESPACE, ODataError
from emulator.odata.lexer import END, Token, literal_of, tokenize
from emulator.odata.nodes import (
    COMPARISONS,
    Call,
    Comparison,
    Expression,
    Lambda,
    Literal,
    Logical,
    Negation,
    Operand,
    Property,
    QueryFunction,
)

__all__ = ["FilterParser", "parse_filter"]

_TEXT_FUNCTIONS: Final = frozenset({"contains", "startswith", "endswith"})
_DEEPEST: Final = 100  # the limit of Microsoft's OData library
_NO_ALIASES: Final[Mapping[str, str]] = MappingProxyType({})


def parse_filter(text: str, aliases: Mapping[str, str] = _NO_ALIASES) -> Expression:
    """Parse the value of ``$filter``.

    Args:
        text: The expression, percent-decoded.
        aliases: Values of parameter aliases by name, ``{"@p1": "'A1'"}``.

    Returns:
        The expression; its names are not checked.

    Raises:
        ODataError: The expression is not well formed, or calls an unknown function.
    """
    return FilterParser(text, aliases).parse()


class FilterParser:
    """The parser of one expression."""

    def __init__(self, text: str, aliases: Mapping[str, str] = _NO_ALIASES) -> None:
        """Split the text into tokens."""
        self._text = text
        self._aliases = aliases
        self._tokens = tokenize(text)
        self._next = 0
        self._depth = 0

    def parse(self) -> Expression:
        """Return the whole text as one expression."""
        expression = self._disjunction()
        if self._peek().kind != END:
            raise self._syntax_error()
        return expression

    def operand(self) -> Operand:
        """Return the next literal, alias or property."""
        token = self._peek()
        if token.kind == "alias":
            return self._aliased(self._take())
        literal = literal_of(token)
        if literal is not None:
            self._take()
            return literal
        if token.kind != "name":
            raise self._expected("Expression")
        return Property(path=self._path(), position=token.position)

    def take_mark(self, mark: str) -> bool:
        """Consume this punctuation mark if it is the next token."""
        token = self._peek()
        if token.kind == "mark" and token.text == mark:
            self._next += 1
            return True
        return False

    # Logic, by rising precedence

    def _disjunction(self) -> Expression:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ODataError("Recursion depth exceeded allowed limit.", position=self._peek().position)
        operands = [self._conjunction()]
        while self._take_word("or"):
            operands.append(self._conjunction())
        self._depth -= 1
        return operands[0] if len(operands) == 1 else Logical(operator="or", operands=tuple(operands))

    def _conjunction(self) -> Expression:
        operands = [self._negation()]
        while self._take_word("and"):
            operands.append(self._negation())
        return operands[0] if len(operands) == 1 else Logical(operator="and", operands=tuple(operands))

    def _negation(self) -> Expression:
        negated = False
        while self._take_word("not"):
            negated = not negated
        position = self._peek().position
        expression = self._comparison()
        if not negated:
            return expression
        if _has_query_function(expression):  # use-web-api-functions page, "Limitations of query functions"
            raise ODataError(
                "Not operator along with the Custom Named Condition operators is not allowed",
                status=405,
                position=position,
            )
        return Negation(operand=expression)

    def _comparison(self) -> Expression:
        left = self._primary()
        token = self._peek()
        if token.kind == "name" and token.text in COMPARISONS:
            return self._compared(left, self._take().text)
        if self._take_word("in"):
            return self._membership(left)
        return left

    def _compared(self, left: Expression, operator: str) -> Expression:
        right = self._primary()
        if isinstance(right, Literal) and isinstance(right.value, bool) and not isinstance(left, Property | Literal):
            # "contains(name,'x') eq true": the comparison with a truth value is left out
            return left if right.value is (operator == "eq") else Negation(operand=left)
        if not isinstance(left, Property | Literal) or not isinstance(right, Property | Literal):
            raise ODataError(
                f"Only a property and a value can be compared: operator kind '{COMPARISONS[operator]}'.",
                position=self._peek().position,
            )
        if isinstance(left, Property) and isinstance(right, Property) and left.path[:-1] != right.path[:-1]:
            raise ODataError("Only properties of the same row can be compared.", position=self._peek().position)
        return Comparison(operator=operator, left=left, right=right)

    def _membership(self, left: Expression) -> Expression:
        """Reads the operator of OData 4.01, which real organisations refuse with this answer."""
        if not isinstance(left, Property) or not self.take_mark("("):
            raise self._syntax_error()
        self._literal()
        while self.take_mark(","):
            self._literal()
        self._close()
        raise ODataError("The query node In is not supported", status=501, code="0x8006088a")

    def _primary(self) -> Expression:
        if self.take_mark("("):
            inner = self._disjunction()
            self._close("')' or operator")
            return inner
        token = self._peek()
        if token.kind == "name" and literal_of(token) is None:
            return self._named()
        return self.operand()

    # Names: properties, functions, lambdas

    def _named(self) -> Expression:
        token = self._peek()
        path = self._path()
        if not self.take_mark("("):
            return Property(path=path, position=token.position)
        name = path[-1]
        if name in {"any", "all"} and len(path) > 1:
            return self._lambda(path[:-1], name, token.position)
        if name.startswith(f"{NAMESPACE}."):
            return self._query_function(path, token.position)
        if len(path) == 1 and name in _TEXT_FUNCTIONS:
            return self._call(name)
        raise ODataError(
            f"An unknown function with name '{name}' was found. This may also be a function import or a key lookup on "
            "a navigation property, which is not allowed.",
            position=token.position,
        )

    def _path(self) -> tuple[str, ...]:
        names = [self._take().text]
        while self.take_mark("/"):
            if self._peek().kind != "name":
                raise self._syntax_error()
            names.append(self._take().text)
        return tuple(names)

    def _call(self, name: str) -> Call:
        subject = self.operand()
        if not self.take_mark(","):
            raise self._expected("')' or ','")
        text = self.operand()
        self._close("')' or ','")
        if not isinstance(subject, Property) or not isinstance(text, Literal) or not isinstance(text.value, str):
            raise ODataError(
                f"No function signature for the function with name '{name}' matches the specified arguments. The "
                f"function signatures considered are: {name}(Edm.String Nullable=true, Edm.String Nullable=true)."
            )
        return Call(name=name, operand=subject, text=text.value)

    def _lambda(self, path: tuple[str, ...], quantifier: str, position: int) -> Lambda:
        if self.take_mark(")"):
            return Lambda(path=path, quantifier=quantifier, variable="", predicate=None, position=position)
        variable = self._take().text
        if not self.take_mark(":"):
            raise self._syntax_error()
        predicate = self._disjunction()
        self._close("')' or operator")
        return Lambda(path=path, quantifier=quantifier, variable=variable, predicate=predicate, position=position)

    def _query_function(self, path: tuple[str, ...], position: int) -> QueryFunction:
        parameters: dict[str, str | tuple[str, ...]] = {}
        while not self.take_mark(")"):
            name = self._take()
            if name.kind != "name" or not self.take_mark("="):
                raise self._syntax_error()
            parameters[name.text] = self._parameter()
            if not self.take_mark(",") and self._peek().text != ")":
                raise self._expected("')' or ','")
        function = path[-1].removeprefix(f"{NAMESPACE}.")
        return QueryFunction(name=function, parameters=parameters, subject=path[:-1], position=position)

    def _parameter(self) -> str | tuple[str, ...]:
        """An argument of a function: a literal, a list in brackets, or an alias."""
        token = self._peek()
        if token.kind == "alias":
            self._take()
            return FilterParser(self._alias_text(token), self._aliases)._parameter()  # noqa: SLF001 - same class
        if not self.take_mark("["):
            return _as_text(self._take(), self._text)
        items: list[str] = []
        while not self.take_mark("]"):
            items.append(_as_text(self._take(), self._text))
            if not self.take_mark(",") and self._peek().text != "]":
                raise ODataError(
                    "Invalid JSON. A comma character ',' was expected in scope 'Array'. Every two elements in an array "
                    "and properties of an object must be separated by commas.",
                    position=self._peek().position,
                )
        return tuple(items)

    # Tokens

    def _aliased(self, token: Token) -> Operand:
        if token.text not in self._aliases:  # query/overview page, "Use parameter aliases with query options"
            return Literal(value=None, edm="null", text="null", position=token.position)
        inner = FilterParser(self._alias_text(token), self._aliases)
        value = inner.operand()
        if inner._peek().kind != END:
            raise inner._syntax_error()
        return value

    def _alias_text(self, token: Token) -> str:
        text = self._aliases.get(token.text)
        if text is None or text.lstrip().startswith("@"):  # an alias of an alias could refer to itself
            raise ODataError(f"The parameter alias '{token.text}' has no value.", position=token.position)
        return text

    def _literal(self) -> Literal:
        operand = self.operand()
        if not isinstance(operand, Literal):
            raise self._syntax_error()
        return operand

    def _peek(self) -> Token:
        return self._tokens[self._next]

    def _take(self) -> Token:
        token = self._tokens[self._next]
        if token.kind == END:
            raise self._expected("Expression")
        self._next += 1
        return token

    def _take_word(self, word: str) -> bool:
        token = self._peek()
        if token.kind == "name" and token.text == word:
            self._next += 1
            return True
        return False

    def _close(self, expected: str = "')' or ','") -> None:
        if not self.take_mark(")"):
            raise self._expected(expected)

    def _expected(self, what: str) -> ODataError:
        position = self._peek().position
        return ODataError(f"{what} expected at position {position} in '{self._text}'.", position=position)

    def _syntax_error(self) -> ODataError:
        position = self._peek().position
        return ODataError(f"Syntax error at position {position} in '{self._text}'.", position=position)


def _has_query_function(node: Expression) -> bool:
    match node:
        case QueryFunction():
            return True
        case Logical():
            return any(_has_query_function(each) for each in node.operands)
        case Negation():
            return _has_query_function(node.operand)
        case _:
            return False


def _as_text(token: Token, whole: str) -> str:
    """Values of query functions are texts for every type of column: the service parses them by the column."""
    if token.kind == "quoted":
        try:
            return str(json.loads(token.text, strict=False))
        except ValueError:
            raise ODataError(
                f"Syntax error at position {token.position} in '{whole}'.", position=token.position
            ) from None
    literal = literal_of(token)
    if literal is None:
        raise ODataError(f"Syntax error at position {token.position} in '{whole}'.", position=token.position)
    return literal.value if isinstance(literal.value, str) else literal.text
