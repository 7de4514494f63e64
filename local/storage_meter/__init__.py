"""What the app asks of its store: a relay before the storage emulator that notes every request.

Bytes pass as they come, connection for connection; the HTTP in them is only read along. So
signatures hold, and a store that is slow, breaks off or is gone looks to the app as it would
without the relay.
"""

from local.storage_meter.meter import Meter, StoreRequest, running_meter

__all__ = ["Meter", "StoreRequest", "running_meter"]
