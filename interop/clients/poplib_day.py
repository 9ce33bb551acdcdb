"""A day of a POP3 program, by Python's poplib: facts as JSON on stdout."""
import json
import poplib
import ssl
import sys
import time

given = json.load(sys.stdin)
trusting = ssl.create_default_context(cafile=given["ca"])


def connect(implicit):
    if implicit:
        return poplib.POP3_SSL(given["host"], given["pop3s"], context=trusting)
    box = poplib.POP3(given["host"], given["pop3"])
    box.stls(context=trusting)
    return box


def log_in(box):
    box.user(given["user"])
    box.pass_(given["password"])
    return box


def log_in_again():
    """The server may not have noticed yet that the former connection is gone."""
    for _ in range(50):
        try:
            return log_in(connect(True))
        except poplib.error_proto as refusal:
            if b"IN-USE" not in refusal.args[0]:
                raise
            time.sleep(0.1)
    raise TimeoutError("in use for ever")


facts = {}
box = log_in(connect(False))
count, size = box.stat()
listed = [line.split() for line in box.list()[1]]
uids = [line.split()[1].decode() for line in box.uidl()[1]]
mails = [b"\n".join(box.retr(number)[1]) + b"\n" for number in range(1, count + 1)]
facts["count"] = count
facts["sizes"] = size == sum(int(octets) for _, octets in listed)
facts["exact"] = all(int(octets) == len(mail) + mail.count(b"\n") for (_, octets), mail in zip(listed, mails))
facts["mails"] = [mail.decode("latin-1") for mail in mails]
facts["uids"] = len(set(uids)) == count
facts["top"] = b"\n".join(box.top(1, 0)[1]).decode("latin-1")

second = connect(True)
try:
    log_in(second)
    facts["second"] = "was let in"
except poplib.error_proto as refusal:
    facts["second"] = str(refusal)

box.dele(1)
box.rset()
facts["after_reset"] = box.stat()[0]
box.dele(1)
box.close()  # lost before QUIT: nothing is deleted
box = log_in_again()
facts["after_loss"] = box.stat()[0]
facts["same_uids"] = [line.split()[1].decode() for line in box.uidl()[1]] == uids
for number in range(1, count + 1):
    box.dele(number)
box.quit()
box = log_in(connect(True))
facts["after_delete"] = box.stat()[0]
box.quit()
json.dump(facts, sys.stdout)
