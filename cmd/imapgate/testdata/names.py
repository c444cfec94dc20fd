# Works with nested mailboxes and prints what it sees, so that two servers can be compared.
import imaplib, re, ssl, sys

host, port, ca, name, password = sys.argv[1:6]
i = imaplib.IMAP4_SSL(host, int(port), ssl_context=ssl.create_default_context(cafile=ca))
i.login(name, password)


def do(what, *args):
    typ, data = getattr(i, what)(*args)
    print(what, *args, typ)
    return data


def names(*args):
    for what in "list", "lsub":
        seen = set()
        for line in do(what, *args):
            if not line:
                continue
            if isinstance(line, tuple):
                line = b" ".join(line)
            attributes, delimiter, box = re.match(rb"\((.*?)\) (\S+) (.*)", line).groups()
            box = box.strip(b'"')
            gone = b"\\noselect" in attributes.lower() or b"\\nonexistent" in attributes.lower()
            if gone and "*" in args[1]:
                continue  # servers differ
            seen.add((box.decode(), delimiter.decode(), "level" if gone else "mailbox"))
        for one in sorted(seen):
            print("  ", *one)


def trees():
    for ref, pattern in ('""', '"*"'), ('""', '"%"'), ('""', '"%/%"'), ('""', '"a/%"'), ('"a/"', '"*"'), ('""', '"INBOX"'), ('""', '"inb*"'):
        names(ref, pattern)


trees()
do("create", "a")
do("create", "a/b")
do("create", "a/b/c")
do("create", "Sent")
do("create", '"Lists/go nuts"')
do("create", '"&AOk-t&AOk-"')
for box in "Sent", "a/b", '"&AOk-t&AOk-"', "a/b/c":
    do("subscribe", box)
trees()
for box in "INBOX", "a/b", '"Lists/go nuts"', "none/such":
    typ, data = i.append(box, None, None, b"Subject: " + box.encode() + b"\r\n\r\nbody\r\n")
    print("append", box, typ, *re.findall(rb"\[(\w+)", data[0]))
do("select", "a/b")
print(do("fetch", "1", "(BODY[HEADER.FIELDS (SUBJECT)])")[0][1])
do("copy", "1", '"Lists/go nuts"')
do("copy", "1", "Sent")
print(*re.findall(rb"\[(\w+)", do("copy", "1", "none/such")[0]))
for box in "INBOX", "a/b", "Sent", '"Lists/go nuts"', "a":
    line = do("status", box, "(MESSAGES)")[0].decode()
    print(re.fullmatch(r'"?(.*?)"? \((.*)\)', line).groups())
do("close")
do("rename", "a", "z")
do("select", "z/b")
print(do("fetch", "1", "(BODY[HEADER.FIELDS (SUBJECT)])")[0][1])
do("close")
print(do("namespace")[0].split(b")) ")[0])
trees()

# From here on in UTF-8. imaplib's own APPEND is wrong then (it sends "UTF8 (" as a part of the message).
i._get_capabilities()
print(i.enable("UTF8=ACCEPT")[0])
do("select", '"été"')
do("create", '"été/über"')
text = b"Subject: x\r\n\r\nbody\r\n"
i.send('U1 APPEND "été/über" {%d+}\r\n'.encode() % len(text) + text + b"\r\n")
print(i.readline().split()[:2])
do("select", '"été/über"')
print(do("fetch", "1", "(BODY[TEXT])")[0][1])
do("close")
trees()
for ref, pattern in ('""', '"é%"'), ('""', '"%é"'), ('""', '"été/ü*"'):
    names(ref, pattern)
i.logout()
