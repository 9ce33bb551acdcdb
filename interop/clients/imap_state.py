"""Every folder with its mails, as JSON on stdout."""
from imap_mailbox import log_in, state, tell

box = log_in()
tell(state(box))
box.logout()
