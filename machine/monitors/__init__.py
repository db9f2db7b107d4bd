"""Virtual machine monitors: Popek and Goldberg's construction made executable, for any described machine."""

from machine.monitors.monitor import Monitor
from machine.monitors.processor import Counters, PlainProcessor, Processor, Stop
from machine.monitors.windows import Storage

__all__ = ["Counters", "Monitor", "PlainProcessor", "Processor", "Stop", "Storage"]
