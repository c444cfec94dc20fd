# A long conversation that prints every line the server sends after login. Run once at the server itself and once
# through the proxy, it must print the same but for what the test normalises.
import hashlib, imaplib, re, ssl, sys

how, host, port, ca, name, password, prefix, sep, features = sys.argv[1:10]
features = set(features.split())


class Recorder:
    recording = False

    def readline(self):
        line = super().readline()
        if self.recording:
            print("S", line.decode("latin-1").rstrip("\r\n"))
        return line

    def read(self, size):
        data = super().read(size)
        if self.recording:
            print("D", size, hashlib.sha256(data).hexdigest()[:16])
        return data


class Plain(Recorder, imaplib.IMAP4):
    pass


class Secure(Recorder, imaplib.IMAP4_SSL):
    pass


def connect():
    context = ssl.create_default_context(cafile=ca)
    if how == "implicit":
        i = Secure(host, int(port), ssl_context=context)
    else:
        i = Plain(host, int(port))
    if how == "starttls":
        i.starttls(context)
    i._encoding = "utf-8"
    i.login(name, password)
    i.tagpre, i.tagnum = b"TAG", 100
    i.tagre = re.compile(rb"(?P<tag>TAG\d+) (?P<type>[A-Z]+) (?P<data>.*)")
    return i


def do(f, *args):
    print("#", getattr(f, "__name__", "?"), *[a if isinstance(a, str) else type(a).__name__ for a in args])
    try:
        f(*args)
    except imaplib.IMAP4.abort:
        raise
    except imaplib.IMAP4.error:
        print("refused")


def until(*starts):
    while True:
        line = i.readline()
        if not line:
            raise EOFError("the connection ended")
        for start in starts:
            if line.startswith(start + b" ") or (start == b"+" and line.startswith(b"+")):
                return line
        while m := re.search(rb"\{(\d+)\}\r\n$", line):
            i.read(int(m[1]))
            line = i.readline()


def send(line, *literals):
    # Each @ in the line is a literal, a pair of its head's prefix and its octets. Servers without LITERAL+ get
    # synchronizing ones.
    print("#", line)
    tag = i._new_tag()
    data = tag + b" " + line.encode()
    for prefix, text in literals:
        head, data = data.split(b"@", 1)
        if "nonsync" in features:
            i.send(head + b"%s{%d+}\r\n%s" % (prefix, len(text), text))
            continue
        i.send(head + b"%s{%d}\r\n" % (prefix, len(text)))
        if not until(b"+", tag).startswith(b"+"):
            return
        i.send(text)
    i.send(data + b"\r\n")
    until(tag)


def q(box):
    return '"' + box + '"'


def message(n, extra=""):
    return (
        f"From: Riley <riley@example.org>\r\nTo: morgan@example.org\r\nSubject: message {n} {extra}\r\n"
        f"Date: Tue, 0{n % 9 + 1} Jan 2024 12:00:00 +0000\r\nMessage-ID: <{n}@example.org>\r\n"
        "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=xyz\r\n\r\n"
        f"--xyz\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nbody {n} {{17}} (\"\\\r\n"
        "--xyz\r\nContent-Type: application/octet-stream; name=\"a{3}.bin\"\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        "AAECAwQFBgcICQ==\r\n--xyz--\r\n"
    ).encode()


def date(n):
    return f'"0{n % 9 + 1}-Feb-2024 10:00:00 +0100"'


i = connect()
i.recording = True
work, sub, odd, copies = prefix + "Work", prefix + "Work" + sep + "2024", prefix + "&Jjo- a &- b", prefix + "copies"

print("## mailboxes")
do(i.list)
do(i.lsub)
for box in (work, sub, odd, copies, copies):
    do(i.create, q(box))
do(i.list, '""', "%")
do(i.list, '""', '""')
do(i.list, '""', q(prefix + "Wo*"))
do(i.subscribe, q(sub))
do(i.subscribe, q(work))
do(i.lsub)
do(i.unsubscribe, q(work))
do(i.lsub, '""', "*")
do(i.rename, q(sub), q(sub + "-old"))
do(i.rename, q(prefix + "nowhere"), q(prefix + "elsewhere"))
do(i.delete, q(sub + "-old"))
do(i.delete, q(prefix + "nowhere"))
do(i.status, q(prefix + "nowhere"), "(MESSAGES)")
do(i.status, "INBOX", "(MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN)")
do(i.select, q(prefix + "nowhere"))
do(i.namespace)
do(i.noop)
send('LIST @ "*"', (b"", b""))
send("STATUS @ (MESSAGES)", (b"", work.encode()))

