"""Every error of the operating system as one of the bus's: Transient when trying again may help, Permanent when a person must act.

Owns: the table from errno to type and message id. An errno that is not in it is Transient: it is tried again a bounded number of times
and then seen by a person, so that nothing unforeseen is given up too early or for ever.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bus.errors import Permanent, Transient, TransportError

_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_AWAY: Final = (
    errno.ENOENT, errno.ESTALE, errno.ENODEV, errno.ENXIO, errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH,
    errno.ENETDOWN, errno.ENETUNREACH, errno.ECONNABORTED, errno.ECONNREFUSED, errno.ECONNRESET, errno.ESHUTDOWN, errno.ENOMEDIUM,
)  # fmt: skip
_DAMAGED: Final = (errno.EIO, errno.EREMOTEIO, errno.EBADMSG, errno.EUCLEAN)
_SHORT: Final = (
    errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EBUSY, errno.ETXTBSY, errno.EINTR, errno.EDEADLK, errno.ENOLCK,
)  # fmt: skip
_FORBIDDEN: Final = (errno.EACCES, errno.EPERM)
_MISPLACED: Final = (
    errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EXDEV, errno.EFBIG, errno.EMLINK,
    errno.ENOTEMPTY,
)  # fmt: skip

_TABLE: Final[dict[int, tuple[type[TransportError], str]]] = {
    **dict.fromkeys(_FULL, (Transient, "RNK5010E")),
    **dict.fromkeys(_AWAY, (Transient, "RNK5011E")),
    errno.EROFS: (Transient, "RNK5012E"),
    **dict.fromkeys(_DAMAGED, (Transient, "RNK5013E")),
    **dict.fromkeys(_SHORT, (Transient, "RNK5014E")),
    **dict.fromkeys(_FORBIDDEN, (Permanent, "RNK5015E")),
    **dict.fromkeys(_MISPLACED, (Permanent, "RNK5016E")),
    errno.EEXIST: (Transient, "RNK5020E"),
}


def transport_error(error: OSError, path: Path) -> TransportError:
    """What `error`, met at `path`, means to the bus."""
    kind, message_id = _TABLE.get(error.errno or 0, (Transient, "RNK5019E"))
    name = errno.errorcode.get(error.errno or 0, type(error).__name__)
    return kind(message_id, path=str(path), error=name)


@contextmanager
def telling(path: Path) -> Iterator[None]:
    """Let no OSError out: raise `transport_error` of it, for `path`."""
    try:
        yield
    except OSError as error:
        raise transport_error(error, path) from error
