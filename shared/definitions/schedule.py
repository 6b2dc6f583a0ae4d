"""When a sync is due: the check of a cron expression."""

from __future__ import annotations

import datetime as dt

__all__ = ["cron"]


def cron(expression: str) -> str:
    """Check a five-field cron or six-field NCRONTAB expression (seconds first, as in Azure Functions).

    Raises:
        ValueError: When it is neither.
    """
    # Imported here: a definition without a schedule does not pay for it at a cold start.
    from cronsim import CronSim, CronSimError  # noqa: PLC0415 - see above

    try:
        next(CronSim(expression, dt.datetime(2024, 1, 1, tzinfo=dt.UTC)))
    except (CronSimError, ValueError) as error:
        reason = str(error)[:1].lower() + str(error)[1:]
        raise ValueError(
            f"this is no schedule ({reason}): write six NCRONTAB fields, seconds first, or five cron fields"
        ) from None
    except StopIteration:
        raise ValueError("this schedule is never due") from None
    return expression
