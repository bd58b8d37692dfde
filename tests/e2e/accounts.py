"""What moto holds of accounts, kept and put back: most tests begin with the same things, which take a second to make."""

import copyreg
import pickle
import threading
from collections.abc import Callable

from moto.backends import get_backend
from moto.core.base_backend import BackendDict

# Queues have locks; a queue that is put back has others.
copyreg.pickle(type(threading.RLock()), lambda _: (threading.RLock, ()))
copyreg.pickle(type(threading.Lock()), lambda _: (threading.Lock, ()))


def keep() -> Callable[[], None]:
    """Keep all services as they are, in all accounts and regions. What this returns puts them back as often as it is called,
    with the same ids. Objects of moto that somebody still holds are not what is there then."""
    written = pickle.dumps({each.service_name: dict(each) for each in BackendDict._instances})

    def put_back() -> None:
        for each in BackendDict._instances:
            each.clear()
        for service, accounts in pickle.loads(written).items():
            backends = get_backend(service)
            for account, regions in accounts.items():
                _ = backends[account]  # moto notes that the service is in use
                backends[account] = regions

    return put_back
