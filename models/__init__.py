"""Tables, the database session, and migrations."""

from models.base import Base
from models.download import Download, FileRemoval, Preview
from models.heartbeat import Heartbeat
from models.login import Login
from models.queue import Queue, SourceHost
from models.row_count import RowCount
from models.schedule_slot import ScheduleSlot
from models.secret import Secret
from models.user import User

__all__ = [
    "Base",
    "Download",
    "FileRemoval",
    "Heartbeat",
    "Login",
    "Preview",
    "Queue",
    "RowCount",
    "ScheduleSlot",
    "Secret",
    "SourceHost",
    "User",
]
