"""What these scripts share: log-in over TLS or STARTTLS, and a mailbox as plain facts. Input is JSON on stdin."""
import email
import hashlib
import imaplib
import json
import re
import ssl
import sys

given = json.load(sys.stdin)
imaplib._MAXLINE = 10_000_000


def log_in(implicit=True):
    if given.get("plain"):
        box = imaplib.IMAP4(given["host"], given["imap"])
    else:
        trusting = ssl.create_default_context(cafile=given["ca"])
        if implicit:
            box = imaplib.IMAP4_SSL(given["host"], given["imaps"], ssl_context=trusting)
        else:
            box = imaplib.IMAP4(given["host"], given["imap"])
            box.starttls(ssl_context=trusting)
    box.login(given["user"], given["password"])
    return box


def ok(answer):
    """The data of an answer that must be OK."""
    status, data = answer
    if status != "OK":
        raise RuntimeError(f"{status} {data}")
    return data


def folders(box):
    found = []
    for line in ok(box.list()):
        attributes, name = re.match(rb'\((.*?)\) (?:"."|NIL) (.*)$', line).groups()
        if b"\\Noselect" not in attributes and b"\\NonExistent" not in attributes:
            found.append((attributes.decode().split(), name.decode().strip('"')))
    return found


def below(box, *names):
    """A folder in a folder; servers separate their names in different ways."""
    return re.search(rb'"(.)" ', ok(box.list())[0]).group(1).decode().join(names)


def mails(box, folder):
    """Of each mail: UID, flags without \\Recent, subject, digest of its body."""
    count = int(ok(box.select(f'"{folder}"', readonly=True))[0])
    if count == 0:
        return []
    found = []
    for part in ok(box.uid("FETCH", "1:*", "(FLAGS BODY.PEEK[])")):
        if not isinstance(part, tuple):
            continue
        uid = int(re.search(rb"UID (\d+)", part[0]).group(1))
        flags = re.search(rb"FLAGS \((.*?)\)", part[0]).group(1).decode().split()
        _, _, body = part[1].replace(b"\r\n", b"\n").partition(b"\n\n")
        found.append({
            "uid": uid,
            "flags": sorted(flag for flag in flags if flag != "\\Recent"),
            "subject": email.message_from_bytes(part[1]).get("Subject"),
            "body": hashlib.sha256(body).hexdigest()[:16],
        })
    return found


def state(box):
    return {name: mails(box, name) for _, name in folders(box)}


def tell(facts):
    json.dump(facts, sys.stdout)
