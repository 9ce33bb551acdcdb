"""Makes the mailbox what is given: folders with mails [subject, flags, text], nothing else in them."""
from imap_mailbox import folders, given, log_in, ok, tell

box = log_in()
present = [name for _, name in folders(box)]
for name in sorted(present, reverse=True):
    if name not in given["folders"] and not any(each in name for each in given.get("kept", ["INBOX"])):
        ok(box.delete(f'"{name}"'))
        continue
    if int(ok(box.select(f'"{name}"'))[0]):
        ok(box.store("1:*", "+FLAGS.SILENT", r"(\Deleted)"))
        ok(box.expunge())
    ok(box.close())
for name, mails in given["folders"].items():
    if name not in present:
        ok(box.create(f'"{name}"'))
        ok(box.subscribe(f'"{name}"'))
    for subject, flags, text in mails:
        marks = subject.replace(" ", "-")
        header = f"From: Ann <ann@tox>\r\nTo: bob@tox\r\nSubject: {subject}\r\n"
        header += f"Message-ID: <{marks}@test>\r\nDate: Mon, 1 Jun 2026 10:00:00 +0000\r\n"
        mail = f"{header}\r\n{text}\r\n".encode()
        ok(box.append(f'"{name}"', " ".join(flags), None, mail))
box.logout()
tell(True)
