"""Edits a mailbox over IMAP until the time is up: adds, flags, moves and deletes. Moves and deletes only mails of its own.

Tells where each of its own mails is in the end: folder by subject, null if it was deleted.
"""
import random
import time

from imap_mailbox import given, log_in, ok, tell

FLAGS = [r"\Seen", r"\Flagged", r"\Answered", "$Label1"]
dice = random.Random(given["seed"])
deadline = time.monotonic() + given["seconds"]
box = log_in()
place = {}
selected = None
edits = 0


def select(folder):
    global selected
    if selected != folder:
        ok(box.select(f'"{folder}"'))
        selected = folder


def uid_of(subject):
    found = ok(box.uid("SEARCH", "SUBJECT", f'"{subject}."'))[0].decode().split()
    if len(found) != 1:
        raise RuntimeError(f"{subject} is there {len(found)} times in {selected}")
    return found[0]


while time.monotonic() < deadline:
    edits += 1
    what = dice.random()
    own = [subject for subject, folder in place.items() if folder]
    if what < 0.3 or not own:
        subject = f"imap {len(place)}"
        folder = dice.choice(given["folders"])
        mail = f"From: ann@tox\r\nSubject: {subject}.\r\nMessage-ID: <{len(place)}@imap>\r\n\r\ntext\r\n".encode()
        ok(box.append(f'"{folder}"', dice.choice(["", r"(\Seen)"]) or None, None, mail))
        place[subject] = folder
    elif what < 0.4:
        subject = dice.choice(own)
        select(place[subject])
        uid = uid_of(subject)
        place[subject] = next(folder for folder in given["folders"] if folder != selected)
        ok(box.uid("MOVE", uid, f'"{place[subject]}"'))
    elif what < 0.5:
        subject = dice.choice(own)
        select(place[subject])
        uid = uid_of(subject)
        ok(box.uid("STORE", uid, "+FLAGS.SILENT", r"(\Deleted)"))
        ok(box.uid("EXPUNGE", uid))
        place[subject] = None
    else:
        # Anybody's mail; it may vanish at any moment, which is no error.
        select(dice.choice(given["folders"]))
        uids = ok(box.uid("SEARCH", "ALL"))[0].split()
        if uids:
            how = dice.choice(["+FLAGS", "-FLAGS"])
            box.uid("STORE", dice.choice(uids).decode(), how, f"({dice.choice(FLAGS)})")
    if dice.random() < 0.02:  # a line that breaks
        box.shutdown()
        box = log_in()
        selected = None
box.logout()
tell({"edits": edits, "place": place})
