"""Real time: from a hub's messages to events, and from many events of a record to the changes they add up to."""

from shared.events.bodies import moment, parse
from shared.events.change_queue import ChangeQueue
from shared.events.decoding import Decoded, ReadBody, claim, decode, read
from shared.events.extraction import Fields, Reader, carried_definition, fields_of
from shared.events.folding import FoldedBatch, FoldRules, NetChange, fold, unfold
from shared.events.records import (
    Event,
    EventAction,
    EventPosition,
    Message,
    PreviousKey,
    RecordReference,
    Undecodable,
    Unusable,
    named,
)
from shared.events.routing import Claim
from shared.events.selection import SelectedEvents, Selection

__all__ = [
    "ChangeQueue",
    "Claim",
    "Decoded",
    "Event",
    "EventAction",
    "EventPosition",
    "Fields",
    "FoldRules",
    "FoldedBatch",
    "Message",
    "NetChange",
    "PreviousKey",
    "ReadBody",
    "Reader",
    "RecordReference",
    "SelectedEvents",
    "Selection",
    "Undecodable",
    "Unusable",
    "carried_definition",
    "claim",
    "decode",
    "fields_of",
    "fold",
    "moment",
    "named",
    "parse",
    "read",
    "unfold",
]