print("## append")
for n in range(1, 7):
    do(i.append, "INBOX", r"(\Seen $Work)" if n % 2 else None, date(n), message(n, "even" if n % 2 == 0 else "odd"))
do(i.append, "INBOX", None, date(7), "Subject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\n\r\n你好 grüße\r\n".encode())
big = b"Subject: big\r\n\r\n" + b"".join(b"%07d 0123456789abcdefghijklmnopqrstuvwxyz (){}\"\\\r\n" % n for n in range(100000))
do(i.append, "INBOX", r"(\Flagged)", date(8), big)
do(i.append, "INBOX", None, date(9), b"")
do(i.append, q(prefix + "nowhere"), None, date(1), message(1))
if "nonsync" in features:
    send("APPEND INBOX " + date(9) + " @", (b"", message(9, "nonsync")))
if "multiappend" in features:
    send("APPEND %s (\\Seen) %s @ %s @" % (work, date(1), date(2)), (b"", message(10)), (b"", message(11)))
if "binary" in features:
    send("APPEND %s %s @" % (work, date(3)), (b"~", message(12)))
do(i.status, "INBOX", "(MESSAGES UIDNEXT UNSEEN)")

print("## selected")
do(i.select, "INBOX", True)
do(i.store, "1", "+FLAGS", r"(\Seen)")
do(i.select, "INBOX")
do(i.check)
for key in ("ALL", "UNSEEN", "SEEN KEYWORD $Work", "FLAGGED", 'SUBJECT "odd"', "SINCE 3-Feb-2024 BEFORE 6-Feb-2024",
            "LARGER 1000000", "OR 1 3", "NOT (2:4 UID 1:*)", "HEADER Message-ID <2@example.org>", "1:2 DELETED"):
    do(i.search, None, key)
do(i.uid, "SEARCH", "2:*")
i.literal = "grüße".encode()
do(i.search, "UTF-8", "TEXT")
i.literal = b"message"
do(i.search, "US-ASCII", "SUBJECT")
do(i.search, "KLINGON", "TEXT", "x")
do(i.search, None, "NONSENSE")
for items in ("(FLAGS INTERNALDATE RFC822.SIZE UID)", "ENVELOPE", "BODYSTRUCTURE", "BODY", "FAST", "FULL"):
    do(i.fetch, "1:7", items)
for items in ("BODY.PEEK[HEADER]", "BODY.PEEK[HEADER.FIELDS (SUBJECT FROM)]", "BODY.PEEK[HEADER.FIELDS.NOT (SUBJECT)]",
              "BODY.PEEK[1]", "BODY.PEEK[2.MIME]", "(UID BODY.PEEK[]<0.20> BODY.PEEK[TEXT]<5.7>)", "RFC822.HEADER"):
    do(i.fetch, "2,4", items)
do(i.fetch, "2", "BODY[TEXT]")
do(i.fetch, "4", "RFC822")
do(i.fetch, "8", "BODY.PEEK[]")
do(i.fetch, "8", "BODY.PEEK[]<1000000.2000000>")
do(i.fetch, "8", "BODY.PEEK[]<99999999.10>")
do(i.fetch, "*", "(UID FLAGS)")
do(i.uid, "FETCH", "1:3,7", "(FLAGS)")
do(i.uid, "FETCH", "9999:9999", "(FLAGS)")
do(i.fetch, "9999", "(FLAGS)")

print("## changes")
do(i.store, "1:2", "+FLAGS", r"(\Answered \Flagged)")
do(i.store, "1", "-FLAGS.SILENT", r"(\Answered)")
do(i.store, "2", "FLAGS", r"(\Draft kw1 kw2)")
do(i.uid, "STORE", "3", "+FLAGS", "kw1")
do(i.copy, "1:3", q(copies))
do(i.uid, "COPY", "4:5", q(copies))
do(i.uid, "COPY", "9999", q(copies))
do(i.copy, "1", q(prefix + "nowhere"))
do(i.store, "6", "+FLAGS", r"(\Deleted)")
if "uidplus" in features:
    send("UID EXPUNGE 1:5")
    send("UID EXPUNGE 1:*")
do(i.store, "3", "+FLAGS.SILENT", r"(\Deleted)")
do(i.expunge)
if "move" in features:
    send("UID MOVE 1 %s" % q(copies))
    send("MOVE 1 %s" % q(copies))
    send("MOVE 1 %s" % q(prefix + "nowhere"))
    send("UID MOVE 9999 %s" % q(copies))
