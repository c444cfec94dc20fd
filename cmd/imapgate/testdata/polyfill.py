# One run of imaplib over what IMAP4rev1 does not have. It prints what the server answers, without what two servers
# may say differently: texts, numbers of UIDVALIDITY, and the order of names.
import imaplib, re, ssl, sys, time, zlib

port, ca, user, password = sys.argv[1:5]
imaplib._MAXLINE = 10_000_000
context = ssl.create_default_context(cafile=ca)


class Client(imaplib.IMAP4_SSL):
    inflate = None

    def login_here(self):
        self.login(user, password)
        self.caps = set(self.raw("CAPABILITY")[0][0].split()[2:])
        return self

    def line(self):
        line = self.readline()
        if not line.endswith(b"\r\n"):
            raise self.abort("the line does not end: %r" % line)
        line = line[:-2]
        m = re.search(rb"~?\{(\d+)\}$", line)
        if not m or line.startswith((b"* OK", b"* NO")):
            return line
        data = self.read(int(m.group(1)))
        return line[: m.start()] + b'"' + data + b'"' + self.line()

    def raw(self, command, *literals):
        tag = self._new_tag()
        self.send(tag + b" " + command.encode())
        for literal in literals:
            self.send(b"\r\n")
            go = self.line()
            if not go.startswith(b"+"):
                raise self.abort("no continuation: %r" % go)
            self.send(literal)
        self.send(b"\r\n")
        return self.until(tag)

    def until(self, tag):
        lines = []
        while True:
            line = self.line()
            if line.startswith(tag + b" "):
                return lines, self.status(line[len(tag) + 1 :])
            lines.append(line.decode("utf-8", "backslashreplace").replace(tag.decode(), "TAG"))

    @staticmethod
    def status(line):
        m = re.match(rb"(\w+)(?: \[([A-Z0-9-]+))?", line)
        code = (m.group(2) or b"").decode()
        return m.group(1).decode() + (" " + code if code in ("TRYCREATE", "NOTSAVED") else "")

    def compress(self):
        lines, status = self.raw("COMPRESS DEFLATE")
        if status == "OK":
            self.inflate, self.deflate, self.held = zlib.decompressobj(-15), zlib.compressobj(6, zlib.DEFLATED, -15), b""
            self.readline, self.read = self.unpack_line, self.unpack
            plain = self.send
            self.send = lambda data: plain(self.deflate.compress(bytes(data)) + self.deflate.flush(zlib.Z_SYNC_FLUSH))
        return status

    def fill(self):
        data = self.sock.recv(65536)
        if not data:
            raise self.abort("the end of the stream")
        self.held += self.inflate.decompress(data)

    def unpack(self, n):
        while len(self.held) < n:
            self.fill()
        data, self.held = self.held[:n], self.held[n:]
        return data

    def unpack_line(self):
        while b"\n" not in self.held:
            self.fill()
        return self.unpack(self.held.index(b"\n") + 1)


def attrs(line):
    """Flags and attributes in the order of their names."""
    return re.sub(r"\(((?:\\\w+ ?)*)\)", lambda m: "(" + " ".join(sorted(m.group(1).split())) + ")", line)


DROP = re.compile(r"^\* (OK \[(UIDVALIDITY|UIDNEXT|UNSEEN|PERMANENTFLAGS|HIGHESTMODSEQ|NOMODSEQ|CLOSED|MAILBOXID|INPROGRESS)|\d+ RECENT|FLAGS|OK )")
CHILDREN = re.compile(r" ?\\(Marked|UnMarked|Unmarked|HasChildren|HasNoChildren|Recent|NoInferiors)\b")


def say(what, answer, children=False):
    lines, status = answer
    kept, gone = [], 0
    for l in lines:
        # In which order messages go, and whether their number is told once more, is the server's to choose.
        if what.startswith(("MOVE", "UID MOVE")) and re.match(r"\* \d+ (EXPUNGE|EXISTS)", l):
            gone += l.endswith("EXPUNGE")
            continue
        if DROP.match(l) and "COPYUID" not in l:
            continue
        l = re.sub(r"COPYUID \d+", "COPYUID v", l)
        if not children:
            l = CHILDREN.sub("", l).replace("( ", "(")
        l = re.sub(r"\[COPYUID ([^]]*)\].*", r"[COPYUID \1]", l)
        l = re.sub(r'^(\* (?:LIST|STATUS) (?:\(.*?\) (?:"."|NIL) )?)([^" (]\S*)', r'\1"\2"', l)
        if l.startswith("* ESEARCH"):
            head, _, rest = l.replace("* ESEARCH (TAG ", "").partition(")")
            words = [w for w in rest.split() if w != "UID"]
            l = "* ESEARCH" + " UID" * (" UID" in rest) + "".join(" %s=%s" % p for p in sorted(zip(words[::2], words[1::2])))
        if l == "* ENABLED":
            continue
        l = re.sub(r'HEADER.FIELDS \("?(\w+)"?\)', r"HEADER.FIELDS (\1)", l)
        kept.append(attrs(l.replace('"CHILDINFO"', 'CHILDINFO')))
    if what.startswith("LIST"):
        kept.sort()
    print("%s: %s" % (what, status), "%d gone" % gone if gone else "")
    for l in kept:
        print("  " + l)


