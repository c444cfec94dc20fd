# Logs in by every way in which a client can say a password, and prints the ways that worked.
import base64, imaplib, ssl, sys

how, host, port, ca, name, password = sys.argv[1:7]
name, password = name.encode("latin-1"), password.encode("latin-1")


def connect():
    context = ssl.create_default_context(cafile=ca)
    i = imaplib.IMAP4_SSL(host, int(port), ssl_context=context) if how == "implicit" else imaplib.IMAP4(host, int(port))
    if how == "starttls":
        i.starttls(context)
    return i


def quote(data):
    return b'"' + data.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def b64(data):
    return base64.b64encode(data)


plain = b64(b"\0" + name + b"\0" + password)
ways = {
    "quoted": [b"a LOGIN " + quote(name) + b" " + quote(password)],
    "literal": [b"a LOGIN {%d}" % len(name), name + b" {%d}" % len(password), password],
    "nonsync": [b"a LOGIN {%d+}\r\n%s {%d+}\r\n%s" % (len(name), name, len(password), password)],
    "PLAIN": [b"a AUTHENTICATE PLAIN", plain],
    "PLAIN-IR": [b"a AUTHENTICATE PLAIN " + plain],
    "LOGIN": [b"a AUTHENTICATE LOGIN", b64(name), b64(password)],
}
for way, lines in ways.items():
    i = connect()
    answer = b""
    for n, line in enumerate(lines):
        if n:
            assert answer.startswith(b"+"), (way, answer)
        i.send(line + b"\r\n")
        answer = i.readline()
        while answer.startswith(b"* "):
            answer = i.readline()
    if answer.startswith(b"a OK"):
        i.send(b"b NOOP\r\n")
        while answer.startswith((b"* ", b"a ")):
            answer = i.readline()
        assert answer.startswith(b"b OK"), answer
        print(way)
    else:
        print(way, answer.split()[1], file=sys.stderr)
    i.shutdown()
