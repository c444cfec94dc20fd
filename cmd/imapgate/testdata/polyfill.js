// One run of imapflow over all that modern servers have. It prints what it understood; two servers that can do
// the same print the same.
const crypto = require("crypto");
const fs = require("fs");
const { ImapFlow } = require("imapflow");

const [port, ca, user, pass] = args;
const say = (...words) => console.log(words.map((w) => (typeof w === "string" ? w : JSON.stringify(w))).join(" "));
const hash = (data) => crypto.createHash("sha256").update(data).digest("hex").slice(0, 12);

function client() {
  return new ImapFlow({
    host: "localhost", port: Number(port), secure: true, auth: { user, pass },
    tls: { ca: fs.readFileSync(ca) }, logger: process.env.TRACE ? undefined : false,
    logRaw: !!process.env.TRACE, emitLogs: false, maxIdleTime: 20000,
  });
}

function message(n, extra) {
  const attachment = Buffer.from("attachment \0 " + n + "\n" + "x".repeat(3000)).toString("base64").replace(/(.{76})/g, "$1\r\n");
  return [
    "From: Riley <riley@example.org>", "To: kim@example.org", "Subject: polyfill " + n, "Message-ID: <" + n + "@example.org>",
    "Date: Mon, 02 Nov 2026 10:00:0" + n + " +0000", "MIME-Version: 1.0", 'Content-Type: multipart/mixed; boundary="b"', "",
    "--b", "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: quoted-printable", "", "caf=C3=A9 " + n + " =", "soft" + extra,
    "--b", 'Content-Type: application/octet-stream; name="a.bin"', "Content-Transfer-Encoding: base64",
    "Content-Disposition: attachment; filename=a.bin", "", attachment, "--b--", "",
  ].join("\r\n");
}

async function stream(s) {
  const parts = [];
  for await (const p of s) parts.push(p);
  return Buffer.concat(parts);
}

async function folders(c, what) {
  const list = await c.list({ statusQuery: { messages: true, unseen: true } });
  for (const f of list.sort((a, b) => (a.path < b.path ? -1 : 1))) {
    say(what, f.path, f.name, f.delimiter, f.specialUse || "-", f.listed, f.subscribed, f.status ? [f.status.messages, f.status.unseen] : "-");
  }
}

async function main() {
  const c = client();
  await c.connect();
  for (const name of ["Archive", "Archive/2026", "Entwürfe", "Away"]) say("create", (await c.mailboxCreate(name)).path);
  for (let n = 1; n <= 6; n++) {
    const a = await c.append("INBOX", message(n, ""), n % 2 ? ["\\Seen"] : [], new Date(Date.UTC(2026, 9, n)));
    say("append", a.destination, !!a.uid);
  }
  await folders(c, "list");
  let lock = await c.getMailboxLock("INBOX");
  try {
    say("exists", c.mailbox.exists, "uidNext", Number(c.mailbox.uidNext), "readOnly", !!c.mailbox.readOnly);
    for await (const m of c.fetch("1:*", { uid: true, flags: true, envelope: true, size: true, bodyStructure: true })) {
      say("fetch", m.seq, m.envelope.subject, [...m.flags].filter((f) => f !== "\\Recent").sort(), m.size, m.bodyStructure.childNodes.map((p) => [p.part, p.type, p.encoding]));
    }
    say("search", await c.search({ subject: "polyfill", unseen: true }, { uid: true }));
    say("search none", await c.search({ subject: "nothing of this" }, { uid: true }));
    say("search seq", await c.search({ or: [{ seen: true }, { flagged: true }] }));
    for (const part of ["1", "2"]) {
      const d = await c.download("2", part);
      say("download", part, d.meta.contentType, hash(await stream(d.content)));
    }
    const whole = await c.download("3");
    say("download whole", hash(await stream(whole.content)));
    say("flags", await c.messageFlagsAdd("2", ["\\Flagged"]), await c.messageFlagsRemove("1", ["\\Seen"]));
    const copied = await c.messageCopy("4", "Away");
    say("copy", copied.destination, copied.uidMap ? copied.uidMap.size : 0);
    const moved = await c.messageMove("2:3", "Archive/2026");
    say("move", moved.destination, moved.uidMap ? moved.uidMap.size : 0);
    say("exists", c.mailbox.exists);
    const last = await c.search({ all: true }, { uid: true });
    const one = await c.messageMove(String(last[last.length - 1]), "Entwürfe", { uid: true });
    say("move uid", one.destination, one.uidMap ? one.uidMap.size : 0);
    let refused = await c.messageMove("1", "Nowhere/at all").catch((err) => err.serverResponseCode || err.responseStatus || "error");
    say("move nowhere", refused && refused.destination ? "moved" : String(refused));
    say("exists", c.mailbox.exists);
    say("delete", await c.messageDelete("1"), c.mailbox.exists);
  } finally {
    lock.release();
  }
  say("status", Object.fromEntries(Object.entries(await c.status("Archive/2026", { messages: true, unseen: true, recent: false })).filter(([k]) => k === "messages" || k === "unseen")));
  lock = await c.getMailboxLock("Archive/2026", { readOnly: true });
  for await (const m of c.fetch("1:*", { envelope: true, flags: true })) say("moved", m.seq, m.envelope.subject, [...m.flags].filter((f) => f !== "\\Recent").sort());
  lock.release();
  await c.mailboxClose();

  // New mail while it idles.
  await c.mailboxOpen("INBOX");
  const before = c.mailbox.exists;
  const came = new Promise((resolve) => c.on("exists", (e) => e.count > before && resolve(e.count)));
  const idling = c.idle();
  const other = client();
  await other.connect();
  await other.append("INBOX", message(7, " new"), []);
  say("idle: exists", (await came) - before);
  await other.logout();
  await c.noop();
  await idling;

  say("rename", (await c.mailboxRename("Away", "Archive/Away")).newPath);
  say("subscribe", await c.mailboxSubscribe("Archive/Away"));
  await folders(c, "list");
  await c.mailboxOpen("Archive/Away");
  await c.mailboxClose();
  for (const name of ["Archive/Away", "Entwürfe"]) say("delete", (await c.mailboxDelete(name)).path);
  say("namespace", c.namespace || null);
  await c.logout();
}

main().catch((err) => {
  console.error(err, err.response || "", err.serverResponseCode || "");
  process.exit(1);
});