def message(n, body="text"):
    return ("Subject: number %d\r\nContent-Transfer-Encoding: base64\r\n\r\nQUJD\r\nRA==\r\n" % n).encode()


m = Client("localhost", int(port), ssl_context=context).login_here()
for name in ("Work", "Work/Old", "Home", "&AMk-t&AOk-"):
    say("CREATE " + name, m.raw('CREATE "%s"' % name))
for name in ("Work", "Work/Old"):
    say("SUBSCRIBE " + name, m.raw('SUBSCRIBE "%s"' % name))
say("UNSUBSCRIBE Home", m.raw("UNSUBSCRIBE Home"))
for n in range(1, 9):
    typ, _ = m.append("INBOX", "\\Seen" if n % 2 else None, None, message(n))
    print("APPEND", typ)

print("NAMESPACE", [re.sub(r"\s", "", l)[11:18] for l in m.raw("NAMESPACE")[0]])
say("ENABLE", m.raw("ENABLE XPIG-LATIN"))
say("LIST", m.raw('LIST "" *'))
say("LIST children", m.raw('LIST "" W%'), children=True)
say("LIST extended", m.raw('LIST (SUBSCRIBED) "" (* INBOX) RETURN (SUBSCRIBED)'))
say("LIST children asked", m.raw('LIST "" (Work Home) RETURN (CHILDREN)'), children=True)
say("LIST recursive", m.raw('LIST (SUBSCRIBED RECURSIVEMATCH) "" "%"'))
say("LIST status", m.raw('LIST "" (Home INBOX) RETURN (STATUS (MESSAGES UNSEEN))'))
say("LIST bad", m.raw('LIST (NONSENSE) "" *'))

say("SELECT", m.raw("SELECT INBOX"))
for search in (
    "RETURN (MIN MAX COUNT ALL) UNSEEN", "RETURN () ALL", "RETURN (COUNT) SUBJECT nothing", "RETURN (MIN) OR SEEN UNSEEN",
    "YOUNGER 3600", "OLDER 3600", "NOT OLDER 3600 UNSEEN",
):
    say("SEARCH " + search, m.raw("SEARCH " + search))
    say("UID SEARCH " + search, m.raw("UID SEARCH " + search))
say("SAVE", m.raw("SEARCH RETURN (SAVE) UNSEEN"))
say("FETCH $", m.raw("FETCH $ (UID FLAGS)"))
say("UID SEARCH $", m.raw("UID SEARCH UID 1:4 $"))
say("UID STORE $", m.raw(r"UID STORE $ +FLAGS.SILENT (\Flagged)"))
say("SAVE MIN COUNT", m.raw("UID SEARCH RETURN (SAVE MIN COUNT) ALL"))
say("SEARCH $", m.raw("SEARCH $"))
say("FETCH BINARY", m.raw("FETCH 2 BINARY.SIZE[1]"))
say("FETCH BINARY whole", m.raw("FETCH 2 BINARY.PEEK[1]"))
say("FETCH BINARY part", m.raw("FETCH 2 BINARY.PEEK[1]<1.2>"))
say("SAVE none", m.raw("SEARCH RETURN (SAVE) SUBJECT nothing"))
say("STORE $ none", m.raw(r"STORE $ +FLAGS (\Deleted)"))
say("MOVE", m.raw("MOVE 2:3 Work/Old"))
say("MOVE nowhere", m.raw("MOVE 1 Nowhere"))
say("UID MOVE", m.raw("UID MOVE 5,7 Home"))
say("UID MOVE none", m.raw("UID MOVE 900:901 Home"))
say("LEFT", m.raw("FETCH 1:* (UID FLAGS)"))
say("UNSELECT", m.raw("UNSELECT"))
say("FETCH unselected", m.raw("FETCH 1 FLAGS"))
say("SELECT", m.raw('SELECT "Work/Old"'))
say("FETCH", m.raw("FETCH 1:* (UID FLAGS)"))
say("DELETE Home", m.raw("DELETE Home"))

# New mail while it idles.
say("SELECT", m.raw("SELECT INBOX"))
tag = m._new_tag()
m.send(tag + b" IDLE\r\n")
go = m.line()
print("IDLE", go[:1])
other = Client("localhost", int(port), ssl_context=context).login_here()
other.append("INBOX", None, None, message(9))
print("IDLE", next(l for l in iter(m.line, None) if l.endswith(b"EXISTS")))
m.send(b"DONE\r\n")
say("IDLE", (list(), m.until(tag)[1]))
other.logout()

if "COMPRESS=DEFLATE" in m.caps:
    print("COMPRESS", m.compress(), "" if m.raw("COMPRESS DEFLATE")[1] in ("BAD", "NO") else "twice")
else:
    print("COMPRESS OK ")
say("after COMPRESS", m.raw("FETCH 1:2 (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])"))
typ, _ = m.append("INBOX", None, None, message(10) + b"x" * 100000 + b"\r\n")
print("APPEND", typ)
say("SEARCH", m.raw("UID SEARCH RETURN (COUNT) LARGER 100000"))
say("utf8", m.raw("ENABLE UTF8=ACCEPT") if m.raw("UNSELECT")[1] == "OK" and "UTF8=ACCEPT" in m.caps else (["* ENABLED UTF8=ACCEPT"], "OK"))
print(m.logout()[0])
