"""A day of an IMAP program, by Python's imaplib: facts as JSON on stdout."""
import re
import time

from imap_mailbox import below, folders, given, log_in, mails, ok, tell

facts = {}
first = log_in(implicit=False)
second = log_in()
facts["special"] = sorted(
    attribute
    for attributes, _ in folders(first)
    for attribute in attributes
    if attribute in ("\\Sent", "\\Drafts", "\\Trash", "\\Junk", "\\Archive")
)


def texts(data):
    return [part for part in data if isinstance(part, (bytes, tuple)) and part not in (b")", None)]


# First sync and reading.
facts["count"] = int(ok(first.select("INBOX"))[0])
ok(second.select("INBOX"))
envelopes = ok(first.fetch("1:*", "(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)"))
facts["envelopes"] = sum(b"ENVELOPE (" in (part[0] if isinstance(part, tuple) else part) for part in texts(envelopes))
structure = ok(first.fetch("2", "(BODYSTRUCTURE)"))[0].decode()
facts["structure"] = structure.lower().count('"text" "plain"'), '"attachment"' in structure.lower()
facts["seen_by_peek"] = b"\\Seen" in ok(first.fetch("1", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)] FLAGS)"))[1]
ok(first.fetch("1", "(BODY[TEXT]<0.10>)"))
facts["seen_by_reading"] = b"\\Seen" in ok(first.fetch("1", "(FLAGS)"))[0]

# Searching.
facts["search"] = {
    key: ok(first.search("UTF-8" if charset else None, *criteria))[0].decode()
    for key, charset, criteria in [
        ("all", False, ["ALL"]),
        ("subject", False, ["SUBJECT", '"two"']),
        ("body", False, ["BODY", '"needle"']),
        ("unseen", False, ["UNSEEN"]),
        ("not", False, ["NOT", "FROM", '"ann"']),
        ("or", False, ["OR", "SUBJECT", '"one"', "SUBJECT", '"three"']),
        ("larger", False, ["LARGER", "2000"]),
        ("none", False, ["BODY", '"nowhere to be found"']),
    ]
}
first.literal = "äpfel".encode()
facts["search"]["utf8"] = ok(first.search("UTF-8", "BODY"))[0].decode()

# Flags, told to the other one.
ok(first.store("2", "+FLAGS", r"(\Flagged $Forwarded)"))
second.noop()
facts["flag_told"] = any(b"\\Flagged" in line and b"$Forwarded" in line for line in second.response("FETCH")[1] if line)

# Copy, move, append, delete.
work = below(first, "Work", "2026")
ok(first.create(work))
uid = re.search(rb"UID (\d+)", ok(first.fetch("1", "(UID)"))[0]).group(1).decode()
copied = first.uid("COPY", uid, f'"{work}"')
facts["copied"] = copied[0], bool(re.fullmatch(rb"\d+ \d+ \d+", first.response("COPYUID")[1][0] or b""))
moved_uid = re.search(rb"UID (\d+)", ok(first.fetch("3", "(UID)"))[0]).group(1).decode()
facts["moved"] = first.uid("MOVE", moved_uid, f'"{work}"')[0]
second.noop()
facts["move_told"] = second.response("EXPUNGE")[1] != [None]
status, answer = first.append("Drafts", r"(\Draft \Seen)", None, b"Subject: a draft\r\n\r\ntext\r\n")
facts["appended"] = status, bool(re.search(rb"APPENDUID \d+ \d+", answer[0]))
ok(first.store("1", "+FLAGS.SILENT", r"(\Deleted)"))
facts["expunged"] = [line.decode() for line in ok(first.expunge()) if line]
facts["refused"] = first.uid("COPY", "1:*", '"No such folder"')[0]

# Push: the other one adds a mail while this one idles.
tag = first._new_tag()
first.send(tag + b" IDLE\r\n")
facts["idling"] = first.readline().startswith(b"+")
began = time.monotonic()
ok(second.append("INBOX", None, None, b"Subject: pushed\r\n\r\nhello\r\n"))
lines = []
while not lines or b"EXISTS" not in lines[-1]:
    lines.append(first.readline())
facts["pushed_after_ms"] = round((time.monotonic() - began) * 1000)
first.send(b"DONE\r\n")
while not first.readline().startswith(tag):
    pass

# A reconnect finds all as it was.
uids = [mail["uid"] for mail in mails(second, "INBOX")]
validity = ok(second.status("INBOX", "(UIDVALIDITY UIDNEXT MESSAGES)"))
first.shutdown()
first = log_in()
facts["same_after_reconnect"] = [mail["uid"] for mail in mails(first, "INBOX")] == uids
facts["same_status"] = ok(first.status("INBOX", "(UIDVALIDITY UIDNEXT MESSAGES)")) == validity
facts["work"] = sorted(mail["subject"] for mail in mails(first, work))
later = below(first, "Work", "2027")
ok(first.rename(work, later))
ok(first.delete(later))
facts["deleted_folder"] = any(name == later for _, name in folders(first))
first.logout()
second.logout()
tell(facts)
