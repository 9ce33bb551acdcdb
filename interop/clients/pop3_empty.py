"""Takes everything out of a POP3 mailbox; prints how much it was."""
import json
import poplib
import ssl
import sys

given = json.load(sys.stdin)
trusting = ssl.create_default_context(cafile=given["ca"])
box = poplib.POP3_SSL(given["host"], given["pop3s"], context=trusting)
box.user(given["user"])
box.pass_(given["password"])
count = box.stat()[0]
for number in range(1, count + 1):
    box.dele(number)
box.quit()
json.dump(count, sys.stdout)
