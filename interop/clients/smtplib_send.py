"""Sends one mail by Python's smtplib: facts as JSON on stdout."""
import json
import smtplib
import ssl
import sys

given = json.load(sys.stdin)
smtp = smtplib.SMTP(given["host"], given["smtp"])
smtp.starttls(context=ssl.create_default_context(cafile=given["ca"]))
smtp.login(given["user"], given["password"])
facts = {"announced": sorted(smtp.esmtp_features)}
smtp.mail(given["from"])
code, text = smtp.rcpt("nobody@tox")
facts["refused"] = [code, text.decode().split()[0]]
smtp.rset()
smtp.sendmail(
    given["from"],
    given["to"],
    given["mail"].encode("latin-1"),
    mail_options=["BODY=8BITMIME", "SMTPUTF8", "RET=HDRS", "ENVID=py-1"],
    rcpt_options=["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;bob@tox"],
)
smtp.quit()
json.dump(facts, sys.stdout)