if "sort" in features:
    do(i.sort, "(REVERSE DATE SUBJECT)", "UTF-8", "ALL")
    do(i.uid, "SORT", "(SIZE)", "US-ASCII", "UNDELETED")
    do(i.thread, "REFERENCES", "UTF-8", "ALL")
    do(i.uid, "THREAD", "ORDEREDSUBJECT", "US-ASCII", "ALL")
if "quota" in features:
    do(i.getquotaroot, "INBOX")
    do(i.getquota, '"User quota"')
if "acl" in features:
    do(i.getacl, q(copies))
    do(i.setacl, q(copies), "anyone", "lr")
    do(i.getacl, q(copies))
    do(i.myrights, q(copies))
    send("LISTRIGHTS %s anyone" % q(copies))
    do(i.deleteacl, q(copies), "anyone")
if "metadata" in features:
    send("SETMETADATA INBOX (/private/comment @)", (b"", b"hello\r\nyou!"))
    send("GETMETADATA INBOX /private/comment")
    send("GETMETADATA (MAXSIZE 3) INBOX (/private/comment /shared/comment)")
    send('SETMETADATA "" (/private/vendor/x NIL)')

print("## idle")
if "idle" in features:
    i.recording = False
    i.select(q(copies))
    before = int(i.untagged_responses["EXISTS"][-1])
    tag = i._new_tag()
    i.send(tag + b" IDLE\r\n")
    until(b"+")
    j = connect()
    j.append(q(copies), None, date(1), message(20))
    j.logout()
    while True:
        line = i.readline()
        assert line, "the connection ended in IDLE"
        if line.startswith(b"* %d EXISTS" % (before + 1)):
            break
    i.send(b"DONE\r\n")
    print("idle", until(tag).split()[1].decode())
    i.recording = True
    i.select("INBOX")

if "modern" in features:
    print("## modern")
    send("ENABLE CONDSTORE X-NONSENSE")
    send("SELECT INBOX (CONDSTORE)")
    send("FETCH 1:* (UID FLAGS) (CHANGEDSINCE 1)")
    send("STORE 1 (UNCHANGEDSINCE 1) +FLAGS (late)")
    send("UID STORE 1:* +FLAGS (timely)")
    send("SEARCH MODSEQ 3")
    send("SEARCH RETURN (MIN MAX COUNT ALL) ALL")
    send("UID SEARCH RETURN (ALL COUNT) UNDELETED")
    send("SEARCH RETURN (SAVE) FLAGGED")
    send("FETCH $ (UID FLAGS)")
    send("UID SORT RETURN (COUNT ALL) (SIZE) UTF-8 ALL")
    send("SEARCH RETURN (UPDATE) ALL")
    send("STORE 2 +FLAGS (seenlate)")
    send("CANCELUPDATE LAST".replace("LAST", '"TAG%d"' % (i.tagnum - 2)))
    send('LIST "" (INBOX *) RETURN (SUBSCRIBED CHILDREN STATUS (MESSAGES SIZE))')
    send('LIST (SUBSCRIBED) "" "*"')
    send("FETCH 1 (BINARY.PEEK[2] BINARY.SIZE[2] PREVIEW)")
    send("NOTIFY SET (selected (MessageNew (FLAGS) MessageExpunge FlagChange))")
    send("STORE 1 -FLAGS (timely)")
    send("NOTIFY NONE")
    send("ENABLE QRESYNC")
    send("STATUS %s (MESSAGES UIDNEXT SIZE HIGHESTMODSEQ)" % q(copies))
    send("UID STORE 2 +FLAGS.SILENT (\\Deleted)")
    send("UID EXPUNGE 2")
    send("UNSELECT")
    send("SELECT INBOX (QRESYNC (1 1))")

print("## faults")
if "bad" in features:  # what the proxy itself refuses with BAD; Courier says NO
    send("XNONSENSE a b")
    for line in ("FETCH 1 (FLAGS", "UID NONSENSE 1", "UID"):
        send(line)
for line in ("FETCH", "FETCH 1", "FETCH 0 FLAGS", "STORE 1 FLAGS", "SELECT",
             "SEARCH", "COPY 1", "LIST", "CREATE", "FETCH a:b FLAGS", "UID FETCH 1 NONSENSE"):
    send(line)
do(i.noop)
do(i.fetch, "1", "(UID)")

print("## end")
do(i.close)
if "unselect" in features:
    do(i.select, q(copies))
    do(i.unselect)
send("FETCH 1 FLAGS")
do(i.status, q(copies), "(MESSAGES UIDNEXT)")
do(i.logout)
