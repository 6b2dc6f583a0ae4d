"""When a sync starts by itself: cron and NCRONTAB expressions, in a time zone, outside quiet hours."""

from shared.definitions.models.schedules.quiet_hours import QuietHours
from shared.definitions.models.schedules.timetable import Timetable, checked_schedule

__all__ = ["QuietHours", "Timetable", "checked_schedule"]
