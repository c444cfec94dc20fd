package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"mime"
	"mime/multipart"
	"net/textproto"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
)

// A demoFolder is a mailbox with its messages.
type demoFolder struct {
	name     string
	messages []demoMessage
}

// A demoMessage is a message of text, with a picture attached or not.
type demoMessage struct {
	from, to, subject, text string
	picture                 string // file name of the attachment; "" for none
	flags                   []imap.Flag
	date                    time.Time
}

const (
	riley  = "Riley Ortega <riley@example.org>"
	morgan = "Morgan Lind <morgan@example.org>"
)

func rileysMail() []demoFolder {
	return []demoFolder{
		{"INBOX", []demoMessage{
			{from: morgan, to: riley, subject: "Welcome aboard", date: ago(50), flags: seen(),
				text: "Hello Riley,\n\nyour mail lives on the first server, mine on the second. You would not notice.\n\nMorgan"},
			{from: "Harbour Office <office@harbour.example>", to: riley, subject: "Berth 14: inspection on Thursday", date: ago(26),
				text: "Dear Ms Ortega,\n\nthe inspector comes on Thursday at nine. Please have the papers ready.\n\nHarbour Office"},
			{from: morgan, to: riley, subject: "Picture of the new light", date: ago(3), picture: "light.png",
				text: "It turns! See the picture.\n\nM."},
		}},
		{"Archive", []demoMessage{
			{from: "Ada Brandt <ada@example.net>", to: riley, subject: "Grüße aus Kiel", date: ago(2000), flags: seen(imap.FlagFlagged),
				text: "Liebe Riley,\n\nschöne Grüße vom Hafenfest. Bis bald!\n\nAda"},
			{from: "Harbour Office <office@harbour.example>", to: riley, subject: "Invoice 2207", date: ago(1400), flags: seen(imap.FlagAnswered),
				text: "Dear Ms Ortega,\n\nplease find the invoice for berth 14 in your box at the office.\n\nHarbour Office"},
		}},
		{"Sent", []demoMessage{
			{from: riley, to: morgan, subject: "Re: Welcome aboard", date: ago(49), flags: seen(), text: "Thank you! All is here.\n\nRiley"},
		}},
		{"Drafts", []demoMessage{
			{from: riley, to: "Harbour Office <office@harbour.example>", subject: "Re: Berth 14: inspection on Thursday",
				date: ago(20), flags: seen(imap.FlagDraft), text: "Dear all,\n\nnine is fine, but"},
		}},
		{"Trash", []demoMessage{
			{from: "Prize Bureau <win@prizes.example>", to: riley, subject: "You have won", date: ago(90), text: "Act now."},
		}},
	}
}

func morgansMail() []demoFolder {
	return []demoFolder{
		{"INBOX", []demoMessage{
			{from: riley, to: morgan, subject: "Re: Welcome aboard", date: ago(49), flags: seen(), text: "Thank you! All is here.\n\nRiley"},
			{from: "Lamp Works <orders@lamps.example>", to: morgan, subject: "Your order has been sent", date: ago(12),
				text: "Two lenses and a motor are on their way to you.\n\nLamp Works"},
			{from: "Keepers' Circle <list@keepers.example>", to: morgan, subject: "[keepers] Fog next week", date: ago(2),
				text: "All keepers,\n\nfog is expected from Monday. Test your horns.\n\nThe Circle"},
		}},
		{"Archive", []demoMessage{
			{from: "Lamp Works <orders@lamps.example>", to: morgan, subject: "Offer 118", date: ago(800), flags: seen(),
				text: "Dear Mr Lind,\n\nour offer stands until the end of the month.\n\nLamp Works"},
		}},
		{"Sent", []demoMessage{
			{from: morgan, to: riley, subject: "Picture of the new light", date: ago(3), flags: seen(), picture: "light.png",
				text: "It turns! See the picture.\n\nM."},
		}},
		{"Drafts", nil},
		{"Trash", nil},
	}
}

func ago(hours int) time.Time {
	return time.Now().Add(-time.Duration(hours) * time.Hour).Truncate(time.Second)
}

func seen(more ...imap.Flag) []imap.Flag { return append(more, imap.FlagSeen) }

// render returns the message in the form of RFC 5322 and MIME.
func (m demoMessage) render() ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "From: %s\r\nTo: %s\r\nSubject: %s\r\nDate: %s\r\nMessage-ID: <%x@demo.imapgate.example>\r\nMIME-Version: 1.0\r\n",
		m.from, m.to, mime.QEncoding.Encode("utf-8", m.subject), m.date.Format(time.RFC1123Z), m.date.UnixNano())
	text := strings.ReplaceAll(m.text, "\n", "\r\n") + "\r\n"
	if m.picture == "" {
		fmt.Fprintf(&b, "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n%s", text)
		return b.Bytes(), nil
	}
	err := m.renderParts(&b, text)
	return b.Bytes(), err
}

func (m demoMessage) renderParts(b *bytes.Buffer, text string) error {
	w := multipart.NewWriter(b)
	fmt.Fprintf(b, "Content-Type: multipart/mixed; boundary=%s\r\n\r\n", w.Boundary())
	body, err := w.CreatePart(textproto.MIMEHeader{"Content-Type": {"text/plain; charset=utf-8"}, "Content-Transfer-Encoding": {"8bit"}})
	if err != nil {
		return err
	}
	if _, err := body.Write([]byte(text)); err != nil {
		return err
	}
	attached, err := w.CreatePart(textproto.MIMEHeader{
		"Content-Type":              {"image/png"},
		"Content-Transfer-Encoding": {"base64"},
		"Content-Disposition":       {"attachment; filename=" + m.picture},
	})
	if err != nil {
		return err
	}
	data, err := drawLight()
	if err != nil {
		return err
	}
	for encoded := base64.StdEncoding.EncodeToString(data); encoded != ""; {
		n := min(76, len(encoded))
		if _, err := attached.Write([]byte(encoded[:n] + "\r\n")); err != nil {
			return err
		}
		encoded = encoded[n:]
	}
	return w.Close()
}

// drawLight draws a beam in the fog. The fog does not compress, so that the file is about 150 KB and the
// attachment 200 KB.
func drawLight() ([]byte, error) {
	const side = 250
	fog := rand.New(rand.NewPCG(1, 2))
	img := image.NewRGBA(image.Rect(0, 0, side, side))
	for y := range side {
		for x := range side {
			v := uint8(40 + fog.IntN(48))
			if d := y - side/2; x > 3*d && x > -3*d {
				v += uint8(160 - 120*x/side)
			}
			img.SetRGBA(x, y, color.RGBA{v, v - uint8(fog.IntN(24)), uint8(30 + fog.IntN(60)), 255})
		}
	}
	var b bytes.Buffer
	err := png.Encode(&b, img)
	return b.Bytes(), err
}
