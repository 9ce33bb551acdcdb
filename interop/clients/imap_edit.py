"""Edits a mailbox as another program would: [verb, folder, subject, argument] each."""
from imap_mailbox import given, log_in, ok, tell

box = log_in()
for verb, folder, subject, argument in given["edits"]:
    ok(box.select(f'"{folder}"'))
    if verb == "append":
        ok(box.append(f'"{folder}"', argument, None, f"Subject: {subject}\r\n\r\nby the other one\r\n".encode()))
        continue
    uid = ok(box.uid("SEARCH", "SUBJECT", f'"{subject}"'))[0].decode()
    if not uid.isdigit():
        raise RuntimeError(f"{subject}: {uid}")
    if verb == "flags":
        ok(box.uid("STORE", uid, "FLAGS", argument))
    elif verb == "move":
        ok(box.uid("MOVE", uid, f'"{argument}"'))
    elif verb == "delete":
        ok(box.uid("STORE", uid, "+FLAGS.SILENT", r"(\Deleted)"))
        ok(box.uid("EXPUNGE", uid))
box.logout()
tell(True)
