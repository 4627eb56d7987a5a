"""Reads Outlook messages (.msg) as the internet messages that they were: headers, bodies, names."""

from buckler.errors import InputError
from buckler.normalize.outlook_message import internet_message
from buckler.readers.mail import MailFileReader
from buckler.readers.reader import READERS, ColumnSpec

MAX_FILE_BYTES = 64 << 20


@READERS.add
class OutlookReader(MailFileReader):
    """One Outlook message a file; of attachments that are no messages, only names and types."""

    name = "msg"
    medium = "message"
    suffixes = (".msg",)
    most_bytes = MAX_FILE_BYTES + 1

    def event(self, data: bytes, spec: ColumnSpec) -> bytes:  # noqa: ARG002 (no columns)
        """Return the message as the internet message that it was."""
        if len(data) > MAX_FILE_BYTES:
            raise InputError("message larger than 64 MiB")
        raw = internet_message(data)
        if raw is None:
            raise InputError("not a sound Outlook message")
        return raw
